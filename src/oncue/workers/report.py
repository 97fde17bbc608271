"""What an invocation leaves behind: its payload where the runtime could not give one, its log lines. Pure."""

import json
import math
import platform
import signal
from dataclasses import dataclass

from oncue import clock
from oncue.workers import FunctionVersion, Result, minor_of
from oncue.workers.guest.encoding import RESPONSE_BYTES_MAX

INSTALLED = platform.python_version()
SIGNALS: dict[int, str] = {  # as AWS's supervisor, written in Go, names them
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An end that the function's own process could not report."""

    kind: str  # errorType
    message: str  # errorMessage
    line: str  # for the log, without its line end
    status: str  # of the REPORT line: error or timeout

    @property
    def payload(self) -> bytes:
        return json.dumps({"errorType": self.kind, "errorMessage": self.message}).encode()


def timed_out(request_id: str, timeout_s: int) -> Failure:
    text = f"Task timed out after {timeout_s:.2f} seconds"
    line = f"{clock.iso_ms(clock.now())} {request_id} {text}"
    return Failure("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}", line, "timeout")


def exited(request_id: str, status: int) -> Failure:
    """`status` as in subprocess: negative is the number of a signal."""
    if status == 0:
        text = "Runtime exited without providing a reason"
    elif status > 0:
        text = f"Runtime exited with error: exit status {status}"
    else:
        text = f"Runtime exited with error: signal: {SIGNALS.get(-status, f'signal {-status}')}"
    return _ended("Runtime.ExitError", request_id, text)


def out_of_memory(request_id: str) -> Failure:
    return _ended("Runtime.OutOfMemory", request_id, "Runtime exited with error: signal: killed")


def response_too_large() -> Failure:
    text = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
    line = "[ERROR] LAMBDA_RUNTIME Failed to post handler success response. Http response code: 413."
    return Failure("Function.ResponseSizeTooLarge", text, line, "error")


def _ended(kind: str, request_id: str, text: str) -> Failure:
    message = f"RequestId: {request_id} Error: {text}"
    return Failure(kind, message, f"{message}\n{kind}", "error")


@dataclass(slots=True)
class Invocation:
    """What is gathered while one event is handled."""

    version: FunctionVersion
    request_id: str
    log_stream: str
    init_ms: float | None = None
    init_log: bytes = b""
    init_timed_out: bool = False
    duration_ms: float = 0.0
    memory_kb: int = 0

    def result(self, log: bytes, payload: bytes, error: str | None, failure: Failure | None) -> Result:
        """`error`: the errorType that the runtime reported; `failure`: what happened to it instead."""
        version, memory_mb = self.version, self.version.memory_mb
        used_mb = min(
            math.ceil(self.memory_kb / 1024), memory_mb
        )  # the runtime's own share may exceed the size
        if failure is not None:
            payload, error = failure.payload, failure.kind
            used_mb = memory_mb if error == "Runtime.OutOfMemory" else used_mb
            log = b"".join(_lines(log)) + f"{failure.line}\n\n".encode()
        billed_ms = math.ceil(self.duration_ms + (self.init_ms or 0.0))
        init = "" if self.init_ms is None else f"Init Duration: {self.init_ms:.2f} ms\t"
        status = ""
        if failure is not None and failure.status == "timeout":
            status = "Status: timeout\t"
        elif error is not None and (failure is not None or error.startswith("Runtime.")):
            status = f"Status: error\tError Type: {error}\t"
        report = (
            f"REPORT RequestId: {self.request_id}\tDuration: {self.duration_ms:.2f} ms\t"
            f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_mb} MB\t"
            f"Max Memory Used: {used_mb} MB\t{init}{status}\n"
        )
        start = f"START RequestId: {self.request_id} Version: {version.version}\n"
        end = f"END RequestId: {self.request_id}\n"
        pieces = [*self._before(), start.encode(), *_lines(log), end.encode(), report.encode()]
        return Result(
            payload=payload,
            error=None if error is None else "Unhandled",
            log=b"".join(pieces),
            log_stream=self.log_stream,
            duration_ms=self.duration_ms,
            billed_ms=billed_ms,
            init_ms=self.init_ms,
            memory_used_mb=used_mb,
        )

    def _before(self) -> list[bytes]:
        if self.init_ms is None:
            return []
        report = ""
        if self.init_timed_out:
            report = f"INIT_REPORT Init Duration: {self.init_ms:.2f} ms\tPhase: init\tStatus: timeout\n"
        return [init_start(self.version.runtime).encode(), *_lines(self.init_log), report.encode()]


def init_start(runtime: str) -> str:
    """Says so where the function runs on another Python than it asked for."""
    note = ""
    if minor_of(runtime) != int(INSTALLED.split(".")[1]):
        note = f"\tNote: {runtime} was asked for; Oncue runs it on the installed Python {INSTALLED}"
    return f"INIT_START Runtime Version: python:{INSTALLED}{note}\n"


def _lines(log: bytes) -> list[bytes]:
    """The output with a line end at its end."""
    return [log] if not log or log.endswith(b"\n") else [log, b"\n"]
