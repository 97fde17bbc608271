"""What the tests of SNS share: queues to look into, and HTTP subscribers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.services.sns.subscriber import Subscriber

MakeClient = Callable[..., Any]


class Inbox:
    """A queue that is subscribed."""

    def __init__(self, sqs: Any, name: str, **attributes: str) -> None:
        self._sqs = sqs
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.url = sqs.create_queue(QueueName=name, Attributes={**fifo, **attributes})["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = asked["Attributes"]["QueueArn"]

    def take(self, count: int) -> list[dict[str, Any]]:
        """So many messages, deleted; fewer when no more come."""
        taken: list[dict[str, Any]] = []
        while len(taken) < count:
            reply = self._sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=10,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            messages = reply.get("Messages", [])
            if not messages:
                return taken
            for message in messages:
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def is_empty(self) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return all(count == "0" for count in counts.values())


@pytest.fixture
def sns(client: MakeClient) -> Any:
    return client("sns")


@pytest.fixture
def topic(sns: Any) -> str:
    return str(sns.create_topic(Name="t")["TopicArn"])


@pytest.fixture
def inbox(client: MakeClient, sns: Any) -> Callable[..., Inbox]:
    """`inbox(topic, "q", FilterPolicy=...)` makes a queue and subscribes it."""

    def make(topic: str, name: str, **attributes: str) -> Inbox:
        made = Inbox(client("sqs"), name)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=made.arn, Attributes=attributes)
        return made

    return make


@pytest.fixture
def queue(client: MakeClient) -> Callable[..., Inbox]:
    return lambda name, **attributes: Inbox(client("sqs"), name, **attributes)


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()
    yield made
    made.close()
