"""Calls performed once: replies kept for some minutes, so that a client that repeats a call is answered.

A call is known by its owner, its operation and the client's id for it. The reply is written in the
transaction of the effect, so that there is either both or neither. `now` is in epoch seconds.
"""

import hashlib
from dataclasses import dataclass

from oncue.store import Transaction

KEPT_S = 300
SLOT_S = 60
SLOTS = 16
HASH_BITS = 59  # a slot above them fills a BIGINT
SLOTS_KEPT = KEPT_S // SLOT_S + 1
SLOTS_EMPTIED = 8  # far from the current one on either side: nodes' clocks differ
EXPIRE_MAX = 5_000  # of a slot at a time
FIND = f"""
SELECT reply FROM calls_once
WHERE id IN ({", ".join(f":id{number}" for number in range(SLOTS_KEPT))}) AND invocation = :invocation
"""
KEEP = """
INSERT INTO calls_once (id, invocation, reply) VALUES (:id, :invocation, :reply)
ON CONFLICT (id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Key:
    """What is called once."""

    hash: int
    invocation: str

    @staticmethod
    def of(account: str, operation: str, invocation: str) -> "Key":
        text = f"{account}|{operation}|{invocation}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return Key(int.from_bytes(digest) >> (64 - HASH_BITS), invocation)


def find(tx: Transaction, key: Key, now: float) -> bytes | None:
    """The reply to the same call, if it was performed within the last five minutes (six at most)."""
    ids = {f"id{number}": _id(key, now - number * SLOT_S) for number in range(SLOTS_KEPT)}
    row = tx.one(FIND, invocation=key.invocation, **ids)
    return None if row is None else bytes(row["reply"])


def keep(tx: Transaction, key: Key, reply: bytes, now: float, *, repeated: bool) -> bool:
    """False when there is one already: another attempt at the same call was faster. One that is known to be
    `repeated` meets an earlier one that is still under way also if that began a minute before."""
    kept = tx.run(KEEP, id=_id(key, now), invocation=key.invocation, reply=reply) == 1
    if kept and repeated:
        before = _id(key, now - SLOT_S)
        kept = tx.run(KEEP, id=before, invocation=key.invocation, reply=reply) == 1
    return kept


def expire(tx: Transaction, now: float) -> int:
    """Delete some of what is too old to be asked for; the answer is how many (call again while it is not
    0)."""
    deleted = 0
    for number in range(2, 2 + SLOTS_EMPTIED):
        low = ((int(now // SLOT_S) + number) % SLOTS) << HASH_BITS
        deleted += tx.run(
            """
            DELETE FROM calls_once WHERE id IN (
                SELECT id FROM calls_once WHERE id >= :low AND id <= :high ORDER BY id LIMIT :limit
            )
            """,
            low=low,
            high=low + (1 << HASH_BITS) - 1,
            limit=EXPIRE_MAX,
        )
    return deleted


def _id(key: Key, at: float) -> int:
    return ((int(at // SLOT_S) % SLOTS) << HASH_BITS) | key.hash
