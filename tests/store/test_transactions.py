"""What a transaction promises, on both stores."""

import asyncio

import pytest

from oncue.store import Store, Transaction, blobs


def put_blob(text: str):
    return lambda tx: blobs.put(tx, text.encode())


async def test_result_and_content_are_there_after_the_answer(store: Store) -> None:
    name = await store.transact(put_blob("one"))
    assert await store.transact(lambda tx: blobs.get(tx, name), reads_only=True) == b"one"


async def test_a_failing_function_changes_nothing_and_harms_no_neighbour(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        blobs.put(tx, b"never")
        raise ValueError("refused")

    results = await asyncio.gather(
        *(store.transact(put_blob(str(n))) for n in range(20)),
        store.transact(fail),
        *(store.transact(put_blob(str(n))) for n in range(20, 40)),
        return_exceptions=True,
    )
    assert [type(result) for result in results if not isinstance(result, str)] == [ValueError]
    count = await store.transact(lambda tx: tx.one("SELECT COUNT(*) AS n FROM blobs"), reads_only=True)
    assert count == {"n": 40}


async def test_an_error_of_the_database_stays_with_its_own_function(store: Store) -> None:
    good, bad = await asyncio.gather(
        store.transact(put_blob("good")),
        store.transact(lambda tx: tx.run("SELECT nonsense")),
        return_exceptions=True,
    )
    assert isinstance(good, str)
    assert isinstance(bad, Exception)


async def test_run_counts_changed_rows(store: Store) -> None:
    await store.transact(put_blob("a"))
    await store.transact(put_blob("b"))
    assert await store.transact(lambda tx: tx.run("DELETE FROM blobs WHERE sha256 = :n", n="none")) == 0
    assert await store.transact(lambda tx: tx.run("DELETE FROM blobs")) == 2


async def test_text_compares_by_bytes(store: Store) -> None:
    rows = await store.transact(
        lambda tx: (
            [
                tx.run("INSERT INTO blobs (sha256, data) VALUES (:n, :d)", n=n, d=b"")
                for n in ("b", "B", "é", "a")
            ]
            and tx.all("SELECT sha256 FROM blobs ORDER BY sha256")
        )
    )
    assert [row["sha256"] for row in rows] == ["B", "a", "b", "é"]


async def test_a_bell_rings_after_the_commit_and_only_then(store: Store) -> None:
    def wake(tx: Transaction) -> None:
        tx.wake("topic")

    def fail(tx: Transaction) -> None:
        tx.wake("topic")
        raise ValueError

    with store.listen("topic") as bell:
        with pytest.raises(ValueError):
            await store.transact(fail)
        assert not await bell.wait(0)
        await store.transact(wake)
        assert await bell.wait(0)
        assert not await bell.wait(0)


async def test_readers_do_not_write(store: Store, store_url: str) -> None:
    if store_url.startswith("postgres"):
        return  # a reader's connection is an ordinary one there
    with pytest.raises(Exception, match=r"(?i)readonly|read-only"):
        await store.transact(put_blob("x"), reads_only=True)
