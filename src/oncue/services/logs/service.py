"""The operations of CloudWatch Logs."""

import asyncio
import logging
from contextlib import suppress
from typing import Any, ClassVar

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call, Service, reads_only
from oncue.services.logs import events, groups, patterns
from oncue.services.logs.groups import LIST_MAX, RETENTION_DAYS, TAGS_MAX
from oncue.store import Row

SWEEP_EVERY_S = 600
SWEEP_PAUSE_S = 0.05  # between two deletions, so that writers get their turn
log = logging.getLogger("oncue.logs")


def _invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterException", sentence)


class Logs(Service):
    """Groups, streams and events. Refused: space-delimited patterns, regular expressions, live tails."""

    name: ClassVar[str] = "logs"
    refusal: ClassVar[str] = "InvalidParameterException"

    def __init__(self) -> None:
        self._janitor: asyncio.Task[None] | None = None

    async def start(self, call: Call) -> None:
        self._janitor = asyncio.create_task(self._sweep(call), name="logs janitor")

    async def stop(self) -> None:
        if self._janitor is not None:
            self._janitor.cancel()
            with suppress(asyncio.CancelledError):
                await self._janitor

    async def _sweep(self, call: Call) -> None:
        with call.store.listen("logs/discarded") as bell:
            while True:
                more = False
                try:
                    more = await call.transact(groups.sweep)
                except Exception:
                    log.exception("old log events could not be deleted; trying again later")
                await bell.wait(SWEEP_PAUSE_S if more else SWEEP_EVERY_S)

    # Groups

    def create_log_group(
        self,
        call: Call,
        *,
        logGroupName: str,
        tags: dict[str, str] | None = None,
        logGroupClass: str = "STANDARD",
    ) -> None:
        if logGroupClass not in ("STANDARD", "INFREQUENT_ACCESS"):
            raise _invalid(f"Oncue does not support log groups of the class {logGroupClass}.")
        _check_tags(tags or {})
        made = call.tx.run(
            """
            INSERT INTO logs_groups (account, region, name, class, created_ms, tags)
            VALUES (:a, :r, :n, :c, :now, :t) ON CONFLICT (account, region, name) DO NOTHING
            """,
            a=call.account,
            r=call.region,
            n=logGroupName,
            c=logGroupClass,
            now=int(call.now * 1000),
            t=_json(tags or {}),
        )
        if not made:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")

    def delete_log_group(self, call: Call, *, logGroupName: str) -> None:
        groups.discard_group(call, groups.group_named(call, logGroupName, lock=True))

    @reads_only
    def describe_log_groups(
        self,
        call: Call,
        *,
        logGroupNamePrefix: str | None = None,
        logGroupNamePattern: str | None = None,
        logGroupIdentifiers: list[str] | None = None,
        logGroupClass: str | None = None,
        nextToken: str | None = None,
        limit: int = LIST_MAX,
    ) -> dict[str, Any]:
        if logGroupNamePrefix and logGroupNamePattern:
            raise _invalid(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        wanted = {groups.name_of(identifier) for identifier in logGroupIdentifiers or ()}
        after = str(groups.read_token(nextToken)[0]) if nextToken else ""
        rows = call.tx.all(
            "SELECT * FROM logs_groups WHERE account = :a AND region = :r AND name > :after ORDER BY name",
            a=call.account,
            r=call.region,
            after=after,
        )
        rows = [
            row
            for row in rows
            if row["name"].startswith(logGroupNamePrefix or "")
            and (logGroupNamePattern or "") in row["name"]
            and (not wanted or row["name"] in wanted)
            and logGroupClass in (None, row["class"])
        ]
        page = rows[:limit]
        token = groups.write_token(page[-1]["name"]) if len(rows) > limit else None
        return {"logGroups": [groups.described_group(call, row) for row in page], "nextToken": token}

    def put_retention_policy(self, call: Call, *, logGroupName: str, retentionInDays: int) -> None:
        if retentionInDays not in RETENTION_DAYS:
            raise _invalid(
                f"1 validation error detected: Value '{retentionInDays}' at 'retentionInDays' failed to "
                f"satisfy constraint: Member must satisfy enum value set: {list(RETENTION_DAYS)}"
            )
        self._retain(call, logGroupName, retentionInDays)

    def delete_retention_policy(self, call: Call, *, logGroupName: str) -> None:
        self._retain(call, logGroupName, None)

    def _retain(self, call: Call, name: str, days: int | None) -> None:
        group = groups.group_named(call, name, lock=True)
        call.tx.run("UPDATE logs_groups SET retention_days = :d WHERE id = :g", d=days, g=group["id"])

    # Streams

    def create_log_stream(self, call: Call, *, logGroupName: str, logStreamName: str) -> None:
        group = groups.group_named(call, logGroupName)
        made = call.tx.run(
            """
            INSERT INTO logs_streams (group_id, name, created_ms, next_sequence, stored_bytes)
            VALUES (:g, :n, :now, 0, 0) ON CONFLICT (group_id, name) DO NOTHING
            """,
            g=group["id"],
            n=logStreamName,
            now=int(call.now * 1000),
        )
        if not made:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")

    def delete_log_stream(self, call: Call, *, logGroupName: str, logStreamName: str) -> None:
        group = groups.group_named(call, logGroupName)
        groups.discard_stream(call, groups.stream_named(call, group, logStreamName, lock=True))

    @reads_only
    def describe_log_streams(
        self,
        call: Call,
        *,
        logGroupName: str | None = None,
        logGroupIdentifier: str | None = None,
        logStreamNamePrefix: str | None = None,
        orderBy: str = "LogStreamName",
        descending: bool = False,
        nextToken: str | None = None,
        limit: int = LIST_MAX,
    ) -> dict[str, Any]:
        group = groups.group_asked(call, logGroupName, logGroupIdentifier)
        if orderBy == "LastEventTime" and logStreamNamePrefix:
            raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        rows = call.tx.all("SELECT * FROM logs_streams WHERE group_id = :g", g=group["id"])
        rows = [row for row in rows if row["name"].startswith(logStreamNamePrefix or "")]
        rows.sort(key=_by_name if orderBy == "LogStreamName" else _by_last_event, reverse=descending)
        first = 0
        if nextToken:
            last = str(groups.read_token(nextToken)[0])
            first = next((index + 1 for index, row in enumerate(rows) if row["name"] == last), len(rows))
        page = rows[first : first + limit]
        token = groups.write_token(page[-1]["name"]) if len(rows) > first + limit else None
        return {"logStreams": [groups.described_stream(group, row) for row in page], "nextToken": token}

    # Events

    def put_log_events(
        self,
        call: Call,
        *,
        logGroupName: str,
        logStreamName: str,
        logEvents: list[dict[str, Any]],
        sequenceToken: str | None = None,
    ) -> dict[str, Any]:
        group = groups.group_named(call, logGroupName)
        stream = groups.stream_named(call, group, logStreamName, lock=True)
        batch = [(event["timestamp"], event["message"].encode(errors="replace")) for event in logEvents]
        events.check_batch(logEvents, [len(message) for _, message in batch])
        now_ms = int(call.now * 1000)
        times = [at for at, _ in batch]
        first, end, rejected = events.sort_out(times, now_ms, group["retention_days"])
        sequence = int(stream["next_sequence"])
        if first < end:
            sequence = events.append(call.tx, group["id"], stream["id"], batch[first:end], now_ms)
        return {"nextSequenceToken": groups.sequence_token(sequence), "rejectedLogEventsInfo": rejected}

    @reads_only
    def get_log_events(
        self,
        call: Call,
        *,
        logStreamName: str,
        logGroupName: str | None = None,
        logGroupIdentifier: str | None = None,
        startTime: int | None = None,
        endTime: int | None = None,
        nextToken: str | None = None,
        limit: int = events.PAGE_EVENTS_MAX,
        startFromHead: bool = False,
        unmask: bool = False,
    ) -> dict[str, Any]:
        """A position lies between two events: `f/` reads what comes after it, `b/` what comes before it."""
        group = groups.group_asked(call, logGroupName, logGroupIdentifier)
        stream = groups.stream_named(call, group, logStreamName)
        span = _span(call, group, startTime, endTime)
        forward, at, sequence = _position(nextToken) if nextToken else _beginning(startFromHead)
        rows = events.of_stream(call.tx, stream["id"], span, (at, sequence), forward=forward, limit=limit)
        if rows:
            newest, oldest = rows[-1], rows[0]
            ahead = newest["timestamp_ms"], newest["sequence"]
            behind = oldest["timestamp_ms"], oldest["sequence"]
        elif nextToken is None:
            ahead, behind = (0, -1), (0, -1)
        else:
            ahead = (at, sequence) if forward else (at, max(sequence - 1, -1))
            behind = (at, sequence + 1) if forward else (at, sequence)
        return {
            "events": [
                {
                    "timestamp": row["timestamp_ms"],
                    "message": events.text(row),
                    "ingestionTime": row["ingested_ms"],
                }
                for row in rows
            ],
            "nextForwardToken": f"f/{ahead[0]:020d}{ahead[1] + 1:036d}/s",
            "nextBackwardToken": f"b/{behind[0]:020d}{behind[1] + 1:036d}/s",
        }

    @reads_only
    def filter_log_events(
        self,
        call: Call,
        *,
        logGroupName: str | None = None,
        logGroupIdentifier: str | None = None,
        logStreamNames: list[str] | None = None,
        logStreamNamePrefix: str | None = None,
        startTime: int | None = None,
        endTime: int | None = None,
        filterPattern: str = "",
        nextToken: str | None = None,
        limit: int = events.PAGE_EVENTS_MAX,
        startFromHead: bool = True,
        interleaved: bool = True,
        unmask: bool = False,
    ) -> dict[str, Any]:
        """Events of many streams by time. A page may be empty and still have a token, as on AWS."""
        if logStreamNames and logStreamNamePrefix:
            raise _invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        matches = patterns.compile_pattern(filterPattern)
        group = groups.group_asked(call, logGroupName, logGroupIdentifier)
        names = _streams(call, group, logStreamNames, logStreamNamePrefix)
        span = _span(call, group, startTime, None if endTime is None else endTime + 1)
        after: events.Key | None = None
        if nextToken:
            startFromHead, *key = groups.read_token(nextToken)
            after = (int(key[0]), int(key[1]), int(key[2]))

        def accepts(row: Row) -> bool:
            return row["stream_id"] in names and matches(events.text(row))

        page = events.of_group(call.tx, group["id"], span, accepts, after, forward=startFromHead, limit=limit)
        return {
            "events": [
                {
                    "logStreamName": names[row["stream_id"]],
                    "timestamp": row["timestamp_ms"],
                    "message": events.text(row),
                    "ingestionTime": row["ingested_ms"],
                    "eventId": events.event_id(row),
                }
                for row in page.events
            ],
            "searchedLogStreams": [],  # AWS: "Starting on May 15, 2020, this list will be empty"
            "nextToken": groups.write_token(startFromHead, *page.next) if page.next else None,
        }

    # Tags

    def tag_resource(self, call: Call, *, resourceArn: str, tags: dict[str, str]) -> None:
        self._tag(call, groups.name_of(resourceArn), tags, ())

    def untag_resource(self, call: Call, *, resourceArn: str, tagKeys: list[str]) -> None:
        self._tag(call, groups.name_of(resourceArn), {}, tagKeys)

    @reads_only
    def list_tags_for_resource(self, call: Call, *, resourceArn: str) -> dict[str, Any]:
        return {"tags": _tags(groups.group_named(call, groups.name_of(resourceArn)))}

    def tag_log_group(self, call: Call, *, logGroupName: str, tags: dict[str, str]) -> None:
        self._tag(call, logGroupName, tags, ())

    def untag_log_group(self, call: Call, *, logGroupName: str, tags: list[str]) -> None:
        self._tag(call, logGroupName, {}, tags)

    @reads_only
    def list_tags_log_group(self, call: Call, *, logGroupName: str) -> dict[str, Any]:
        return {"tags": _tags(groups.group_named(call, logGroupName))}

    def _tag(self, call: Call, name: str, added: dict[str, str], removed: Any) -> None:
        group = groups.group_named(call, name, lock=True)
        tags = {key: value for key, value in (_tags(group) | added).items() if key not in removed}
        _check_tags(tags)
        call.tx.run("UPDATE logs_groups SET tags = :t WHERE id = :g", t=_json(tags), g=group["id"])


def _tags(group: Row) -> dict[str, str]:
    return msgspec.json.decode(group["tags"], type=dict[str, str])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise ServiceError("TooManyTagsException", f"A resource can have up to {TAGS_MAX} tags.")


def _by_name(row: Row) -> Any:
    return row["name"].encode()


def _by_last_event(row: Row) -> Any:
    return row["last_event_ms"] or 0, row["name"].encode()


def _span(call: Call, group: Row, start_ms: int | None, end_ms: int | None) -> events.Range:
    """What is past the group's retention is not shown, whether the janitor has been there or not."""
    days = group["retention_days"]
    oldest = int(call.now * 1000) - days * events.DAY_MS if days else 0
    return events.Range(max(start_ms or 0, oldest), events.TIME_MS_MAX if end_ms is None else end_ms)


def _beginning(from_head: bool) -> tuple[bool, int, int]:
    return (True, -1, -1) if from_head else (False, events.TIME_MS_MAX, 0)


def _position(token: str) -> tuple[bool, int, int]:
    digits = token[2:-2]
    if token[:2] not in ("f/", "b/") or token[-2:] != "/s" or len(digits) != 56 or not digits.isdigit():
        raise _invalid("The specified nextToken is invalid.")
    return token[0] == "f", int(digits[:20]), int(digits[20:]) - 1


def _streams(call: Call, group: Row, names: list[str] | None, prefix: str | None) -> dict[int, str]:
    """The names, by id, of the streams to search."""
    if names:
        return {groups.stream_named(call, group, name)["id"]: name for name in names}
    rows = call.tx.all("SELECT id, name FROM logs_streams WHERE group_id = :g", g=group["id"])
    return {row["id"]: row["name"] for row in rows if row["name"].startswith(prefix or "")}
