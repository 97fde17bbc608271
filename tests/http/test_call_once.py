"""Calls that an SDK repeats: performed once, answered each time."""

import asyncio
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from oncue import clock
from oncue.services import Call, Invocation
from oncue.services.sqs import Sqs
from oncue.store import Store
from tests import running
from tests.services.sqs.conftest import ACCOUNT, Local, forward, opened, sqs
from tests.services.sqs.test_costs import Counting
from tests.wire import Refused, Wire

__all__ = ["forward", "opened", "sqs"]  # fixtures
PUT = {"TableName": "table", "Item": {"id": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(id)"}


def attempt(wire: Wire, number: int, id: str) -> Wire:
    wire.more = {"amz-sdk-invocation-id": id, "amz-sdk-request": f"attempt={number}; max=3"}
    return wire


def new_queue(wire: Wire) -> str:
    return str(wire.call("CreateQueue", QueueName="q")["QueueUrl"])


def messages(wire: Wire, url: str) -> list[str]:
    """The ids of all messages."""
    found: list[str] = []
    while got := wire.call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["MessageId"] for message in got]
    return found


@pytest.fixture
def wire(server: running.Running, account: str) -> Wire:
    return Wire(server.port, account=account)


def test_a_repeated_call_has_the_first_one_s_answer(wire: Wire) -> None:
    url, call_id = new_queue(wire), str(uuid.uuid4())
    first = attempt(wire, 1, call_id).call("SendMessage", QueueUrl=url, MessageBody="m")
    second = attempt(wire, 2, call_id).call("SendMessage", QueueUrl=url, MessageBody="m")
    third = attempt(wire, 3, call_id).call("SendMessage", QueueUrl=url, MessageBody="m")
    assert first == second == third
    assert messages(attempt(wire, 1, str(uuid.uuid4())), url) == [first["MessageId"]]


def test_other_calls_are_other_calls(wire: Wire, server: running.Running) -> None:
    stranger = Wire(server.port, account="999999999999")
    url, call_id = new_queue(wire), str(uuid.uuid4())
    sent = [
        attempt(wire, 2, call_id).call("SendMessage", QueueUrl=url, MessageBody="m"),
        attempt(wire, 2, call_id).call("SendMessage", QueueUrl=url, MessageBody="another body"),
        attempt(wire, 2, f"{call_id}x").call("SendMessage", QueueUrl=url, MessageBody="m"),
        attempt(stranger, 2, call_id).call("SendMessage", QueueUrl=url, MessageBody="m"),
    ]
    wire.more = {}
    sent += [wire.call("SendMessage", QueueUrl=url, MessageBody="m") for _ in range(2)]
    assert len(set(messages(wire, url))) == len(sent)


def test_a_refusal_is_not_kept(wire: Wire) -> None:
    call_id = str(uuid.uuid4())
    url = new_queue(wire)
    missing = url[:-1] + "r"
    with pytest.raises(Refused, match="QueueDoesNotExist"):
        attempt(wire, 1, call_id).call("SendMessage", QueueUrl=missing, MessageBody="m")
    wire.more = {}
    wire.call("CreateQueue", QueueName="r")
    assert attempt(wire, 2, call_id).call("SendMessage", QueueUrl=missing, MessageBody="m")["MessageId"]


def test_a_conditional_write_does_not_fail_against_itself(
    server: running.Running, client: Callable[..., Any], account: str
) -> None:
    client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    wire, call_id = Wire(server.port, "dynamodb", account), str(uuid.uuid4())
    attempt(wire, 1, call_id).call("PutItem", **PUT)
    attempt(wire, 2, call_id).call("PutItem", **PUT)
    with pytest.raises(Refused, match="ConditionalCheckFailed"):
        attempt(wire, 1, f"{call_id}x").call("PutItem", **PUT)


def test_it_can_be_switched_off(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/oncue.db"
    with running.serving(url, tmp_path, flags=("--no-call-once",)) as server:
        wire = Wire(server.port)
        queue = new_queue(wire)
        for number in (1, 2):
            attempt(wire, number, "id").call("SendMessage", QueueUrl=queue, MessageBody="m")
        assert len(messages(wire, queue)) == 2


@pytest.mark.crash
def test_an_answer_lost_by_a_crash_is_given_again(store_url: str, tmp_path: pathlib.Path) -> None:
    server = running.start(store_url, tmp_path)
    try:
        wire, lost = Wire(server.port), Wire(server.port)
        url, call_id = new_queue(wire), str(uuid.uuid4())
        attempt(lost, 1, call_id).ask("SendMessage", QueueUrl=url, MessageBody="m")
        names = ["ApproximateNumberOfMessages"]
        while (
            wire.call("GetQueueAttributes", QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] == "0"
        ):
            pass
        server.kill()
        server = running.start(store_url, tmp_path, port=server.port)
        wire = Wire(server.port)
        told = attempt(wire, 2, call_id).call("SendMessage", QueueUrl=url, MessageBody="m")
        assert messages(wire, url) == [told["MessageId"]]
    finally:
        server.kill()


def invoked(sqs: Local, id: str, *, repeated: bool) -> Call:
    return Call(ACCOUNT, "us-east-1", sqs.call.services, sqs.store, invocation=Invocation(id, repeated))


async def test_attempts_at_the_same_time(sqs: Local) -> None:
    """Whichever is faster, there is one message and one answer."""
    url = await sqs.queue()
    message = {"QueueUrl": url, "MessageBody": "m"}
    for number in range(20):
        calls = [invoked(sqs, str(number), repeated=repeated) for repeated in (False, True, True)]
        method = sqs.service.send_message
        replies = await asyncio.gather(*(call.perform(method, message) for call in calls))
        assert replies[0] == replies[1] == replies[2]
    assert await sqs.counts(url) == (20, 0, 0)


async def test_after_some_minutes_it_is_another_call(sqs: Local, forward: Callable[[float], None]) -> None:
    url = await sqs.queue()
    message = {"QueueUrl": url, "MessageBody": "m"}
    for seconds, count in ((0, 1), (290, 1), (361, 2)):
        forward(seconds)
        await invoked(sqs, "id", repeated=True).perform(sqs.service.send_message, message)
        assert (await sqs.counts(url))[0] == count


async def test_what_it_costs(opened: Store) -> None:
    """In statements: one more for a call that changes something, none for what may be repeated."""
    counting = Counting(opened)
    local = Local(counting, Sqs())  # type: ignore[arg-type]
    url = await local.queue()
    local.call = invoked(local, clock.new_id(), repeated=False)
    counting.statements = 0
    await local.send_message(QueueUrl=url, MessageBody="m")
    assert counting.statements == 3
    (message,) = (await local.receive_message(QueueUrl=url))["Messages"]
    counting.statements = 0
    await local.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counting.statements == 2
