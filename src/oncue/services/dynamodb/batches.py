"""BatchGetItem and BatchWriteItem: many items of many tables, without conditions."""

from typing import Any

from oncue.services import Call
from oncue.services.dynamodb import items, keys, metrics, paths, projections, tables, values, writes
from oncue.services.dynamodb.capacity import Meter
from oncue.services.dynamodb.keys import Position
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import invalid
from oncue.services.dynamodb.tables import Table

GETS_MAX = 100
WRITES_MAX = 25
REPLY_BYTES_MAX = 16 * 1024 * 1024
DUPLICATES = "Provided list of item keys contains duplicates"


def get(call: Call, requests: dict[str, dict[str, Any]], capacity: str | None) -> dict[str, Any]:
    """What does not fit into 16 MB comes back in UnprocessedKeys."""
    if sum(len(request["Keys"]) for request in requests.values()) > GETS_MAX:
        raise invalid("Too many items requested for the BatchGetItem call")
    wanted: list[tuple[Table, Position]] = []
    origins: list[tuple[str, dict[str, Any]]] = []
    trees: dict[str, paths.Tree | None] = {}
    meters: dict[str, Meter] = {}
    for name, request in requests.items():
        table, trees[name], positions = _get_request(call, name, request)
        wanted += [(table, at) for at in positions]
        origins += [(name, key) for key in request["Keys"]]
        factor = 1.0 if request.get("ConsistentRead") else 0.5
        meters[name] = Meter(table, writes=False, factor=factor)
    responses: dict[str, list[values.Item]] = {table.name: [] for table, _ in wanted}
    unprocessed: dict[str, dict[str, Any]] = {}
    total = 0
    for (table, _), (name, key), item in zip(wanted, origins, items.read_many(call.tx, wanted), strict=True):
        size = values.item_size(item) if item is not None else 0
        if total + size > REPLY_BYTES_MAX:
            rest = {member: given for member, given in requests[name].items() if member != "Keys"}
            unprocessed.setdefault(name, {"Keys": [], **rest})["Keys"].append(key)
            continue
        total += size
        meters[name].read(size)
        if item is not None:
            tree = trees[name]
            responses[table.name].append(paths.project(item, tree) if tree is not None else item)
    reports = [report for meter in meters.values() if (report := meter.report(capacity))]
    return {
        "Responses": responses,
        "UnprocessedKeys": unprocessed,
        "ConsumedCapacity": reports or None,
    }


def _get_request(
    call: Call, name: str, request: dict[str, Any]
) -> tuple[Table, paths.Tree | None, list[Position]]:
    for member in request:
        if member not in ("Keys", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"):
            raise invalid(f"Oncue does not support the parameter {member} of this operation.")
    expression = request.get("ProjectionExpression")
    placeholders = Placeholders(
        request.get("ExpressionAttributeNames"), None, ProjectionExpression=expression
    )
    tree = projections.parse(expression, placeholders)
    placeholders.refuse_unused()
    table = tables.find(call, name)
    positions = [keys.of_key(table, key)[1] for key in request["Keys"]]
    if len(set(positions)) < len(positions):
        raise invalid(DUPLICATES)
    return table, tree, positions


def write(
    call: Call, requests: dict[str, list[dict[str, Any]]], capacity: str | None, collections: str | None
) -> dict[str, Any]:
    """All in one transaction, locked in the order of their keys, so that two batches cannot block each
    other."""
    if sum(map(len, requests.values())) > WRITES_MAX:
        raise invalid("Too many items requested for the BatchWriteItem call")
    prepared: list[writes.Write] = []
    for name, changes in requests.items():
        for change in changes:
            given = [kind for kind in ("PutRequest", "DeleteRequest") if change.get(kind) is not None]
            if len(given) != 1:
                raise invalid(values.SEVERAL_TYPES if given else values.NO_TYPE)
            if given == ["PutRequest"]:
                prepared.append(writes.put(call, TableName=name, Item=change["PutRequest"]["Item"]))
            else:
                prepared.append(writes.delete(call, TableName=name, Key=change["DeleteRequest"]["Key"]))
    ordered = sorted(prepared, key=lambda one: (one.table.id, one.at))
    if len({(one.table.id, one.at) for one in ordered}) < len(ordered):
        raise invalid(DUPLICATES)
    meters: dict[int, Meter] = {}
    for one in ordered:
        before, after = writes.carry_out(call, one, wants_before=capacity not in (None, "NONE"))
        meters.setdefault(one.table.id, Meter(one.table, writes=True)).write(before, after)
    reports = [report for meter in meters.values() if (report := meter.report(capacity))]
    return {
        "UnprocessedItems": {},
        "ConsumedCapacity": reports or None,
        "ItemCollectionMetrics": metrics.of_many(call, ordered, collections),
    }
