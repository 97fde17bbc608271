"""FIFO queues by boto3: order in a group, one receiver a group, duplicates, and stricter handles."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.services.sqs.refusals import Refusal, invalid, invalid_value, refusal_of

Client = Callable[..., Any]
EXPIRED = "The receipt handle has expired."


class Fifo:
    def __init__(self, sqs: Any, **attributes: str) -> None:
        self.sqs = sqs
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} | attributes
        self.url = sqs.create_queue(QueueName="q.fifo", Attributes=attributes)["QueueUrl"]

    def send(self, body: str, group: str = "g", **parameters: Any) -> dict[str, Any]:
        sent = self.sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageGroupId=group, **parameters)
        return dict(sent)

    def receive(self, limit: int = 10, **parameters: Any) -> list[dict[str, Any]]:
        parameters.setdefault("AttributeNames", ["All"])
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=limit, **parameters)
        return list(got.get("Messages", []))

    def bodies(self, limit: int = 10, **parameters: Any) -> list[str]:
        return [message["Body"] for message in self.receive(limit, **parameters)]

    def delete(self, message: dict[str, Any]) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def hide(self, message: dict[str, Any], seconds: int) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
        )


@pytest.fixture
def fifo(client: Client) -> Fifo:
    return Fifo(client("sqs"))


def test_order_in_a_group(fifo: Fifo) -> None:
    sent = [fifo.send(str(number)) for number in range(12)]
    numbers = [int(message["SequenceNumber"]) for message in sent]
    assert numbers == sorted(set(numbers))
    assert {len(message["SequenceNumber"]) for message in sent} == {20}
    first = fifo.receive()
    assert [message["Body"] for message in first] == [str(number) for number in range(10)]
    assert first[3]["Attributes"]["SequenceNumber"] == sent[3]["SequenceNumber"]
    assert first[3]["Attributes"]["MessageGroupId"] == "g"
    assert len(first[3]["Attributes"]["MessageDeduplicationId"]) == 64
    assert fifo.bodies() == [], "the group is closed while some of it is in flight"
    for message in first:
        fifo.delete(message)
    assert fifo.bodies() == ["10", "11"]


def test_groups_do_not_wait_for_each_other(fifo: Fifo) -> None:
    for body, group in (("a1", "a"), ("b1", "b"), ("a2", "a")):
        fifo.send(body, group)
    assert fifo.bodies(1) == ["a1"]
    assert fifo.bodies() == ["b1"]


def test_what_is_given_back_comes_first_again(fifo: Fifo) -> None:
    fifo.send("1")
    fifo.send("2")
    (first,) = fifo.receive(1)
    fifo.hide(first, 0)
    assert fifo.bodies() == ["1", "2"]


def test_ids_that_are_needed(client: Client) -> None:
    fifo = Fifo(client("sqs"), ContentBasedDeduplication="false")
    missing_group = "The request must contain the parameter MessageGroupId."
    got = refusal_of(fifo.sqs.send_message, QueueUrl=fifo.url, MessageBody="b", MessageDeduplicationId="d")
    assert got == Refusal("MissingParameter", "MissingRequiredParameterException", missing_group, 400)
    needed = (
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
        "explicitly"
    )
    got = refusal_of(fifo.sqs.send_message, QueueUrl=fifo.url, MessageBody="b", MessageGroupId="g")
    assert got == invalid(needed)
    batch = fifo.sqs.send_message_batch
    entry = {"Id": "1", "MessageBody": "b"}
    got = refusal_of(batch, QueueUrl=fifo.url, Entries=[entry | {"MessageDeduplicationId": "d"}])
    assert got == invalid(missing_group)
    got = refusal_of(batch, QueueUrl=fifo.url, Entries=[entry | {"MessageGroupId": "g"}])
    assert got == invalid(needed)


def test_one_bad_entry_refuses_the_batch(fifo: Fifo) -> None:
    good = {"Id": "1", "MessageBody": "b", "MessageGroupId": "g"}
    entries = [good, good | {"Id": "2", "MessageBody": "\x01"}]
    got = refusal_of(fifo.sqs.send_message_batch, QueueUrl=fifo.url, Entries=entries)
    assert got.code == "InvalidMessageContents"
    assert fifo.bodies() == []


def test_a_batch_keeps_its_order(fifo: Fifo) -> None:
    entries = [{"Id": f"n{n}", "MessageBody": f"{n}", "MessageGroupId": "g"} for n in range(5)]
    got = fifo.sqs.send_message_batch(QueueUrl=fifo.url, Entries=entries)
    assert [entry["Id"] for entry in got["Successful"]] == ["n0", "n1", "n2", "n3", "n4"]
    assert fifo.bodies() == ["0", "1", "2", "3", "4"]


def test_no_delay_of_a_single_message(fifo: Fifo) -> None:
    got = refusal_of(
        fifo.sqs.send_message, QueueUrl=fifo.url, MessageBody="b", MessageGroupId="g", DelaySeconds=2
    )
    reason = "The request include parameter that is not valid for this queue type."
    assert got == invalid_value("DelaySeconds", 2, reason)


def test_a_duplicate_is_accepted_and_not_delivered(fifo: Fifo) -> None:
    first = fifo.send("same", "a")
    (message,) = fifo.receive()
    fifo.delete(message)
    again = fifo.send("same", "b")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert fifo.bodies() == []
    assert fifo.send("same", MessageDeduplicationId="wins")["MessageId"] != first["MessageId"]
    assert fifo.bodies() == ["same"]


def test_duplicates_within_a_group(client: Client) -> None:
    fifo = Fifo(client("sqs"), DeduplicationScope="messageGroup")
    assert fifo.send("same", "a")["MessageId"] == fifo.send("same", "a")["MessageId"]
    fifo.send("same", "b")
    assert fifo.bodies() == ["same", "same"]


def test_a_handle_that_is_over(fifo: Fifo) -> None:
    fifo.send("b")
    (first,) = fifo.receive(VisibilityTimeout=0)
    expired = invalid_value("ReceiptHandle", first["ReceiptHandle"], EXPIRED)
    handle = {"QueueUrl": fifo.url, "ReceiptHandle": first["ReceiptHandle"]}
    assert refusal_of(fifo.sqs.delete_message, **handle) == expired
    assert refusal_of(fifo.sqs.change_message_visibility, **handle, VisibilityTimeout=9) == expired
    (second,) = fifo.receive()
    assert refusal_of(fifo.sqs.delete_message, **handle) == expired
    fifo.delete(second)
    fifo.delete(second)
    assert fifo.bodies() == []


def test_an_attempt_gets_the_same_answer_again(fifo: Fifo) -> None:
    for group in "ab":
        fifo.send(group, group)
    first = fifo.receive(ReceiveRequestAttemptId="try-1")
    again = fifo.receive(ReceiveRequestAttemptId="try-1")
    assert again == first
    assert fifo.receive(ReceiveRequestAttemptId="try-2") == []
    fifo.delete(first[0])
    assert fifo.receive(ReceiveRequestAttemptId="try-1") == []
    fifo.hide(first[1], 0)
    assert fifo.bodies(ReceiveRequestAttemptId="try-1") == ["b"]


def test_a_dead_letter_lets_its_group_go_on(client: Client, account: str) -> None:
    sqs = client("sqs")
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    target = f"arn:aws:sqs:us-east-1:{account}:dead.fifo"
    policy = f'{{"deadLetterTargetArn": "{target}", "maxReceiveCount": 1}}'
    fifo = Fifo(sqs, RedrivePolicy=policy)
    fifo.send("bad")
    fifo.send("next")
    assert fifo.bodies(1, VisibilityTimeout=0) == ["bad"]
    assert fifo.bodies(1) == ["next"]
    (moved,) = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert moved["Body"] == "bad"
    assert moved["Attributes"]["MessageGroupId"] == "g"
    assert moved["Attributes"]["DeadLetterQueueSourceArn"].endswith(":q.fifo")
