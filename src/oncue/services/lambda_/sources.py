"""Queues as sources: every node polls for every enabled mapping and runs what it receives.

Rules: the Lambda Developer Guide, "Using Lambda with Amazon SQS". A message is deleted when its function has
succeeded with it; until then it is in its queue, invisible for the queue's visibility timeout.
"""

import asyncio
import logging
import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.lambda_ import mappings, records
from oncue.services.lambda_.invocations import Invoker, Target
from oncue.services.lambda_.leases import LEASE_S, Leases
from oncue.services.lambda_.records import Message
from oncue.services.lambda_.sequencing import settings
from oncue.store import Row

RECEIVE_MAX = 10
WAIT_S = 20
BATCHES_FIRST = 5  # at once, of one mapping, on one node; more while the queue keeps all of them busy
BATCHES_MAX = max(BATCHES_FIRST, 8 * (os.cpu_count() or 1))
BATCHES_CHOSEN_MAX = 64  # of a mapping with MaximumConcurrency
LOOK_EVERY_S = 5.0  # for mappings that another node has changed
PAUSE_S = 2.0  # after something that cannot go on now: no queue, no function, no store
FULL_PAUSE_S = 1.0
GATHER_S = 0.002  # after the first batch has ended: short functions end together, and are fed together
WINDOW_MARGIN_S = 30  # AWS hides a windowed batch for window + function timeout + this
ASK_EVERY_S = 2.0  # for the queue's visibility timeout
THROTTLED_S = 10.0
THROTTLED_PAUSE_S = 0.25
STOP_S = 5.0  # how long a stopping node waits for the batches that run
Batch = tuple[list[Message], bytes]  # and the event that is made of them
log = logging.getLogger("oncue.lambda")


class Sources:
    """One per node: keeps one poller for each enabled mapping, made by `make`."""

    def __init__(self, invoker: Invoker, make: "Callable[[Invoker, Call, Row], Poller]") -> None:
        self._invoker = invoker
        self._make = make
        self._pollers: dict[str, Poller] = {}
        self._retired: list[Poller] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, call: Call) -> None:
        self._task = asyncio.create_task(self._look(call), name="lambda mappings")

    async def stop(self) -> None:
        if self._task is not None:
            await _ended([self._task])
        pollers = [*self._pollers.values(), *self._retired]
        await asyncio.gather(*(poller.stop(STOP_S) for poller in pollers))

    async def _look(self, call: Call) -> None:
        with call.store.listen(mappings.TOPIC) as bell:
            while True:
                try:
                    rows = await call.transact(mappings.enabled, reads_only=True)
                    await self._adjust(call, {row["uuid"]: row for row in rows})
                    await _release_forsaken(call)
                except Exception:
                    log.exception("the event source mappings could not be read; trying again")
                await bell.wait(LOOK_EVERY_S)

    async def _adjust(self, call: Call, rows: dict[str, Row]) -> None:
        for uuid, poller in list(self._pollers.items()):
            row = rows.get(uuid)
            if row is None or (row["revision"], row["rule"]) != (poller.revision, poller.rule):
                await poller.retire()
                self._retired.append(self._pollers.pop(uuid))
        self._retired = [poller for poller in self._retired if poller.busy]
        for uuid, row in rows.items():
            if uuid not in self._pollers:
                self._pollers[uuid] = self._make(self._invoker, call, row)


class Poller:
    """Sleeps on one queue, and runs batches of its messages beside each other.

    What is received is run, or given back when the poller stops first. The batches of a FIFO queue are run
    as they were received: a group is in one of them only, because it stays claimed until that one is done.
    """

    def __init__(self, invoker: Invoker, call: Call, row: Row) -> None:
        self.revision: str = row["revision"]
        self.rule: str = row["rule"]
        self._invoker = invoker
        self._call = call.on_behalf(row["account"], row["region"])
        self._name = mappings.name_of(row)
        self._queue_arn: str = row["source_arn"]
        queue = arns.parse(self._queue_arn)
        self._url = arns.queue_url(call.base_url, queue.account, queue.resource)
        self._fifo = queue.resource.endswith(".fifo")
        settings: dict[str, Any] = msgspec.json.decode(row["settings"])
        self._batch_size: int = settings["BatchSize"]
        self._window_s: int = settings["MaximumBatchingWindowInSeconds"]
        self._partial = "ReportBatchItemFailures" in settings["FunctionResponseTypes"]
        chosen = settings.get("ScalingConfig", {}).get("MaximumConcurrency")
        self._most = min(chosen, BATCHES_CHOSEN_MAX) if chosen else BATCHES_MAX
        self._allowed = min(self._most, BATCHES_FIRST)
        self._leases = Leases(self._call, self._url)
        self._queue_visibility_s = 0
        self._asked_at = -math.inf
        self._ended = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"mapping {row['uuid']}")

    @property
    def busy(self) -> bool:
        return bool(self._batches)

    async def retire(self) -> None:
        """Receive no more. The batches that run go on to their end."""
        await _ended([self._task])

    async def stop(self, within_s: float) -> None:
        """Receive no more; batches that are not done in time are cut off, and their messages given back."""
        await self.retire()
        if self._batches:
            await asyncio.wait(self._batches, timeout=within_s)
        await _ended(list(self._batches))

    async def _run(self) -> None:
        last = ""
        while True:
            try:
                await self._round()
                last = ""
            except ServiceError as refusal:
                if str(refusal) != last:
                    last = str(refusal)
                    log.warning("%s does not reach %s: %s", self._queue_arn, self._name.asked_arn, last)
                await asyncio.sleep(PAUSE_S)
            except Exception:
                log.exception("%s: polling failed; trying again", self._queue_arn)
                await asyncio.sleep(PAUSE_S)

    async def _round(self) -> None:
        """Wait for room, then for messages; begin their batches."""
        target = await self._invoker.find(self._call, self._name)
        room = min(self._allowed - len(self._batches), self._invoker.room(target))
        if room <= 0:
            self._ended.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FULL_PAUSE_S):
                    await self._ended.wait()
                    await asyncio.sleep(GATHER_S)
            return
        messages = await self._collect(target, 1 if self._fifo or self._window_s else room)
        self._adapt(len(messages), room)
        batches = records.batches(messages, self._queue_arn, self._batch_size)
        if self._fifo and batches:
            self._begin(target, batches)
        else:
            for batch in batches:
                self._begin(target, [batch])

    def _adapt(self, received: int, room: int) -> None:
        """One more batch at a time while the queue fills all that are allowed; few again when it is empty."""
        if not received:
            self._allowed = min(self._most, BATCHES_FIRST)
        elif received >= min(RECEIVE_MAX, room * self._batch_size) and self._allowed < self._most:
            self._allowed += 1

    async def _collect(self, target: Target, batches: int) -> list[Message]:
        """Messages for so many batches, at most ten; with a window for one batch, however large."""
        visibility_s = await self._visibility_s(target)
        found = await self._receive(min(RECEIVE_MAX, batches * self._batch_size), WAIT_S, visibility_s)
        until = clock.monotonic() + self._window_s
        size = sum(len(message["Body"]) for message in found)
        try:
            while (
                found and self._window_s and len(found) < self._batch_size and size < records.EVENT_BYTES_MAX
            ):
                left_s = until - clock.monotonic()
                if left_s <= 0:
                    break
                wait_s = min(WAIT_S, math.ceil(left_s))
                wanted = min(RECEIVE_MAX, self._batch_size - len(found))
                more = await self._receive(wanted, wait_s, visibility_s)
                found += more
                size += sum(len(message["Body"]) for message in more)
        except asyncio.CancelledError:
            await self._give_back(found)
            raise
        return found

    async def _receive(self, count: int, wait_s: int, visibility_s: int) -> list[Message]:
        reply: dict[str, Any] = await self._call.sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=min(visibility_s, LEASE_S),
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = list(reply.get("Messages") or ())
        self._leases.take(messages, visibility_s)
        return messages

    async def _visibility_s(self, target: Target) -> int:
        """How long AWS would hide what is received: the queue's visibility timeout; longer for a windowed
        batch that would outlive it."""
        if clock.monotonic() - self._asked_at > ASK_EVERY_S:
            reply = await self._call.transact(
                lambda call: call.sqs.get_queue_attributes(
                    QueueUrl=self._url, AttributeNames=["VisibilityTimeout"]
                ),
                reads_only=True,
            )
            self._queue_visibility_s = int(reply["Attributes"]["VisibilityTimeout"])
            self._asked_at = clock.monotonic()
        needed_s = self._window_s + target.version.timeout_s
        if not self._window_s or needed_s <= self._queue_visibility_s:
            return self._queue_visibility_s
        return needed_s + WINDOW_MARGIN_S

    def _begin(self, target: Target, batches: Sequence[Batch]) -> None:
        """The function's turn is taken here, so that the next round knows what room is left."""
        turn = ExitStack()
        waits = not self._take_turn(turn, target)
        work = self._perform_later(turn, target, batches) if waits else self._perform(batches)
        task = asyncio.create_task(work, name=f"batch for {self._name.name}")
        self._batches.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            turn.close()
            self._batches.discard(task)
            self._ended.set()
            if not task.cancelled() and task.exception() is not None:
                log.error("%s: a batch was left to come again", self._queue_arn, exc_info=task.exception())

        task.add_done_callback(ended)

    def _take_turn(self, turn: ExitStack, target: Target) -> bool:
        try:
            turn.enter_context(self._invoker.turn(target))
        except ServiceError:
            return False
        return True

    async def _perform_later(self, turn: ExitStack, target: Target, batches: Sequence[Batch]) -> None:
        """Somebody else took the turn while the messages were on their way. Try again for a while; after
        that they come again in their own time."""
        until = clock.monotonic() + THROTTLED_S
        try:
            while clock.monotonic() < until:
                await asyncio.sleep(THROTTLED_PAUSE_S)
                if self._take_turn(turn, target):
                    await self._perform(batches)
                    return
        except asyncio.CancelledError:
            await self._give_back([message for messages, _ in batches for message in messages])
            raise
        log.warning("%s: %s is throttled; a batch will come again", self._queue_arn, self._name.asked_arn)
        await self._put_off([message for messages, _ in batches for message in messages])

    async def _put_off(self, messages: list[Message]) -> None:
        await self._leases.leave(messages)

    async def _perform(self, batches: Sequence[Batch]) -> None:
        """Run the batches one after the other; what comes after a failure is given back: order holds."""
        left = list(batches)
        try:
            while left:
                messages, event = left[0]
                done = await self._invoke(messages, event)
                if done:
                    await self._delete(done)
                left.pop(0)
                if len(done) < len(messages):
                    gone = {message["MessageId"] for message in done}
                    await self._leases.leave([one for one in messages if one["MessageId"] not in gone])
                    break
        except asyncio.CancelledError:
            await self._give_back([message for messages, _ in left for message in messages])
            raise
        await self._give_back([message for messages, _ in left for message in messages])

    async def _invoke(self, messages: list[Message], event: bytes) -> list[Message]:
        """Those that the function has succeeded with."""
        try:
            target = await self._invoker.find(self._call, self._name)
            result = await self._invoker.run(self._call, self._name, target, event, request_id=clock.new_id())
        except ServiceError as refusal:
            log.warning("%s: a batch could not run and will come again: %s", self._queue_arn, refusal)
            return []
        if result.error is not None:
            return []
        if not self._partial:
            return messages
        failed = records.failed(result.payload, [message["MessageId"] for message in messages])
        return [message for message in messages if message["MessageId"] not in failed]

    async def _delete(self, messages: list[Message]) -> None:
        def delete(call: Call) -> None:
            for entries in _entries(messages):
                call.sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)

        await self._call.transact(delete)
        self._leases.drop(messages)

    async def _give_back(self, messages: list[Message]) -> None:
        """Visible again at once, for another node or the next start."""
        if not messages:
            return
        self._leases.drop(messages)

        def give_back(call: Call) -> None:
            for entries in _entries(messages):
                shown = [entry | {"VisibilityTimeout": 0} for entry in entries]
                call.sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=shown)

        with suppress(ServiceError):  # the queue is gone, and its messages with it
            await self._call.transact(give_back)


async def _release_forsaken(call: Call) -> None:
    for row in await call.transact(settings.forsaken, reads_only=True):
        owner = call.on_behalf(row["account"], row["region"])
        with suppress(ServiceError):  # the queue is gone, and its messages with it
            await owner.transact(lambda call, row=row: settings.release(call, row))  # type: ignore[misc]


def _entries(messages: Sequence[Message]) -> list[list[dict[str, Any]]]:
    entries = [
        {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
        for index, message in enumerate(messages)
    ]
    return [entries[first : first + RECEIVE_MAX] for first in range(0, len(entries), RECEIVE_MAX)]


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)  # but not deaf to a cancellation of the caller
