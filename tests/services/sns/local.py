"""SNS and SQS in process: a node without a door, with an HTTP world of its own."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call, Service
from oncue.services.sns import Sns, due
from oncue.services.sqs import Sqs
from oncue.store import Store

ACCOUNT = "123456789012"
DEADLINE_S = 20


class Moody(Sqs):
    """SQS with bad days."""

    down = False

    def send_message(self, call: Call, **parameters: Any) -> Any:  # type: ignore[override]
        if self.down:
            raise ServiceError("ServiceUnavailable", "later", 503)
        return super().send_message(call, **parameters)


class Endpoint:
    """Stands for every HTTP endpoint: notes what is posted, answers when it may."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.statuses: dict[str, int] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.changed = asyncio.Event()

    async def post(self, url: str, headers: Any, body: bytes) -> int:
        self.got.append((url, json.loads(body)))
        self.changed.set()
        await self.open.wait()
        return self.statuses.get(url, 200)

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not enough():
                self.changed.clear()
                await self.changed.wait()

    def messages(self, url: str) -> list[str]:
        return [f["Message"] for there, f in self.got if there == url and f["Type"] == "Notification"]


class Local:
    """A node without a door."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.endpoint = Endpoint()
        self.sqs, self.sns = Moody(), Sns(post=self.endpoint.post)
        self.rooms: dict[str, Service] = {"sqs": self.sqs, "sns": self.sns}
        self.call = Call(ACCOUNT, "us-east-1", self.rooms, store, base_url="http://here")

    async def do(self, operation: str, **parameters: Any) -> dict[str, Any]:
        room = self.sns if hasattr(self.sns, operation) else self.sqs
        return await self.call.perform(getattr(room, operation), parameters)

    async def topic(self, name: str = "t") -> str:
        fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"} if name.endswith(".fifo") else {}
        return str((await self.do("create_topic", Name=name, Attributes=fifo))["TopicArn"])

    async def queue(self, topic: str, name: str) -> str:
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        made = await self.do("create_queue", QueueName=name, Attributes=fifo)
        await self.do(
            "subscribe",
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
            Attributes={"RawMessageDelivery": "true"},
        )
        return str(made["QueueUrl"])

    async def web(self, topic: str, url: str, **attributes: str) -> str:
        """A confirmed HTTP subscription."""
        made = await self.do(
            "subscribe",
            TopicArn=topic,
            Protocol="http",
            Endpoint=url,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        await self.endpoint.until(lambda: any(there == url for there, _ in self.endpoint.got))
        token = next(fields["Token"] for there, fields in self.endpoint.got if there == url)
        await self.do("confirm_subscription", TopicArn=topic, Token=token)
        return str(made["SubscriptionArn"])

    async def look(self) -> None:
        """As if time had passed: those that wait for it look at the clock again."""
        await self.call.transact(lambda call: call.tx.wake(due.BELL))

    async def left(self) -> int:
        """How many deliveries are in the lanes."""
        row = await self.store.transact(
            lambda tx: tx.one("SELECT COUNT(*) AS count FROM backlog WHERE lane LIKE 'sns/%'")
        )
        assert row is not None
        return int(row["count"])


async def bodies(local: Local, url: str, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            await local.look()
            reply = await local.do("receive_message", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            found += [message["Body"] for message in reply["Messages"] or ()]
            for message in reply["Messages"] or ():
                await local.do("delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
