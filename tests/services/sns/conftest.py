"""What the tests of SNS share: queues to look into, HTTP subscribers, and nodes in process."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from oncue import clock
from oncue.app import open_store, schema_of_the_store
from oncue.store import Store, migrations
from tests.services.sns.local import Local
from tests.services.sns.subscriber import Subscriber
from tests.services.sqs.conftest import Forward

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


@pytest.fixture
def forward() -> Iterator[Callable[[float], None]]:
    source = Forward()
    clock.use(source)

    def shift(seconds: float) -> None:
        source.offset_s += seconds

    yield shift
    clock.use(None)


@pytest_asyncio.fixture
async def opened(store_url: str) -> AsyncIterator[Store]:
    steps = schema_of_the_store()
    for room in ("sqs", "sns"):
        steps += migrations.of_package(f"oncue.services.{room}", room)
    store = open_store(store_url, steps)
    await store.start()
    yield store
    await store.stop()


@pytest_asyncio.fixture
async def local(opened: Store) -> AsyncIterator[Local]:
    made = Local(opened)
    await made.sns.start(made.call)
    yield made
    made.endpoint.open.set()
    await made.sns.stop()
    await made.sqs.stop()
