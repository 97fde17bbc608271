"""Lambda in process, on both stores, with a pool of plain Python callables and a clock to put forward."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from oncue import clock
from oncue.app import open_store, schema_of_the_store
from oncue.services import Call, Service
from oncue.services.lambda_ import Lambda
from oncue.services.logs import Logs
from oncue.services.sqs import Sqs
from oncue.store import Store, migrations
from oncue.workers import FunctionVersion, Result
from oncue.workers.pool import Pool
from tests.services.lambda_.deployments import ROLE, zipped

ACCOUNT = "123456789012"
REGION = "us-east-1"
DEADLINE_S = 20
Handler = Callable[[Any], Any]


class Forward:
    """The machine's clock, put forward by `offset_s`."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._system = clock._System()

    def now(self) -> float:
        return self._system.now() + self.offset_s

    def monotonic(self) -> float:
        return time.monotonic() + self.offset_s

    def random_bytes(self, count: int) -> bytes:
        return self._system.random_bytes(count)


@dataclass
class Callables:
    """A pool whose functions are callables of this process, by function name: what a worker would do."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    seen: list[tuple[FunctionVersion, Any]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def has(self, code_sha256: str) -> bool:
        return code_sha256 in self.installed

    async def install(self, code_sha256: str, archive: bytes) -> None:
        assert archive
        self.installed.add(code_sha256)

    def warm(self) -> None:
        self.changed.set()

    async def retire(self, arn: str) -> None:
        self.retired.append(arn)
        self.changed.set()

    async def invoke(self, version: FunctionVersion, event: bytes, **asked: Any) -> Result:
        assert version.code_sha256 in self.installed
        self.seen.append((version, msgspec.json.decode(event)))
        self.changed.set()
        log = f"START RequestId: {asked['request_id']}\nhello\nEND\n".encode()
        try:
            answer = self.handlers[version.name](msgspec.json.decode(event))
            if asyncio.iscoroutine(answer):
                answer = await answer
        except ArithmeticError as error:
            payload = msgspec.json.encode({"errorMessage": str(error), "errorType": "ArithmeticError"})
            return Result(payload, "Unhandled", log, "2026/01/01/[$LATEST]abc", 1.0, 1, None, 30)
        payload = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        return Result(payload, None, log, "2026/01/01/[$LATEST]abc", 1.0, 1, None, 30)

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not enough():
                self.changed.clear()
                await self.changed.wait()


class Local:
    """A node without a door: operations by boto3's names, performed as the dispatcher does."""

    def __init__(self, store: Store, account: str = ACCOUNT) -> None:
        self.pool = Callables()
        self.rooms: dict[str, Service] = {
            "sqs": Sqs(),
            "logs": Logs(),
            "lambda": Lambda(cast(Pool, self.pool), retry_after_s=(60.0, 120.0)),
        }
        self.store = store
        self.call = Call(account, REGION, self.rooms, store, base_url="http://here")

    def __getattr__(self, name: str) -> Any:
        return _Room(self, self.rooms[name.rstrip("_")])

    async def start(self) -> None:
        for room in self.rooms.values():
            await room.start(self.call)

    async def stop(self) -> None:
        for room in reversed(self.rooms.values()):
            await room.stop()

    async def function(self, name: str, handler: Handler, **options: Any) -> str:
        self.pool.handlers[name] = handler
        created = await self.lambda_.create_function(
            FunctionName=name,
            Role=ROLE,
            Runtime="python3.11",
            Handler="app.handler",
            Code={"ZipFile": zipped()},
            **options,
        )
        return str(created["FunctionArn"])

    async def queue(self, name: str, **attributes: str) -> tuple[str, str]:
        """(url, arn)"""
        reply = await self.sqs.create_queue(QueueName=name, Attributes=attributes)
        return str(reply["QueueUrl"]), f"arn:aws:sqs:{REGION}:{self.call.account}:{name}"

    async def send(self, url: str, *bodies: str, **more: Any) -> None:
        for body in bodies:
            await self.sqs.send_message(QueueUrl=url, MessageBody=body, **more)

    async def counts(self, url: str) -> tuple[int, int]:
        """(visible, in flight)"""
        reply = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return int(reply["Attributes"][names[0]]), int(reply["Attributes"][names[1]])

    async def until_counts(self, url: str, wanted: tuple[int, int]) -> None:
        async def reached() -> bool:
            return await self.counts(url) == wanted

        await self.until(reached)

    async def until_idle(self) -> None:
        """No batch is running, and what has failed is left to its visibility timeout."""
        sources = cast(Lambda, self.rooms["lambda"])._sources

        async def idle() -> bool:
            return not any(poller.busy for poller in sources._pollers.values())

        await self.until(idle)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again, for as long as a test may take."""
        with self.store.listen("tests") as bell:
            async with asyncio.timeout(DEADLINE_S):
                while not await condition():
                    await bell.wait(0.01)


class _Room:
    def __init__(self, local: Local, service: Service) -> None:
        self._local = local
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        method = getattr(self._service, name)
        return lambda **parameters: self._local.call.perform(method, parameters)


@pytest.fixture
def forward() -> Iterator[Callable[[float], None]]:
    """`forward(60)` puts the clock forward by a minute."""
    source = Forward()
    clock.use(source)

    def shift(seconds: float) -> None:
        source.offset_s += seconds

    yield shift
    clock.use(None)


@pytest_asyncio.fixture
async def opened(store_url: str) -> AsyncIterator[Store]:
    steps = schema_of_the_store()
    for room in ("sqs", "logs", "lambda_"):
        steps += migrations.of_package(f"oncue.services.{room}", room)
    store = open_store(store_url, steps)
    await store.start()
    yield store
    await store.stop()


@pytest_asyncio.fixture
async def local(opened: Store) -> AsyncIterator[Local]:
    local = Local(opened)
    await local.start()
    yield local
    await local.stop()
