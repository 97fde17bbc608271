"""The backlog: claims are leases, groups keep their order, nothing is finished twice."""

import asyncio

from oncue.store import Store, Transaction, backlog

LANE = "lane"


def put(body: str, now: float = 0.0, **options):
    return lambda tx: backlog.put(tx, LANE, body.encode(), now=now, **options)


def claim(now: float, until: float, limit: int = 10, groups: bool = False):
    function = backlog.claim_groups if groups else backlog.claim
    return lambda tx: function(tx, LANE, now=now, until=until, limit=limit)


def bodies(items: list[backlog.Item]) -> list[str]:
    return [item.body.decode() for item in items]


async def test_claimed_once_until_the_claim_lapses(store: Store) -> None:
    await store.transact(put("a"))
    (first,) = await store.transact(claim(1, 31))
    assert (first.body, first.attempts, first.first_claimed_at) == (b"a", 1, 1)
    assert await store.transact(claim(30, 60)) == []
    (second,) = await store.transact(claim(31, 61))
    assert (second.id, second.attempts, second.first_claimed_at) == (first.id, 2, 1)
    assert second.claim != first.claim


async def test_an_old_claim_finishes_nothing(store: Store) -> None:
    await store.transact(put("a"))
    (old,) = await store.transact(claim(1, 2))
    (new,) = await store.transact(claim(3, 9))
    assert not await store.transact(lambda tx: backlog.finish(tx, LANE, old.id, old.claim))
    assert await store.transact(lambda tx: backlog.finish(tx, LANE, new.id, new.claim))
    assert not await store.transact(lambda tx: backlog.finish(tx, LANE, new.id, new.claim))


async def test_due_times(store: Store) -> None:
    await store.transact(put("later", due_at=10))
    await store.transact(put("now"))
    assert bodies(await store.transact(claim(1, 100))) == ["now"]
    assert await store.transact(lambda tx: backlog.next_due(tx, LANE, 1)) == 10
    assert bodies(await store.transact(claim(10, 100))) == ["later"]


async def test_extend_moves_a_live_claim_only(store: Store) -> None:
    await store.transact(put("a"))
    (item,) = await store.transact(claim(1, 31))
    assert await store.transact(lambda tx: backlog.extend(tx, LANE, item.id, item.claim, now=5, until=99))
    assert await store.transact(claim(31, 60)) == []
    assert await store.transact(lambda tx: backlog.extend(tx, LANE, item.id, item.claim, now=6, until=6))
    assert not await store.transact(lambda tx: backlog.extend(tx, LANE, item.id, item.claim, now=7, until=50))
    assert bodies(await store.transact(claim(6, 60))) == ["a"]


async def test_a_put_and_a_given_back_claim_ring(store: Store) -> None:
    with store.listen(LANE) as bell:
        await store.transact(put("a"))
        assert await bell.wait(0)
        (item,) = await store.transact(claim(1, 31))
        assert not await bell.wait(0)
        await store.transact(lambda tx: backlog.extend(tx, LANE, item.id, item.claim, now=5, until=5))
        assert await bell.wait(0)


async def test_counts_and_clear(store: Store) -> None:
    for number in range(4):
        await store.transact(put(str(number)))
    await store.transact(put("delayed", due_at=50))
    await store.transact(claim(1, 31, limit=1))
    assert await store.transact(lambda tx: backlog.counts(tx, LANE, 2)) == backlog.Counts(3, 1, 1)
    assert await store.transact(lambda tx: backlog.clear(tx, LANE)) == 5
    assert await store.transact(lambda tx: backlog.counts(tx, LANE, 2)) == backlog.Counts(0, 0, 0)


async def test_expired_items_are_neither_claimed_nor_kept(store: Store) -> None:
    await store.transact(put("old", expires_at=10))
    await store.transact(put("young", expires_at=20))
    assert bodies(await store.transact(claim(10, 15))) == ["young"]
    last, soonest = await store.transact(lambda tx: backlog.stretch(tx, 0), reads_only=True)
    assert soonest == 10
    assert await store.transact(lambda tx: backlog.expire(tx, 9.9, 0, last)) == 0
    assert await store.transact(lambda tx: backlog.expire(tx, 10, last, last + 9)) == 0
    assert await store.transact(lambda tx: backlog.expire(tx, 10, 0, last)) == 1
    assert await store.transact(lambda tx: backlog.stretch(tx, 0), reads_only=True) == (last, 20)
    assert await store.transact(lambda tx: backlog.stretch(tx, last), reads_only=True) is None


async def test_a_moved_item_starts_anew_in_the_other_lane(store: Store) -> None:
    await store.transact(put("a", expires_at=500))
    (item,) = await store.transact(claim(1, 31))
    await store.transact(lambda tx: backlog.move(tx, item, "dead", now=2))
    assert await store.transact(claim(99, 100)) == []
    (dead,) = await store.transact(lambda tx: backlog.claim(tx, "dead", now=3, until=9, limit=1))
    assert (dead.body, dead.attempts) == (b"a", 1)


async def test_a_group_is_claimed_in_order_by_one_claimer(store: Store) -> None:
    for body in ("a1", "a2", "a3"):
        await store.transact(put(body, group="a"))
    await store.transact(put("b1", group="b"))
    first = await store.transact(claim(1, 31, limit=2, groups=True))
    assert bodies(first) == ["a1", "a2"]
    assert bodies(await store.transact(claim(2, 32, groups=True))) == ["b1"]
    assert await store.transact(claim(3, 33, groups=True)) == []
    for item in first:
        await store.transact(lambda tx, i=item: backlog.finish(tx, LANE, i.id, i.claim))
    assert bodies(await store.transact(claim(4, 34, groups=True))) == ["a3"]


async def test_a_lapsed_group_starts_again_at_its_head(store: Store) -> None:
    for body in ("a1", "a2"):
        await store.transact(put(body, group="a"))
    one, two = await store.transact(claim(1, 31, groups=True))
    await store.transact(lambda tx: backlog.finish(tx, LANE, two.id, two.claim))
    assert await store.transact(claim(30, 60, groups=True)) == []
    assert bodies(await store.transact(claim(31, 61, groups=True))) == ["a1"]
    assert not await store.transact(lambda tx: backlog.finish(tx, LANE, one.id, one.claim))


async def test_a_finished_group_is_forgotten(store: Store) -> None:
    await store.transact(put("a1", group="a"))
    (item,) = await store.transact(claim(1, 31, groups=True))
    await store.transact(lambda tx: backlog.finish(tx, LANE, item.id, item.claim))
    assert await store.transact(lambda tx: tx.all("SELECT * FROM backlog_groups")) == []


async def test_many_claimers_get_each_item_once(store: Store) -> None:
    def put_many(tx: Transaction) -> None:
        for number in range(200):
            backlog.put(tx, LANE, str(number).encode(), now=0)

    await store.transact(put_many)
    claims = await asyncio.gather(*(store.transact(claim(1, 100, limit=7)) for _ in range(40)))
    taken = [item.id for items in claims for item in items]
    assert len(taken) == len(set(taken)) == 200


async def test_group_order_survives_many_concurrent_producers_and_claimers(store: Store) -> None:
    await asyncio.gather(*(store.transact(put(f"{n}", group=f"g{n % 3}")) for n in range(60)))
    seen: dict[str, list[int]] = {}
    while batches := [
        items
        for items in await asyncio.gather(
            *(store.transact(claim(1, 9, limit=3, groups=True)) for _ in range(5))
        )
        if items
    ]:
        groups = [{item.group for item in items} for items in batches]
        assert sum(len(group) for group in groups) == len(set().union(*groups))
        for item in (item for items in batches for item in items):
            seen.setdefault(item.group or "", []).append(item.id)
            await store.transact(lambda tx, i=item: backlog.finish(tx, LANE, i.id, i.claim))
    assert sum(map(len, seen.values())) == 60
    assert all(ids == sorted(ids) for ids in seen.values())


async def test_a_group_is_claimed_up_to_the_first_that_is_not_due(store: Store) -> None:
    await store.transact(put("1", group="g"))
    await store.transact(put("2", group="g", due_at=10))
    await store.transact(put("3", group="g"))
    (first,) = await store.transact(claim(1, 31, groups=True))
    assert first.body == b"1"
    await store.transact(lambda tx: backlog.finish(tx, LANE, first.id, first.claim))
    assert await store.transact(claim(9, 31, groups=True)) == []
    assert bodies(await store.transact(claim(10, 31, groups=True))) == ["2", "3"]


async def test_a_claim_that_reached_nobody_is_undone(store: Store) -> None:
    await store.transact(put("a"))
    await store.transact(claim(1, 2))
    (item,) = await store.transact(claim(3, 31))
    assert await store.transact(lambda tx: backlog.give_back(tx, item, now=4))
    assert not await store.transact(lambda tx: backlog.give_back(tx, item, now=4))
    (again,) = await store.transact(claim(4, 31))
    assert (again.attempts, again.first_claimed_at) == (2, 1)
    await store.transact(put("b", group="g"))
    (grouped,) = await store.transact(claim(4, 31, groups=True))
    assert await store.transact(lambda tx: backlog.give_back(tx, grouped, now=4))
    (grouped,) = await store.transact(claim(5, 31, groups=True))
    assert (grouped.attempts, grouped.first_claimed_at) == (1, 5)


async def test_looking_does_not_claim(store: Store) -> None:
    item_id = await store.transact(put("a"))
    item = await store.transact(lambda tx: backlog.peek(tx, LANE, item_id))
    assert item is not None
    assert (item.claim, item.attempts) == ("", 0)
    (claimed,) = await store.transact(claim(1, 31))
    item = await store.transact(lambda tx: backlog.peek(tx, LANE, item_id))
    assert item == claimed
    assert await store.transact(lambda tx: backlog.peek(tx, "other", item_id)) is None


async def test_claims_are_counted_up_to_a_bound(store: Store) -> None:
    for number in range(4):
        await store.transact(put(str(number)))
    await store.transact(put("delayed", due_at=50))
    await store.transact(claim(1, 31, limit=3))
    assert await store.transact(lambda tx: backlog.claimed(tx, LANE, 2, at_most=10)) == 3
    assert await store.transact(lambda tx: backlog.claimed(tx, LANE, 2, at_most=2)) == 2
    assert await store.transact(lambda tx: backlog.claimed(tx, LANE, 31, at_most=10)) == 0


async def test_a_lane_keeps_its_items_for_another_time(store: Store) -> None:
    await store.transact(put("a", now=5, expires_at=1000))
    await store.transact(lambda tx: backlog.keep_for(tx, LANE, 10))
    assert await store.transact(claim(15, 31)) == []
    assert len(await store.transact(claim(14.5, 31))) == 1
