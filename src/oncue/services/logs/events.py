"""Log events: appending them to a stream, and reading a stream or a whole group page by page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from oncue.errors import ServiceError
from oncue.store import Row, Transaction

BATCH_BYTES_MAX = 1_048_576
EVENT_OVERHEAD_BYTES = 26  # counted for each event (PutLogEvents)
EVENT_BYTES_MAX = 1_048_576
BATCH_SPAN_MS = 24 * 3_600_000
FUTURE_MS_MAX = 2 * 3_600_000
AGE_MS_MAX = 14 * 24 * 3_600_000
DAY_MS = 24 * 3_600_000
PAGE_EVENTS_MAX = 10_000
PAGE_BYTES_MAX = 1_048_576
CHUNK_EVENTS = 500  # rows read at a time
SCAN_CHUNKS_MAX = 40  # chunks that one FilterLogEvents call looks at before it answers with a token
TIME_MS_MAX = 2**62
Key = tuple[int, int, int]  # timestamp_ms, stream_id, sequence


@dataclass(frozen=True, slots=True)
class Range:
    """Timestamps from `start_ms` (included) to `end_ms` (excluded)."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Page:
    events: list[Row]
    next: Key | None  # the last row that was looked at, None when there is no more


def check_batch(batch: Sequence[dict[str, Any]], sizes: Sequence[int]) -> None:
    """The rules of PutLogEvents for a whole batch. ServiceError InvalidParameterException."""
    total = sum(sizes) + EVENT_OVERHEAD_BYTES * len(sizes)
    if total > BATCH_BYTES_MAX:
        raise _invalid(f"Upload too large: {total} bytes exceeds limit of {BATCH_BYTES_MAX}")
    largest = max(sizes) + EVENT_OVERHEAD_BYTES
    if largest > EVENT_BYTES_MAX:
        raise _invalid(f"Log event too large: {largest} bytes exceeds limit of {EVENT_BYTES_MAX}")
    times = [event["timestamp"] for event in batch]
    if any(after < before for before, after in pairwise(times)):
        raise _invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > BATCH_SPAN_MS:
        raise _invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def sort_out(
    times: Sequence[int], now_ms: int, retention_days: int | None
) -> tuple[int, int, dict[str, int] | None]:
    """Which events of a chronological batch are taken: (first, end, what AWS says of the rejected ones)."""
    too_old = sum(1 for at in times if at < now_ms - AGE_MS_MAX)
    expired = sum(1 for at in times if retention_days and at < now_ms - retention_days * DAY_MS)
    too_new = next((index for index, at in enumerate(times) if at > now_ms + FUTURE_MS_MAX), None)
    rejected: dict[str, int] = {}
    if too_new is not None:
        rejected["tooNewLogEventStartIndex"] = too_new
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    end = len(times) if too_new is None else too_new
    return max(too_old, expired), end, rejected or None


def append(
    tx: Transaction, group_id: int, stream_id: int, batch: Sequence[tuple[int, bytes]], now_ms: int
) -> int:
    """Add (timestamp_ms, message) pairs in their order; the answer is the stream's next sequence number."""
    size = sum(len(message) + EVENT_OVERHEAD_BYTES for _, message in batch)
    row = tx.one(
        """
        UPDATE logs_streams SET next_sequence = next_sequence + :count, stored_bytes = stored_bytes + :size,
            last_ingestion_ms = :now,
            first_event_ms = CASE WHEN first_event_ms IS NULL OR first_event_ms > :first
                                  THEN :first ELSE first_event_ms END,
            last_event_ms = CASE WHEN last_event_ms IS NULL OR last_event_ms < :last
                                 THEN :last ELSE last_event_ms END
        WHERE id = :id RETURNING next_sequence
        """,
        count=len(batch),
        size=size,
        now=now_ms,
        first=batch[0][0],
        last=batch[-1][0],
        id=stream_id,
    )
    assert row is not None, "the caller has read the stream in this transaction"
    first = int(row["next_sequence"]) - len(batch)
    for index, (at, message) in enumerate(batch):
        tx.run(
            """
            INSERT INTO logs_events (stream_id, timestamp_ms, sequence, group_id, ingested_ms, message)
            VALUES (:stream, :at, :sequence, :group_id, :now, :message)
            """,
            stream=stream_id,
            at=at,
            sequence=first + index,
            group_id=group_id,
            now=now_ms,
            message=message,
        )
    return int(row["next_sequence"])


def of_stream(
    tx: Transaction, stream_id: int, span: Range, position: tuple[int, int], *, forward: bool, limit: int
) -> list[Row]:
    """Up to `limit` events strictly after (forward) or before `position`, oldest first, within 1 MB."""
    compare, order = (">", "ASC") if forward else ("<", "DESC")
    found: list[Row] = []
    size = 0
    while len(found) < limit:
        rows = tx.all(
            f"""
            SELECT stream_id, timestamp_ms, sequence, ingested_ms, message FROM logs_events
            WHERE stream_id = :stream AND timestamp_ms >= :start AND timestamp_ms < :end
              AND (timestamp_ms, sequence) {compare} (:at, :sequence)
            ORDER BY timestamp_ms {order}, sequence {order} LIMIT :limit
            """,
            stream=stream_id,
            start=span.start_ms,
            end=span.end_ms,
            at=position[0],
            sequence=position[1],
            limit=min(CHUNK_EVENTS, limit - len(found)),
        )
        for row in rows:
            size += len(row["message"]) + EVENT_OVERHEAD_BYTES
            if found and size > PAGE_BYTES_MAX:
                return found if forward else found[::-1]
            found.append(row)
        if len(rows) < CHUNK_EVENTS:
            break
        position = rows[-1]["timestamp_ms"], rows[-1]["sequence"]
    return found if forward else found[::-1]


def of_group(
    tx: Transaction,
    group_id: int,
    span: Range,
    accepts: Callable[[Row], bool],
    after: Key | None,
    *,
    forward: bool,
    limit: int,
) -> Page:
    """One page of the events of a group that `accepts` wants, in the order of their timestamps."""
    found: list[Row] = []
    size = 0
    edge = after or ((-1, -1, -1) if forward else (TIME_MS_MAX, TIME_MS_MAX, TIME_MS_MAX))
    for _ in range(SCAN_CHUNKS_MAX):
        rows = _chunk_of_group(tx, group_id, span, edge, forward)
        for row in rows:
            if accepts(row):
                size += len(row["message"]) + EVENT_OVERHEAD_BYTES
                if found and (len(found) == limit or size > PAGE_BYTES_MAX):
                    return Page(found, edge)
                found.append(row)
            edge = row["timestamp_ms"], row["stream_id"], row["sequence"]
        if len(rows) < CHUNK_EVENTS:
            return Page(found, None)
    return Page(found, edge)


def _chunk_of_group(tx: Transaction, group_id: int, span: Range, edge: Key, forward: bool) -> list[Row]:
    compare, order = (">", "ASC") if forward else ("<", "DESC")
    return tx.all(
        f"""
        SELECT stream_id, timestamp_ms, sequence, ingested_ms, message FROM logs_events
        WHERE group_id = :group_id AND timestamp_ms >= :start AND timestamp_ms < :end
          AND (timestamp_ms, stream_id, sequence) {compare} (:at, :stream, :sequence)
        ORDER BY timestamp_ms {order}, stream_id {order}, sequence {order} LIMIT :limit
        """,
        group_id=group_id,
        start=span.start_ms,
        end=span.end_ms,
        at=edge[0],
        stream=edge[1],
        sequence=edge[2],
        limit=CHUNK_EVENTS,
    )


def text(row: Row) -> str:
    return bytes(row["message"]).decode()


def event_id(row: Row) -> str:
    """56 digits, growing with time, unique in a store."""
    return f"{row['timestamp_ms']:020d}{row['stream_id']:018d}{row['sequence']:018d}"


def _invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterException", sentence)
