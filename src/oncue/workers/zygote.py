"""The server's side of a zygote: starts the process, has workers forked and ended, hears how they ended."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from oncue.errors import ServiceError
from oncue.workers.guest.warm import PROVIDED
from oncue.workers.variables import GUEST, PATH

MESSAGE_BYTES_MAX = 128 * 1024
STOP_S = 5.0


class Forked(Protocol):
    """What a zygote tells about a worker."""

    def on_spawned(self, pid: int) -> None: ...
    def on_exit(self, status: int | None, memory_kb: int) -> None:
        """`status` as in subprocess (negative: the signal); None where the zygote was lost with it."""


def gone() -> ServiceError:
    return ServiceError("ServiceException", "Lambda encountered an internal error.", 500)


def provided_folders() -> list[str]:
    """Where boto3 and what it needs are installed; empty without the extra `functions`."""
    specs = (find_spec(name) for name in sorted(PROVIDED))
    origins = (spec.origin for spec in specs if spec is not None and spec.origin is not None)
    folders = {os.fspath(_container(Path(origin))) for origin in origins}
    return sorted(folders)


def _container(origin: Path) -> Path:
    return origin.parent.parent if origin.name == "__init__.py" else origin.parent


class Zygote:
    """One process in a session of its own: signals to the server's process group do not reach it.

    When the server dies, however it dies, the zygote reads the end of the control socket (and is sent SIGTERM
    by the kernel), kills every worker with its children, and ends. Start it on the thread of the event loop:
    the kernel's signal is tied to the thread that started the process.
    """

    def __init__(self, *, warm: bool, folders: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawning: dict[int, tuple[asyncio.Future[None], Forked]] = {}
        self._workers: dict[int, Forked] = {}
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._number = 0
        self.alive = True
        self.ready: asyncio.Future[frozenset[str]] = self._loop.create_future()  # the modules it has loaded
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        program = [sys.executable, "-I", "-S", "-X", "utf8", os.fspath(GUEST / "__main__.py")]
        try:
            self._process = subprocess.Popen(
                [*program, str(theirs.fileno()), str(os.getpid()), "warm" if warm else "bare", *folders],
                env={"PATH": PATH, "LANG": "en_US.UTF-8"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
        self._loop.add_reader(self._control, self._hear)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def spawn(self, worker: Forked, link: int, output: int) -> None:
        """Fork a worker that holds the two descriptors. ServiceException where that is not possible."""
        await asyncio.shield(self.ready)
        if not self.alive:
            raise gone()
        self._number += 1
        done: asyncio.Future[None] = self._loop.create_future()
        self._spawning[self._number] = (done, worker)
        self._post({"spawn": self._number}, [link, output])
        await done

    def kill(self, pid: int) -> None:
        """Only the zygote kills: it knows which of its children still have their number."""
        self._post({"kill": pid}, [])

    def _post(self, message: dict[str, Any], fds: list[int]) -> None:
        """The descriptors must stay open until the message has been answered."""
        self._outgoing.append((json.dumps(message).encode(), fds))
        if len(self._outgoing) == 1:
            self._flush()

    def _flush(self) -> None:
        while self.alive and self._outgoing:
            text, fds = self._outgoing[0]
            try:
                socket.send_fds(self._control, [text], fds)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._flush)
                return
            except OSError:
                self._lost()
                return
            self._outgoing.popleft()
        if self.alive:
            self._loop.remove_writer(self._control)

    def _hear(self) -> None:
        while self.alive:
            try:
                text = self._control.recv(MESSAGE_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                text = b""
            if not text:
                self._lost()
                return
            self._understand(json.loads(text))

    def _understand(self, message: dict[str, Any]) -> None:
        if "exited" in message:
            self._workers.pop(message["exited"]).on_exit(message["status"], message["memory_kb"])
        elif "spawned" in message:
            done, worker = self._spawning.pop(message["spawned"])
            if "pid" in message:
                self._workers[message["pid"]] = worker
                worker.on_spawned(message["pid"])
                _resolve(done)
            else:
                _fail(done)
        elif not self.ready.done():
            self.ready.set_result(frozenset(message["ready"]))

    def _lost(self) -> None:
        """The process has ended: the kernel has killed its workers, we kill what they had started."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        _fail(self.ready)
        for done, _ in self._spawning.values():
            _fail(done)
        self._spawning.clear()
        workers, self._workers = self._workers, {}
        for pid, worker in workers.items():
            if self._process.returncode is None:  # it went by itself, and may have left children of workers
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            worker.on_exit(None, 0)
        if self._process.returncode is None:
            self._loop.run_in_executor(None, self._process.wait)

    async def stop(self) -> None:
        """Ends the workers and the process; returns when none is left."""
        if not self.alive:
            return
        self._loop.remove_reader(self._control)
        if not self.ready.done():  # it is busy importing, and has no workers
            self._process.terminate()
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._lost()


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(gone())
        future.exception()  # read, so that asyncio does not complain when nobody waits


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
