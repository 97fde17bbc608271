"""What every service is made of: a class that mirrors its boto3 client, called with a Call."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec

from oncue import clock
from oncue.errors import ServiceError
from oncue.store import Store, Transaction, calls

T = TypeVar("T")
Method = Callable[..., Any]
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(operation: str) -> str:
    """`ListQueueTags` -> `list_queue_tags`, as boto3 names its methods."""
    return HUMP.sub("_", operation).lower()


def reads_only(method: Method) -> Method:
    """Marks an operation that changes nothing: it runs on a reader's connection, beside the writers."""
    method.reads_only = True  # type: ignore[attr-defined]
    return method


def waits(method: Method) -> Method:
    """Marks an async operation that does nothing but wait for something: it is cancelled when its client
    goes."""
    method.waits = True  # type: ignore[attr-defined]
    return method


def unsigned(method: Method) -> Method:
    """Marks an operation that a link performs: whoever visits it has no key, and needs none."""
    method.unsigned = True  # type: ignore[attr-defined]
    return method


def repeatable(method: Method) -> Method:
    """Marks an operation that may be performed again when its client repeats the call: the second time has
    no effect of its own."""
    method.repeatable = True  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call as its client counts: an SDK sends the same id with each attempt. `repeated` unless this is
    known to be the first."""

    id: str
    repeated: bool


class _PerformedMeanwhile(Exception):
    """Another attempt at the same call was committed while this one was under way."""


class Service:
    """Subclasses define one method per operation: boto3's name, AWS's parameter names, a dict as the reply.

    A plain method runs inside one transaction (`call.tx`, `call.now`). An `async` method may wait; it opens
    its own transactions with `call.transact`. A name with a leading underscore is never an operation.
    """

    name: ClassVar[str]  # as in boto3.client(name)
    refusal: ClassVar[str] = "ValidationException"  # the code for a parameter that we do not support

    def operation(self, name: str) -> Method | None:
        """The method for an operation's name in the model, or None where we do not offer it."""
        method = getattr(self, snake_case(name), None)
        return method if callable(method) and name[:1].isupper() else None

    async def start(self, call: "Call") -> None:
        """Begin what goes on in the background. `call` speaks for the server itself; see Call.on_behalf."""

    async def stop(self) -> None:
        """End it: nothing new is taken, what runs is finished or given back."""


class Call:
    """A request being performed: who asks, when, and the way to everything else.

    `call.sqs.send_message(...)` performs another service's operation; inside a plain method that happens in
    the same transaction. An async operation of another service is awaited and must not be called with a
    `tx` open.
    """

    __slots__ = (
        "account",
        "base_url",
        "invocation",
        "now",
        "region",
        "request_id",
        "services",
        "store",
        "trace",
        "tx",
    )

    tx: Transaction
    now: float

    def __init__(
        self,
        account: str,
        region: str,
        services: Mapping[str, Service],
        store: Store,
        *,
        base_url: str = "",
        request_id: str = "",
        trace: str = "",
        invocation: Invocation | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self.services = services
        self.store = store
        self.base_url = base_url  # scheme and authority by which the client reached us, no trailing slash
        self.request_id = request_id or clock.new_id()
        self.trace = trace  # the request's X-Amzn-Trace-Id, handed on with what follows from it
        self.invocation = invocation  # set where a repeated call is to be answered, not performed again

    def __getattr__(self, name: str) -> Any:
        service = self.services.get(name.rstrip("_"))
        if service is None:
            raise AttributeError(f"{name}: no such service, or no transaction is open")
        return _Mirror(self, service)

    def on_behalf(self, account: str, region: str) -> "Call":
        """The same way in for another owner: background work acts for the account whose row it carries
        out."""
        return Call(account, region, self.services, self.store, base_url=self.base_url)

    async def perform(self, method: Method, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Run one operation with its parameters, refusing aloud those that it does not declare. A plain one
        that changes something has its effect once for each invocation."""
        refuse_undeclared(method, parameters)
        if inspect.iscoroutinefunction(method):
            return await method(self, **parameters) or {}
        reads = getattr(method, "reads_only", False)
        if self.invocation is None or reads or getattr(method, "repeatable", False):
            return await self.transact(lambda call: method(call, **parameters), reads_only=reads) or {}
        return await self._perform_once(self.invocation, method, parameters)

    async def _perform_once(
        self, invocation: Invocation, method: Method, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        slots = calls.SHARED if self.store.shared else calls.ALONE
        key = calls.Key.of(self.account, f"{self.region}|{method.__qualname__}", invocation.id)

        def perform(call: Call, repeated: bool, keep: bool) -> dict[str, Any]:
            if repeated and (known := calls.find(call.tx, slots, key, call.now)) is not None:
                return msgspec.msgpack.decode(known, type=dict[str, Any])
            reply: dict[str, Any] = method(call, **parameters) or {}
            packed = msgspec.msgpack.encode(reply)
            if keep and not calls.keep(call.tx, slots, key, packed, call.now, repeated=repeated):
                raise _PerformedMeanwhile
            return reply

        try:
            return await self.transact(lambda call: perform(call, invocation.repeated, True))
        except _PerformedMeanwhile:
            return await self.transact(lambda call: perform(call, True, False))

    async def transact(
        self, function: Callable[["Call"], T], *, reads_only: bool = False, durable: bool = True
    ) -> T:
        """Run `function` with a call that has its own transaction and that transaction's own time."""

        def run(tx: Transaction) -> T:
            inner = Call(
                self.account,
                self.region,
                self.services,
                self.store,
                base_url=self.base_url,
                request_id=self.request_id,
                trace=self.trace,
            )
            inner.tx = tx
            inner.now = clock.now()
            return function(inner)

        return await self.store.transact(run, reads_only=reads_only, durable=durable)


class _Mirror:
    """Another service seen from inside a call."""

    __slots__ = ("_call", "_service")

    def __init__(self, call: Call, service: Service) -> None:
        self._call = call
        self._service = service

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._service, operation)

        def perform(**parameters: Any) -> Any:
            refuse_undeclared(method, parameters)
            return method(self._call, **parameters)

        return perform


@cache
def declared(function: Method) -> frozenset[str]:
    """The keyword parameters of an operation's method: its coverage."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


@cache
def _takes_any(function: Method) -> bool:
    kinds = {one.kind for one in inspect.signature(function).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def refuse_undeclared(method: Method, parameters: Mapping[str, Any]) -> None:
    function = getattr(method, "__func__", method)
    extra = parameters.keys() - declared(function)
    if extra and not _takes_any(function):
        code = getattr(getattr(method, "__self__", None), "refusal", Service.refusal)
        names = ", ".join(sorted(extra))
        raise ServiceError(code, f"Oncue does not support the parameter {names} of this operation.")
