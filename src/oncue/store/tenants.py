"""Fair lanes: items that belong to tenants, and claims that take quiet tenants' items before noisy ones'.

Who is noisy is the caller's to say. A row of backlog_tenants tells when the first item of a tenant may be
due: never later than it is, except for a race that PostgreSQL allows and that costs that item its
precedence, not its delivery: what the rows do not show is claimed last, with everything else that is due.
So a claim looks at as many tenants as it takes items, however many items a noisy one has queued.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from oncue import clock
from oncue.store import Row, Transaction, backlog
from oncue.store.backlog import COLUMNS, Item

SPARE = 10  # tenants looked at beyond the items wanted: some have nothing after all
ROUNDS_MAX = 4
EXPIRED_MAX = 1_000  # deleted at a time, where they are in the way
BUSIEST = 16  # more than can each have a tenth
PUT = """
INSERT INTO backlog (lane, tenant, due_at, put_at, expires_at, body)
VALUES (:lane, :tenant, :due_at, :now, :expires_at, :body)
RETURNING id
"""
SHOW = """
INSERT INTO backlog_tenants (lane, name, due_at)
SELECT :lane, :name, :due_at
WHERE NOT EXISTS (SELECT 1 FROM backlog_tenants WHERE lane = :lane AND name = :name AND due_at <= :due_at)
ON CONFLICT (lane, name) DO UPDATE SET due_at = :due_at WHERE backlog_tenants.due_at > :due_at
"""
EXPIRE = """
DELETE FROM backlog WHERE id IN (
    SELECT id FROM backlog
    WHERE lane = :lane AND tenant = :name AND due_at <= :now AND expires_at <= :now
    ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
)
"""
SETTLE = """
UPDATE backlog_tenants
SET due_at = COALESCE((SELECT MIN(due_at) FROM backlog WHERE lane = :lane AND tenant = :name), due_at)
WHERE lane = :lane AND name IN (
    SELECT name FROM backlog_tenants WHERE lane = :lane AND name = :name FOR UPDATE SKIP LOCKED
)
"""


def _claim_where(condition: str) -> str:
    return f"""
        UPDATE backlog
        SET claim = :claim, due_at = :until, attempts = attempts + 1,
            first_claimed_at = COALESCE(first_claimed_at, :now)
        WHERE id IN (
            SELECT id FROM backlog
            WHERE {condition} AND due_at <= :now AND (expires_at IS NULL OR expires_at > :now)
            ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
        )
        RETURNING {COLUMNS}, tenant
    """


CLAIM = _claim_where("lane = :lane")
CLAIM_OF_TENANT = _claim_where("lane = :lane AND tenant = :name")


@dataclass(frozen=True, slots=True)
class Load:
    """Items under live claims: of the lane, and of its busiest tenants."""

    total: int
    of: dict[str, int]


def put(
    tx: Transaction,
    lane: str,
    body: bytes,
    *,
    tenant: str,
    now: float,
    due_at: float | None = None,
    expires_at: float | None = None,
) -> int:
    """As backlog.put, for a tenant; '' is what belongs to nobody."""
    due = float(now if due_at is None else due_at)
    row = tx.one(PUT, lane=lane, tenant=tenant, due_at=due, now=now, expires_at=expires_at, body=body)
    assert row is not None
    tx.run(SHOW, lane=lane, name=tenant, due_at=due)
    tx.wake(lane)
    return int(row["id"])


def claim(
    tx: Transaction, lane: str, *, now: float, until: float, limit: int, noisy: Sequence[str] = ()
) -> list[Item]:
    """Up to `limit` due items: first those of tenants that are not noisy, then those of the noisy ones in the
    order given; longest due first where that leaves a choice."""
    assert 0 < limit <= backlog.CLAIM_ITEMS_MAX, "callers bound their claims"
    claiming = _Claiming(tx, lane, now, until, limit)
    if noisy:
        claiming.from_quiet(frozenset(noisy))
        for name in noisy:
            claiming.from_tenant(name)
    claiming.from_all()
    return [_item(row) for row in claiming.rows]


def finish(tx: Transaction, lane: str, id: int) -> bool:
    """As backlog.finish without a claim."""
    row = tx.one("DELETE FROM backlog WHERE id = :id AND lane = :lane RETURNING tenant", id=id, lane=lane)
    if row is None:
        return False
    if row["tenant"] is not None:
        backlog.forget_tenant(tx, lane, row["tenant"])
    return True


def returned(tx: Transaction, lane: str, id: int) -> None:
    """To be said after an item's claim was ended early, or its end moved."""
    row = tx.one("SELECT tenant, due_at FROM backlog WHERE id = :id AND lane = :lane", id=id, lane=lane)
    if row is not None and row["tenant"] is not None:
        tx.run(SHOW, lane=lane, name=row["tenant"], due_at=float(row["due_at"]))


def load(tx: Transaction, lane: str, now: float) -> Load:
    """Reads every live claim of the lane: not for each request."""
    rows = tx.all(
        """
        SELECT tenant, COUNT(*) AS held, SUM(COUNT(*)) OVER () AS total FROM backlog
        WHERE lane = :lane AND due_at > :now AND claim IS NOT NULL
        GROUP BY tenant ORDER BY held DESC, tenant LIMIT :busiest
        """,
        lane=lane,
        now=now,
        busiest=BUSIEST,
    )
    total = int(rows[0]["total"]) if rows else 0
    return Load(total, {row["tenant"]: int(row["held"]) for row in rows if row["tenant"]})


class _Claiming:
    """One claim under way, filled from several places."""

    def __init__(self, tx: Transaction, lane: str, now: float, until: float, limit: int) -> None:
        self.rows: list[Row] = []
        self._tx = tx
        self._limit = limit
        self._values = {"lane": lane, "now": now, "until": until, "claim": clock.token(backlog.CLAIM_BYTES)}
        self._lane = lane
        self._now = now

    def from_quiet(self, noisy: frozenset[str]) -> None:
        looked_at = self._room + len(noisy) + SPARE
        for _ in range(ROUNDS_MAX):
            found = self._tx.all(
                """
                SELECT name FROM backlog_tenants WHERE lane = :lane AND due_at <= :now
                ORDER BY due_at, name LIMIT :limit
                """,
                lane=self._lane,
                now=self._now,
                limit=looked_at,
            )
            for row in found:
                if self._room and row["name"] not in noisy and not self.from_tenant(row["name"]):
                    self._correct(row["name"])
            if not self._room or len(found) < looked_at:
                return

    def _correct(self, name: str) -> None:
        """A tenant that had nothing to give: it is not found again before it has."""
        self._tx.run(EXPIRE, name=name, lane=self._lane, now=self._now, limit=EXPIRED_MAX)
        backlog.forget_tenant(self._tx, self._lane, name)
        self._settle(name)

    def from_tenant(self, name: str) -> bool:
        if not self._room:
            return False
        rows = self._tx.all(CLAIM_OF_TENANT, name=name, limit=self._room, **self._values)
        if rows:
            self._settle(name)
        self._keep(rows)
        return bool(rows)

    def from_all(self) -> None:
        if not self._room:
            return
        rows = self._tx.all(CLAIM, limit=self._room, **self._values)
        for name in sorted({row["tenant"] for row in rows if row["tenant"] is not None}):
            self._settle(name)
        self._keep(rows)

    @property
    def _room(self) -> int:
        return self._limit - len(self.rows)

    def _keep(self, rows: list[Row]) -> None:
        self.rows += sorted(rows, key=lambda row: row["id"])

    def _settle(self, name: str) -> None:
        self._tx.run(SETTLE, lane=self._lane, name=name)


def _item(row: Row) -> Item:
    known = {name: value for name, value in row.items() if name not in ("tenant", "group_key", "body")}
    return Item(group=None, body=bytes(row["body"]), **known)
