"""Kept replies: found for five minutes, known by all of their key, and cleared away."""

import pytest

from oncue.store import Store, calls
from oncue.store.calls import ALONE, SHARED, Key, Slots

KEY = Key.of("123456789012", "Sqs.send_message", "an id")
NOW = 1_800_000_030.0


@pytest.fixture(params=[ALONE, SHARED], ids=["alone", "shared"])
def slots(request: pytest.FixtureRequest) -> Slots:
    return request.param  # type: ignore[no-any-return]


async def test_a_reply_is_found_for_five_minutes(store: Store, slots: Slots) -> None:
    assert await store.transact(lambda tx: calls.find(tx, slots, KEY, NOW)) is None
    assert await store.transact(lambda tx: calls.keep(tx, slots, KEY, b"reply", NOW, repeated=False))
    for later in (0.0, 60.0, 300.0):
        found = await store.transact(
            lambda tx, later=later: calls.find(tx, slots, KEY, NOW + later), reads_only=True
        )
        assert found == b"reply"
    assert await store.transact(lambda tx: calls.find(tx, slots, KEY, NOW + 361)) is None


async def test_what_makes_a_call_the_same() -> None:
    assert Key.of("123456789012", "Sqs.send_message", "an id") == KEY
    for other in (
        Key.of("123456789013", "Sqs.send_message", "an id"),
        Key.of("123456789012", "Sqs.purge_queue", "an id"),
        Key.of("123456789012", "Sqs.send_message", "another"),
    ):
        assert other.hash != KEY.hash


async def test_two_calls_of_one_hash_are_not_taken_for_one(store: Store, slots: Slots) -> None:
    other = Key(KEY.hash, "another")
    assert await store.transact(lambda tx: calls.keep(tx, slots, KEY, b"reply", NOW, repeated=False))
    assert await store.transact(lambda tx: calls.find(tx, slots, other, NOW)) is None
    assert not await store.transact(lambda tx: calls.keep(tx, slots, other, b"other", NOW, repeated=False))


async def test_a_repeated_call_meets_the_first_of_a_minute_ago(store: Store) -> None:
    slots = SHARED
    assert await store.transact(lambda tx: calls.keep(tx, slots, KEY, b"reply", NOW, repeated=True))
    assert not await store.transact(lambda tx: calls.keep(tx, slots, KEY, b"late", NOW - 60, repeated=False))


async def test_old_replies_are_deleted(store: Store, slots: Slots) -> None:
    ages = [0, 60, 240, 299, 400, 500]
    for age in ages:
        key, at = Key.of("", "", str(age)), NOW - age
        assert await store.transact(
            lambda tx, k=key, at=at: calls.keep(tx, slots, k, b"x", at, repeated=False)
        )
    assert await store.transact(lambda tx: calls.expire(tx, slots, NOW)) == 2
    assert await store.transact(lambda tx: calls.expire(tx, slots, NOW)) == 0
    for age in ages[:4]:
        key = Key.of("", "", str(age))
        assert await store.transact(lambda tx, k=key: calls.find(tx, slots, k, NOW)) == b"x"


async def test_slots_go_round(store: Store, slots: Slots) -> None:
    """Whatever the time is, what is old goes and what is new stays."""
    for turn in range(16):
        now = NOW + turn * slots.seconds * slots.count / 16
        ages = {Key.of("", str(turn), str(age)): now - age for age in (0, 299, 450)}
        for key, at in ages.items():
            await store.transact(lambda tx, k=key, at=at: calls.keep(tx, slots, k, b"x", at, repeated=False))
        await store.transact(lambda tx, now=now: calls.expire(tx, slots, now))
        found = [
            await store.transact(lambda tx, k=k, at=at: calls.find(tx, slots, k, at))
            for k, at in ages.items()
        ]
        assert found == [b"x", b"x", None]
