"""A real pool with real processes, and functions written in the tests."""

import io
import json
import os
import select
import socket
import textwrap
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from oncue import clock
from oncue.workers import FunctionVersion, Result, Settings
from oncue.workers.pool import Pool

DEADLINE_S = 20
ACCOUNT = "111122223333"


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, textwrap.dedent(text))
    return buffer.getvalue()


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(
        data_dir=folder,
        endpoint_url=lambda: "http://oncue.test",
        access_key=lambda account: f"key-of-{account}",
        secret_key=lambda account: f"secret-of-{account}",
        **{"workers_max": 4, **changes},
    )


@dataclass
class Function:
    """A deployed function: `await function({...})` invokes it."""

    pool: Pool
    version: FunctionVersion

    async def __call__(self, event: object = None, **options: Any) -> Result:
        arguments = {"request_id": clock.new_id(), "invoked_arn": self.version.arn, **options}
        return await self.pool.invoke(self.version, json.dumps(event).encode(), **arguments)

    async def value(self, event: object = None, **options: Any) -> Any:
        result = await self(event, **options)
        assert result.error is None, result
        return json.loads(result.payload)

    def changed(self, **changes: Any) -> "Function":
        return Function(self.pool, replace(self.version, **changes))


async def deploy(pool: Pool, source: str | Mapping[str, str], **changes: Any) -> Function:
    """A function of one module `app` (or of several files), whose handler is `app.handler`."""
    files = {"app.py": source} if isinstance(source, str) else source
    code = clock.token()
    await pool.install(code, zipped(files))
    name = changes.get("name", f"f-{code}")
    described: dict[str, Any] = {
        "arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}",
        "name": name,
        "version": "$LATEST",
        "revision": "1",
        "runtime": "python3.12",
        "handler": "app.handler",
        "code_sha256": code,
        "environment": {},
        "memory_mb": 128,
        "timeout_s": 15,
        "account": ACCOUNT,
        "region": "eu-west-1",
        "log_group": f"/aws/lambda/{name}",
    }
    return Function(pool, FunctionVersion(**{**described, **changes}))


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    """A pool of the test's own."""
    made = Pool(settings(tmp_path))
    await made.start()
    made.warm()
    yield made
    await made.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pool]:
    """A pool for tests that look at their own function only: it is loaded once."""
    made = Pool(settings(tmp_path_factory.mktemp("shared")))
    await made.start()
    made.warm()
    yield made
    await made.stop()


class Watched:
    """A process that a test waits for; opened while it lives, so that its number cannot mean another one."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def ended(self, deadline_s: float = DEADLINE_S) -> bool:
        """Whether the process ends within the time."""
        return bool(select.select([self._fd], [], [], deadline_s)[0])

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def watch() -> Iterator[Callable[[int], Watched]]:
    watched: list[Watched] = []

    def begin(pid: int) -> Watched:
        watched.append(Watched(pid))
        return watched[-1]

    yield begin
    for one in watched:
        one.close()


class Gate:
    """Where handlers report and wait: each connects, sends one line, and goes on when it is sent one."""

    SOURCE = """
        import json, os, socket
        def report(path, **values):
            door = socket.socket(socket.AF_UNIX)
            door.connect(path)
            door.sendall(json.dumps(values).encode() + b"\\n")
            return door
        def knock(path, **values):
            return report(path, **values).recv(1)
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._listener.settimeout(DEADLINE_S)
        self._guests: list[socket.socket] = []

    def meet(self) -> dict[str, Any]:
        """What the next handler reports."""
        guest, _ = self._listener.accept()
        guest.settimeout(DEADLINE_S)
        self._guests.append(guest)
        return json.loads(guest.makefile("rb").readline())

    def open(self) -> None:
        """Let the handler that came first go on."""
        self._guests.pop(0).sendall(b"1")

    def close(self) -> None:
        for guest in self._guests:
            guest.close()
        self._listener.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.close()
