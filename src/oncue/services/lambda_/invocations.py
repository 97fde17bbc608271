"""Running a function: which code, whether there is room, and what the caller is told."""

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.lambda_ import functions
from oncue.services.lambda_.journal import Journal, Stream
from oncue.services.lambda_.names import LATEST, FunctionName
from oncue.store import blobs
from oncue.workers import FunctionVersion, Result
from oncue.workers.pool import Pool

SYNC_BYTES_MAX = 6_291_456
ASYNC_BYTES_MAX = 1_048_576
LOG_TAIL_BYTES = 4_096
CONTEXT_BYTES_MAX = 3_583
RETRY_AFTER_S = 1
LOOK_EVERY_S = 600.0  # for deleted functions, beside the bell
ROOM_UNRESERVED = 1_000  # AWS's account limit: no bound of its own

log = logging.getLogger("oncue.lambda")


@dataclass(frozen=True, slots=True)
class Target:
    """A function version as it is stored now, and how many invocations its function may have at once."""

    version: FunctionVersion
    reserved: int | None
    dead_letters: str | None  # ARN of a queue


def target_of(call: Call, name: FunctionName) -> Target:
    row = functions.load(call, name)
    latest = row if row["version"] == LATEST else functions.load_latest(call, name)
    settings = msgspec.json.decode(row["settings"])
    version = FunctionVersion(
        arn=name.arn,
        name=row["name"],
        version=row["version"],
        revision=row["revision"],
        runtime=settings["Runtime"],
        handler=settings["Handler"],
        code_sha256=row["code_sha256"],
        environment=settings.get("Environment", {}).get("Variables", {}),
        memory_mb=settings["MemorySize"],
        timeout_s=settings["Timeout"],
        account=row["account"],
        region=row["region"],
        log_group=settings["LoggingConfig"]["LogGroup"],
    )
    return Target(version, latest["reserved"], settings.get("DeadLetterConfig", {}).get("TargetArn"))


class Invoker:
    """The one way by which a function runs on this node, whoever asks."""

    def __init__(self, pool: Pool, journal: Journal) -> None:
        self._pool = pool
        self._journal = journal
        self._running: Counter[tuple[str, str, str]] = Counter()
        self._known: set[str] = set()  # ARNs of functions that have run here
        self._looking: asyncio.Task[None] | None = None

    def start(self, call: Call) -> None:
        self._looking = asyncio.create_task(self._look(call), name="lambda functions")

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self, call: Call) -> None:
        """Load the runtime when there is a function to run; end the workers of those that were deleted, on
        this node or on another."""
        with call.store.listen(functions.CHANGED_TOPIC) as bell:
            while True:
                try:
                    if await call.transact(functions.any_at_all, reads_only=True):
                        self._pool.warm()
                    await self._retire(call)
                except Exception:
                    log.exception("the functions could not be looked through; trying again")
                await bell.wait(LOOK_EVERY_S)

    async def _retire(self, call: Call) -> None:
        known = frozenset(self._known)
        gone = known - await call.transact(functions.existing, reads_only=True) if known else known
        for arn in gone:
            self._known.discard(arn)
            await self._pool.retire(arn)

    async def invoke(
        self,
        call: Call,
        name: FunctionName,
        event: bytes,
        *,
        request_id: str,
        client_context: bytes | None = None,
    ) -> tuple[Target, Result]:
        """ServiceError when it cannot run; a function's own failure is a Result with an error."""
        target = await self.find(call, name)
        with self.turn(target):
            result = await self.run(
                call, name, target, event, request_id=request_id, client_context=client_context
            )
        return target, result

    async def find(self, call: Call, name: FunctionName) -> Target:
        return await call.transact(lambda inner: target_of(inner, name), reads_only=True)

    async def run(
        self,
        call: Call,
        name: FunctionName,
        target: Target,
        event: bytes,
        *,
        request_id: str,
        client_context: bytes | None = None,
    ) -> Result:
        """Run it now, for a caller who holds a turn."""
        version = target.version
        self._known.add(version.arn)
        if not self._pool.has(version.code_sha256):
            archive = await call.transact(
                lambda inner: blobs.get(inner.tx, version.code_sha256), reads_only=True
            )
            assert archive is not None, "a function's code is stored with it"
            await self._pool.install(version.code_sha256, archive)
        result = await self._pool.invoke(
            version,
            event,
            request_id=request_id,
            invoked_arn=name.asked_arn,
            client_context=client_context,
        )
        if result.log:
            stream = Stream(version.account, version.region, version.log_group, result.log_stream)
            await self._journal.add(stream, result.log, int(clock.now() * 1000))
        return result

    def room(self, target: Target) -> int:
        """How many more invocations of the function may begin on this node."""
        if target.reserved is None:
            return ROOM_UNRESERVED
        return target.reserved - self._running[_key(target.version)]

    @contextmanager
    def turn(self, target: Target) -> Iterator[None]:
        """One of the function's invocations, for as long as it is entered. ServiceError when there is none
        left."""
        key = _key(target.version)
        if target.reserved is not None and self._running[key] >= target.reserved:
            raise throttled()
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]


def _key(version: FunctionVersion) -> tuple[str, str, str]:
    return version.account, version.region, version.name


def throttled() -> ServiceError:
    return ServiceError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        429,
        Type="User",
        Reason="ReservedFunctionConcurrentInvocationLimitExceeded",
        retryAfterSeconds=str(RETRY_AFTER_S),
    )


def checked_event(payload: bytes, kind: str) -> bytes:
    """The event of a request; nothing is an empty object. ServiceError when it is too large or not JSON."""
    limit = ASYNC_BYTES_MAX if kind == "Event" else SYNC_BYTES_MAX
    if len(payload) > limit:
        raise ServiceError(
            "RequestTooLargeException",
            f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
            413,
            Type="User",
        )
    if not payload:
        return b"{}"
    try:
        msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            400,
            Type="User",
        ) from None
    return payload


def checked_context(context: str | None) -> bytes | None:
    """The client context as JSON text."""
    if not context:
        return None
    try:
        text = base64.b64decode(context, validate=True)
        msgspec.json.decode(text)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise ServiceError(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
            400,
        ) from None
    if len(context) > CONTEXT_BYTES_MAX:
        raise ServiceError(
            "RequestTooLargeException", f"Client context must be at most {CONTEXT_BYTES_MAX} bytes.", 413
        )
    return text


def reply(target: Target, result: Result, *, tail: bool) -> dict[str, Any]:
    return {
        "StatusCode": 200,
        "Payload": result.payload,
        "FunctionError": result.error,
        "LogResult": base64.b64encode(result.log[-LOG_TAIL_BYTES:]).decode() if tail else None,
        "ExecutedVersion": target.version.version,
    }
