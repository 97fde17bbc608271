"""A node's part in message move tasks: a loop that takes steps as they come due."""

import asyncio
import logging
from contextlib import suppress

from oncue.services import Call
from oncue.services.sqs import moves

POLL_S = 30.0  # the net under a lost bell
PAUSE_S = 1.0
log = logging.getLogger("oncue.sqs")


class Mover:
    """One per node. It holds nothing between two steps, so that stopping or killing it loses nothing."""

    def __init__(self) -> None:
        self._loop: asyncio.Task[None] | None = None

    def start(self, call: Call) -> None:
        self._loop = asyncio.create_task(self._run(call), name="sqs moves")

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def _run(self, call: Call) -> None:
        with call.store.listen(moves.LANE) as bell:
            while True:
                try:
                    due_in_s = await call.transact(moves.step)
                except Exception:
                    log.exception("a step of a message move task failed; it is tried again")
                    await asyncio.sleep(PAUSE_S)
                    with suppress(Exception):  # the store is away: the next step says so
                        await call.transact(lambda inner: moves.put_off(inner, PAUSE_S))
                    continue
                if due_in_s > 0:
                    await bell.wait(min(POLL_S, due_in_s))
