"""kill -9 in the middle of a message move task: it goes on, and every message is moved once."""

import json
import pathlib
from typing import Any

import pytest

from tests import running
from tests.crash.test_messages import drain
from tests.wire import Wire

MESSAGES = 200
PER_SECOND = 40
LOOKS_MAX = 2_000


def bury(wire: Wire) -> tuple[str, str, str]:
    """(the dead-letter queue's ARN, its URL, the source's URL), with all messages dead."""
    dead = wire.call("CreateQueue", QueueName="dead")["QueueUrl"]
    known = wire.call("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"])
    arn = known["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    attributes = {"RedrivePolicy": policy, "VisibilityTimeout": "0"}
    source = wire.call("CreateQueue", QueueName="source", Attributes=attributes)["QueueUrl"]
    for number in range(0, MESSAGES, 10):
        entries = [{"Id": str(n), "MessageBody": str(number + n)} for n in range(10)]
        wire.call("SendMessageBatch", QueueUrl=source, Entries=entries)
    while wire.call("ReceiveMessage", QueueUrl=source, MaxNumberOfMessages=10).get("Messages"):
        pass
    spared = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1000})
    attributes = {"RedrivePolicy": spared, "VisibilityTimeout": "1"}
    wire.call("SetQueueAttributes", QueueUrl=source, Attributes=attributes)
    return arn, dead, source


def task_of(wire: Wire, arn: str, *, moved: int) -> dict[str, Any]:
    """The task, once it has moved so many messages or has ended. Each look is a request: no busy loop of
    ours."""
    for _ in range(LOOKS_MAX):
        task: dict[str, Any] = wire.call("ListMessageMoveTasks", SourceArn=arn)["Results"][0]
        if task["Status"] != "RUNNING" or task["ApproximateNumberOfMessagesMoved"] >= moved:
            return task
        wire.call("ReceiveMessage", QueueUrl=pause_of(wire), WaitTimeSeconds=1)
    raise AssertionError(f"stands still: {task}")


def pause_of(wire: Wire) -> str:
    return str(wire.call("CreateQueue", QueueName="pause")["QueueUrl"])


@pytest.mark.crash
def test_every_message_is_moved_once(store_url: str, tmp_path: pathlib.Path) -> None:
    server = running.start(store_url, tmp_path)
    wire = Wire(server.port)
    arn, dead, source = bury(wire)
    wire.call("StartMessageMoveTask", SourceArn=arn, MaxNumberOfMessagesPerSecond=PER_SECOND)
    try:
        moved = 0
        for _ in range(2):
            task = task_of(wire, arn, moved=moved + 10)
            assert task["Status"] == "RUNNING", f"killed too late to mean anything: {task}"
            moved = task["ApproximateNumberOfMessagesMoved"]
            server.kill()
            server = running.start(store_url, tmp_path, port=server.port)
            wire = Wire(server.port)
        task = task_of(wire, arn, moved=MESSAGES + 1)
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", MESSAGES)
        arrived = drain(server.port, source)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = wire.call("GetQueueAttributes", QueueUrl=dead, AttributeNames=names)["Attributes"]
    finally:
        server.kill()
    assert set(left.values()) == {"0"}
    assert len(arrived) == len(set(arrived)), "a message stands twice"
    assert set(arrived) == {str(number) for number in range(MESSAGES)}
