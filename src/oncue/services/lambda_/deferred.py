"""Asynchronous invocations: rows of the backlog, run in the background until they succeed or are given up.

Rules: the Lambda Developer Guide, "Asynchronous invocation": an error is tried again after one and after two
minutes; what is throttled waits longer and longer, for at most six hours.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.lambda_ import functions, invocations, names
from oncue.services.lambda_.invocations import Invoker
from oncue.store import backlog
from oncue.workers import Result

LANE = "lambda/async"
RETRY_AFTER_S = (60.0, 120.0)
AGE_S_MAX = 21_600
THROTTLE_S_MAX = 300.0
CLAIMS_MAX = 20  # of one row: whoever kills its node that often is given up
CLAIM_S = 30.0  # renewed while the function runs
RENEW_EVERY_S = 10.0
POLL_S = 30.0
RUNNING_MAX = 64
GIVE_BACK_AFTER_S = 5.0  # a stopping node waits so long for what runs
PAUSE_S = 1.0
ERROR_MESSAGE_CHARACTERS_MAX = 1_024
TOO_MANY_CLAIMS = "it has been taken too often without an end"
Settle = Callable[[Call], str | None]  # ends an attempt in one transaction; says why an event was given up
log = logging.getLogger("oncue.lambda")


class Event(msgspec.Struct, array_like=True):
    """The body of a row. `errors` and `throttles` count what happened to it before."""

    account: str
    region: str
    name: str
    qualifier: str | None
    request_id: str
    accepted_at: float
    payload: bytes
    client_context: bytes | None = None
    errors: int = 0
    throttles: int = 0

    @property
    def function(self) -> names.FunctionName:
        return names.FunctionName(self.account, self.region, self.name, self.qualifier)


def accept(call: Call, name: names.FunctionName, payload: bytes, client_context: bytes | None = None) -> None:
    """Store an event for a function that exists; when this is committed it will run."""
    functions.load(call, name)
    event = Event(
        name.account,
        name.region,
        name.name,
        name.qualifier,
        call.request_id,
        call.now,
        payload,
        client_context,
    )
    backlog.put(call.tx, LANE, msgspec.msgpack.encode(event), now=call.now)


class Runner:
    """One per node: takes due events and runs them, a bounded number at a time."""

    def __init__(self, invoker: Invoker, retry_after_s: Sequence[float] = RETRY_AFTER_S) -> None:
        self._invoker = invoker
        self._retry_after_s = tuple(retry_after_s)
        self._running: dict[asyncio.Task[None], backlog.Item] = {}
        self._slot = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._call: Call | None = None

    def start(self, call: Call) -> None:
        self._call = call
        self._loops = [
            asyncio.create_task(self._take(call), name="lambda events"),
            asyncio.create_task(self._renew(call), name="lambda claims"),
        ]

    async def stop(self) -> None:
        """What does not finish soon is given back, for another node or the next start."""
        if self._call is None:
            return
        await _ended(self._loops[:1])
        if self._running:
            await asyncio.wait(self._running, timeout=GIVE_BACK_AFTER_S)
        left = list(self._running.items())
        await _ended([*(task for task, _ in left), *self._loops[1:]])
        if left:
            items = [item for _, item in left]
            await self._call.transact(lambda call: _give_back(call, items))

    async def _take(self, call: Call) -> None:
        with call.store.listen(LANE) as bell:
            while True:
                self._slot.clear()
                free = RUNNING_MAX - len(self._running)
                if free == 0:
                    await self._slot.wait()
                    continue
                try:
                    items, due_in_s = await self._claimed(call, free)
                except Exception:
                    log.exception("events could not be taken; trying again")
                    await asyncio.sleep(PAUSE_S)
                    continue
                for item in items:
                    self._begin(call, item)
                if not items:
                    await bell.wait(min(POLL_S, due_in_s))

    async def _claimed(self, call: Call, limit: int) -> tuple[list[backlog.Item], float]:
        """A transaction cannot be called back: what it takes while this node stops is given back."""
        taking = asyncio.ensure_future(call.transact(lambda inner: _claim(inner, limit)))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            items, _ = await taking
            await call.transact(lambda inner: _give_back(inner, items))
            raise

    def _begin(self, call: Call, item: backlog.Item) -> None:
        task = asyncio.create_task(self._perform(call, item), name=f"event {item.id}")
        self._running[task] = item

        def ended(task: asyncio.Task[None]) -> None:
            del self._running[task]
            self._slot.set()
            if not task.cancelled() and task.exception() is not None:
                log.error("event %d: its claim lapses and it runs again", item.id, exc_info=task.exception())

        task.add_done_callback(ended)

    async def _renew(self, call: Call) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            items = list(self._running.values())
            try:
                if items:
                    await call.transact(
                        lambda inner, held=items: _extend(inner, held, until=inner.now + CLAIM_S),  # type: ignore[misc]
                        durable=False,
                    )
            except Exception:
                log.exception("claims could not be renewed; trying again")

    async def _perform(self, call: Call, item: backlog.Item) -> None:
        event = msgspec.msgpack.decode(item.body, type=Event)
        owner = call.on_behalf(event.account, event.region)
        if item.attempts > CLAIMS_MAX:
            _tell(
                event, await owner.transact(lambda inner: _give_up(inner, item, event, None, TOO_MANY_CLAIMS))
            )
            return
        try:
            _, result = await self._invoker.invoke(
                owner,
                event.function,
                event.payload,
                request_id=event.request_id,
                client_context=event.client_context,
            )
        except ServiceError as refusal:
            _tell(event, await owner.transact(self._refused(item, event, refusal)))
            return
        _tell(event, await owner.transact(self._ran(item, event, result)))

    def _refused(self, item: backlog.Item, event: Event, refusal: ServiceError) -> Settle:
        def settle(call: Call) -> str | None:
            if refusal.status == 404:
                return _give_up(call, item, event, None, "the function does not exist")
            elif refusal.status < 500 and refusal.code != "TooManyRequestsException":
                return _give_up(call, item, event, None, str(refusal))
            elif _blocked(call, event):
                return _give_up(call, item, event, None, "its reserved concurrency is 0")
            elif call.now - event.accepted_at > AGE_S_MAX:
                return _give_up(call, item, event, None, "it could not run for six hours")
            else:
                delay_s = min(2.0**event.throttles, THROTTLE_S_MAX)
                later = msgspec.structs.replace(event, throttles=event.throttles + 1)
                _again(call, item, later, call.now + delay_s)
            return None

        return settle

    def _ran(self, item: backlog.Item, event: Event, result: Result) -> Settle:
        def settle(call: Call) -> str | None:
            if result.error is None:
                backlog.finish(call.tx, LANE, item.id, item.claim)
            elif event.errors < len(self._retry_after_s):
                later = msgspec.structs.replace(event, errors=event.errors + 1)
                _again(call, item, later, call.now + self._retry_after_s[event.errors])
            else:
                return _give_up(call, item, event, result, f"it failed {event.errors + 1} times")
            return None

        return settle


def _claim(call: Call, limit: int) -> tuple[list[backlog.Item], float]:
    items = backlog.claim(call.tx, LANE, now=call.now, until=call.now + CLAIM_S, limit=limit)
    due_at = None if items else backlog.next_due(call.tx, LANE, call.now)
    return items, POLL_S if due_at is None else due_at - call.now


def _extend(call: Call, items: list[backlog.Item], *, until: float) -> None:
    for item in sorted(items, key=lambda item: item.id):
        backlog.extend(call.tx, LANE, item.id, item.claim, now=call.now, until=until)


def _give_back(call: Call, items: list[backlog.Item]) -> None:
    for item in sorted(items, key=lambda item: item.id):
        backlog.give_back(call.tx, item, now=call.now)


def _again(call: Call, item: backlog.Item, event: Event, due_at: float) -> None:
    """The same event as a new row, with its history in the body; nothing if another node has it by now."""
    if backlog.finish(call.tx, LANE, item.id, item.claim):
        backlog.put(call.tx, LANE, msgspec.msgpack.encode(event), now=call.now, due_at=due_at)


def _give_up(call: Call, item: backlog.Item, event: Event, result: Result | None, why: str) -> str | None:
    """Delete the event, into the function's dead-letter queue where it has one; the answer is for the log."""
    if not backlog.finish(call.tx, LANE, item.id, item.claim):
        return None
    try:
        queue = invocations.target_of(call, event.function).dead_letters
        if queue is None:
            return why
        arn = arns.parse(queue)
        call.sqs.send_message(
            QueueUrl=arns.queue_url(call.base_url, arn.account, arn.resource),
            MessageBody=event.payload.decode(),
            MessageAttributes={
                "RequestID": {"DataType": "String", "StringValue": event.request_id},
                "ErrorCode": {"DataType": "Number", "StringValue": "200" if result else "500"},
                "ErrorMessage": {"DataType": "String", "StringValue": _message(result, why)},
            },
        )
    except ServiceError as refusal:
        return f"{why}; it could not become a dead letter: {refusal}"
    return f"{why}; it is now in {queue}"


def _tell(event: Event, why: str | None) -> None:
    if why is not None:
        log.warning("event %s for %s is given up: %s", event.request_id, event.function.asked_arn, why)


def _message(result: Result | None, why: str) -> str:
    if result is not None:
        with suppress(msgspec.MsgspecError, AttributeError, RecursionError):
            text = msgspec.json.decode(result.payload).get("errorMessage")
            why = text or why
    return why[:ERROR_MESSAGE_CHARACTERS_MAX]


def _blocked(call: Call, event: Event) -> bool:
    return invocations.target_of(call, event.function).reserved == 0


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
