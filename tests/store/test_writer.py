"""The embedded store's writer thread: whatever happens to it, nobody waits for ever and nothing is told in
vain."""

import asyncio
import os
import pathlib
import threading
from typing import Any, NoReturn

import apsw
import pytest

from oncue.app import schema_of_the_store
from oncue.errors import SetupError
from oncue.store import Transaction, blobs, sqlite
from tests.crash import power

WAIT_S = 10
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Stopped(BaseException):
    """In place of the end of the process."""


class Ends:
    """Notes that the process would have ended."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.came = threading.Event()

    def __call__(self, error: BaseException) -> NoReturn:
        self.errors.append(error)
        self.came.set()
        raise Stopped


def opened(folder: pathlib.Path, ends: Ends) -> sqlite.SqliteStore:
    return sqlite.SqliteStore(folder / "oncue.db", schema_of_the_store(), on_broken_disk=ends)


def put(text: str) -> Any:
    return lambda tx: blobs.put(tx, text.encode())


async def test_another_program_s_lock_fails_calls_and_not_the_store(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 1)
    ends = Ends()
    store = opened(tmp_path, ends)
    await store.start()
    other = apsw.Connection(str(tmp_path / "oncue.db"))
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(apsw.BusyError):
            await store.transact(put("a"))
        other.execute("ROLLBACK")
        other.close()
        assert await store.transact(put("a"))
        await store.stop()
    assert ends.errors == []


async def test_an_error_that_no_future_takes_leaves_nobody_waiting(tmp_path: pathlib.Path) -> None:
    store = opened(tmp_path, Ends())
    await store.start()

    def exhausted(tx: Transaction) -> None:
        next(iter(()))

    async with asyncio.timeout(WAIT_S):
        results = await asyncio.gather(
            store.transact(put("a")),
            store.transact(exhausted),
            store.transact(put("b")),
            return_exceptions=True,
        )
        await store.stop()
    assert [type(result) for result in results] == [str, RuntimeError, str]


async def test_a_commit_that_is_refused_is_told_and_undone(tmp_path: pathlib.Path) -> None:
    """A constraint that is looked at as late as the commit belongs to no function in particular."""
    store = opened(tmp_path, Ends())
    await store.start()

    def prepare(tx: Transaction) -> None:
        tx.run("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        tx.run("CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)")

    async with asyncio.timeout(WAIT_S):
        await store.transact(prepare)
        store._connection.pragma("foreign_keys", True)
        with pytest.raises(apsw.ConstraintError):
            await store.transact(lambda tx: tx.run("INSERT INTO children (id) VALUES (1)"))
        assert await store.transact(lambda tx: tx.all("SELECT id FROM children")) == []
        await store.stop()


async def test_what_only_a_fault_of_ours_can_raise_ends_the_process(tmp_path: pathlib.Path) -> None:
    ends = Ends()
    store = opened(tmp_path, ends)
    await store.start()

    def fail(tx: Transaction) -> None:
        raise SystemExit

    waiting = asyncio.ensure_future(store.transact(fail))
    assert await asyncio.to_thread(ends.came.wait, WAIT_S), "the writer ended, and nobody knows"
    waiting.cancel()
    await store.stop()


async def test_a_stopped_store_refuses(tmp_path: pathlib.Path) -> None:
    store = opened(tmp_path, Ends())
    await store.start()
    await store.stop()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(RuntimeError, match="stopped"):
            await store.transact(put("late"))


async def test_a_failed_fsync_ends_the_process(tmp_path: pathlib.Path) -> None:
    ends = Ends()
    with power.disk() as disk:
        store = opened(tmp_path, ends)
        await store.start()
        await store.transact(put("before"))
        disk.fail["sync -wal"] = apsw.IOError
        waiting = asyncio.ensure_future(store.transact(put("never acknowledged")))
        assert await asyncio.to_thread(ends.came.wait, WAIT_S), "the writer went on"
        assert not waiting.done()
        waiting.cancel()
        disk.fail.clear()
        await store.stop()
    assert isinstance(ends.errors[0], apsw.IOError)


async def test_a_failed_checkpoint_ends_the_process(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own automatic checkpoint would say nothing, and the next fsync would not tell either."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 1)
    ends = Ends()
    store = opened(tmp_path, ends)
    await store.start()
    unwritable = os.open(tmp_path / "oncue.db", os.O_RDONLY)
    for entry in pathlib.Path("/proc/self/fd").iterdir():
        if int(entry.name) != unwritable and os.path.realpath(entry) == str(tmp_path / "oncue.db"):
            os.dup2(unwritable, int(entry.name))
    await store.transact(put("x" * 5_000_000))
    assert await asyncio.to_thread(ends.came.wait, WAIT_S), "the writer went on"
    os.close(unwritable)
    await store.stop()
    assert isinstance(ends.errors[0], apsw.IOError)


async def test_the_log_of_a_database_that_is_gone_is_not_taken_for_another_s(tmp_path: pathlib.Path) -> None:
    (tmp_path / "oncue.db-wal").write_bytes(b"the only copy of something")
    with pytest.raises(SetupError, match=r"oncue\.db-wal"):
        await opened(tmp_path, Ends()).start()
    assert (tmp_path / "oncue.db-wal").read_bytes() == b"the only copy of something"
