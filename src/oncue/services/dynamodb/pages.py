"""Pages of a table or an index: rows in order, from a key on, until a limit or a megabyte is reached."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from oncue.services.dynamodb import keys, paths, values
from oncue.services.dynamodb.conditions import Condition, holds
from oncue.services.dynamodb.key_conditions import Range
from oncue.services.dynamodb.tables import Attribute, Index, Table
from oncue.services.dynamodb.values import Item, kind_of
from oncue.store import Row, Transaction

PAGE_BYTES_MAX = 1024 * 1024  # of what is read, before it is filtered
ROWS_FIRST = 64  # fetched at once, before the size of the items is known
ROWS_MAX = 1024
PLACES = 2 ** (8 * 8)  # what the first eight bytes of a place can be; segments share them evenly

FROM_TABLE = (
    "SELECT i.place AS place, i.sort AS sort, i.place AS item_place, i.sort AS item_sort, i.size AS size, "
    "i.body AS body FROM dynamodb_items i WHERE i.table_id = :table"
)
FROM_INDEX = (
    "SELECT e.place AS place, e.sort AS sort, e.item_place AS item_place, e.item_sort AS item_sort, "
    "i.size AS size, i.body AS body FROM dynamodb_index_entries e JOIN dynamodb_items i "
    "ON i.table_id = e.table_id AND i.place = e.item_place AND i.sort = e.item_sort "
    "WHERE e.table_id = :table AND e.index_name = :index"
)


@dataclass(slots=True)
class Source:
    """Where rows come from: conditions on the row's place and sort key, with what is bound in them."""

    table: Table
    index: Index | None
    forward: bool = True
    wheres: list[str] = field(default_factory=list)
    bound: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        return "i" if self.index is None else "e"

    @property
    def sort_key(self) -> Attribute | None:
        return self.table.sort if self.index is None else self.index.sort

    def only(self, place: bytes) -> None:
        self.bound["place"] = place
        self.wheres.append(f"{self.row}.place = :place")

    def segment(self, number: int, total: int) -> None:
        """One of `total` equal parts of all places."""
        first, end = (-(-PLACES * n // total) for n in (number, number + 1))
        self.bound["first"] = first.to_bytes(8, "big")
        self.wheres.append(f"{self.row}.place >= :first")
        if end < PLACES:
            self.bound["end"] = end.to_bytes(8, "big")
            self.wheres.append(f"{self.row}.place < :end")

    def within(self, asked: Range) -> None:
        """What a key condition asks of the sort key."""
        low, *rest = (keys.encode(value) for value in asked.values)
        self.bound["low"] = low
        sort = f"{self.row}.sort"
        if asked.operator == "BETWEEN":
            self.bound["high"] = rest[0]
            self.wheres.append(f"{sort} >= :low AND {sort} <= :high")
        elif asked.operator == "begins_with":
            self.wheres.append(f"{sort} >= :low")
            beyond = after_prefix(low)
            if beyond is not None:
                self.bound["high"] = beyond
                self.wheres.append(f"{sort} < :high")
        else:
            self.wheres.append(f"{sort} {asked.operator} :low")

    def rows(self, tx: Transaction, after: tuple[bytes, ...] | None, count: int) -> list[Row]:
        columns = [f"{self.row}.sort"] if "place" in self.bound else [f"{self.row}.place", f"{self.row}.sort"]
        bound: dict[str, Any] = {"table": self.table.id, "count": count, **self.bound}
        if self.index is not None:
            columns += ["e.item_place", "e.item_sort"]
            bound["index"] = self.index.name
        wheres = list(self.wheres)
        if after is not None:
            names = [f"after_{n}" for n in range(len(columns))]
            bound |= dict(zip(names, after[-len(columns) :], strict=True))
            marks = ", ".join(f":{name}" for name in names)
            wheres.append(f"({', '.join(columns)}) {'>' if self.forward else '<'} ({marks})")
        sql = " AND ".join([FROM_TABLE if self.index is None else FROM_INDEX, *wheres])
        direction = "" if self.forward else " DESC"
        order = ", ".join(f"{column}{direction}" for column in columns)
        return tx.all(f"{sql} ORDER BY {order} LIMIT :count", **bound)

    def key_names(self) -> tuple[str, ...]:
        """What LastEvaluatedKey and ExclusiveStartKey consist of."""
        own = self.index.key_names if self.index else ()
        return tuple(dict.fromkeys((*self.table.key_names, *own)))

    def start(self, given: dict[str, Any], refusal: Callable[[], Exception]) -> tuple[bytes, ...]:
        """Where an ExclusiveStartKey stands in the order of the rows."""
        key = values.admit_item(given)
        attributes = [self.table.partition, self.table.sort]
        attributes += [self.index.partition, self.index.sort] if self.index else []
        kinds = dict(attribute for attribute in attributes if attribute is not None)
        if key.keys() != kinds.keys() or any(kind_of(key[name]) != kind for name, kind in kinds.items()):
            raise refusal()
        own = keys.position(key, self.table.partition, self.table.sort)
        if self.index is None:
            return own
        return (*keys.position(key, self.index.partition, self.index.sort), *own)


def after_prefix(prefix: bytes) -> bytes | None:
    """The first bytes after everything that begins with `prefix`; None where nothing is."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


@dataclass(frozen=True, slots=True)
class View:
    """What of the rows comes back: those that a filter lets pass, whole or in part, or only their number."""

    condition: Condition | None
    wanted: paths.Tree | None
    counts_only: bool
    whole_items: bool  # also what an index does not project


@dataclass(slots=True)
class Page:
    items: list[Item] = field(default_factory=list)
    count: int = 0
    scanned: int = 0
    bytes: int = 0
    last_key: Item | None = None


def read(
    tx: Transaction, source: Source, view: View, after: tuple[bytes, ...] | None, limit: int | None
) -> Page:
    page = Page()
    for row in _rows(tx, source, after, limit, page):
        item = values.unpack(row["body"])
        seen = item if view.whole_items else keys.seen_through(source.index, item)
        page.scanned += 1
        page.bytes += row["size"] if seen is item else values.item_size(seen)
        if holds(view.condition, seen):
            page.count += 1
            if not view.counts_only:
                page.items.append(paths.project(seen, view.wanted) if view.wanted is not None else seen)
        if page.scanned == limit or page.bytes >= PAGE_BYTES_MAX:
            page.last_key = {name: item[name] for name in source.key_names()}
            break
    return page


def _rows(
    tx: Transaction, source: Source, after: tuple[bytes, ...] | None, limit: int | None, page: Page
) -> Iterator[Row]:
    """Row by row, fetched by as many at once as the page probably still has room for."""
    count = ROWS_FIRST
    while True:
        if limit is not None:
            count = min(count, limit - page.scanned)
        rows = source.rows(tx, after, count)
        yield from rows
        if len(rows) < count:
            return
        last = rows[-1]
        after = (last["place"], last["sort"])
        if source.index is not None:
            after = (*after, last["item_place"], last["item_sort"])
        room = (PAGE_BYTES_MAX - page.bytes) * page.scanned // max(1, page.bytes)
        count = max(1, min(ROWS_MAX, room + 1))
