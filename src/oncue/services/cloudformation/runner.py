"""Carries stack operations out: claims them from the backlog, one resource after another, across restarts."""

import asyncio
import inspect
import logging
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call, refuse_undeclared
from oncue.services.cloudformation import records, steps
from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.records import Stack
from oncue.services.cloudformation.resources import KINDS
from oncue.store import Transaction, backlog

LANE = "cloudformation/operations"
CLAIM_S = 5.0  # how long after a crash an operation goes on
RETRY_S = 5.0
IDLE_S = 30.0
OPERATIONS_AT_ONCE_MAX = 4
ATTEMPTS_MAX = 5
log = logging.getLogger(__name__)


class Ticket(msgspec.Struct, frozen=True):
    """An operation's row in the backlog. What there is to do stands with the stack, not here."""

    stack_id: str
    operation: str
    account: str
    region: str


class Lost(Exception):
    """Somebody else goes on with the operation: our claim has lapsed."""


class Superseded(Exception):
    """The stack has another operation by now; ours has nothing left to do."""


class Strict(Call):
    """A call whose way to other services refuses what an operation does not declare, as the door does."""

    __slots__ = ()

    @classmethod
    def within(cls, call: Call) -> "Strict":
        inner = cls(
            call.account,
            call.region,
            call.services,
            call.store,
            base_url=call.base_url,
            request_id=call.request_id,
        )
        inner.tx, inner.now = call.tx, call.now
        return inner

    def __getattr__(self, name: str) -> Any:
        service = self.services.get(name.rstrip("_"))
        if service is None:
            raise ServiceError("InternalFailure", f"This server has no service {name.rstrip('_')}.", 500)
        return _Checked(self, service)


class _Checked:
    def __init__(self, call: Call, service: Any) -> None:
        self._call = call
        self._service = service

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._service, operation, None)
        if method is None:
            text = f"Oncue does not offer the operation {operation} of {self._service.name}."
            raise ServiceError("InvalidAction", text)
        assert not inspect.iscoroutinefunction(method), f"{operation} waits, and cannot be part of a step"

        def perform(**parameters: Any) -> Any:
            refuse_undeclared(method, parameters)
            return method(self._call, **parameters)

        return perform


def begin_operation(call: Call, stack: Stack) -> None:
    """Inside a transaction: the stack's operation becomes a row of the backlog, after those before it."""
    ticket = Ticket(stack.id, stack.operation, call.account, call.region)
    backlog.put(call.tx, LANE, msgspec.json.encode(ticket), now=call.now, group=stack.id)


class Runner:
    """The background of the service: sleeps on the lane's bell, carries out a few operations at a time."""

    def __init__(self, claim_s: float = CLAIM_S) -> None:
        self.claim_s = claim_s
        self._task: asyncio.Task[None] | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, call: Call) -> None:
        self._task = asyncio.create_task(self._listen(call))

    async def stop(self) -> None:
        """Each operation stops after its step and is given back: another node, or the next start, goes on."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
        await asyncio.gather(*self._carrying, *([self._task] if self._task else []), return_exceptions=True)

    async def _listen(self, call: Call) -> None:
        with call.store.listen(LANE) as bell:
            while True:
                wait_s = IDLE_S
                try:
                    if len(self._carrying) < OPERATIONS_AT_ONCE_MAX:
                        items, due = await call.transact(self._claim)
                        for item in items:
                            task = asyncio.create_task(self._carry(call, item))
                            self._carrying.add(task)
                            task.add_done_callback(self._carrying.discard)
                        wait_s = 0.0 if items else IDLE_S if due is None else min(IDLE_S, due)
                    else:
                        await asyncio.wait(self._carrying, return_when=asyncio.FIRST_COMPLETED)
                        continue
                except Exception:
                    log.exception("stack operations could not be claimed; tried again in %g s", RETRY_S)
                    wait_s = RETRY_S
                if wait_s:
                    await bell.wait(wait_s)

    def _claim(self, call: Call) -> tuple[list[backlog.Item], float | None]:
        items = backlog.claim_groups(call.tx, LANE, now=call.now, until=call.now + self.claim_s, limit=1)
        due = backlog.next_due(call.tx, LANE, call.now)
        return items, None if due is None else max(0.01, due - call.now)

    async def _carry(self, call: Call, item: backlog.Item) -> None:
        ticket = msgspec.json.decode(item.body, type=Ticket)
        own = call.on_behalf(ticket.account, ticket.region)
        try:
            while await self._turn(own, item, ticket):
                if self._stopping:
                    await own.transact(lambda inner: self._hold(inner.tx, item, inner.now, held_s=0.0))
                    return
        except Lost:
            log.info("the operation %s on %s goes on elsewhere", ticket.operation, ticket.stack_id)
        except Exception:
            log.exception("the operation %s on %s was interrupted", ticket.operation, ticket.stack_id)

    async def _turn(self, call: Call, item: backlog.Item, ticket: Ticket) -> bool:
        """One resource, or one decision; False when the operation has ended."""

        def decide(inner: Call) -> steps.Turn | None:
            self._hold(inner.tx, item, inner.now)
            stack = records.find(inner, ticket.stack_id, lock=True)
            if stack is None or stack.operation != ticket.operation:
                turn = steps.ENDED  # superseded by a later operation, whose own row follows this one
            else:
                turn = _decided(inner, stack)
            if turn.ended:
                backlog.finish(inner.tx, LANE, item.id, item.claim)
            return turn

        turn = await call.transact(decide)
        if turn is not None and turn.work is not None:
            await self._perform(call, item, ticket, turn.work)
        return turn is not None and not turn.ended

    def _hold(self, tx: Transaction, item: backlog.Item, now: float, held_s: float | None = None) -> None:
        until = now + (self.claim_s if held_s is None else held_s)
        if not backlog.extend(tx, LANE, item.id, item.claim, now=now, until=until):
            raise Lost

    async def _perform(self, call: Call, item: backlog.Item, ticket: Ticket, work: steps.Work) -> None:
        method = getattr(KINDS[work.type], work.verb)

        def inside(inner: Call) -> None:
            stack = self._stack(inner, item, ticket)
            _reach(inner, stack)
            made = method(Strict.within(inner), work.subject)
            steps.succeeded(inner, stack, work, made)

        try:
            await call.transact(inside)
        except Superseded:
            return  # the next decision ends the operation
        except Lost:
            raise
        except ServiceError as error:
            await self._record_failure(call, item, ticket, work, reason_of(error))
        except Exception as error:
            log.exception("%s of %s failed", work.verb, work.subject.logical_id)
            if item.attempts < ATTEMPTS_MAX:
                raise
            await self._record_failure(call, item, ticket, work, f"Internal Failure ({type(error).__name__})")

    async def _record_failure(
        self, call: Call, item: backlog.Item, ticket: Ticket, work: steps.Work, reason: str
    ) -> None:
        await call.transact(
            lambda inner: steps.refused(inner, self._stack(inner, item, ticket), work, reason)
        )

    def _stack(self, inner: Call, item: backlog.Item, ticket: Ticket) -> Stack:
        """The stack, while the operation is still ours."""
        self._hold(inner.tx, item, inner.now)
        stack = records.find(inner, ticket.stack_id, lock=True)
        if stack is None or stack.operation != ticket.operation:
            raise Superseded
        return stack


def _reach(call: Call, stack: Stack) -> None:
    """Addresses in what is made (a queue's URL) are those by which the stack's creator reached us."""
    if stack.settings.base_url:
        call.base_url = stack.settings.base_url


def _decided(call: Call, stack: Stack) -> steps.Turn:
    try:
        return steps.begin(call, stack)
    except TemplateError as error:
        steps.fall_back(call, stack, error.placed())
        return steps.AGAIN


def reason_of(error: ServiceError) -> str:
    """AWS's form of a refusal that came from another service."""
    return f'Resource handler returned message: "{error.message}" (HandlerErrorCode: {error.code})'
