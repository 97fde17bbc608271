"""Asynchronous invocations: stored, tried again, given up, never lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from oncue import clock
from oncue.services.lambda_ import deferred
from oncue.store import Store, backlog
from tests.services.lambda_.conftest import Local

Forward = Callable[[float], None]


async def left(store: Store) -> int:
    def count(tx: Any) -> int:
        found = backlog.counts(tx, deferred.LANE, 0)
        return found.ready + found.claimed + found.delayed

    return await store.transact(count, reads_only=True)


async def until_left(local: Local, wanted: int) -> None:
    async def reached() -> bool:
        return await left(local.store) == wanted

    await local.until(reached)


async def until_waiting(local: Local) -> None:
    """Until the event is neither running nor due: it waits for its next try."""

    def count(tx: Any) -> bool:
        row = tx.one(
            "SELECT COUNT(*) AS n FROM backlog "
            "WHERE lane = 'lambda/async' AND claim IS NULL AND due_at > put_at"
        )
        return bool(row["n"])

    await local.until(lambda: local.store.transact(count, reads_only=True))


async def ring(local: Local) -> None:
    await local.store.transact(lambda tx: tx.wake(deferred.LANE))


async def test_an_event_runs_once(local: Local) -> None:
    await local.function("f", lambda event: event)
    reply = await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n":1}')
    assert reply == {"StatusCode": 202, "Payload": b""}
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    assert local.pool.seen[0][1] == {"n": 1}
    await until_left(local, 0)


async def test_an_error_is_tried_again_after_one_and_two_minutes(local: Local, forward: Forward) -> None:
    def fail(event: Any) -> None:
        raise ArithmeticError("no")

    await local.function("f", fail)
    await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")
    for tries, pause_s in ((1, 60), (2, 120)):
        await local.pool.until(lambda n=tries: len(local.pool.seen) == n)  # type: ignore[misc]
        await until_waiting(local)
        forward(pause_s - 2)
        await ring(local)
        await local.lambda_.get_function(FunctionName="f")
        assert len(local.pool.seen) == tries
        forward(3)
        await ring(local)
    await local.pool.until(lambda: len(local.pool.seen) == 3)
    await until_left(local, 0)


async def test_what_is_given_up_becomes_a_dead_letter(local: Local, forward: Forward) -> None:
    def fail(event: Any) -> None:
        raise ArithmeticError("division by zero")

    url, arn = await local.queue("dead")
    await local.function("f", fail, DeadLetterConfig={"TargetArn": arn})
    await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n":1}')
    for tries in (1, 2):
        await local.pool.until(lambda n=tries: len(local.pool.seen) == n)  # type: ignore[misc]
        await until_waiting(local)
        forward(121)
        await ring(local)
    await local.until_counts(url, (1, 0))
    got = await local.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
    letter = got["Messages"][0]
    assert letter["Body"] == '{"n":1}'
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ErrorCode"] == "200"
    assert attributes["ErrorMessage"] == "division by zero"
    assert len(attributes["RequestID"]) == 36
    assert await left(local.store) == 0


async def test_an_event_waits_while_its_function_is_throttled(local: Local, forward: Forward) -> None:
    release = asyncio.Event()

    async def slow(event: Any) -> Any:
        await release.wait()
        return event

    await local.function("f", slow)
    await local.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    for payload in (b"1", b"2"):
        await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=payload)
    await until_waiting(local)
    assert len(local.pool.seen) == 1
    release.set()
    await until_left(local, 1)
    forward(2)
    await ring(local)
    await local.pool.until(lambda: len(local.pool.seen) == 2)
    await until_left(local, 0)


async def test_reserved_zero_gives_an_event_up_at_once(local: Local) -> None:
    url, arn = await local.queue("dead")
    await local.function("f", lambda event: event, DeadLetterConfig={"TargetArn": arn})
    await local.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")
    await local.until_counts(url, (1, 0))
    assert local.pool.seen == []


async def test_an_event_of_a_deleted_function_is_dropped(local: Local) -> None:
    release = asyncio.Event()

    async def slow(event: Any) -> None:
        await release.wait()
        raise ArithmeticError("after the function was deleted")

    await local.function("f", slow)
    await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await local.lambda_.delete_function(FunctionName="f")
    release.set()
    await until_waiting(local)


async def test_the_old_operation_runs_in_the_callers_transaction(local: Local) -> None:
    await local.function("f", lambda event: event)

    def hand_over(call: Any) -> None:
        call.lambda_.invoke_async(FunctionName="f", InvokeArgs=b'"handed"')
        raise ArithmeticError("the caller's transaction fails")

    with pytest.raises(ArithmeticError):
        await local.call.transact(hand_over)
    assert await left(local.store) == 0
    reply = await local.lambda_.invoke_async(FunctionName="f", InvokeArgs=b'"handed"')
    assert reply == {"Status": 202}
    await local.pool.until(lambda: len(local.pool.seen) == 1)


async def test_a_stopping_node_gives_back_what_it_runs(opened: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(deferred, "GIVE_BACK_AFTER_S", 0.01)
    first, second = Local(opened), Local(opened)
    never = asyncio.Event()

    async def hang(event: Any) -> None:
        await never.wait()

    await first.start()
    await first.function("f", hang)
    await first.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b'"again"')
    await first.pool.until(lambda: len(first.pool.seen) == 1)
    await first.stop()
    second.pool.handlers["f"] = lambda event: event
    await second.start()
    await second.pool.until(lambda: len(second.pool.seen) == 1)
    await until_left(second, 0)
    await second.stop()


async def test_a_node_that_died_loses_nothing(opened: Store, forward: Forward) -> None:
    def take_and_die(tx: Any) -> int:
        now = clock.now()
        return len(backlog.claim(tx, deferred.LANE, now=now, until=now + deferred.CLAIM_S, limit=10))

    local = Local(opened)
    local.pool.handlers["f"] = lambda event: event
    await local.function("f", lambda event: event)
    await local.lambda_.invoke(FunctionName="f", InvocationType="Event", Payload=b'"survives"')
    assert await opened.transact(take_and_die) == 1
    await local.start()
    forward(deferred.CLAIM_S + 1)
    await ring(local)
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await until_left(local, 0)
    await local.stop()
