"""Wake-ups inside one process: bells that hear what is rung on their topic."""

import asyncio
from collections.abc import Iterable
from types import TracebackType


class LocalBell:
    """One listener. Made, waited on and closed on the event loop that rings it."""

    __slots__ = ("_belfry", "_poll_s", "_rung", "_sleeper", "_topic")

    def __init__(self, belfry: "Belfry", topic: str, poll_s: float | None) -> None:
        self._belfry = belfry
        self._topic = topic
        self._poll_s = poll_s
        self._rung = False
        self._sleeper: asyncio.Future[None] | None = None

    async def wait(self, timeout_s: float) -> bool:
        """Until rung or timed out. With a polling net the wait ends early, and counts as rung, to look
        again."""
        if not self._rung and timeout_s > 0:
            loop = asyncio.get_running_loop()
            capped = self._poll_s is not None and self._poll_s < timeout_s
            self._sleeper = loop.create_future()
            timer = loop.call_later(self._poll_s if capped and self._poll_s else timeout_s, self._end, capped)
            try:
                await self._sleeper
            finally:
                timer.cancel()
                self._sleeper = None
        heard, self._rung = self._rung, False
        return heard

    def ring(self) -> None:
        self._rung = True
        self._end(True)

    def _end(self, rung: bool) -> None:
        self._rung = self._rung or rung
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def __enter__(self) -> "LocalBell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._belfry.close(self._topic, self)


class Belfry:
    """All bells of one process, by topic."""

    def __init__(self, poll_s: float | None = None) -> None:
        self._poll_s = poll_s
        self._bells: dict[str, set[LocalBell]] = {}

    def listen(self, topic: str) -> LocalBell:
        bell = LocalBell(self, topic, self._poll_s)
        self._bells.setdefault(topic, set()).add(bell)
        return bell

    def close(self, topic: str, bell: LocalBell) -> None:
        hearers = self._bells.get(topic)
        if hearers is not None:
            hearers.discard(bell)
            if not hearers:
                del self._bells[topic]

    def ring(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for bell in tuple(self._bells.get(topic, ())):
                bell.ring()
