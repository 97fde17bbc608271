"""A process that forks workers on request, tells how they ended, and leaves none behind."""

import contextlib
import json
import os
import select
import signal
import site
import socket
import traceback
from typing import Any

from . import process, warm, worker

MESSAGE_BYTES_MAX = 4_096
DRAIN_BYTES = 4_096


class Zygote:
    """Single-threaded. Messages in: {"spawn": id} with two descriptors, {"kill": pid}; end of file: end.

    Out: {"ready": [modules]}, {"spawned": id, "pid" or "error"}, {"exited": pid, "status", "memory_kb"}.
    """

    def __init__(self, control: socket.socket, started_with: frozenset[str]) -> None:
        self._control = control
        self._started_with = started_with
        self._workers: set[int] = set()
        self._ending = False
        self._wake, self._waker = socket.socketpair()

    def run(self) -> None:
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._end)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            while not self._ending:
                ready = {fd for fd, _ in poll.poll()}
                if self._wake.fileno() in ready:
                    self._wake.recv(DRAIN_BYTES)
                    self._reap()
                if self._control.fileno() in ready:
                    self._obey()
        finally:
            self._end_all()

    def tell(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:  # the server has gone
            self._ending = True

    def _end(self, number: int, frame: object) -> None:
        self._ending = True

    def _obey(self) -> None:
        try:
            text, fds, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES_MAX, 2)
        except ConnectionError:
            text, fds = b"", []
        if not text:
            self._ending = True
            return
        message = json.loads(text)
        if "spawn" in message:
            self._spawn(message["spawn"], fds)
        elif message["kill"] in self._workers:
            _kill(message["kill"])

    def _spawn(self, number: int, fds: list[int]) -> None:
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self.tell({"spawned": number, "error": str(error)})
            pid = -1
        if pid == 0:
            self._become_worker(zygote, *fds)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._workers.add(pid)
            self.tell({"spawned": number, "pid": pid})

    def _become_worker(self, zygote: int, link: int, output: int) -> None:
        """In the child: let go of everything that is the zygote's, then serve events. Never returns."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()  # a group of its own, so that its children can be ended with it
            process.end_with(zygote, signal.SIGKILL)
            process.adopt_orphans()
            process.gain_no_privileges()
            for end in (self._control, self._wake, self._waker):
                end.close()
            worker.run(link, output, self._started_with)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(worker.FAILED)

    def _reap(self) -> None:
        """Tell of every worker that ended; whatever it left running has become our child: end that too."""
        while (ended := _ended()) is not None:
            if ended in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(ended, signal.SIGKILL)  # its pid cannot be reused before it is reaped
            _, status, usage = os.wait4(ended, 0)
            if ended in self._workers:
                self._workers.discard(ended)
                code = os.waitstatus_to_exitcode(status)
                self.tell({"exited": ended, "status": code, "memory_kb": usage.ru_maxrss})
            self._end_strays()

    def _end_strays(self) -> None:
        for pid in process.children():
            if pid not in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in self._workers:
            _kill(pid)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, _ = os.waitpid(-1, 0)
                self._workers.discard(pid)
                self._end_strays()


def _ended() -> int | None:
    """A child that has ended and waits to be reaped."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None and found.si_pid else None


def _kill(pid: int) -> None:
    """The worker and its group; right after the fork there is no group yet."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def main(arguments: list[str], started_with: frozenset[str]) -> None:
    """`arguments`: path, descriptor of the control socket, pid of the server, warm or bare, folders."""
    control = socket.socket(fileno=int(arguments[1]))
    control.set_inheritable(False)
    process.end_with(int(arguments[2]), signal.SIGTERM)
    process.adopt_orphans()
    site.setquit()  # exit() and help(), as scripts expect them; the interpreter was started without `site`
    site.sethelper()
    site.setcopyright()
    warm.provide(arguments[4:])
    if arguments[3] == "warm":
        warm.load()
    zygote = Zygote(control, started_with)
    warm.freeze()
    zygote.tell({"ready": sorted(worker.loaded() - started_with)})
    zygote.run()
