"""Message move tasks by boto3: where messages go, what is told of it, and what is refused."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from oncue.services.sqs import moves
from oncue.store import Store, backlog
from tests.services.sqs.conftest import ACCOUNT, Local
from tests.services.sqs.refusals import Refusal, invalid, invalid_value, plain, refusal_of

Client = Callable[..., Any]
WAIT_S = 20
MISSING = "The resource that you specified for the {} parameter doesn't exist."


def gone(parameter: str) -> Refusal:
    return plain("ResourceNotFoundException", MISSING.format(parameter), 404)


class Queues:
    """A dead-letter queue and those it serves."""

    def __init__(self, sqs: Any, account: str, suffix: str = "") -> None:
        self.sqs = sqs
        self.attributes = {"FifoQueue": "true"} if suffix else {}
        self.suffix = suffix
        self.arn = f"arn:aws:sqs:us-east-1:{account}:dead{suffix}"
        self.dead = self.make("dead")

    def make(self, name: str, **attributes: str) -> str:
        reply = self.sqs.create_queue(
            QueueName=f"{name}{self.suffix}", Attributes=self.attributes | attributes
        )
        return str(reply["QueueUrl"])

    def source(self, name: str) -> str:
        policy = {"deadLetterTargetArn": self.arn, "maxReceiveCount": 1}
        return self.make(name, VisibilityTimeout="0", RedrivePolicy=json.dumps(policy))

    def bury(self, url: str, *bodies: str, **parameters: Any) -> None:
        """Send messages, and receive them until they are dead letters."""
        for number, body in enumerate(bodies):
            if self.suffix:
                parameters["MessageDeduplicationId"] = f"{body}-{number}"
            self.sqs.send_message(QueueUrl=url, MessageBody=body, **parameters)
        while self.receive(url):
            pass

    def receive(self, url: str, **parameters: Any) -> list[dict[str, Any]]:
        got = self.sqs.receive_message(
            QueueUrl=url,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            MaxNumberOfMessages=10,
            **parameters,
        )
        return list(got.get("Messages", []))

    def ended(self) -> dict[str, Any]:
        """The newest task, once it does not run any more; a long poll on an empty queue is the pause."""
        pause = self.make("pause")
        for _ in range(WAIT_S):
            task: dict[str, Any] = self.sqs.list_message_move_tasks(SourceArn=self.arn)["Results"][0]
            if task["Status"] != "RUNNING":
                return task
            self.receive(pause, WaitTimeSeconds=1)
        raise AssertionError(f"still running: {task}")


@pytest.fixture
def setup(client: Client, account: str) -> Queues:
    return Queues(client("sqs"), account)


def test_each_message_goes_back_to_its_own_source(setup: Queues) -> None:
    one, two = setup.source("one"), setup.source("two")
    attributes = {"colour": {"DataType": "String", "StringValue": "red"}}
    setup.bury(one, "a", "b", MessageAttributes=attributes)
    setup.bury(two, "c")
    (before,) = [m for m in setup.receive(setup.dead, VisibilityTimeout=0) if m["Body"] == "a"]
    handle = setup.sqs.start_message_move_task(SourceArn=setup.arn)["TaskHandle"]
    assert json.loads(base64.b64decode(handle))["sourceArn"] == setup.arn
    task = setup.ended()
    assert task["StartedTimestamp"] > 1_600_000_000_000
    del task["StartedTimestamp"]
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": setup.arn,
        "ApproximateNumberOfMessagesMoved": 3,
        "ApproximateNumberOfMessagesToMove": 3,
    }
    back = {message["Body"]: message for message in setup.receive(one)}
    assert back.keys() == {"a", "b"}
    assert back["a"]["MessageAttributes"] == attributes
    assert back["a"]["MessageId"] != before["MessageId"], "what is moved is a new message"
    assert back["a"]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in back["a"]["Attributes"]
    assert [message["Body"] for message in setup.receive(two)] == ["c"]
    assert setup.receive(setup.dead) == []


def test_all_go_to_the_destination_when_there_is_one(setup: Queues, account: str) -> None:
    setup.bury(setup.source("one"), "a")
    setup.sqs.send_message(QueueUrl=setup.dead, MessageBody="sent straight to the dead")
    other = setup.make("other")
    arn = f"arn:aws:sqs:us-east-1:{account}:other"
    setup.sqs.start_message_move_task(
        SourceArn=setup.arn, DestinationArn=arn, MaxNumberOfMessagesPerSecond=500
    )
    task = setup.ended()
    assert (task["Status"], task["DestinationArn"]) == ("COMPLETED", arn)
    assert task["MaxNumberOfMessagesPerSecond"] == 500
    assert {message["Body"] for message in setup.receive(other)} == {"a", "sent straight to the dead"}


def test_a_message_without_a_source_ends_the_task(setup: Queues) -> None:
    url = setup.source("one")
    setup.bury(url, "a")
    setup.sqs.send_message(QueueUrl=setup.dead, MessageBody="whence?")
    setup.sqs.start_message_move_task(SourceArn=setup.arn)
    task = setup.ended()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert task["ApproximateNumberOfMessagesMoved"] == 1
    (left,) = setup.receive(setup.dead)
    assert left["Body"] == "whence?"
    assert left["Attributes"]["ApproximateReceiveCount"] == "1", "it was not received by the task"


def test_a_source_that_is_gone_ends_the_task(setup: Queues) -> None:
    setup.source("one")
    url = setup.source("two")
    setup.bury(url, "a")
    setup.sqs.delete_queue(QueueUrl=url)
    setup.sqs.start_message_move_task(SourceArn=setup.arn)
    task = setup.ended()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
    assert [message["Body"] for message in setup.receive(setup.dead)] == ["a"]


def test_fifo_queues_keep_order_and_group(client: Client, account: str) -> None:
    setup = Queues(client("sqs"), account, ".fifo")
    url = setup.source("one")
    setup.bury(url, "1", "2", "3", MessageGroupId="g")
    setup.sqs.start_message_move_task(SourceArn=setup.arn)
    assert setup.ended()["ApproximateNumberOfMessagesMoved"] == 3
    back = setup.receive(url)
    assert [message["Body"] for message in back] == ["1", "2", "3"]
    assert {message["Attributes"]["MessageGroupId"] for message in back} == {"g"}


def test_a_task_is_cancelled_and_the_rest_stays(setup: Queues) -> None:
    url = setup.source("one")
    setup.bury(url, *map(str, range(5)))
    handle = setup.sqs.start_message_move_task(SourceArn=setup.arn, MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    (running,) = setup.sqs.list_message_move_tasks(SourceArn=setup.arn, MaxResults=10)["Results"]
    assert (running["Status"], running["TaskHandle"]) == ("RUNNING", handle)
    refused = refusal_of(setup.sqs.start_message_move_task, SourceArn=setup.arn)
    assert refused == invalid(
        "There is already a task running. Only one active task is allowed for a source queue arn at a "
        "given time."
    )
    moved = setup.sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert setup.ended()["Status"] == "CANCELLED"
    assert len(setup.receive(setup.dead)) == 5 - moved
    assert refusal_of(setup.sqs.cancel_message_move_task, TaskHandle=handle).shape == "UnsupportedOperation"
    setup.sqs.start_message_move_task(SourceArn=setup.arn)
    listed = setup.sqs.list_message_move_tasks(SourceArn=setup.arn, MaxResults=10)["Results"]
    assert [task["Status"] for task in listed][1] == "CANCELLED"
    assert len(setup.sqs.list_message_move_tasks(SourceArn=setup.arn)["Results"]) == 1


def test_tasks_that_are_refused(setup: Queues, account: str) -> None:
    def start(**parameters: Any) -> Refusal:
        return refusal_of(setup.sqs.start_message_move_task, **({"SourceArn": setup.arn} | parameters))

    assert start() == invalid("Source queue must be configured as a Dead Letter Queue.")
    setup.source("one")
    other = f"arn:aws:sqs:us-east-1:{account}:nowhere"
    assert start(SourceArn=other) == gone("SourceArn")
    assert start(DestinationArn=other) == gone("DestinationArn")
    assert start(SourceArn=setup.arn.replace(account, "000000000007")) == gone("SourceArn")
    assert start(DestinationArn="nonsense") == invalid(
        "You must use this format to specify the DestinationArn: "
        "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
    )
    setup.sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})
    assert start(DestinationArn=f"arn:aws:sqs:us-east-1:{account}:q.fifo") == invalid(
        "The source queue and destination queue must be of the same queue type."
    )
    for rate in (0, 501):
        assert start(MaxNumberOfMessagesPerSecond=rate).message.startswith(
            "Value for parameter MaxNumberOfMessagesPerSecond is invalid."
        )
    lists = setup.sqs.list_message_move_tasks
    assert lists(SourceArn=setup.arn)["Results"] == []
    assert refusal_of(lists, SourceArn=other) == gone("SourceArn")
    for limit in (0, 11):
        refused = refusal_of(lists, SourceArn=setup.arn, MaxResults=limit)
        assert refused == invalid_value("MaxResults", limit, "Must be between 1 and 10.")


def test_cancellations_that_are_refused(setup: Queues, account: str) -> None:
    def cancel(handle: str) -> Refusal:
        return refusal_of(setup.sqs.cancel_message_move_task, TaskHandle=handle)

    def handle(arn: str) -> str:
        return base64.b64encode(json.dumps({"taskId": "x", "sourceArn": arn}).encode()).decode()

    assert cancel("nonsense") == invalid("Value for parameter TaskHandle is invalid.")
    assert cancel(base64.b64encode(b"{}").decode()) == invalid("Value for parameter TaskHandle is invalid.")
    assert cancel(handle(f"{setup.arn}x")) == gone("SourceArn")
    assert cancel(handle(setup.arn)) == plain("ResourceNotFoundException", "Task does not exist.", 404)


async def dead_letters(sqs: Local, count: int) -> tuple[str, str, str]:
    """(the dead-letter queue's ARN, its URL, the source's URL), with so many dead letters of the source."""
    dead = await sqs.queue("dead")
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = await sqs.queue("q", RedrivePolicy=policy, VisibilityTimeout="0")
    for number in range(0, count, 10):
        entries = [{"Id": str(n), "MessageBody": str(number + n)} for n in range(min(10, count - number))]
        await sqs.send_message_batch(QueueUrl=url, Entries=entries)
    for _ in range(count // 10 + 2):
        await sqs.bodies(url)
    assert (await sqs.counts(dead))[0] == count
    return arn, dead, url


async def test_the_rate_holds(sqs: Local, forward: Callable[[float], None]) -> None:
    """By the clock: at 50 messages in a second, 10 at a time."""
    arn, dead, _ = await dead_letters(sqs, 40)
    await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=50)
    for left in (30, 20, 10):
        assert await sqs.call.transact(moves.step) == 0.0
        assert (await sqs.counts(dead))[0] == left
        assert 0.1 < await sqs.call.transact(moves.step) <= 0.2
        assert (await sqs.counts(dead))[0] == left
        forward(0.2)
    assert await sqs.call.transact(moves.step) == 0.0
    assert await sqs.call.transact(moves.step) == float("inf")
    task = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"][0]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 40)


async def test_what_fails_again_is_not_moved_in_circles(sqs: Local) -> None:
    arn, dead, url = await dead_letters(sqs, 110)
    await sqs.start_message_move_task(SourceArn=arn)
    await sqs.call.transact(moves.step)
    for _ in range(30):
        await sqs.bodies(url)
    assert (await sqs.counts(dead))[0] == 110, "all that was moved has come back"
    for _ in range(3):
        await sqs.call.transact(moves.step)
    task = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"][0]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 110)


async def test_a_task_ends_after_36_hours(sqs: Local, forward: Callable[[float], None]) -> None:
    arn, dead, _ = await dead_letters(sqs, 10)
    await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=1)
    await sqs.call.transact(moves.step)
    forward(36 * 3600 + 1)
    await sqs.call.transact(moves.step)
    task = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"][0]
    assert task["Status"] == "FAILED"
    assert (await sqs.counts(dead))[0] == 9


async def test_a_deleted_queue_takes_its_tasks_along(sqs: Local, opened: Store) -> None:
    arn, dead, _ = await dead_letters(sqs, 10)
    await sqs.start_message_move_task(SourceArn=arn)
    await sqs.delete_queue(QueueUrl=dead)
    assert await sqs.call.transact(moves.step) == 0.0
    assert await opened.transact(lambda tx: backlog.counts(tx, moves.LANE, 2e9)) == backlog.Counts(0, 0, 0)
