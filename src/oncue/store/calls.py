"""Calls performed once: replies kept for some minutes, so that a client that repeats a call is answered.

A call is known by its owner, its operation and the client's id for it. The reply is written in the
transaction of the effect, so that there is either both or neither. `now` is in epoch seconds.

A row's id is a hash below a slot of time. Where one process writes, slots are short: rows are then written
one after another, which is much cheaper than all over a tree, and a search looks through all slots. Where
several nodes write, slots are long, so that two attempts at one call that are under way at the same time
want the same row, and the second finds out.
"""

import hashlib
from dataclasses import dataclass

from oncue.store import Transaction

KEPT_S = 300
ID_BITS = 63
EXPIRE_MAX = 5_000  # at a time
FIND = """
WITH RECURSIVE slot (age) AS (SELECT 0 UNION ALL SELECT age + 1 FROM slot WHERE age < :oldest)
SELECT reply FROM slot CROSS JOIN calls_once
WHERE calls_once.id = ((:current + :slots - age) % :slots) * :width + :hash AND invocation = :invocation
LIMIT 1
"""
KEEP = """
INSERT INTO calls_once (id, invocation, reply) VALUES (:id, :invocation, :reply)
ON CONFLICT (id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Slots:
    """How ids are laid out: `count` slots of `seconds` each, used in turn."""

    seconds: float
    count: int  # a power of two

    @property
    def width(self) -> int:
        return (1 << ID_BITS) // self.count

    @property
    def kept(self) -> int:
        return int(KEPT_S / self.seconds) + 1

    def at(self, now: float) -> int:
        return int(now / self.seconds) % self.count


ALONE = Slots(0.05, 16_384)
SHARED = Slots(60.0, 16)


@dataclass(frozen=True, slots=True)
class Key:
    """What is called once."""

    hash: int
    invocation: str

    @staticmethod
    def of(account: str, operation: str, invocation: str) -> "Key":
        text = f"{account}|{operation}|{invocation}".encode()
        return Key(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()), invocation)


def find(tx: Transaction, slots: Slots, key: Key, now: float) -> bytes | None:
    """The reply to the same call, if it was performed within the last five minutes (six at most)."""
    row = tx.one(
        FIND,
        oldest=slots.kept - 1,
        current=slots.at(now),
        slots=slots.count,
        width=slots.width,
        hash=key.hash % slots.width,
        invocation=key.invocation,
    )
    return None if row is None else bytes(row["reply"])


def keep(tx: Transaction, slots: Slots, key: Key, reply: bytes, now: float, *, repeated: bool) -> bool:
    """False when there is one already: another attempt at the same call was faster. Among nodes, one that is
    known to be `repeated` also meets an earlier one that is still under way and began a slot before."""

    def kept(at: float) -> bool:
        row_id = slots.at(at) * slots.width + key.hash % slots.width
        return tx.run(KEEP, id=row_id, invocation=key.invocation, reply=reply) == 1

    return kept(now) and (slots is ALONE or not repeated or kept(now - slots.seconds))


def expire(tx: Transaction, slots: Slots, now: float) -> int:
    """Delete some of what is too old to be asked for; the answer is how many (call again while it is not
    0). What is a little in the future is left alone: nodes' clocks differ."""
    margin = max(1, slots.count // 64)
    first = slots.at(now) + margin
    last = slots.at(now) + slots.count - slots.kept - margin
    deleted = 0
    for turn in (0, slots.count):  # the slots go round
        low, end = max(0, first - turn), min(slots.count, last + 1 - turn)
        if low >= end:
            continue
        deleted += tx.run(
            """
            DELETE FROM calls_once WHERE id IN (
                SELECT id FROM calls_once WHERE id >= :low AND id <= :high ORDER BY id LIMIT :limit
            )
            """,
            low=low * slots.width,
            high=end * slots.width - 1,
            limit=EXPIRE_MAX,
        )
    return deleted
