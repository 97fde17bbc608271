"""Messages that this node works on: hidden a few seconds at a time, for as long as it lives.

A queue's visibility timeout must be longer than the function may run (AWS recommends six times as long). If
a node hid messages for that long at once, they would lie idle for minutes after it has died. So it hides
them for LEASE_S and renews that; when a batch has failed, they stay hidden for the rest of the visibility
timeout, as on AWS.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.lambda_.records import Message

LEASE_S = 10
RENEW_EVERY_S = 3.0
BATCH_MAX = 10
log = logging.getLogger("oncue.lambda")


class Leases:
    """Those of one queue, held by one poller. Make it on the event loop; close it when nothing is held."""

    def __init__(self, call: Call, url: str) -> None:
        self._call = call
        self._url = url
        self._held: dict[str, float] = {}  # receipt handle: until when AWS would hide it
        self._task: asyncio.Task[None] | None = None

    def take(self, messages: Sequence[Message], visibility_s: int) -> None:
        """These have just been received, with a visibility timeout of min(visibility_s, LEASE_S)."""
        until = clock.monotonic() + visibility_s
        for message in messages:
            self._held[message["ReceiptHandle"]] = until
        if self._held and self._task is None:
            self._task = asyncio.create_task(self._renew(), name=f"leases on {self._url}")

    def drop(self, messages: Sequence[Message]) -> None:
        """These are deleted or given back."""
        for message in messages:
            self._held.pop(message["ReceiptHandle"], None)
        if not self._held and self._task is not None:
            self._task.cancel()
            self._task = None

    async def leave(self, messages: Sequence[Message]) -> None:
        """These have failed: hidden for what is left of the visibility timeout, and no longer ours."""
        now = clock.monotonic()
        left = {
            message["ReceiptHandle"]: max(0, math.ceil(self._held[message["ReceiptHandle"]] - now))
            for message in messages
            if message["ReceiptHandle"] in self._held
        }
        self.drop(messages)
        await self._hide(left)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await self._hide(dict.fromkeys(self._held, LEASE_S))
            except Exception:
                log.exception("%s: messages in work could not be kept hidden; trying again", self._url)

    async def _hide(self, times: dict[str, int]) -> None:
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, (receipt, seconds) in enumerate(times.items())
        ]
        if not entries:
            return

        def hide(call: Call) -> None:
            for first in range(0, len(entries), BATCH_MAX):
                some: list[dict[str, Any]] = entries[first : first + BATCH_MAX]
                call.sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=some)

        with suppress(ServiceError):  # the queue is gone, and its messages with it
            await self._call.transact(hide, durable=False)
