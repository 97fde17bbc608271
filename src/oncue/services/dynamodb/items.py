"""Items in the store: read, locked and written, with their entries in the indexes."""

from collections.abc import Sequence

from oncue.errors import ServiceError
from oncue.services.dynamodb import keys, values
from oncue.services.dynamodb.keys import Position
from oncue.services.dynamodb.tables import Table
from oncue.services.dynamodb.values import Item
from oncue.store import Transaction

ATTEMPTS_MAX = 1000  # to lock one key: each lost one is another transaction that has committed
AT = "table_id = :table AND place = :place AND sort = :sort"
READ = f"SELECT body FROM dynamodb_items WHERE {AT}"
INSERT = (
    "INSERT INTO dynamodb_items (table_id, place, sort, size, body) "
    "VALUES (:table, :place, :sort, :size, :body) ON CONFLICT (table_id, place, sort)"
)


def read(tx: Transaction, table: Table, at: Position, *, lock: bool = False) -> Item | None:
    row = tx.one(f"{READ} FOR UPDATE" if lock else READ, table=table.id, place=at.place, sort=at.sort)
    return values.unpack(row["body"]) if row else None


def read_many(tx: Transaction, wanted: Sequence[tuple[Table, Position]]) -> list[Item | None]:
    """In one statement, which makes it one snapshot on both engines. At most a hundred (AWS's limits)."""
    parts = [
        f"SELECT {n} AS number, body FROM dynamodb_items "
        f"WHERE table_id = :table_{n} AND place = :place_{n} AND sort = :sort_{n}"
        for n in range(len(wanted))
    ]
    bound: dict[str, int | bytes] = {}
    for n, (table, at) in enumerate(wanted):
        bound |= {f"table_{n}": table.id, f"place_{n}": at.place, f"sort_{n}": at.sort}
    found = {row["number"]: values.unpack(row["body"]) for row in tx.all(" UNION ALL ".join(parts), **bound)}
    return [found.get(n) for n in range(len(wanted))]


def hold(tx: Transaction, table: Table, at: Position) -> Item | None:
    """Lock the key until the transaction ends, whether an item is there or not.

    An absent item is locked by an empty row, which others do not see and wait for; `settle` replaces it or
    takes it away again before the transaction ends.
    """
    for _ in range(ATTEMPTS_MAX):
        found = tx.one(f"{READ} FOR UPDATE", table=table.id, place=at.place, sort=at.sort)
        if found is not None:
            return values.unpack(found["body"])
        if tx.run(f"{INSERT} DO NOTHING", table=table.id, place=at.place, sort=at.sort, size=0, body=b""):
            return None
    raise too_busy()


def settle(tx: Transaction, table: Table, at: Position, before: Item | None, after: Item | None) -> None:
    """End what `hold` began: the item is `after` from now on."""
    if after is None:
        tx.run(f"DELETE FROM dynamodb_items WHERE {AT}", table=table.id, place=at.place, sort=at.sort)
    elif before is None or not values.equal({"M": before}, {"M": after}):
        overwrite(tx, table, at, after)
    move_entries(tx, table, at, before, after)


def replace(tx: Transaction, table: Table, at: Position, before: Item | None, after: Item | None) -> bool:
    """Write what was read with `lock`. False where nothing was there and another has put something since."""
    if after is None:
        if before is not None:
            settle(tx, table, at, before, after)
        return True
    if before is not None:
        settle(tx, table, at, before, after)
        return True
    size, body = values.item_size(after), values.pack(after)
    written = tx.run(
        f"{INSERT} DO NOTHING", table=table.id, place=at.place, sort=at.sort, size=size, body=body
    )
    if written:
        move_entries(tx, table, at, None, after)
    return bool(written)


def overwrite(tx: Transaction, table: Table, at: Position, item: Item) -> None:
    """Whatever is there. The indexes are not touched."""
    tx.run(
        f"{INSERT} DO UPDATE SET size = excluded.size, body = excluded.body",
        table=table.id,
        place=at.place,
        sort=at.sort,
        size=values.item_size(item),
        body=values.pack(item),
    )


def move_entries(
    tx: Transaction, table: Table, at: Position, before: Item | None, after: Item | None
) -> None:
    for index in table.indexes.values():
        old, new = keys.in_index(index, before), keys.in_index(index, after)
        if old == new:
            continue
        if old is not None:
            tx.run(
                "DELETE FROM dynamodb_index_entries WHERE table_id = :table AND index_name = :name "
                "AND place = :place AND sort = :sort AND item_place = :item_place AND item_sort = :item_sort",
                table=table.id,
                name=index.name,
                place=old.place,
                sort=old.sort,
                item_place=at.place,
                item_sort=at.sort,
            )
        if new is not None:
            tx.run(
                "INSERT INTO dynamodb_index_entries "
                "(table_id, index_name, place, sort, item_place, item_sort) "
                "VALUES (:table, :name, :place, :sort, :item_place, :item_sort)",
                table=table.id,
                name=index.name,
                place=new.place,
                sort=new.sort,
                item_place=at.place,
                item_sort=at.sort,
            )


def too_busy() -> ServiceError:
    return ServiceError("TransactionConflictException", "Transaction is ongoing for the item", status=400)
