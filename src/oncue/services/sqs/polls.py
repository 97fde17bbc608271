"""Long polls: receivers that wait in line for a lane, and what becomes of a claim whose receiver has gone."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sqs import messages, refusals
from oncue.services.sqs.noise import Noise
from oncue.services.sqs.receiving import Catch, Room, Wish, take
from oncue.store import backlog, tenants

IN_FLIGHT_MAX = 120_000
QUEUES_COUNTED_MAX = 10_000
NAP_S_MIN = 0.001  # a timer may end a little before the wall clock gets there
log = logging.getLogger("oncue.sqs")


class Line:
    """The receivers that wait for one lane in this process. Only the first of them listens and claims; when
    it goes, with messages or without, the next takes its place. So a message that comes to a thousand
    receivers costs two claims, not a thousand, and a thousand that wait cost as little as one."""

    __slots__ = ("turn", "waiting")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


class Polls:
    """All receives of one process."""

    def __init__(self, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self._in_flight_max = in_flight_max
        self._lines: dict[str, Line] = {}
        self._room: dict[str, int] = {}  # what may still be claimed of a lane before its claims are counted
        self._noise: dict[str, Noise] = {}  # of the fair queues
        self._measuring: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()

    async def receive(self, call: Call, wish: Wish) -> Catch:
        """At once what is there; else, within the wish's or the queue's waiting time, what comes.

        Holds no claim while it waits. Raises OverLimit for a short poll of a standard queue that has all
        the messages in flight that it may have.
        """
        catch = await self._catch(call, wish)
        settings = catch.queue.settings
        wait_s = settings.wait_s if wish.wait_s is None else wish.wait_s
        if wait_s == 0 and catch.full and not settings.fifo:
            raise refusals.over_limit("The maximum number of in flight messages is reached.")
        if catch.items or wait_s == 0:
            return catch
        lane, until = catch.queue.lane, clock.monotonic() + wait_s
        line = self._lines.setdefault(lane, Line())
        line.waiting += 1
        try:
            return await self._wait_in_line(call, wish, catch, line, until)
        finally:
            line.waiting -= 1
            if line.waiting == 0:
                del self._lines[lane]

    async def stop(self) -> None:
        """Until all claims of receivers that have gone are given back."""
        await asyncio.gather(*self._background)

    async def _wait_in_line(self, call: Call, wish: Wish, catch: Catch, line: Line, until: float) -> Catch:
        lane = catch.queue.lane
        try:
            async with asyncio.timeout(until - clock.monotonic()):
                await line.turn.acquire()
        except TimeoutError:
            return catch
        try:
            with call.store.listen(lane) as bell:
                while True:
                    catch = await self._catch(call, wish)
                    left_s = until - clock.monotonic()
                    if catch.items or catch.queue.lane != lane or left_s <= 0:
                        return catch
                    await bell.wait(max(NAP_S_MIN, min(left_s, catch.due_in_s)))
        finally:
            line.turn.release()

    async def _catch(self, call: Call, wish: Wish) -> Catch:
        """One claim. The transaction cannot be stopped once it is under way: if the receiver goes meanwhile,
        what it claims is given back."""
        room = Room(self._in_flight_max, self._room, self._noise)
        work = asyncio.ensure_future(call.transact(lambda inner: take(inner, wish, room), durable=False))
        try:
            catch = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._go_on(_give_back(call, work))
            raise
        if len(self._room) >= QUEUES_COUNTED_MAX:
            self._room.clear()
            self._noise.clear()
        lane = catch.queue.lane
        known = self._room.get(lane, 0) if catch.held is None else self._in_flight_max - catch.held
        self._room[lane] = known - len(catch.items)
        if catch.queue.fair:
            self._listen_to_noise(call, catch)
        return catch

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _listen_to_noise(self, call: Call, catch: Catch) -> None:
        lane = catch.queue.lane
        noise = self._noise.setdefault(lane, Noise())
        noise.claimed(messages.unpack(item.body).group_id for item in catch.items)
        if lane not in self._measuring and noise.is_old(clock.now()):
            self._measuring.add(lane)
            self._go_on(self._measure(call, lane, noise))

    async def _measure(self, call: Call, lane: str, noise: Noise) -> None:
        """Beside the writers, and nobody waits for it: with a hundred thousand messages in flight it takes a
        tenth of a second."""
        try:
            load, now = await call.transact(
                lambda inner: (tenants.load(inner.tx, lane, inner.now), inner.now), reads_only=True
            )
            noise.measured(load, now)
        except Exception:
            log.exception("the tenants of %s could not be measured; the next receive tries again", lane)
        finally:
            self._measuring.discard(lane)


async def _give_back(call: Call, work: "asyncio.Future[Catch]") -> None:
    try:
        catch = await work
    except ServiceError:
        return  # refused: nothing was claimed, and nobody is left to be told
    if catch.items:
        await call.transact(lambda inner: _unclaim(inner, catch), durable=False)


def _unclaim(call: Call, catch: Catch) -> None:
    for item in catch.items:
        if backlog.give_back(call.tx, item, now=call.now) and catch.queue.fair:
            tenants.returned(call.tx, item.lane, item.id)
