"""The poller of a sequenced mapping: sets messages aside, runs the keys that are due, and settles them."""

import asyncio
import logging
from collections.abc import Sequence as Many
from contextlib import suppress
from typing import Any

import msgspec

from oncue import clock
from oncue.services import Call
from oncue.services.lambda_ import records
from oncue.services.lambda_.invocations import Invoker
from oncue.services.lambda_.records import Message
from oncue.services.lambda_.sequencing import claims, ledger, outcomes, settings, steps
from oncue.services.lambda_.sequencing.claims import Run
from oncue.services.lambda_.sequencing.ledger import Sequence
from oncue.services.lambda_.sequencing.steps import Step
from oncue.services.lambda_.sources import FULL_PAUSE_S, WAIT_S, Batch, Poller
from oncue.store import Row

TIDY_EVERY_S = 60.0
NAP_S = 0.01
RENEW_EVERY_S = 4.0
LEASE_LEFT_S = 5.0  # a node that could not renew by then ends its invocation: the key may be another's soon
log = logging.getLogger("oncue.lambda")


def poller(invoker: Invoker, call: Call, row: Row) -> Poller:
    """For a row of `mappings.enabled`."""
    return SequencedPoller(invoker, call, row) if row["rule"] else Poller(invoker, call, row)


class SequencedPoller(Poller):
    """Batches hold one message of each key; a key is in one batch, on one node, at a time."""

    def __init__(self, invoker: Invoker, call: Call, row: Row) -> None:
        self._mapping: str = row["uuid"]
        self._settings: dict[str, Any] = msgspec.json.decode(row["settings"])
        self._sequence: Sequence | None = None
        self._topic = ""
        self._tidied = clock.monotonic()
        super().__init__(invoker, call, row)

    async def _round(self) -> None:
        target = await self._invoker.find(self._call, self._name)
        room = min(self._allowed - len(self._batches), self._invoker.room(target))
        if room <= 0:
            self._ended.clear()
            await self._wait_for_room()
            return
        if not self._topic:
            first = await self._step(0)
            self._topic = first.topic if first else ""
        with self._call.store.listen(self._topic) as bell:
            step = await self._step(room)
            if step is None or not (step.runs or step.taken == steps.SET_ASIDE_MAX):
                await self._tidy()
                wait_s = min(WAIT_S, step.due_in_s) if step and step.topic == self._topic else NAP_S
                await bell.wait(max(NAP_S, wait_s))
        if step is None:
            return
        self._topic = step.topic
        self._adapt(len(step.runs), room)
        found = [run.message | {"Run": run} for run in step.runs]
        for batch in records.batches(found, self._queue_arn, self._batch_size):
            self._begin(target, [batch])

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(FULL_PAUSE_S):
                await self._ended.wait()
        except TimeoutError:
            pass

    async def _step(self, room: int) -> Step | None:
        """One transaction, that cannot be called back: what it claims while this poller ends is given
        back. None when the mapping is not sequenced so any more, and this poller is about to end."""
        limit = room * self._batch_size
        work = asyncio.ensure_future(self._call.transact(lambda call: self._take(call, limit)))
        try:
            step = await asyncio.shield(work)
        except asyncio.CancelledError:
            with suppress(Exception):  # it claimed nothing then
                await self._undo(await work)
            raise
        if step is not None:
            self._sequence = step.sequence
        return step

    async def _undo(self, step: Step | None) -> None:
        if step is not None:
            await self._call.transact(lambda call: claims.give_back(call, step.sequence, step.runs))

    def _take(self, call: Call, limit: int) -> Step | None:
        row = settings.of_mapping(call, self._mapping)
        if row is None or row["rule"] != self.rule:
            return None
        return steps.take(call, row, self._url, self._settings, limit)

    async def _perform(self, batches: Many[Batch]) -> None:
        """Run one batch while its keys are held, and settle each of them."""
        messages, event = batches[0]
        runs = {message["MessageId"]: message["Run"] for message in messages}
        try:
            done = await self._while_held(messages, event, list(runs.values()))
        except asyncio.CancelledError:
            await self._give_back(messages)
            raise
        if done is None:
            return
        succeeded = {message["MessageId"] for message in done}
        results = [(run, message_id in succeeded) for message_id, run in runs.items()]
        sequence = self._held_in()
        lost = await self._call.transact(lambda call: claims.complete(call, sequence, results))
        for run in lost:
            log.warning(
                "%s: a result of key %s came too late (fence %d)", self._queue_arn, run.name, run.fence
            )

    async def _while_held(
        self, messages: list[Message], event: bytes, runs: list[Run]
    ) -> list[Message] | None:
        """What `_invoke` answers; None when the keys were lost meanwhile: then the invocation is ended."""
        if not await self._renewed(runs):
            return None
        held_until = clock.monotonic() + claims.LEASE_S
        work = asyncio.ensure_future(self._invoke(messages, event))
        try:
            while True:
                await asyncio.wait({work}, timeout=RENEW_EVERY_S)
                if work.done():
                    return work.result()
                renewed = await self._renewed(runs)
                if renewed:
                    held_until = clock.monotonic() + claims.LEASE_S
                elif renewed is False or clock.monotonic() > held_until - LEASE_LEFT_S:
                    log.warning("%s: keys were lost while their function ran; it is ended", self._queue_arn)
                    return None
        finally:
            work.cancel()

    async def _renewed(self, runs: list[Run]) -> bool | None:
        """None when the store does not say."""
        sequence = self._held_in()
        try:
            return await self._call.transact(lambda call: claims.renew(call, sequence, runs), durable=False)
        except Exception:
            log.exception("%s: keys could not be held longer; trying again", self._queue_arn)
            return None

    async def _put_off(self, messages: list[Message]) -> None:
        await self._give_back(messages)

    async def _give_back(self, messages: list[Message]) -> None:
        runs = [message["Run"] for message in messages if "Run" in message]
        if runs:
            sequence = self._held_in()
            await self._call.transact(lambda call: claims.give_back(call, sequence, runs))

    def _held_in(self) -> Sequence:
        assert self._sequence is not None, "a step came first"
        return self._sequence

    async def _tidy(self) -> None:
        """Forget what is past its time, while there is nothing else to do."""
        sequence = self._sequence
        if sequence is None or clock.monotonic() - self._tidied < TIDY_EVERY_S:
            return
        self._tidied = clock.monotonic()
        while await self._call.transact(lambda call: ledger.forget(call, sequence)):
            pass
        while await self._call.transact(outcomes.prune):
            pass
        await self._call.transact(settings.forget_retired)
