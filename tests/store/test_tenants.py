"""Fair lanes: quiet tenants first, nothing lost or taken twice, and the index of tenants never late."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from oncue.store import Store, Transaction, backlog, tenants

LANE = "lane"
NAMES = ("", "loud", "louder", "quiet", "still")
NOISY = ("loud", "louder")
STEPS = 150


def put(tenant: str, body: str = "x", now: float = 0.0, **options: Any) -> Callable[[Transaction], int]:
    return lambda tx: tenants.put(tx, LANE, body.encode(), tenant=tenant, now=now, **options)


def claim(
    now: float, until: float, limit: int = 10, noisy: tuple[str, ...] = NOISY
) -> Callable[[Transaction], list[backlog.Item]]:
    return lambda tx: tenants.claim(tx, LANE, now=now, until=until, limit=limit, noisy=noisy)


def bodies(items: list[backlog.Item]) -> list[str]:
    return [item.body.decode() for item in items]


async def shown(store: Store) -> dict[str, float]:
    rows = await store.transact(lambda tx: tx.all("SELECT name, due_at FROM backlog_tenants"))
    return {row["name"]: row["due_at"] for row in rows}


async def test_quiet_tenants_come_first_then_the_noisy_ones_in_the_order_given(store: Store) -> None:
    for number in range(5):
        await store.transact(put("louder", f"louder{number}"))
        await store.transact(put("loud", f"loud{number}"))
    await store.transact(put("quiet", "quiet", now=1.0))
    await store.transact(put("", "nobody's", now=2.0))
    taken = bodies(await store.transact(claim(3, 30, limit=8)))
    assert taken == ["quiet", "nobody's", "loud0", "loud1", "loud2", "loud3", "loud4", "louder0"]
    assert bodies(await store.transact(claim(3, 30, limit=8))) == ["louder1", "louder2", "louder3", "louder4"]


async def test_without_noise_the_longest_due_comes_first(store: Store) -> None:
    for number, name in enumerate(("loud", "loud", "quiet", "loud")):
        await store.transact(put(name, f"{name}{number}", now=float(number)))
    assert bodies(await store.transact(claim(9, 30, 3, ()))) == ["loud0", "loud1", "quiet2"]


async def test_items_without_a_tenant_are_found_at_last(store: Store) -> None:
    """What was put before the lane was a fair one."""
    await store.transact(lambda tx: backlog.put(tx, LANE, b"old", now=0.0))
    await store.transact(put("quiet", "quiet"))
    assert bodies(await store.transact(claim(1, 30))) == ["quiet", "old"]


async def test_tenants_are_forgotten_with_their_last_item(store: Store) -> None:
    ids = [await store.transact(put(name, expires_at=9.0)) for name in ("a", "a", "b")]
    await store.transact(lambda tx: tenants.finish(tx, LANE, ids[0]))
    assert (await shown(store)).keys() == {"a", "b"}
    await store.transact(lambda tx: tenants.finish(tx, LANE, ids[1]))
    assert (await shown(store)).keys() == {"b"}
    assert await store.transact(lambda tx: backlog.expire(tx, 10.0, 0, ids[2])) == 1
    assert await shown(store) == {}
    await store.transact(put("a"))
    await store.transact(lambda tx: backlog.clear(tx, LANE))
    assert await shown(store) == {}


async def test_expired_items_do_not_stand_before_quiet_tenants(store: Store) -> None:
    for number in range(tenants.ROUNDS_MAX * 30):
        await store.transact(put(f"gone{number}", expires_at=1.0))
    await store.transact(put("loud", "loud"))
    await store.transact(put("quiet", "quiet", now=2.0))
    seen = [bodies(await store.transact(claim(3, 30, limit=1))) for _ in range(4)]
    assert ["quiet"] in seen, "a claim does away with those that it finds"
    assert len(await shown(store)) < 10


async def test_load(store: Store) -> None:
    for name in ("loud", "loud", "quiet", "", "loud"):
        await store.transact(put(name))
    await store.transact(put("later", due_at=5.0))
    assert await store.transact(lambda tx: tenants.load(tx, LANE, 1.0)) == tenants.Load(0, {})
    await store.transact(claim(1, 30, limit=4, noisy=()))
    assert await store.transact(lambda tx: tenants.load(tx, LANE, 1.0)) == tenants.Load(
        4, {"loud": 2, "quiet": 1}
    )
    assert await store.transact(lambda tx: tenants.load(tx, LANE, 30.0)) == tenants.Load(0, {})


class Model:
    """key -> (tenant, due at, claim); what must be true of the lane."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store = store
        self.chance = chance
        self.now = 0.0
        self.items: dict[int, tuple[str, float, str]] = {}

    async def put(self) -> None:
        name, due_at = self.chance.choice(NAMES), self.now + self.chance.choice((0, 0, 0, 5))
        key = await self.store.transact(put(name, now=self.now, due_at=due_at))
        self.items[key] = (name, due_at, "")

    async def claim(self) -> None:
        limit, noisy = self.chance.randint(1, 5), self.chance.choice((NOISY, NOISY[:1], ()))
        due = {key: name for key, (name, due_at, _) in self.items.items() if due_at <= self.now}
        until = self.now + self.chance.choice((1, 10))
        taken = await self.store.transact(claim(self.now, until, limit, noisy))
        ids = [item.id for item in taken]
        assert len(ids) == len(set(ids)) == min(limit, len(due))
        assert set(ids) <= due.keys()
        quiet = sum(name not in noisy for name in due.values())
        first = [due[key] not in noisy for key in ids]
        assert sum(first) == min(limit, quiet) or not noisy, "a noisy one came before a quiet one"
        for item in taken:
            self.items[item.id] = (due[item.id], until, item.claim)

    async def finish(self) -> None:
        if held := [key for key, (_, _, claim) in self.items.items() if claim]:
            key = self.chance.choice(held)
            assert await self.store.transact(lambda tx: tenants.finish(tx, LANE, key))
            del self.items[key]

    async def extend(self) -> None:
        held = [key for key, (_, due_at, claim) in self.items.items() if claim and due_at > self.now]
        if held:
            key, until = self.chance.choice(held), self.now + self.chance.choice((0, 3))
            name, _, token = self.items[key]

            def extend(tx: Transaction) -> None:
                assert backlog.extend(tx, LANE, key, token, now=self.now, until=until)
                tenants.returned(tx, LANE, key)

            await self.store.transact(extend)
            self.items[key] = (name, until, token)

    async def check(self) -> None:
        heads = await shown(self.store)
        firsts: dict[str, float] = {}
        for name, due_at, _ in self.items.values():
            firsts[name] = min(due_at, firsts.get(name, due_at))
        for name, due_at in firsts.items():
            assert heads[name] <= due_at, "an item is due before its tenant is"
        assert heads.keys() == firsts.keys()


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_events(store: Store, seed: int) -> None:
    model = Model(store, random.Random(seed))
    for _ in range(STEPS):
        model.now += model.chance.choice((0.0, 0.0, 1.0, 4.0))
        event = model.chance.choice((model.put, model.put, model.claim, model.finish, model.extend))
        await event()
        await model.check()
