"""A real server as a real process, and real clients for it."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.config

READY_S = 20
STOP_S = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A started `oncue serve`, in a process group of its own."""

    process: "subprocess.Popen[str]"
    port: int
    store: str
    data: pathlib.Path
    output: pathlib.Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, account: str = "test", region: str = "us-east-1", **options: Any) -> Any:
        options.setdefault("retries", {"total_max_attempts": 1})
        options.setdefault("read_timeout", 60)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=botocore.config.Config(**options),
        )

    def kill(self) -> None:
        """SIGKILL to the whole process group, as a power switch would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(STOP_S)


def start(
    store: str, data: pathlib.Path, *, port: int = 0, flags: tuple[str, ...] = (), await_ready: bool = True
) -> Running:
    port = port or free_port()
    output = data / f"server-{port}-{time.monotonic_ns()}.log"
    data.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "oncue",
        "serve",
        "--port",
        str(port),
        "--store",
        store,
        "--data",
        str(data),
    ]
    with output.open("w") as sink:
        process = subprocess.Popen(
            [*command, *flags], stdout=sink, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    running = Running(process, port, store, data, output)
    if await_ready:
        wait_ready(running)
    return running


def wait_ready(running: Running) -> None:
    deadline = time.monotonic() + READY_S
    while "Ready.\n" not in running.output.read_text():
        if running.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the server is not ready:\n{running.output.read_text()}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{running.endpoint}/health", timeout=1).read()


@contextlib.contextmanager
def serving(store: str, data: pathlib.Path, **options: Any) -> Iterator[Running]:
    running = start(store, data, **options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def free_port_again(port: int) -> bool:
    """Whether nobody listens on the port any more."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
