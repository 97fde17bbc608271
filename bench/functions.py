"""The function workloads: warm and cold invocations, and a queue that drives a function."""

import asyncio
import base64
import io
import itertools
import json
import os
import statistics
import time
import zipfile

from load import HOST, Loop, Run, drive, functions, once, sqs
from peers import Cores, Server
from workloads import WARM_S, Queue, Sample, Workload, timed

EVENT = json.dumps({"pad": "x" * 1013}).encode()  # 1 KiB
ROLE = "arn:aws:iam::000000000000:role/bench"
RUNTIME = "python3.12"
CONCURRENCY = 5  # of the queue's event source mapping
ACTIVE_S_MAX = 20.0
EFFECTS_S_MAX = 25.0
POLL_S = 0.02
COLD_TIMES = 3
SINGLES = 15
NUMBER = itertools.count()
# MiniStack waits up to 50 ms for a line from a handler that logs nothing, so the handlers log one as real
# ones do; the silent ones are measured beside them.
LOG = {"": 'print("one line")', ", silent": "pass"}

ECHO = """{imports}
def handler(event, context):
    {log}
    return {{"n": len(event["pad"]), "code": {number}}}
"""
CONSUMER = """
import os, socket
line = None
def handler(event, context):
    {log}
    global line
    if line is None:
        line = socket.create_connection(("127.0.0.1", int(os.environ["EFFECTS_PORT"])), 5)
    line.sendall("".join(record["messageId"] + "\\n" for record in event["Records"]).encode())
    return {{"batchItemFailures": []}}
"""


class Effects:
    """What functions have done, as told by themselves over TCP: one line for each message, with its id."""

    def __init__(self) -> None:
        self.port = 0
        self.expect(set())

    def expect(self, ids: set[bytes] | None) -> None:
        """From now on count the effects of these messages; None: of one message, whichever it is."""
        self.left = set(ids or ())
        self.times_s: list[float] = []  # when each effect came, repeated ones too
        self.ids = None if ids is None else frozenset(ids)
        self.complete = asyncio.Event()

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self._read, HOST, 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                message = line.strip()
                if self.ids is None or message in self.ids:
                    self.times_s.append(time.perf_counter())
                    self.left.discard(message)
                    if not self.left:
                        self.complete.set()
        except OSError:
            pass
        finally:
            writer.close()

    async def wait(self, seconds: float) -> None:
        """Until each expected message has had its effect. Raises AssertionError when they do not come."""
        try:
            await asyncio.wait_for(self.complete.wait(), seconds)
        except TimeoutError:
            raise AssertionError(
                f"{len(self.left) or 'some'} messages had no effect within {seconds:g} s"
            ) from None


def zipped(source: str) -> str:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", source)
    return base64.b64encode(held.getvalue()).decode()


async def create(server: Server, source: str, **variables: str) -> str:
    """A function that is ready to be invoked."""
    name = f"bench-{os.getpid()}-{next(NUMBER)}"
    body = {
        "FunctionName": name,
        "Runtime": RUNTIME,
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped(source)},
        "Timeout": 30,
        "MemorySize": 256,
        "Environment": {"Variables": variables},
    }
    await once(server.port, functions(server.port, "POST", "/2015-03-31/functions", body))
    await settled(server, name)
    return name


async def settled(server: Server, name: str) -> None:
    """Wait until the function may be invoked with its newest code."""
    until = time.perf_counter() + ACTIVE_S_MAX
    while True:
        path = f"/2015-03-31/functions/{name}/configuration"
        state = await once(server.port, functions(server.port, "GET", path))
        if state.get("State") == "Active" and state.get("LastUpdateStatus", "Successful") == "Successful":
            return
        assert time.perf_counter() < until, f"the function stays {state.get('State')}"
        await asyncio.sleep(POLL_S)


def invocation(server: Server, name: str) -> bytes:
    return functions(server.port, "POST", f"/2015-03-31/functions/{name}/invocations", EVENT)


async def remove(server: Server, name: str) -> None:
    await once(server.port, functions(server.port, "DELETE", f"/2015-03-31/functions/{name}"))


def warm(c: int, silent: str = "") -> Workload:
    async def measure(server: Server, seconds: float) -> Sample:
        name = await create(server, ECHO.format(imports="", number=7, log=LOG[silent]))
        request = invocation(server, name)

        async def step(loop: Loop) -> int:
            answer = await loop.ask(request)
            assert json.loads(answer) == {"n": 1013, "code": 7}, f"wrong answer: {answer[:200]!r}"
            return 1

        await drive(server.port, step, c, WARM_S * 3)
        result = await timed(server, step, c, seconds)
        await remove(server, name)
        return result

    return Workload(f"warm invoke c={c}{silent}", "invokes/s", measure, functions=True)


def cold(title: str, imports: str) -> Workload:
    async def measure(server: Server, seconds: float) -> Sample:
        name = await create(server, ECHO.format(imports=imports, log=LOG[""], number=0))
        took = []
        for number in range(1, COLD_TIMES + 1):
            body = {"ZipFile": zipped(ECHO.format(imports=imports, log=LOG[""], number=number))}
            path = f"/2015-03-31/functions/{name}/code"
            await once(server.port, functions(server.port, "PUT", path, body))
            await settled(server, name)
            start = time.perf_counter()
            answer = await once(server.port, invocation(server, name))
            took.append((time.perf_counter() - start) * 1e3)
            assert answer == {"n": 1013, "code": number}, f"wrong answer: {answer}"
        await remove(server, name)
        return Sample(statistics.median(took), work=COLD_TIMES)

    return Workload(title, "ms", measure, faster_is="less", functions=True)


async def mapped(server: Server, queue: Queue, name: str, batch: int) -> str:
    """Join the queue to the function; returns the mapping's id."""
    attributes = {"QueueUrl": queue.url, "AttributeNames": ["QueueArn"]}
    answer = await once(server.port, sqs(server.port, "GetQueueAttributes", attributes))
    mapping = {
        "EventSourceArn": answer["Attributes"]["QueueArn"],
        "FunctionName": name,
        "BatchSize": batch,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": CONCURRENCY},
    }
    path = "/2015-03-31/event-source-mappings"
    return (await once(server.port, functions(server.port, "POST", path, mapping)))["UUID"]


def driven(batch: int, cores: Cores, effects: Effects, silent: str = "") -> Workload:
    """Fill a queue, join it to a function, and time the effects from the first to the last. The client only
    listens meanwhile, so the server and its workers have every core."""

    async def measure(server: Server, seconds: float) -> Sample:
        assert server.peer.drained is not None
        name = await create(server, CONSUMER.format(log=LOG[silent]), EFFECTS_PORT=str(effects.port))
        queue = await Queue.made(server)
        await queue.fill(server.peer.drained[batch])
        effects.expect(queue.sent)
        cores.spread(server, wide=True)
        before = server.cpu_s()
        mapping = await mapped(server, queue, name, batch)
        try:
            await effects.wait(EFFECTS_S_MAX)
            cpu_s = server.cpu_s() - before
            times_s, count = effects.times_s, len(queue.sent)
            await gone(queue)
            result = Sample((count - batch) / (times_s[-1] - times_s[0]), work=count)
            result.cpu_us = cpu_s / count * 1e6
            result.more["effects repeated"] = len(times_s) - count
            if batch == 1 and not silent:
                result.more["idle ms"] = await singles(queue, effects)
        finally:
            cores.spread(server, wide=False)
            path = f"/2015-03-31/event-source-mappings/{mapping}"
            await once(server.port, functions(server.port, "DELETE", path))
        await queue.remove()
        await remove(server, name)
        return result

    return Workload(f"queue → function, batch {batch}{silent}", "msg/s", measure, functions=True)


async def gone(queue: Queue) -> None:
    """Wait until the messages that had their effect have been deleted too."""
    until = time.perf_counter() + ACTIVE_S_MAX
    while left := await queue.depth():
        assert time.perf_counter() < until, f"{left} messages were not deleted after their effect"
        await asyncio.sleep(POLL_S)


async def singles(queue: Queue, effects: Effects) -> float:
    """Milliseconds from the start of a send to its effect on a server that is otherwise idle, median."""
    took = []
    loop = Loop(queue.port, Run())
    for _ in range(SINGLES):
        effects.expect(None)
        start = time.perf_counter()
        await queue.send(loop)
        await effects.wait(EFFECTS_S_MAX)
        took.append((effects.times_s[0] - start) * 1e3)
    loop.connection.close()
    return statistics.median(took)


def workloads(cores: Cores, effects: Effects) -> list[Workload]:
    return [
        warm(1),
        warm(4),
        warm(1, ", silent"),
        cold("cold invoke", ""),
        cold("cold invoke, imports boto3", "import boto3\n"),
        driven(1, cores, effects),
        driven(10, cores, effects),
        driven(1, cores, effects, ", silent"),
    ]
