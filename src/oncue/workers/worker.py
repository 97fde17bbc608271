"""The server's side of one worker: a link for events and answers, a pipe for what the function writes."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncue.workers.guest import frames
from oncue.workers.zygote import Zygote

LOG_BYTES_MAX = 1024 * 1024  # kept of what one invocation writes
BODY_BYTES_MAX = 16 * 1024 * 1024  # a result may have 6,291,556, the message of an exception is not limited
READ_BYTES = 256 * 1024
DRAIN_READS_MAX = 32  # a pipe holds 64 KiB: more is being written now, and belongs to whatever comes next


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame from the worker."""

    head: dict[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Exited:
    """The process ended: `status` as in subprocess, None where its zygote was lost."""

    status: int | None
    memory_kb: int


class TimedOut:
    """No answer came in time; the process still runs."""


Ending = Answer | Exited | TimedOut


class Worker:
    """A process that holds one event at a time. Everything happens on the event loop."""

    def __init__(self, key: tuple[str, str], revision: str, on_gone: Callable[["Worker"], None]) -> None:
        self.key = key  # function ARN and version
        self.revision = revision
        self.log_stream = ""
        self.temporary = Path()
        self.pid = 0
        self.dying = False  # the pool has asked for its end
        self.broken = False  # no answer can come any more; its exit will be told
        self.retired = False  # to be ended when it is given back
        self.idle_since = 0.0
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[Exited] = self._loop.create_future()
        self._answer: asyncio.Future[Ending] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._zygote: Zygote | None = None
        self._link: socket.socket | None = None
        self._output = -1
        self._received = bytearray()
        self._log = bytearray()
        self._log_cut = 0

    async def start(self, zygote: Zygote) -> None:
        """Have the process forked. ServiceException where that fails; then nothing is left open."""
        self._zygote = zygote
        self._link, theirs = socket.socketpair()
        with theirs:
            try:
                self._output, writing = os.pipe()
                with os.fdopen(writing, "wb"):
                    self._link.setblocking(False)
                    os.set_blocking(self._output, False)
                    self._loop.add_reader(self._link, self._read_link)
                    self._loop.add_reader(self._output, self.read_output)
                    await zygote.spawn(self, theirs.fileno(), writing)
            except BaseException:
                self._close()
                raise

    def ask(self, frame: bytes, limit_s: float) -> "asyncio.Future[Ending]":
        """Send a frame; the future tells how it ended. It is to be awaited before the next frame is sent."""
        answer = self.wait(limit_s)
        if self._link is not None:
            self._send(memoryview(frame))
        return answer

    def wait(self, limit_s: float) -> "asyncio.Future[Ending]":
        """Go on waiting, after a TimedOut, for the same answer."""
        answer = self._answer = self._loop.create_future()
        if self.exited.done():
            answer.set_result(self.exited.result())
        else:
            self._timer = self._loop.call_later(limit_s, self._settle, TimedOut())
        return answer

    def end(self) -> None:
        """Ask for the end of the process and its children; `exited` tells when it has come."""
        if self.pid and self._zygote is not None and not self.exited.done():
            self._zygote.kill(self.pid)

    def take_log(self) -> bytes:
        """What was written since this was last asked for, the first LOG_BYTES_MAX bytes of it."""
        self.read_output()
        log = bytes(self._log)
        if self._log_cut:
            end = b"" if log.endswith(b"\n") else b"\n"
            log += end + f"[oncue] {self._log_cut} more bytes were cut: {LOG_BYTES_MAX} are kept.\n".encode()
        self._log.clear()
        self._log_cut = 0
        return log

    # What the zygote tells

    def on_spawned(self, pid: int) -> None:
        self.pid = pid

    def on_exit(self, status: int | None, memory_kb: int) -> None:
        """Also an answer that was given just before the end is an answer."""
        for _ in range(DRAIN_READS_MAX):
            if self._link is None or not self._read_link():
                break
        self.read_output()
        self._close()
        ending = Exited(status, memory_kb)
        self.exited.set_result(ending)
        self._settle(ending)
        self._on_gone(self)

    # What the worker sends

    def _read_link(self) -> bool:
        """Whether anything came."""
        assert self._link is not None
        try:
            data = self._link.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:  # it is about to exit, or has closed what it had no business to close
            self._loop.remove_reader(self._link)
            self._break()
            return False
        self._received += data
        self._parse()
        return True

    def _break(self) -> None:
        self.broken = True
        self.end()

    def _parse(self) -> None:
        received = self._received
        if len(received) < frames.SIZES.size:
            return
        head_bytes, body_bytes = frames.SIZES.unpack_from(received)
        if head_bytes > frames.HEAD_BYTES_MAX or body_bytes > BODY_BYTES_MAX:
            self._break()
            return
        start = frames.SIZES.size + head_bytes
        if len(received) < start + body_bytes:
            return
        try:
            head = json.loads(received[frames.SIZES.size : start])
        except ValueError:
            self._break()
            return
        body = bytes(received[start : start + body_bytes])
        received.clear()
        self._settle(Answer(head, body))

    def read_output(self) -> None:
        """Take what the pipe holds now."""
        for _ in range(DRAIN_READS_MAX):
            if self._output < 0:
                return
            try:
                data = os.read(self._output, READ_BYTES)
            except BlockingIOError:
                return
            if not data:  # every writer has closed it
                self._close_output()
                return
            kept = data[: max(0, LOG_BYTES_MAX - len(self._log))]
            self._log += kept
            self._log_cut += len(data) - len(kept)

    def _send(self, rest: memoryview) -> None:
        """As much as the link takes now, the rest when it takes more. Who has gone shows by its exit."""
        assert self._link is not None
        try:
            sent = self._link.send(rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(rest):
            self._loop.add_writer(self._link, self._send_more, rest[sent:])

    def _send_more(self, rest: memoryview) -> None:
        if self._link is not None:
            self._loop.remove_writer(self._link)
            self._send(rest)

    def _settle(self, ending: Ending) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(ending)

    def _close(self) -> None:
        if self._link is not None:
            self._loop.remove_reader(self._link)
            self._loop.remove_writer(self._link)
            self._link.close()
            self._link = None
        self._close_output()

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            with contextlib.suppress(OSError):
                os.close(self._output)
            self._output = -1
