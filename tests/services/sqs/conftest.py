"""SQS in process, on both stores, with a clock that can be put forward."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from oncue import clock
from oncue.app import open_store, schema_of_the_store
from oncue.services import Call
from oncue.services.sqs import Sqs
from oncue.store import Store, migrations

ACCOUNT = "123456789012"


class Forward:
    """The machine's clock, put forward by `offset_s`."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._system = clock._System()

    def now(self) -> float:
        return self._system.now() + self.offset_s

    def monotonic(self) -> float:
        return time.monotonic()

    def random_bytes(self, count: int) -> bytes:
        return self._system.random_bytes(count)


@pytest.fixture
def forward() -> Iterator[Callable[[float], None]]:
    """`forward(60)` puts the clock forward by a minute."""
    source = Forward()
    clock.use(source)

    def shift(seconds: float) -> None:
        source.offset_s += seconds

    yield shift
    clock.use(None)


class Local:
    """Operations by boto3's names, performed in process as the dispatcher does."""

    def __init__(self, store: Store, service: Sqs, account: str = ACCOUNT, region: str = "us-east-1") -> None:
        self.store = store
        self.service = service
        self.call = Call(account, region, {"sqs": service}, store, base_url="http://here")

    def __getattr__(self, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        method = getattr(self.service, name)
        return lambda **parameters: self.call.perform(method, parameters)

    async def queue(self, name: str = "q", **attributes: str) -> str:
        reply = await self.create_queue(QueueName=name, Attributes=attributes)
        return str(reply["QueueUrl"])

    async def bodies(self, url: str, **parameters: Any) -> list[str]:
        parameters.setdefault("MaxNumberOfMessages", 10)
        reply = await self.receive_message(QueueUrl=url, **parameters)
        return [message["Body"] for message in reply["Messages"] or ()]

    async def counts(self, url: str) -> tuple[int, int, int]:
        """(visible, in flight, delayed)"""
        names = ["", "NotVisible", "Delayed"]
        reply = await self.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        got = [int(reply["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names]
        return got[0], got[1], got[2]


@pytest_asyncio.fixture
async def opened(store_url: str) -> AsyncIterator[Store]:
    steps = schema_of_the_store() + migrations.of_package("oncue.services.sqs", "sqs")
    store = open_store(store_url, steps)
    await store.start()
    yield store
    await store.stop()


@pytest_asyncio.fixture
async def sqs(opened: Store) -> AsyncIterator[Local]:
    local = Local(opened, Sqs())
    yield local
    await local.service.stop()
