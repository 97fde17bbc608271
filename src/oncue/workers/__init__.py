"""Where functions run: what the pool is told about a function and what it answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from oncue.errors import ServiceError
from oncue.workers.archive import check_archive

__all__ = ["FunctionVersion", "Result", "Settings", "check_archive", "check_runtime"]

RUNTIMES = tuple(f"python3.{minor}" for minor in range(10, 16))
RUNTIME = re.compile(r"python3\.(\d+)")


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """One version of a function, as far as running it is concerned."""

    arn: str  # unqualified
    name: str
    version: str  # "$LATEST" or a number
    revision: str  # changes with code and configuration; workers of another revision are ended when idle
    runtime: str  # one of RUNTIMES; all run on the installed interpreter
    handler: str
    code_sha256: str  # what the code was installed as
    environment: Mapping[str, str]  # the user's variables
    memory_mb: int
    timeout_s: int
    account: str
    region: str
    log_group: str


@dataclass(frozen=True, slots=True)
class Result:
    """How one invocation ended. `payload` is JSON text; bytes that a handler returned are passed on."""

    payload: bytes  # the result, or {errorMessage, errorType[, requestId, stackTrace]}
    error: str | None  # None or "Unhandled"
    log: bytes  # with the lines INIT_START (cold start), START, END and REPORT
    log_stream: str  # YYYY/MM/DD/[version]<32 hexadecimal digits>, one per worker
    duration_ms: float
    billed_ms: int
    init_ms: float | None  # of a cold start
    memory_used_mb: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pool needs to know about the node."""

    data_dir: Path  # code is unpacked and temporary files are kept below it
    endpoint_url: Callable[[], str]  # becomes AWS_ENDPOINT_URL; called when a worker is started
    access_key: Callable[[str], str]  # of an account
    secret_key: Callable[[str], str]
    idle_s: float = 300.0  # a worker without work ends after this time
    workers_max: int = 64  # processes on this node


def check_runtime(runtime: str) -> None:
    """InvalidParameterValueException unless functions of this runtime can be run."""
    if runtime not in RUNTIMES:
        supported = ", ".join(RUNTIMES)
        raise ServiceError(
            "InvalidParameterValueException",
            f"Oncue does not run the runtime {runtime}. Supported runtimes: {supported}.",
        )


def minor_of(runtime: str) -> int:
    """12 of `python3.12`."""
    match = RUNTIME.fullmatch(runtime)
    assert match is not None, runtime
    return int(match[1])
