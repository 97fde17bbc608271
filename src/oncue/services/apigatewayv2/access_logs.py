"""Access logs: a line for each request, gathered on this node and written to log groups in few
transactions."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2.settings import LogGroup

PENDING_MAX = 20_000  # beyond that lines are counted and dropped: requests do not wait for their log
BATCH_MAX = 1_000
FLUSH_AFTER_S = 0.2
LOG = logging.getLogger(__name__)


class AccessLogs:
    """Lines that are still here when the machine dies are lost, as with AWS's best effort; `stop` writes
    them."""

    def __init__(self) -> None:
        self._pending: deque[tuple[LogGroup, str, str, int]] = deque()
        self._dropped = 0
        self._flushing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def stop(self) -> None:
        self._stopping.set()
        if self._flushing:
            await self._flushing

    def write(self, call: Call, group: LogGroup, stream: str, line: str) -> None:
        """One line, with the time that it is now."""
        if len(self._pending) >= PENDING_MAX:
            self._dropped += 1
            return
        self._pending.append((group, stream, line, int(clock.now() * 1000)))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush_soon(call))

    async def _flush_soon(self, call: Call) -> None:
        while self._pending:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_AFTER_S)
            await self.flush(call)

    async def flush(self, call: Call) -> None:
        """Write everything that is pending."""
        if self._dropped:
            LOG.warning("%d access log lines were dropped: the store was too slow for them", self._dropped)
            self._dropped = 0
        while self._pending:
            lines = [self._pending.popleft() for _ in range(min(len(self._pending), BATCH_MAX))]
            streams: dict[tuple[LogGroup, str], list[dict[str, Any]]] = {}
            for group, stream, line, at_ms in lines:
                streams.setdefault((group, stream), []).append({"timestamp": at_ms, "message": line})
            for (group, stream), batch in streams.items():
                await _write(call.on_behalf(group.account, group.region), group.name, stream, batch)


async def _write(call: Call, group: str, stream: str, events: list[dict[str, Any]]) -> None:
    named = {"logGroupName": group, "logStreamName": stream}
    events.sort(key=lambda event: event["timestamp"])

    def put(inner: Call) -> None:
        try:
            inner.logs.put_log_events(**named, logEvents=events)
        except ServiceError as missing:
            if missing.code != "ResourceNotFoundException":
                raise
            inner.logs.create_log_stream(**named)  # refused when it is the group that is missing
            inner.logs.put_log_events(**named, logEvents=events)

    try:
        await call.transact(put)
    except ServiceError as refused:
        LOG.warning("%d access log lines are lost, %s: %s", len(events), group, refused)
    except Exception:
        LOG.exception("%d access log lines are lost, %s", len(events), group)
