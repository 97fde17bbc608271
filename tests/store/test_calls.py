"""Kept replies: found for five minutes, known by all of their key, and cleared away."""

from oncue.store import Store, calls
from oncue.store.calls import Key

KEY = Key.of("123456789012", "Sqs.send_message", "an id")
NOW = 1_800_000_030.0


async def test_a_reply_is_found_for_five_minutes(store: Store) -> None:
    assert await store.transact(lambda tx: calls.find(tx, KEY, NOW)) is None
    assert await store.transact(lambda tx: calls.keep(tx, KEY, b"reply", NOW, repeated=False))
    for later in (0.0, 60.0, 300.0):
        found = await store.transact(
            lambda tx, later=later: calls.find(tx, KEY, NOW + later), reads_only=True
        )
        assert found == b"reply"
    assert await store.transact(lambda tx: calls.find(tx, KEY, NOW + 361)) is None


async def test_what_makes_a_call_the_same() -> None:
    assert Key.of("123456789012", "Sqs.send_message", "an id") == KEY
    for other in (
        Key.of("123456789013", "Sqs.send_message", "an id"),
        Key.of("123456789012", "Sqs.purge_queue", "an id"),
        Key.of("123456789012", "Sqs.send_message", "another"),
    ):
        assert other.hash != KEY.hash


async def test_two_calls_of_one_hash_are_not_taken_for_one(store: Store) -> None:
    other = Key(KEY.hash, "another")
    assert await store.transact(lambda tx: calls.keep(tx, KEY, b"reply", NOW, repeated=False))
    assert await store.transact(lambda tx: calls.find(tx, other, NOW)) is None
    assert not await store.transact(lambda tx: calls.keep(tx, other, b"other", NOW, repeated=False))


async def test_a_repeated_call_meets_the_first_of_a_minute_ago(store: Store) -> None:
    assert await store.transact(lambda tx: calls.keep(tx, KEY, b"reply", NOW, repeated=True))
    assert not await store.transact(lambda tx: calls.keep(tx, KEY, b"late", NOW - 60, repeated=False))


async def test_old_replies_are_deleted(store: Store) -> None:
    for minute in range(calls.SLOTS):
        key = Key(minute, str(minute))
        at = NOW + minute * 60
        assert await store.transact(lambda tx, k=key, at=at: calls.keep(tx, k, b"x", at, repeated=False))
    now = NOW + (calls.SLOTS - 1) * 60
    deleted = await store.transact(lambda tx: calls.expire(tx, now))
    assert deleted == calls.SLOTS_EMPTIED
    assert await store.transact(lambda tx: calls.expire(tx, now)) == 0
    for minute in range(calls.SLOTS - 6, calls.SLOTS):
        key = Key(minute, str(minute))
        assert await store.transact(lambda tx, k=key: calls.find(tx, k, now)) == b"x"
