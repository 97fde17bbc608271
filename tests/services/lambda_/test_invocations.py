"""What happens around a function's run: its output, its workers, its owner."""

import asyncio

import pytest

from oncue import clock
from oncue.errors import ServiceError
from oncue.services.lambda_ import journal
from tests.services.lambda_.conftest import ACCOUNT, Local

GROUP = "/aws/lambda/f"


async def messages(local: Local, group: str = GROUP) -> list[str]:
    try:
        found = await local.logs.filter_log_events(logGroupName=group)
    except ServiceError:
        return []
    return [event["message"] for event in found["events"]]


async def test_output_is_written_soon(local: Local) -> None:
    await local.function("f", lambda event: event)
    for _ in range(2):
        await local.lambda_.invoke(FunctionName="f")

    async def written() -> bool:
        return len(await messages(local)) == 6

    await local.until(written)
    lines = await messages(local)
    assert [line.split()[0] for line in lines] == ["START", "hello", "END"] * 2


async def test_a_stopping_node_writes_what_is_left(opened: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FLUSH_EVERY_S", 3600)
    local = Local(opened)  # type: ignore[arg-type]
    await local.start()
    await local.function("f", lambda event: event, LoggingConfig={"LogGroup": "mine"})
    await local.lambda_.invoke(FunctionName="f")
    await local.stop()
    assert len(await messages(local, "mine")) == 3


async def test_long_lines_and_strange_bytes_are_kept(local: Local) -> None:
    stream = journal.Stream(ACCOUNT, "us-east-1", "g", "s")
    text = b"x" * 600_000 + b"\n" + b"\xff\x00\n"
    await local.rooms["lambda"]._journal.add(stream, text, int(clock.now() * 1000))  # type: ignore[attr-defined]

    async def written() -> bool:
        return len(await messages(local, "g")) == 4

    await local.until(written)
    assert [len(line) for line in await messages(local, "g")] == [262_118, 262_118, 75_765, 3]


async def test_the_workers_of_a_deleted_function_are_ended(local: Local) -> None:
    arn = await local.function("f", lambda event: event)
    await local.function("g", lambda event: event)
    for name in ("f", "g"):
        await local.lambda_.invoke(FunctionName=name)
    await local.lambda_.delete_function(FunctionName="f")
    await local.pool.until(lambda: local.pool.retired == [arn])


async def test_a_burst_shares_a_reserved_concurrency(local: Local) -> None:
    release = asyncio.Event()

    async def slow(event: object) -> object:
        await release.wait()
        return event

    await local.function("f", slow)
    await local.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    tasks = [asyncio.create_task(local.lambda_.invoke(FunctionName="f")) for _ in range(5)]
    await local.pool.until(lambda: len(local.pool.seen) == 2)

    async def refused() -> bool:
        return sum(task.done() for task in tasks) == 3

    await local.until(refused)
    release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(outcome, ServiceError) for outcome in outcomes) == 3
