"""Durable work: put an item in a lane, claim it for a while, finish it or let the claim lapse.

A claim is a lease: while it lives (`due_at` in the future) nobody else gets the item; when it lapses the
item is due again and the old claim no longer finishes it. Items of a group are claimed in the order in
which they were put, and a group is claimed by one claimer at a time. `now`, `until`, `due_at`, `expires_at`
are epoch seconds.
"""

from dataclasses import dataclass

from oncue import clock
from oncue.store import Row, Transaction

CLAIM_ITEMS_MAX = 1_000
STRETCH_ITEMS_MAX = 5_000
CLAIM_BYTES = 8
ID_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    lane: str
    group: str | None
    body: bytes
    attempts: int  # how often it has been claimed, this time included
    claim: str
    put_at: float
    due_at: float
    first_claimed_at: float


@dataclass(frozen=True, slots=True)
class Counts:
    ready: int
    claimed: int
    delayed: int


COLUMNS = "id, lane, group_key, body, attempts, claim, put_at, due_at, first_claimed_at"
PUT = """
INSERT INTO backlog (lane, group_key, due_at, put_at, expires_at, body)
VALUES (:lane, :group_key, :due_at, :now, :expires_at, :body)
RETURNING id
"""
PUT_GROUP = """
INSERT INTO backlog_groups (lane, name, due_at) VALUES (:lane, :name, :due_at)
ON CONFLICT (lane, name) DO UPDATE SET due_at = backlog_groups.due_at
"""
CLAIM = f"""
UPDATE backlog
SET claim = :claim, due_at = :until, attempts = attempts + 1,
    first_claimed_at = COALESCE(first_claimed_at, :now)
WHERE id IN (
    SELECT id FROM backlog
    WHERE lane = :lane AND due_at <= :now AND (expires_at IS NULL OR expires_at > :now)
    ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING {COLUMNS}
"""
DUE_GROUPS = """
SELECT name FROM backlog_groups WHERE lane = :lane AND due_at <= :now
ORDER BY due_at, name LIMIT :limit FOR UPDATE SKIP LOCKED
"""
CLAIM_OF_GROUP = f"""
WITH head AS (
    SELECT id, due_at FROM backlog WHERE lane = :lane AND group_key = :name ORDER BY id LIMIT :limit
)
UPDATE backlog
SET claim = :claim, due_at = :until, attempts = attempts + 1,
    first_claimed_at = COALESCE(first_claimed_at, :now)
WHERE id IN (
    SELECT id FROM head
    WHERE id < (SELECT COALESCE(MIN(id), {ID_MAX}) FROM head WHERE due_at > :now)
)
RETURNING {COLUMNS}
"""


def put(
    tx: Transaction,
    lane: str,
    body: bytes,
    *,
    now: float,
    due_at: float | None = None,
    group: str | None = None,
    expires_at: float | None = None,
) -> int:
    """One more item, due at `due_at` (now if None); the answer is its id, which grows within a lane."""
    due = now if due_at is None else due_at
    if group is not None:  # locks the group: the order of ids is the order of commits
        tx.run(PUT_GROUP, lane=lane, name=group, due_at=due)
    row = tx.one(PUT, lane=lane, group_key=group, due_at=due, now=now, expires_at=expires_at, body=body)
    assert row is not None
    tx.wake(lane)
    return int(row["id"])


def claim(tx: Transaction, lane: str, *, now: float, until: float, limit: int) -> list[Item]:
    """Up to `limit` due items of a lane without groups, longest due first; nobody else gets them before
    `until`."""
    assert 0 < limit <= CLAIM_ITEMS_MAX, "callers bound their claims"
    token = clock.token(CLAIM_BYTES)
    rows = tx.all(CLAIM, lane=lane, now=now, until=until, claim=token, limit=limit)
    return [_item(row) for row in sorted(rows, key=lambda row: row["id"])]


def claim_groups(tx: Transaction, lane: str, *, now: float, until: float, limit: int) -> list[Item]:
    """Up to `limit` items from the heads of due groups, in order inside each group; those groups are closed
    to others until `until`, or until all that was taken is finished or given back."""
    assert 0 < limit <= CLAIM_ITEMS_MAX, "callers bound their claims"
    token = clock.token(CLAIM_BYTES)
    items: list[Item] = []
    for group in tx.all(DUE_GROUPS, lane=lane, now=now, limit=limit):
        name, room = group["name"], limit - len(items)
        if room == 0:
            break
        _expire_group(tx, lane, name, now)
        head = _head(tx, lane, name)
        if head is None or head["due_at"] > now:
            _reopen(tx, lane, name, now)
            continue
        rows = tx.all(CLAIM_OF_GROUP, lane=lane, name=name, now=now, until=until, claim=token, limit=room)
        tx.run(
            "UPDATE backlog_groups SET due_at = :until, claim = :claim WHERE lane = :lane AND name = :name",
            until=until,
            claim=token,
            lane=lane,
            name=name,
        )
        items += [_item(row) for row in sorted(rows, key=lambda row: row["id"])]
    return items


def extend(tx: Transaction, lane: str, id: int, claim: str, *, now: float, until: float) -> bool:
    """Move the end of a live claim; `until` <= now gives the item back at once. False when the claim is not
    live."""
    row = tx.one(
        """
        UPDATE backlog SET due_at = :until
        WHERE id = :id AND lane = :lane AND claim = :claim AND due_at > :now
        RETURNING group_key
        """,
        id=id,
        lane=lane,
        claim=claim,
        now=now,
        until=until,
    )
    if row is None:
        return False
    if row["group_key"] is not None:
        _reopen(tx, lane, row["group_key"], now)
    tx.wake(lane)
    return True


def finish(tx: Transaction, lane: str, id: int, claim: str | None = None) -> bool:
    """Delete an item; with `claim` only while that is the latest claim on it. False when nothing was
    deleted."""
    fence = "" if claim is None else " AND claim = :claim"
    values = {} if claim is None else {"claim": claim}
    row = tx.one(
        f"DELETE FROM backlog WHERE id = :id AND lane = :lane{fence} RETURNING group_key, put_at",
        id=id,
        lane=lane,
        **values,
    )
    if row is None:
        return False
    if row["group_key"] is not None:
        _reopen(tx, lane, row["group_key"], None)
        tx.wake(lane)
    return True


def move(
    tx: Transaction,
    item: Item,
    to_lane: str,
    *,
    now: float,
    body: bytes | None = None,
    expires_at: float | None = None,
) -> int:
    """Put a claimed item at the end of another lane with no attempts on it (a dead letter); it expires when
    it would have, or at `expires_at`."""
    gone = tx.one(
        "DELETE FROM backlog WHERE id = :id AND lane = :lane RETURNING expires_at", id=item.id, lane=item.lane
    )
    assert gone is not None, "the claimer holds the item's row"
    if item.group is not None:
        _reopen(tx, item.lane, item.group, now)
    content = item.body if body is None else body
    end = gone["expires_at"] if expires_at is None else expires_at
    return put(tx, to_lane, content, now=now, group=item.group, expires_at=end)


def next_due(tx: Transaction, lane: str, now: float) -> float | None:
    """When the next item that is not due yet will be (delays, running claims); None when there is none."""
    row = tx.one(
        "SELECT due_at FROM backlog WHERE lane = :lane AND due_at > :now ORDER BY due_at LIMIT 1",
        lane=lane,
        now=now,
    )
    return float(row["due_at"]) if row else None


def counts(tx: Transaction, lane: str, now: float) -> Counts:
    row = tx.one(
        """
        SELECT COALESCE(SUM(CASE WHEN due_at <= :now THEN 1 ELSE 0 END), 0) AS ready,
               COALESCE(SUM(CASE WHEN due_at > :now AND claim IS NOT NULL THEN 1 ELSE 0 END), 0) AS claimed,
               COALESCE(SUM(CASE WHEN due_at > :now AND claim IS NULL THEN 1 ELSE 0 END), 0) AS delayed
        FROM backlog WHERE lane = :lane AND (expires_at IS NULL OR expires_at > :now)
        """,
        lane=lane,
        now=now,
    )
    assert row is not None
    return Counts(int(row["ready"]), int(row["claimed"]), int(row["delayed"]))


def peek(tx: Transaction, lane: str, id: int) -> Item | None:
    """The item as it lies there, claimed or not; `claim` is '' before its first claim."""
    row = tx.one(f"SELECT {COLUMNS} FROM backlog WHERE id = :id AND lane = :lane", id=id, lane=lane)
    if row is None:
        return None
    return _item(row | {"claim": row["claim"] or "", "first_claimed_at": row["first_claimed_at"] or 0.0})


def give_back(tx: Transaction, item: Item, *, now: float) -> bool:
    """Undo a claim that reached nobody: due at once, and the attempt does not count. False when it is no
    longer the latest claim."""
    row = tx.one(
        """
        UPDATE backlog
        SET due_at = :now, attempts = attempts - 1, claim = NULL,
            first_claimed_at = CASE WHEN attempts > 1 THEN first_claimed_at END
        WHERE id = :id AND lane = :lane AND claim = :claim
        RETURNING group_key
        """,
        id=item.id,
        lane=item.lane,
        claim=item.claim,
        now=now,
    )
    if row is None:
        return False
    if row["group_key"] is not None:
        _reopen(tx, item.lane, row["group_key"], now)
    tx.wake(item.lane)
    return True


def set_aside(tx: Transaction, item: Item, to_lane: str, *, now: float) -> None:
    """The claimed item, under its id and with its end, lies in another lane from now on, claimed by nobody;
    the attempt does not count, and its group goes on without it."""
    tx.run(
        """
        UPDATE backlog SET lane = :to_lane, claim = NULL, due_at = :now, attempts = attempts - 1
        WHERE id = :id AND lane = :lane AND claim = :claim
        """,
        to_lane=to_lane,
        now=now,
        id=item.id,
        lane=item.lane,
        claim=item.claim,
    )
    if item.group is not None:
        _reopen(tx, item.lane, item.group, now)
        tx.wake(item.lane)


def put_back(tx: Transaction, from_lane: str, lane: str, *, now: float) -> None:
    """All items of `from_lane` lie in `lane` again, at the places that their ids say, due at once."""
    rows = tx.all(
        "UPDATE backlog SET lane = :lane, due_at = :now WHERE lane = :from_lane RETURNING group_key",
        lane=lane,
        now=now,
        from_lane=from_lane,
    )
    for name in sorted({row["group_key"] for row in rows if row["group_key"] is not None}):
        tx.run(PUT_GROUP, lane=lane, name=name, due_at=now)
        _reopen(tx, lane, name, now)
    tx.wake(lane)


def keep_for(tx: Transaction, lane: str, retention_s: float) -> int:
    """Let every item of a lane expire so long after it was put."""
    return tx.run(
        "UPDATE backlog SET expires_at = put_at + :retention_s WHERE lane = :lane",
        retention_s=float(retention_s),
        lane=lane,
    )


def claimed(tx: Transaction, lane: str, now: float, *, at_most: int) -> int:
    """How many items are under a live claim, counted no further than `at_most`."""
    row = tx.one(
        """
        SELECT COUNT(*) AS held FROM (
            SELECT id FROM backlog WHERE lane = :lane AND due_at > :now AND claim IS NOT NULL LIMIT :at_most
        ) AS live
        """,
        lane=lane,
        now=now,
        at_most=at_most,
    )
    assert row is not None
    return int(row["held"])


def clear(tx: Transaction, lane: str) -> int:
    """Delete every item of a lane, claimed ones too; the answer is how many."""
    tx.run("DELETE FROM backlog_groups WHERE lane = :lane", lane=lane)
    tx.run("DELETE FROM backlog_tenants WHERE lane = :lane", lane=lane)
    return tx.run("DELETE FROM backlog WHERE lane = :lane", lane=lane)


def stretch(tx: Transaction, after: int) -> tuple[int, float | None] | None:
    """The end of the next STRETCH_ITEMS_MAX items by id, and when the first of them expires; None at the end.

    Expiry has no index of its own: it would cost every put and every finish a page on disk, for what may be
    found a few minutes late (nobody is given an expired item, whether it has been deleted yet or not).
    """
    row = tx.one(
        """
        SELECT MAX(id) AS last, MIN(expires_at) AS soonest FROM (
            SELECT id, expires_at FROM backlog WHERE id > :after ORDER BY id LIMIT :limit
        ) AS following
        """,
        after=after,
        limit=STRETCH_ITEMS_MAX,
    )
    return None if row is None or row["last"] is None else (int(row["last"]), row["soonest"])


def expire(tx: Transaction, now: float, after: int, last: int) -> int:
    """Delete the items past their `expires_at` with after < id <= last; the answer is how many."""
    rows = tx.all(
        """
        DELETE FROM backlog WHERE id > :after AND id <= :last AND expires_at <= :now
        RETURNING lane, group_key, tenant
        """,
        now=now,
        after=after,
        last=last,
    )
    for lane, name in sorted(
        {(row["lane"], row["group_key"]) for row in rows if row["group_key"] is not None}
    ):
        _reopen(tx, lane, name, now)
    for lane, name in sorted({(row["lane"], row["tenant"]) for row in rows if row["tenant"] is not None}):
        forget_tenant(tx, lane, name)
    return len(rows)


def forget_tenant(tx: Transaction, lane: str, name: str) -> None:
    """Of a fair lane (store.tenants), when its last item has gone."""
    tx.run(
        """
        DELETE FROM backlog_tenants WHERE lane = :lane AND name = :name
        AND NOT EXISTS (SELECT 1 FROM backlog WHERE lane = :lane AND tenant = :name)
        """,
        lane=lane,
        name=name,
    )


def _expire_group(tx: Transaction, lane: str, name: str, now: float) -> None:
    tx.run(
        "DELETE FROM backlog WHERE lane = :lane AND group_key = :name AND expires_at <= :now",
        lane=lane,
        name=name,
        now=now,
    )


def _head(tx: Transaction, lane: str, name: str) -> Row | None:
    return tx.one(
        "SELECT id, due_at FROM backlog WHERE lane = :lane AND group_key = :name ORDER BY id LIMIT 1",
        lane=lane,
        name=name,
    )


def _reopen(tx: Transaction, lane: str, name: str, now: float | None) -> None:
    """Say anew when the group may be claimed: when the last of what its claimer still holds comes back,
    else when its head is due; a group without items is forgotten."""
    group = tx.one(
        "SELECT claim, due_at FROM backlog_groups WHERE lane = :lane AND name = :name FOR UPDATE",
        lane=lane,
        name=name,
    )
    head = _head(tx, lane, name)
    if group is None:
        return
    if head is None:
        tx.run("DELETE FROM backlog_groups WHERE lane = :lane AND name = :name", lane=lane, name=name)
        return
    held = tx.one(
        """
        SELECT MAX(due_at) AS due_at FROM backlog
        WHERE lane = :lane AND group_key = :name AND claim = :claim AND due_at > :now
        """,
        lane=lane,
        name=name,
        claim=group["claim"] or "",
        now=clock.now() if now is None else now,
    )
    due_at = held["due_at"] if held and held["due_at"] is not None else head["due_at"]
    tx.run(
        "UPDATE backlog_groups SET due_at = :due_at WHERE lane = :lane AND name = :name",
        due_at=due_at,
        lane=lane,
        name=name,
    )


def _item(row: Row) -> Item:
    return Item(
        id=row["id"],
        lane=row["lane"],
        group=row["group_key"],
        body=bytes(row["body"]),
        attempts=row["attempts"],
        claim=row["claim"],
        put_at=row["put_at"],
        due_at=row["due_at"],
        first_claimed_at=row["first_claimed_at"],
    )
