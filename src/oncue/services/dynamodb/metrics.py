"""ItemCollectionMetrics: how big the collections are that were written to, in tables with local indexes."""

from collections.abc import Iterable
from typing import Any

from oncue.services import Call
from oncue.services.dynamodb.writes import Write

GB = 1024**3


def of(call: Call, write: Write, asked: str | None) -> dict[str, Any] | None:
    """For ReturnItemCollectionMetrics=`asked`. The estimate is a range of one GB, as AWS's is."""
    if asked != "SIZE" or all(index.is_global for index in write.table.indexes.values()):
        return None
    row = call.tx.one(
        "SELECT COALESCE(SUM(size), 0) AS bytes FROM dynamodb_items "
        "WHERE table_id = :table AND place = :place",
        table=write.table.id,
        place=write.at.place,
    )
    assert row is not None
    low = int(row["bytes"]) // GB
    name = write.table.partition[0]
    return {"ItemCollectionKey": {name: write.key[name]}, "SizeEstimateRangeGB": [float(low), low + 1.0]}


def of_many(call: Call, written: Iterable[Write], asked: str | None) -> dict[str, Any] | None:
    """By table, each collection once."""
    found: dict[str, dict[bytes, dict[str, Any]]] = {}
    for write in written:
        one = of(call, write, asked)
        if one is not None:
            found.setdefault(write.table.name, {})[write.at.place] = one
    return {name: list(collections.values()) for name, collections in found.items()} or None
