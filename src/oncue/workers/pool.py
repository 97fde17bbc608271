"""Leases workers to invocations: warm ones first, then new ones; a fair queue when all are busy."""

import asyncio
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from oncue import clock
from oncue.errors import ServiceError
from oncue.workers import FunctionVersion, Result, Settings, minor_of, report, variables
from oncue.workers.codes import Codes
from oncue.workers.guest import frames
from oncue.workers.guest.encoding import RESPONSE_BYTES_MAX
from oncue.workers.report import Failure, Invocation
from oncue.workers.worker import Answer, Ending, TimedOut, Worker
from oncue.workers.zygote import Zygote, gone, provided_folders

EVENT_BYTES_MAX = 6_291_456
INIT_S = 10.0  # for importing the function; after it the function's own timeout begins
END_S = 5.0  # a killed process that is not gone by then is in the kernel's hands; nobody waits longer
WAITING_MAX = 10_000  # invocations that wait for a worker
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """Processes (busy, idle and ending ones), those without work, and invocations that wait for a process."""

    workers: int
    idle: int
    waiting: int


class Pool:
    """All function processes of one node. To be used on the event loop that `start` was called on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codes = Codes(settings.data_dir)
        self._temporary = settings.data_dir.resolve() / "tmp"
        self._folders: list[str] = []
        self._zygotes: dict[bool, Zygote] = {}  # warm or not
        self._alive = 0  # slots taken: processes, and leases that are about to start one
        self._dying = 0
        self._idle: dict[Worker, None] = {}  # longest idle first
        self._stacks: dict[Key, list[Worker]] = {}  # the same, by key; last used last
        self._busy: set[Worker] = set()
        self._revisions: dict[Key, str] = {}
        self._waiting: deque[tuple[asyncio.Future[Worker], FunctionVersion]] = deque()
        self._running: set[asyncio.Task[Result]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._stopping = False

    async def start(self) -> None:
        """Ready to run. Nothing is loaded until there is something to run: see `warm`."""
        self._loop = asyncio.get_running_loop()
        await self._codes.start()
        await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)
        self._folders = await asyncio.to_thread(provided_folders)

    def warm(self) -> None:
        """Begin loading the zygote: a fraction of a second, for which only a first invocation waits."""
        if not self._stopping:
            self._zygote(warm=True)

    async def stop(self) -> None:
        """End all workers and zygotes. Invocations that still run are answered by ServiceException."""
        self._stopping = True
        if self._sweep is not None:
            self._sweep.cancel()
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(gone())
        self._waiting.clear()
        await asyncio.gather(*(zygote.stop() for zygote in self._zygotes.values()))
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    def has(self, code_sha256: str) -> bool:
        """Whether `install` is not needed."""
        return self._codes.has(code_sha256)

    async def install(self, code_sha256: str, archive: bytes) -> None:
        """Unpack a deployment package. InvalidParameterValueException where check_archive refuses it."""
        await self._codes.install(code_sha256, archive)

    async def invoke(
        self,
        version: FunctionVersion,
        event: bytes,
        *,
        request_id: str,
        invoked_arn: str,
        client_context: bytes | None = None,
        trace_id: str | None = None,
    ) -> Result:
        """Run one event; the function's code must be installed. Function errors are results, not exceptions.

        A caller that is cancelled while it waits for a worker leaves the queue. Once a worker is leased the
        invocation goes on to its end without its caller, as on AWS, and the worker is used again.
        RequestTooLargeException, TooManyRequestsException (more than WAITING_MAX wait), ServiceException (the
        server stops, or the process is lost with the zygote: whether the function ran is not known).
        """
        if len(event) > EVENT_BYTES_MAX:
            text = f"{len(event)} byte payload is too large for the RequestResponse invocation type"
            raise ServiceError("RequestTooLargeException", f"{text} (limit {EVENT_BYTES_MAX} bytes)", 413)
        assert self.has(version.code_sha256), f"the code of {version.arn} is not installed"
        head: dict[str, object] = {
            "request_id": request_id,
            "invoked_arn": invoked_arn,
            "client_context": None if client_context is None else client_context.decode(errors="replace"),
            "trace_id": trace_id or _new_trace_id(),
        }
        worker = await self._lease(version)
        task = self._loop.create_task(self._perform(worker, version, head, event or b"{}"))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def retire(self, arn: str) -> None:
        """The function is gone: end its workers, the busy ones when they have finished."""
        ending = [worker for worker in self._idle if worker.key[0] == arn]
        for worker in self._busy:
            worker.retired = worker.retired or worker.key[0] == arn
        for key in [key for key in self._revisions if key[0] == arn]:
            del self._revisions[key]
        for worker in ending:
            self._end(worker)
        if ending:
            await asyncio.wait([worker.exited for worker in ending], timeout=END_S)

    def counts(self) -> Counts:
        return Counts(self._alive, len(self._idle), len(self._waiting))

    # One invocation

    async def _perform(
        self, worker: Worker, version: FunctionVersion, head: dict[str, object], event: bytes
    ) -> Result:
        invocation = Invocation(version, str(head["request_id"]), worker.log_stream)
        try:
            ending: Ending | None = None
            if not worker.pid:
                ending = await self._begin(worker, invocation)
                invocation.log_stream = worker.log_stream
            if ending is None:
                head["deadline_ms"] = int((clock.now() + version.timeout_s) * 1000)
                began = clock.monotonic()
                ending = await worker.ask(frames.pack(head, event), version.timeout_s)
                invocation.duration_ms = (clock.monotonic() - began) * 1000
            return await self._conclude(worker, invocation, ending)
        finally:
            self._give_back(worker)

    async def _begin(self, worker: Worker, invocation: Invocation) -> Ending | None:
        """Start the process and import the function: how that ended, or None when it awaits an event."""
        version = invocation.version
        root = self._codes.root(version.code_sha256)
        day = clock.as_datetime(clock.now()).strftime("%Y/%m/%d")
        worker.log_stream = f"{day}/[{version.version}]{clock.token(16)}"
        worker.temporary = self._temporary / worker.log_stream[-32:]
        configuration = {
            "environment": variables.of_worker(
                version, self._settings, root=root, temporary=worker.temporary, log_stream=worker.log_stream
            ),
            "root": str(root),
            "handler": version.handler,
            "minor": minor_of(version.runtime),
            "memory_mb": version.memory_mb,
        }
        zygote = await self._zygote_for(version)
        began = clock.monotonic()
        await worker.start(zygote)
        ending = await worker.ask(frames.pack(configuration), INIT_S)
        invocation.init_ms = (clock.monotonic() - began) * 1000
        if isinstance(ending, TimedOut):
            invocation.init_timed_out = True
            began = clock.monotonic()
            ending = await worker.wait(version.timeout_s)
            invocation.duration_ms = (clock.monotonic() - began) * 1000
        invocation.init_log = worker.take_log()
        return None if isinstance(ending, Answer) and "error" not in ending.head else ending

    async def _conclude(self, worker: Worker, invocation: Invocation, ending: Ending) -> Result:
        """The result; a worker that is not fit for another event has ended when this returns."""
        version, request_id = invocation.version, invocation.request_id
        failure: Failure | None = None
        error: str | None = None
        payload = b""
        if isinstance(ending, Answer):
            invocation.memory_kb = ending.head.get("memory_kb", 0)
            payload, error = ending.body, ending.head.get("error")
            if ending.head.get("out_of_memory"):
                failure = report.out_of_memory(request_id)
            if failure is not None or "init" in ending.head:
                await self._see_off(worker, invocation)
            if ending.head.get("too_large") or (error is None and len(payload) > RESPONSE_BYTES_MAX):
                failure = report.response_too_large()
        elif isinstance(ending, TimedOut):
            invocation.duration_ms = version.timeout_s * 1000.0
            failure = report.timed_out(request_id, version.timeout_s)
            await self._see_off(worker, invocation)
        else:
            if ending.status is None:
                raise gone()
            invocation.memory_kb = ending.memory_kb
            failure = report.exited(request_id, ending.status)
        return invocation.result(worker.take_log(), payload, error, failure)

    async def _see_off(self, worker: Worker, invocation: Invocation) -> None:
        self._end(worker)
        await asyncio.wait([worker.exited], timeout=END_S)
        if worker.exited.done():
            invocation.memory_kb = max(invocation.memory_kb, worker.exited.result().memory_kb)

    # Zygotes

    def _zygote(self, *, warm: bool) -> Zygote:
        """The warm one has boto3 loaded; the bare one, for functions that bring their own, starts late."""
        zygote = self._zygotes.get(warm)
        if zygote is None or not zygote.alive:
            if self._stopping:
                raise gone()
            zygote = self._zygotes[warm] = Zygote(warm=warm, folders=self._folders)
        return zygote

    async def _zygote_for(self, version: FunctionVersion) -> Zygote:
        warm = self._zygote(warm=True)
        loaded = await asyncio.shield(warm.ready)
        if loaded.isdisjoint(self._codes.names(version.code_sha256)):
            return warm
        return self._zygote(warm=False)

    # Leases

    async def _lease(self, version: FunctionVersion) -> Worker:
        """An idle worker of this revision, or one yet to be started, as soon as there is room for it."""
        if self._stopping:
            raise gone()
        key = (version.arn, version.version)
        if self._revisions.get(key) != version.revision:
            self._revisions[key] = version.revision
            for worker in list(self._stacks.get(key, ())):
                self._end(worker)
        leased = self._take(version) if not self._waiting or self._stacks.get(key) else None
        if leased is not None:
            return leased
        if len(self._waiting) >= WAITING_MAX:
            raise ServiceError(
                "TooManyRequestsException",
                "Rate Exceeded.",
                429,
                Reason="ConcurrentInvocationLimitExceeded",
                Type="User",
            )
        future: asyncio.Future[Worker] = self._loop.create_future()
        self._waiting.append((future, version))
        self._grant()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result())
            else:
                self._waiting = deque(entry for entry in self._waiting if entry[0] is not future)
            raise

    def _take(self, version: FunctionVersion) -> Worker | None:
        key = (version.arn, version.version)
        worker = next((worker for worker in reversed(self._stacks.get(key, ())) if not worker.broken), None)
        if worker is not None:
            self._leave_idle(worker)
        elif self._alive < self._settings.workers_max:
            self._alive += 1
            worker = Worker(key, version.revision, self._on_gone)
        else:
            return None
        self._busy.add(worker)
        return worker

    def _grant(self) -> None:
        """Serve those who wait, first come first served; end the longest idle workers to make room."""
        while self._waiting:
            future, version = self._waiting[0]
            if not future.done():
                worker = self._take(version)
                if worker is None:
                    break
                future.set_result(worker)
            self._waiting.popleft()
        while self._idle and self._dying < len(self._waiting):
            self._end(next(iter(self._idle)))

    def _give_back(self, worker: Worker) -> None:
        """The lease is over: the worker waits for its next event, or ends."""
        self._busy.discard(worker)
        if not worker.pid:  # it was never started
            self._alive -= 1
        elif not worker.exited.done() and not worker.dying and not worker.broken:
            if worker.retired or self._stopping or self._revisions.get(worker.key) != worker.revision:
                self._end(worker)
            else:
                worker.idle_since = self._loop.time()
                self._idle[worker] = None
                self._stacks.setdefault(worker.key, []).append(worker)
                self._arm()
        self._grant()

    def _leave_idle(self, worker: Worker) -> None:
        if worker in self._idle:
            del self._idle[worker]
            stack = self._stacks[worker.key]
            stack.remove(worker)
            if not stack:
                del self._stacks[worker.key]

    def _end(self, worker: Worker) -> None:
        self._leave_idle(worker)
        if not worker.dying and not worker.exited.done():
            self._dying += 1
            worker.dying = True
            worker.end()

    def _on_gone(self, worker: Worker) -> None:
        """The process has ended: its slot is free."""
        self._leave_idle(worker)
        self._alive -= 1
        if worker.dying:
            self._dying -= 1
        if not self._stopping:
            self._loop.run_in_executor(None, _remove, worker.temporary)
            self._grant()

    def _arm(self) -> None:
        """One timer, for the worker that has been idle longest."""
        if self._sweep is None and self._idle and not self._stopping:
            first = next(iter(self._idle))
            self._sweep = self._loop.call_at(first.idle_since + self._settings.idle_s, self._end_idle)

    def _end_idle(self) -> None:
        self._sweep = None
        over = self._loop.time() - self._settings.idle_s
        for worker in [worker for worker in self._idle if worker.idle_since <= over]:
            self._end(worker)
        self._arm()


def _new_trace_id() -> str:
    return f"Root=1-{int(clock.now()):08x}-{clock.token(12)};Parent={clock.token(8)};Sampled=0"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
