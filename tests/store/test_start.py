"""A store that cannot be trusted is refused at the start, with what to do, and never replaced by an empty
one."""

import pathlib

import apsw
import psycopg
import pytest

from oncue.app import open_store, schema_of_the_store
from oncue.errors import SetupError
from oncue.store import Migration, Store, blobs

NEWER = Migration("store", 999, "CREATE TABLE from_the_future (id BIGINT PRIMARY KEY)")


def opened(url: str, *more: Migration) -> Store:
    return open_store(url, [*schema_of_the_store(), *more])


async def test_a_database_goes_on_where_it_was(store_url: str) -> None:
    first = opened(store_url)
    await first.start()
    name = await first.transact(lambda tx: blobs.put(tx, b"kept"))
    await first.stop()
    second = opened(store_url)
    await second.start()
    assert await second.transact(lambda tx: blobs.get(tx, name), reads_only=True) == b"kept"
    await second.stop()


async def test_a_newer_database_is_refused_and_left_alone(store_url: str) -> None:
    newer = opened(store_url, NEWER)
    await newer.start()
    await newer.stop()
    with pytest.raises(SetupError, match="written by a newer Oncue"):
        await opened(store_url).start()
    await newer.start()
    await newer.stop()


async def test_new_steps_are_applied_to_an_old_database(store_url: str) -> None:
    for store in (opened(store_url), opened(store_url, NEWER)):
        await store.start()
        found = await store.transact(
            lambda tx: tx.all("SELECT room, number FROM store_migrations ORDER BY number")
        )
        await store.stop()
    assert [row["number"] for row in found] == [*(step.number for step in schema_of_the_store()), 999]


async def test_a_failing_step_changes_nothing(store_url: str) -> None:
    bad = Migration(
        "store", 998, "CREATE TABLE half (id BIGINT PRIMARY KEY);\nINSERT INTO nonsense VALUES (1);\n"
    )
    old = opened(store_url)
    await old.start()
    await old.stop()
    with pytest.raises((apsw.SQLError, psycopg.Error)):
        await opened(store_url, bad).start()
    await old.start()
    with pytest.raises((apsw.SQLError, psycopg.Error)):
        await old.transact(lambda tx: tx.all("SELECT * FROM half"))
    await old.stop()


@pytest.mark.parametrize("damage", ["empty", "garbage", "torn", "foreign"])
async def test_a_damaged_file_is_refused_and_left_alone(tmp_path: pathlib.Path, damage: str) -> None:
    path = tmp_path / "oncue.db"
    store = opened(f"sqlite:///{path}")
    await store.start()
    for number in range(200):
        await store.transact(lambda tx, n=number: blobs.put(tx, str(n).encode() * 500))
    await store.stop()
    whole = path.read_bytes()
    if damage == "foreign":
        path.unlink()
        apsw.Connection(str(path)).execute("CREATE TABLE theirs (id INTEGER)")
        left = path.read_bytes()
    else:
        torn = whole[: len(whole) // 2] + b"\xff" * 4096 + whole[len(whole) // 2 + 4096 :]
        left = {"empty": b"", "garbage": b"not a database" * 1000, "torn": torn}[damage]
        path.write_bytes(left)
    with pytest.raises(SetupError, match="damaged" if damage != "foreign" else "not one of Oncue"):
        await opened(f"sqlite:///{path}").start()
    assert path.read_bytes() == left


async def test_two_servers_never_share_a_file(tmp_path: pathlib.Path) -> None:
    first, second = (opened(f"sqlite:///{tmp_path}/oncue.db") for _ in range(2))
    await first.start()
    with pytest.raises(SetupError, match="Another server uses"):
        await second.start()
    await first.stop()
    await second.start()
    await second.stop()


async def test_an_interrupted_creation_is_begun_again(tmp_path: pathlib.Path) -> None:
    (tmp_path / "oncue.db.new").write_bytes(b"half of a database")
    store = opened(f"sqlite:///{tmp_path}/oncue.db")
    await store.start()
    await store.stop()
    assert not (tmp_path / "oncue.db.new").exists()


async def test_an_unreachable_database_or_unknown_address_is_said() -> None:
    with pytest.raises(SetupError, match="does not answer"):
        await opened("postgresql://127.0.0.1:1/none").start()
    with pytest.raises(SetupError, match="--store takes"):
        opened("mysql://x")
