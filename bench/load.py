"""A closed-loop HTTP load generator: each connection sends its next request when the last answer is in."""

import asyncio
import datetime
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httptools

HOST = "127.0.0.1"
REQUEST_S_MAX = 30.0
INVOCATION = b"2c9d8f0e-6d0a-4f5a-9b1e-000000000000"
CALLS = itertools.count(random.randrange(10**11))
USER_AGENT = (
    "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.18 md/arch#x86_64 lang/python#3.11.7 "
    "md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.44.5"
)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    failed: bool  # X-Amz-Function-Error was among the headers


class Connection(asyncio.Protocol):
    """One keep-alive connection; opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Answer] | None = None
        self.body: list[bytes] = []
        self.failed = False

    async def request(self, data: bytes) -> Answer:
        """Send one request and wait for its whole answer. Raises OSError when the connection breaks."""
        loop = asyncio.get_running_loop()
        if self.transport is None or self.transport.is_closing():
            await loop.create_connection(lambda: self, HOST, self.port)
        self.waiting = loop.create_future()
        # an SDK counts its calls, and a server may answer a repeated one without performing it again
        self.transport.write(data.replace(INVOCATION, b"%s%012d" % (INVOCATION[:-12], next(CALLS)), 1))
        return await self.waiting

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.waiting and not self.waiting.done():
            self.waiting.set_exception(ConnectionError(f"closed before the answer: {error!r}"))

    def on_message_begin(self) -> None:
        self.body = []
        self.failed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 20 and name.lower() == b"x-amz-function-error":
            self.failed = True

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        answer = Answer(self.parser.get_status_code(), b"".join(self.body), self.failed)
        if not self.parser.should_keep_alive():
            self.close()
        waiting, self.waiting = self.waiting, None
        if waiting and not waiting.done():
            waiting.set_result(answer)


def head(method: str, path: str, service: str, port: int, body: bytes, extra: str) -> bytes:
    """A request as boto3 sends it, byte for byte the same for every server. The signature has the right
    size and is not valid: as they are started here, none of the servers verifies it."""
    now = datetime.datetime.now(datetime.UTC)
    signed = "content-type;host;x-amz-date" + (";x-amz-target" if service == "sqs" else "")
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAccept-Encoding: identity\r\n{extra}"
        f"User-Agent: {USER_AGENT}\r\nX-Amz-Date: {now:%Y%m%dT%H%M%SZ}\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential=test/{now:%Y%m%d}/us-east-1/{service}/aws4_request, "
        f"SignedHeaders={signed}, Signature={'0' * 64}\r\n"
        f"amz-sdk-invocation-id: {INVOCATION.decode()}\r\namz-sdk-request: attempt=1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def sqs(port: int, operation: str, body: object) -> bytes:
    """An SQS request in the JSON protocol."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = f"X-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n"
    return head("POST", "/", "sqs", port, data, extra)


def functions(port: int, method: str, path: str, body: object = None) -> bytes:
    """A Lambda request in the REST-JSON protocol."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(method, path, "lambda", port, data, "Content-Type: application/json\r\n")


async def once(port: int, data: bytes) -> dict:
    """One request on a connection of its own; its JSON answer. Raises AssertionError unless 2xx."""
    connection = Connection(port)
    try:
        answer = await asyncio.wait_for(connection.request(data), REQUEST_S_MAX)
    finally:
        connection.close()
    assert 200 <= answer.status < 300, f"{answer.status} {answer.body[:300]!r}"
    return json.loads(answer.body or b"{}")


@dataclass
class Run:
    """What one timed run has done: units of work, its time, and the seconds that each request took."""

    work: int = 0
    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def quantile_ms(self, part: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e3 if ordered else float("nan")


class Loop:
    """One connection within a run; a step's requests go through `ask`, which times and checks them."""

    def __init__(self, port: int, run: Run) -> None:
        self.connection = Connection(port)
        self.run = run

    async def ask(self, data: bytes) -> bytes:
        start = time.perf_counter()
        answer = await self.connection.request(data)
        self.run.latencies_s.append(time.perf_counter() - start)
        if answer.status != 200 or answer.failed:
            raise AssertionError(f"{answer.status} {answer.body[:300]!r}")
        return answer.body


Step = Callable[[Loop], Awaitable[int | None]]


async def drive(port: int, step: Step, connections: int, seconds: float) -> Run:
    """Repeat `step` on each connection for `seconds`; it returns the work done, or None when there is
    no more. The time ends with the last step that was completed."""
    run = Run()
    start = last = time.perf_counter()
    end = start + seconds

    async def repeat(loop: Loop) -> None:
        nonlocal last
        try:
            while time.perf_counter() < end:
                done = await step(loop)
                if done is None:
                    return
                run.work += done
                last = time.perf_counter()
        finally:
            loop.connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(repeat(Loop(port, run)))
    run.elapsed_s = last - start
    return run
