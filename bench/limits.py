"""What bounds every server here: a bare fdatasync, an empty server, and how often each one syncs."""

import asyncio
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from load import Loop, drive, sqs
from peers import Cores, Server, free_port
from workloads import BODY, MD5, Queue

SYNCS = 100
BLOCK = b"x" * 1024
TRACE_S = 0.6
ATTACH_S_MAX = 5.0
EMPTY = Path(__file__).with_name("empty.py")


def fdatasync_us(home: Path) -> float:
    """Append 1 KiB and fdatasync, on the disk that the servers write to: median microseconds."""
    home.mkdir(parents=True, exist_ok=True)
    took = []
    file = os.open(home / "sync", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(SYNCS):
            os.write(file, BLOCK)
            start = time.perf_counter()
            os.fdatasync(file)
            took.append((time.perf_counter() - start) * 1e6)
    finally:
        os.close(file)
    return statistics.median(took)


async def ceiling(cores: Cores, connections: int, seconds: float) -> float:
    """Answers per second of a server that only parses HTTP, on the servers' core: what this client can
    see at most."""
    port = free_port()
    with cores.as_server():
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, str(EMPTY), str(port)], start_new_session=True
        )
    try:
        request = sqs(port, "SendMessage", {"QueueUrl": "http://127.0.0.1/q", "MessageBody": BODY})

        async def step(loop: Loop) -> int:
            assert MD5 in await loop.ask(request)
            return 1

        for _ in range(200):
            try:
                await drive(port, step, 1, 0.05)
                break
            except BaseExceptionGroup:
                await asyncio.sleep(0.02)
        run = await drive(port, step, connections, seconds)
        return run.work / run.elapsed_s
    finally:
        process.kill()
        process.wait()


async def syncs(server: Server, connections: int) -> float | str:
    """fsync and fdatasync calls per message sent, counted by strace; or why they were not counted."""
    strace = shutil.which("strace")
    if not strace:
        return "strace is not on this machine"
    out = server.home / f"strace-{connections}"
    command = [strace, "-c", "-f", "-e", "trace=fdatasync,fsync", "-o", str(out), "-p", str(server.pid)]
    queue = await Queue.made(server)
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)  # noqa: ASYNC220
    try:
        if not attached(server.pid, tracer):
            return "strace may not attach here"
        run = await drive(server.port, queue.send, connections, TRACE_S)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    await queue.remove()
    lines = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+).*\bf(?:data)?sync$", out.read_text(), flags=re.M)
    return sum(map(int, lines)) / max(1, run.work)


def attached(pid: int, tracer: "subprocess.Popen[bytes]") -> bool:
    """Wait until every thread of the process is being traced."""
    until = time.perf_counter() + ATTACH_S_MAX
    while time.perf_counter() < until and tracer.poll() is None:
        tasks = Path(f"/proc/{pid}/task")
        states = [(tasks / thread / "status").read_text() for thread in os.listdir(tasks)]  # noqa: PTH208
        if all(re.search(rf"TracerPid:\s+{tracer.pid}\b", state) for state in states):
            return True
        time.sleep(0.01)
    return False
