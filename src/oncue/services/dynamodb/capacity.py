"""Capacity units, as AWS counts them; nothing is throttled by them.

Source: developer guide, "DynamoDB read and write operations": reads go by 4 KB (half when eventually
consistent, double in a transaction), writes by 1 KB (double in a transaction), and each index pays for its
own change.
"""

from typing import Any

from oncue.services.dynamodb import keys, values
from oncue.services.dynamodb.tables import Table
from oncue.services.dynamodb.values import Item

READ_BYTES = 4096
WRITE_BYTES = 1024


class Meter:
    """What one request consumes of one table."""

    def __init__(self, table: Table, *, writes: bool, factor: float = 1.0) -> None:
        """`factor`: 0.5 for an eventually consistent read, 2 in a transaction."""
        self.table = table
        self.writes = writes
        self.factor = factor
        self.units = 0.0
        self.index_units: dict[str, float] = {}

    def read(self, size: int, index: str | None = None) -> None:
        units = max(1, -(-size // READ_BYTES)) * self.factor
        if index is None:
            self.units += units
        else:
            self.index_units[index] = self.index_units.get(index, 0.0) + units

    def write(self, before: Item | None, after: Item | None) -> None:
        self.units += _writes(before, after) * self.factor
        for index in self.table.indexes.values():
            old, new = keys.in_index(index, before), keys.in_index(index, after)
            seen_before = keys.seen_through(index, before) if before is not None and old else None
            seen_after = keys.seen_through(index, after) if after is not None and new else None
            if old == new:
                if seen_before is None or seen_after is None:
                    continue
                if values.equal({"M": seen_before}, {"M": seen_after}):
                    continue
                units = _writes(seen_before, seen_after)
            else:
                units = sum(_writes(None, seen) for seen in (seen_before, seen_after) if seen is not None)
            self.index_units[index.name] = self.index_units.get(index.name, 0.0) + units * self.factor

    def report(self, mode: str | None, *, split: bool = False) -> dict[str, Any] | None:
        """The ConsumedCapacity for ReturnConsumedCapacity=`mode`; `split` names the kind too, as transactions
        do."""
        if mode not in ("TOTAL", "INDEXES"):
            return None
        total = self.units + sum(self.index_units.values())
        report = {"TableName": self.table.name, **self._units(total, split)}
        if mode == "INDEXES":
            report["Table"] = self._units(self.units, split)
            for name, units in self.index_units.items():
                is_global = self.table.indexes[name].is_global
                member = "GlobalSecondaryIndexes" if is_global else "LocalSecondaryIndexes"
                report.setdefault(member, {})[name] = self._units(units, split)
        return report

    def _units(self, units: float, split: bool) -> dict[str, Any]:
        kind = "WriteCapacityUnits" if self.writes else "ReadCapacityUnits"
        return {"CapacityUnits": units, **({kind: units} if split else {})}


def _writes(before: Item | None, after: Item | None) -> int:
    size = max(values.item_size(before or {}), values.item_size(after or {}))
    return max(1, -(-size // WRITE_BYTES))
