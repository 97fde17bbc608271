"""Dead-letter queues by boto3: who may be one, when a message goes there, and what it takes along."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.services.sqs.refusals import Refusal, invalid, invalid_value, refusal_of

Client = Callable[..., Any]


class Pair:
    """A queue and the one for its dead letters."""

    def __init__(self, sqs: Any, account: str) -> None:
        self.sqs = sqs
        self.dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:{account}:dead"
        self.source_arn = f"arn:aws:sqs:us-east-1:{account}:q"
        self.url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]

    def redrive(self, **policy: Any) -> str:
        text = json.dumps({"deadLetterTargetArn": self.arn, "maxReceiveCount": 1} | policy)
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": text})
        return text

    def refused(self, policy: Any) -> Refusal:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        attributes = {"RedrivePolicy": text}
        return refusal_of(self.sqs.set_queue_attributes, QueueUrl=self.url, Attributes=attributes)

    def receive(self, url: str) -> list[dict[str, Any]]:
        got = self.sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MaxNumberOfMessages=10)
        return list(got.get("Messages", []))


@pytest.fixture
def pair(client: Client, account: str) -> Pair:
    return Pair(client("sqs"), account)


def test_a_message_moves_at_the_receive_that_would_be_one_too_many(pair: Pair) -> None:
    pair.redrive(maxReceiveCount=2)
    sent = pair.sqs.send_message(QueueUrl=pair.url, MessageBody="m")
    for count in ("1", "2"):
        (message,) = pair.receive(pair.url)
        assert message["Attributes"]["ApproximateReceiveCount"] == count
    assert pair.receive(pair.dead) == []
    assert pair.receive(pair.url) == []
    (moved,) = pair.receive(pair.dead)
    assert moved["MessageId"] == sent["MessageId"]
    assert moved["Attributes"]["DeadLetterQueueSourceArn"] == pair.source_arn
    assert moved["Attributes"]["SentTimestamp"] == message["Attributes"]["SentTimestamp"]
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


def test_a_receive_moves_the_dead_and_brings_the_living(pair: Pair) -> None:
    pair.redrive()
    for body in ("old1", "old2"):
        pair.sqs.send_message(QueueUrl=pair.url, MessageBody=body)
    assert len(pair.receive(pair.url)) == 2
    for body in ("new1", "new2"):
        pair.sqs.send_message(QueueUrl=pair.url, MessageBody=body)
    one = pair.sqs.receive_message(QueueUrl=pair.url)
    assert one["Messages"][0]["Body"].startswith("new")
    assert {message["Body"] for message in pair.receive(pair.dead)} == {"old1", "old2"}


def test_no_message_comes_twice_in_one_receive(pair: Pair) -> None:
    """With no visibility timeout, a receive that moves a dead letter looks for more and must not find its
    own."""
    pair.redrive(maxReceiveCount=2)
    pair.sqs.send_message(QueueUrl=pair.url, MessageBody="old")
    pair.receive(pair.url)
    pair.receive(pair.url)
    pair.sqs.send_message(QueueUrl=pair.url, MessageBody="new")
    got = pair.sqs.receive_message(QueueUrl=pair.url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    assert [message["Body"] for message in got["Messages"]] == ["new"]
    assert [message["Body"] for message in pair.receive(pair.url)] == ["new"]


def test_a_dead_letter_wakes_those_who_wait_for_it(pair: Pair, client: Client) -> None:
    import threading

    pair.redrive()
    pair.sqs.send_message(QueueUrl=pair.url, MessageBody="m")
    pair.receive(pair.url)
    got: list[Any] = []
    waiting = threading.Thread(
        target=lambda: got.append(client("sqs").receive_message(QueueUrl=pair.dead, WaitTimeSeconds=20))
    )
    waiting.start()
    pair.receive(pair.url)
    waiting.join(10)
    assert got[0]["Messages"][0]["Body"] == "m"


def test_without_its_dead_letter_queue_a_message_stays(pair: Pair) -> None:
    pair.redrive()
    pair.sqs.send_message(QueueUrl=pair.url, MessageBody="m")
    pair.sqs.delete_queue(QueueUrl=pair.dead)
    for _ in range(3):
        assert len(pair.receive(pair.url)) == 1


def test_the_policy_can_be_taken_away(pair: Pair) -> None:
    pair.redrive()
    listed = pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.dead)
    assert listed["queueUrls"] == [pair.url]
    pair.sqs.set_queue_attributes(QueueUrl=pair.url, Attributes={"RedrivePolicy": ""})
    assert pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.dead)["queueUrls"] == []
    got = pair.sqs.get_queue_attributes(QueueUrl=pair.url, AttributeNames=["All"])
    assert "RedrivePolicy" not in got["Attributes"]


def test_sources_by_pages(pair: Pair) -> None:
    policy = pair.redrive()
    for number in range(2):
        pair.sqs.create_queue(QueueName=f"q{number}", Attributes={"RedrivePolicy": policy})
    first = pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.dead, MaxResults=2)
    second = pair.sqs.list_dead_letter_source_queues(
        QueueUrl=pair.dead, MaxResults=2, NextToken=first["NextToken"]
    )
    names = [url.rsplit("/")[-1] for url in first["queueUrls"] + second["queueUrls"]]
    assert names == ["q", "q0", "q1"]


def test_policies_that_are_refused(pair: Pair, account: str) -> None:
    assert pair.refused("no map") == invalid(
        "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map."
    )
    for policy, reason in (
        ({"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}, "Invalid value for deadLetterTargetArn."),
        (
            {"deadLetterTargetArn": pair.arn},
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        ),
        (
            {"maxReceiveCount": 3},
            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
        ),
        (
            {"deadLetterTargetArn": f"{pair.arn}x", "maxReceiveCount": 3},
            "Dead letter target does not exist.",
        ),
        (
            {"deadLetterTargetArn": pair.arn.replace(account, "000000000007"), "maxReceiveCount": 3},
            "Dead-letter target owner should be same as the source.",
        ),
    ):
        expected = invalid_value("RedrivePolicy", json.dumps(policy), reason)
        assert pair.refused(policy) == expected
    for count in (0, 1001, -1, "many"):
        policy = {"deadLetterTargetArn": pair.arn, "maxReceiveCount": count}
        text = f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
        assert pair.refused(policy) == invalid_value("RedrivePolicy", json.dumps(policy), text)
    pair.redrive(maxReceiveCount="1000")


def test_both_queues_are_of_one_kind(pair: Pair) -> None:
    policy = {"deadLetterTargetArn": pair.arn, "maxReceiveCount": 3}
    attributes = {"FifoQueue": "true", "RedrivePolicy": json.dumps(policy)}
    got = refusal_of(pair.sqs.create_queue, QueueName="q.fifo", Attributes=attributes)
    assert "Dead-letter queue must be same type of queue as the source." in got.message


def test_a_dead_letter_queue_may_choose_its_sources(pair: Pair) -> None:
    def allow(**policy: Any) -> None:
        text = json.dumps(policy)
        pair.sqs.set_queue_attributes(QueueUrl=pair.dead, Attributes={"RedriveAllowPolicy": text})

    wanted = {"deadLetterTargetArn": pair.arn, "maxReceiveCount": 3}
    allow(redrivePermission="denyAll")
    assert "does not allow" in pair.refused(wanted).message
    allow(redrivePermission="byQueue", sourceQueueArns=[f"{pair.source_arn}x"])
    assert "does not allow" in pair.refused(wanted).message
    allow(redrivePermission="byQueue", sourceQueueArns=[pair.source_arn])
    pair.redrive()
    allow(redrivePermission="allowAll")
    pair.redrive()


def test_allow_policies_that_are_refused(pair: Pair) -> None:
    head = "Amazon SQS can't create the redrive allow policy. "
    by_queue = (
        f"{head}When you specify the byQueue permission type, you must also specify one or more "
        "sourceQueueArns values."
    )
    for policy, reason in (
        ({"redrivePermission": "byQueue"}, by_queue),
        ({"redrivePermission": "byQueue", "sourceQueueArns": []}, by_queue),
        (
            {"redrivePermission": "byQueue", "sourceQueueArns": ["a"] * 11},
            f"{head}The maximum number of source queue ARNs you can specify is 10.",
        ),
        (
            {"redrivePermission": "allowAll", "sourceQueueArns": ["a"]},
            f"{head}To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
        ),
    ):
        attributes = {"RedriveAllowPolicy": json.dumps(policy)}
        got = refusal_of(pair.sqs.set_queue_attributes, QueueUrl=pair.dead, Attributes=attributes)
        assert got == invalid_value("RedriveAllowPolicy", json.dumps(policy), reason)
    for wrong in ("x", "[]", "{}", '{"redrivePermission": "ALL"}'):
        attributes = {"RedriveAllowPolicy": wrong}
        got = refusal_of(pair.sqs.set_queue_attributes, QueueUrl=pair.dead, Attributes=attributes)
        assert "Invalid value for the parameter RedriveAllowPolicy." in got.message
