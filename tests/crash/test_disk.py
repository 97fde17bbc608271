"""Power loss, a failing fsync and a full disk under the embedded store: what was acknowledged is there."""

import asyncio
import pathlib
import random
import tempfile
from collections.abc import Iterator
from typing import NoReturn

import apsw
import pytest

from oncue.app import schema_of_the_store
from oncue.store import backlog, sqlite
from tests.crash import power

RUNS = 25
CUTS = 10  # moments of power loss in each run
CLIENTS = 4
WRITES_EACH = 12
PAGES_BEFORE_CHECKPOINT = 20


@pytest.fixture
def memory(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder whose fsync costs nothing, where there is one: what is lost is decided by the test's disk."""
    shared = pathlib.Path("/dev/shm")
    if not shared.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield pathlib.Path(folder)


def unbreakable(error: BaseException) -> NoReturn:
    pytest.fail(f"the store gave up: {error!r}")


def opened(folder: pathlib.Path) -> sqlite.SqliteStore:
    folder.mkdir(exist_ok=True)
    return sqlite.SqliteStore(folder / "oncue.db", schema_of_the_store(), on_broken_disk=unbreakable)


async def send(store: sqlite.SqliteStore, seed: int, client: int, told: list[str], *, durable: bool) -> None:
    """Puts in turn what must stay and claims what may be forgotten, as senders and receivers do."""
    chance = random.Random(seed * 1_000 + client)
    for number in range(WRITES_EACH):
        name = f"{client}-{number}-"
        body = name.encode() + b"x" * chance.randrange(6_000)
        await store.transact(
            lambda tx, body=body: backlog.put(tx, "lane", body, now=1.0),  # type: ignore[misc]
            durable=durable,
        )
        told.append(name)
        await store.transact(lambda tx: backlog.claim(tx, "lane", now=2.0, until=3.0, limit=3), durable=False)


async def missing_after_outages(folder: pathlib.Path, seed: int, *, durable: bool) -> tuple[int, int]:
    """How many power losses were tried, and after how many of them something acknowledged was missing."""
    told: list[str] = []
    with power.disk(told) as disk:
        store = opened(folder / "before")
        await store.start()
        disk.cuts = frozenset(disk.writes + one for one in random.Random(seed).sample(range(1, 250), CUTS))
        clients = (send(store, seed, client, told, durable=durable) for client in range(CLIENTS))
        await asyncio.gather(*clients)
        outages = list(disk.outages)
        await store.stop()
    wrong = 0
    for number, outage in enumerate(outages):
        after = folder / f"after-{number}"
        after.mkdir()
        outage.survives(seed * 100 + number, after)
        wrong += bool(set(told[: outage.acknowledged]) - there(after / "oncue.db"))
    return len(outages), wrong


def there(path: pathlib.Path) -> set[str]:
    connection = apsw.Connection(str(path))
    assert connection.pragma("integrity_check") == "ok"
    bodies = [bytes(row[0]) for row in connection.execute("SELECT body FROM backlog")]
    connection.close()
    return {body.rpartition(b"-")[0].decode() + "-" for body in bodies}


@pytest.mark.crash
@pytest.mark.parametrize("durable", [True, False], ids=["synced", "saboteur"])
async def test_power_loss(memory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *, durable: bool) -> None:
    """The saboteur acknowledges what is not synced, and is found out: so the test can fail."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", PAGES_BEFORE_CHECKPOINT)
    tried = wrong = 0
    for seed in range(RUNS):
        folder = memory / str(seed)
        folder.mkdir()
        one, bad = await missing_after_outages(folder, seed, durable=durable)
        tried, wrong = tried + one, wrong + bad
    assert tried >= 200
    assert (wrong == 0) == durable, f"{wrong} of {tried} power losses lost something acknowledged"
