"""The queue workloads: what each sends, what it counts as work, and how that work is checked."""

import asyncio
import hashlib
import itertools
import json
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from load import Loop, Run, drive, once, sqs
from peers import Server

BODY = "x" * 1024
MD5 = hashlib.md5(BODY.encode()).hexdigest().encode()
BATCH = 10
HIDDEN_S = 600
WARM_S = 0.15
DRAIN_S_MAX = 20.0
FILLERS = 8
NUMBER = itertools.count()
HANDLE = re.compile(rb'"ReceiptHandle"\s*:\s*"((?:[^"\\]|\\.)*)"')
MESSAGE_ID = re.compile(rb'"MessageId"\s*:\s*"([^"]+)"')
FAILED = re.compile(rb'"Failed"\s*:\s*\[\s*\{')


@dataclass
class Sample:
    """One measurement. `value` is in the workload's unit; None where it was not taken."""

    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: float | None = None  # the server's, per unit of work
    work: int = 0
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    name: str
    unit: str
    measure: Callable[[Server, float], Awaitable[Sample]]
    faster_is: str = "more"  # or "less", for times
    functions: bool = False  # needs a server that runs functions


class Queue:
    """A fresh queue on one server, its requests made beforehand, and the account of what went in and out."""

    def __init__(self, server: Server, url: str) -> None:
        self.port = server.port
        self.url = url
        entries = [{"Id": str(i), "MessageBody": BODY} for i in range(BATCH)]
        self.send_one = sqs(self.port, "SendMessage", {"QueueUrl": url, "MessageBody": BODY})
        self.send_ten = sqs(self.port, "SendMessageBatch", {"QueueUrl": url, "Entries": entries})
        self.receive_ten = sqs(
            self.port,
            "ReceiveMessage",
            {"QueueUrl": url, "MaxNumberOfMessages": BATCH, "VisibilityTimeout": HIDDEN_S},
        )
        self.sent: set[bytes] = set()
        self.deleted: set[bytes] = set()
        self.repeated = 0  # given out again while it was hidden: allowed by AWS, and counted

    @classmethod
    async def made(cls, server: Server) -> "Queue":
        name = f"bench-{os.getpid()}-{next(NUMBER)}"
        request = sqs(server.port, "CreateQueue", {"QueueName": name})
        return cls(server, (await once(server.port, request))["QueueUrl"])

    async def send(self, loop: Loop) -> int:
        return self._accepted(await loop.ask(self.send_one), 1)

    async def send_batch(self, loop: Loop) -> int:
        return self._accepted(await loop.ask(self.send_ten), BATCH)

    async def take(self, loop: Loop) -> int | None:
        """Receive up to ten and delete them; the work is those not seen before. None when nothing came."""
        answer = await loop.ask(self.receive_ten)
        handles = HANDLE.findall(answer)
        if not handles:
            return None
        assert answer.count(MD5) == len(handles), "a received body has another MD5"
        ids = MESSAGE_ID.findall(answer)
        assert len(ids) == len(handles), "a received message has no id"
        entries = b",".join(b'{"Id":"%d","ReceiptHandle":"%b"}' % pair for pair in enumerate(handles))
        body = b'{"QueueUrl":%b,"Entries":[%b]}' % (json.dumps(self.url).encode(), entries)
        answer = await loop.ask(sqs(self.port, "DeleteMessageBatch", body))
        assert not FAILED.search(answer), f"not deleted: {answer[:300]!r}"
        assert answer.count(b'"Id"') == len(handles), f"not deleted: {answer[:300]!r}"
        before = len(self.deleted)
        self.deleted.update(ids)
        self.repeated += len(ids) - (len(self.deleted) - before)
        return len(self.deleted) - before

    async def cycle(self, loop: Loop) -> int:
        """Send ten, receive up to ten, delete them: the work is what was deleted."""
        await self.send_batch(loop)
        return await self.take(loop) or 0

    async def fill(self, count: int) -> None:
        left = count

        async def step(loop: Loop) -> int | None:
            nonlocal left
            if left <= 0:
                return None
            left -= BATCH
            return await self.send_batch(loop)

        await drive(self.port, step, FILLERS, DRAIN_S_MAX)
        assert len(self.sent) >= count, f"only {len(self.sent)} of {count} messages could be sent"

    async def drain(self) -> None:
        if len(self.deleted) < len(self.sent):
            await drive(self.port, self.take, 1, DRAIN_S_MAX)
        assert len(self.deleted) == len(self.sent), f"{len(self.sent) - len(self.deleted)} never received"

    async def check(self) -> None:
        """Nothing came that was not sent, and what did not come is still in the queue."""
        assert self.sent.issuperset(self.deleted), "a message was received that was never sent"
        left = await self.depth()
        assert left == len(self.sent) - len(self.deleted), (
            f"{len(self.sent)} sent, {len(self.deleted)} deleted, {left} left"
        )

    async def depth(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        request = sqs(self.port, "GetQueueAttributes", {"QueueUrl": self.url, "AttributeNames": names})
        answer = await once(self.port, request)
        return sum(int(answer["Attributes"][name]) for name in names)

    async def remove(self) -> None:
        await once(self.port, sqs(self.port, "DeleteQueue", {"QueueUrl": self.url}))

    def _accepted(self, answer: bytes, count: int) -> int:
        ids = MESSAGE_ID.findall(answer)
        assert answer.count(MD5) == count == len(ids), f"not all accepted: {answer[:300]!r}"
        self.sent.update(ids)
        return count


async def timed(server: Server, step: Callable[[Loop], Awaitable[int | None]], c: int, s: float) -> Sample:
    """Drive the server and read its CPU time over the same span."""
    before = server.cpu_s()
    run = await drive(server.port, step, c, s)
    return sample(run, server.cpu_s() - before)


def sample(run: Run, cpu_s: float) -> Sample:
    assert run.work, "no work was done"
    return Sample(
        value=run.work / run.elapsed_s,
        p50_ms=run.quantile_ms(0.5),
        p99_ms=run.quantile_ms(0.99),
        cpu_us=cpu_s / run.work * 1e6,
        work=run.work,
    )


def note_repeated(queue: Queue, result: Sample) -> None:
    if queue.repeated:
        result.more["messages received twice"] = queue.repeated


def sending(step: Callable[[Queue, Loop], Awaitable[int | None]], c: int) -> Workload:
    name = "send" if step is Queue.send else "send batch(10)"

    async def measure(server: Server, seconds: float) -> Sample:
        queue = await Queue.made(server)
        await drive(server.port, lambda loop: step(queue, loop), c, WARM_S)
        result = await timed(server, lambda loop: step(queue, loop), c, seconds)
        await queue.check()
        await queue.remove()
        return result

    return Workload(f"{name} c={c}", "msg/s", measure)


def cycling(c: int) -> Workload:
    async def measure(server: Server, seconds: float) -> Sample:
        queue = await Queue.made(server)
        await drive(server.port, queue.cycle, c, WARM_S)
        result = await timed(server, queue.cycle, c, seconds)
        await queue.drain()
        await queue.check()
        await queue.remove()
        note_repeated(queue, result)
        return result

    return Workload(f"cycle c={c}", "msg/s", measure)


def emptying(c: int) -> Workload:
    async def measure(server: Server, seconds: float) -> Sample:
        queue = await Queue.made(server)
        await queue.fill(server.peer.depth)
        result = await timed(server, queue.take, c, seconds)
        await queue.check()
        await queue.remove()
        result.more["messages in the queue"] = server.peer.depth
        note_repeated(queue, result)
        return result

    return Workload(f"receive+delete c={c}", "msg/s", measure)


QUEUES = [
    sending(Queue.send, 1),
    sending(Queue.send, 8),
    sending(Queue.send, 32),
    sending(Queue.send_batch, 8),
    emptying(8),
    cycling(1),
    cycling(8),
    cycling(32),
]


async def warm(server: Server) -> None:
    """Load before the first measurement, so that nothing compiles or imports during one."""
    queue = await Queue.made(server)
    await drive(server.port, queue.cycle, 4, server.peer.warm_s)
    await drive(server.port, queue.send, 4, server.peer.warm_s / 2)
    await queue.remove()


async def kept_after_kill(server: Server, seconds: float) -> tuple[int, int]:
    """Kill the server with SIGKILL while it is sent to, start it again on the same directory: how many
    messages it had acknowledged, and how many of them it still gives out."""
    queue = await Queue.made(server)

    async def load() -> None:
        try:
            await drive(server.port, queue.send, 4, 60)
        except BaseExceptionGroup:
            pass  # the connections end with the server

    loading = asyncio.create_task(load())
    await asyncio.sleep(seconds)
    server.kill()
    await loading
    await asyncio.to_thread(server.start)
    again = Queue(server, re.sub(r":\d+/", f":{server.port}/", queue.url))
    again.sent = queue.sent
    try:
        await drive(server.port, again.take, 1, DRAIN_S_MAX)
    except BaseExceptionGroup as group:
        if not any("QueueDoesNotExist" in str(e) or "NonExistentQueue" in str(e) for e in group.exceptions):
            raise
    return len(queue.sent), len(queue.sent.intersection(again.deleted))
