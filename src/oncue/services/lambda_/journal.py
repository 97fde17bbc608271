"""What functions print, gathered on this node and written to the logs in few transactions."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call

BUFFER_BYTES_MAX = 16 * 1024 * 1024  # more than that waiting: invocations wait for the writer
FLUSH_BYTES_MAX = 4 * 1024 * 1024  # in one transaction
FLUSH_EVERY_S = 0.2
RETRY_S = 2.0
LINE_BYTES_MAX = 262_144 - 26  # longer lines are cut (256 KB with PutLogEvents' overhead, as on AWS)
BATCH_BYTES_MAX = 1_048_576
BATCH_EVENTS_MAX = 10_000
EVENT_OVERHEAD_BYTES = 26
log = logging.getLogger("oncue.lambda")


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    account: str
    region: str
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    stream: Stream
    text: bytes
    at_ms: int


class Journal:
    """One per node. What is in it when the machine dies is lost: output, never work."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._call: Call | None = None

    def start(self, call: Call) -> None:
        self._call = call
        self._writer = asyncio.create_task(self._write(), name="lambda journal")

    async def stop(self) -> None:
        """Writes what is left."""
        if self._writer is None or self._call is None:
            return
        self._writer.cancel()
        with suppress(asyncio.CancelledError):
            await self._writer
        try:
            while self._entries:
                await self._flush(self._call)
        except Exception:
            log.exception("the last output of functions could not be written")

    async def add(self, stream: Stream, text: bytes, at_ms: int) -> None:
        """Waits only when the writer has fallen far behind."""
        while self._bytes > BUFFER_BYTES_MAX:
            self._emptied.clear()
            await self._emptied.wait()
        self._entries.append(Entry(stream, text, at_ms))
        self._bytes += len(text)
        self._filled.set()

    async def _write(self) -> None:
        assert self._call is not None, "started"
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_EVERY_S)
            try:
                while self._entries:
                    await self._flush(self._call)
            except Exception:
                log.exception("the output of functions could not be written; trying again")
                await asyncio.sleep(RETRY_S)
            else:
                self._filled.clear()

    async def _flush(self, call: Call) -> None:
        """Takes entries off the buffer only when they are written. Streams in one order on every node: no
        two writers wait for each other."""
        count = size = 0
        for entry in self._entries:
            if size > FLUSH_BYTES_MAX:
                break
            count += 1
            size += len(entry.text)
        taken = [self._entries[index] for index in range(count)]
        by_stream: dict[Stream, list[dict[str, Any]]] = {}
        for entry in taken:
            by_stream.setdefault(entry.stream, []).extend(_lines(entry))

        def write(inner: Call) -> None:
            for stream in sorted(by_stream):
                _put(inner, stream, by_stream[stream])

        await call.transact(write)
        for _ in range(count):
            self._bytes -= len(self._entries.popleft().text)
        self._emptied.set()


def _lines(entry: Entry) -> list[dict[str, Any]]:
    pieces = (
        line[start : start + LINE_BYTES_MAX]
        for line in entry.text.splitlines(keepends=True)
        for start in range(0, len(line), LINE_BYTES_MAX)
    )
    return [{"timestamp": entry.at_ms, "message": piece.decode(errors="replace")} for piece in pieces]


def _put(call: Call, stream: Stream, lines: list[dict[str, Any]]) -> None:
    """Group and stream are made when they are missing, as the agent of AWS does."""
    owner = call.on_behalf(stream.account, stream.region)
    owner.tx, owner.now = call.tx, call.now
    named = {"logGroupName": stream.group, "logStreamName": stream.name}
    lines.sort(key=lambda line: int(line["timestamp"]))
    for batch in _batches(lines):
        try:
            _put_batch(owner, named, batch)
        except ServiceError as refusal:
            log.warning("output for %s was refused: %s", stream.group, refusal)


def _put_batch(owner: Call, named: dict[str, str], batch: list[dict[str, Any]]) -> None:
    try:
        owner.logs.put_log_events(**named, logEvents=batch)
    except ServiceError as missing:
        if missing.code != "ResourceNotFoundException":
            raise
        with suppress(ServiceError):
            owner.logs.create_log_group(logGroupName=named["logGroupName"])
        with suppress(ServiceError):
            owner.logs.create_log_stream(**named)
        owner.logs.put_log_events(**named, logEvents=batch)


def _batches(lines: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    size = 0
    for line in lines:
        cost = len(line["message"].encode()) + EVENT_OVERHEAD_BYTES
        if not batches or size + cost > BATCH_BYTES_MAX or len(batches[-1]) == BATCH_EVENTS_MAX:
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += cost
    return batches
