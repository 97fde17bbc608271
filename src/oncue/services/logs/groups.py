"""Log groups and log streams as rows: found by name or ARN, listed by page, discarded."""

import base64
import binascii
from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.store import Row

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
TAGS_MAX = 50
LIST_MAX = 50  # groups or streams on a page
JANITOR_EVENTS_MAX = 5_000  # events deleted in one transaction


def group_named(call: Call, name: str, *, lock: bool = False) -> Row:
    row = call.tx.one(
        f"SELECT * FROM logs_groups WHERE account = :a AND region = :r AND name = :n{' FOR UPDATE' * lock}",
        a=call.account,
        r=call.region,
        n=name,
    )
    if row is None:
        raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
    return row


def group_asked(call: Call, name: str | None, identifier: str | None) -> Row:
    """The group that a reading operation means: exactly one of a name and an identifier (name or ARN)."""
    if (name is None) == (identifier is None):
        raise ServiceError(
            "InvalidParameterException",
            "Exactly one of logGroupName and logGroupIdentifier must be specified.",
        )
    return group_named(call, name if name is not None else name_of(identifier or ""))


def name_of(identifier: str) -> str:
    """The group's name in an ARN (with or without the final `:*`), or the name itself."""
    if not identifier.startswith("arn:"):
        return identifier
    try:
        kind, _, name = arns.parse(identifier).resource.partition(":")
    except ValueError:
        kind, name = "", ""
    if kind != "log-group" or not name:
        raise ServiceError("InvalidParameterException", f"The ARN {identifier} does not name a log group.")
    return name.removesuffix(":*")


def stream_named(call: Call, group: Row, name: str, *, lock: bool = False) -> Row:
    row = call.tx.one(
        f"SELECT * FROM logs_streams WHERE group_id = :g AND name = :n{' FOR UPDATE' * lock}",
        g=group["id"],
        n=name,
    )
    if row is None:
        raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
    return row


def discard_group(call: Call, group: Row) -> None:
    """The group and its streams are gone at once; the janitor deletes their events."""
    call.tx.run(
        "INSERT INTO logs_discarded (stream_id) SELECT id FROM logs_streams WHERE group_id = :g",
        g=group["id"],
    )
    call.tx.run("DELETE FROM logs_streams WHERE group_id = :g", g=group["id"])
    call.tx.run("DELETE FROM logs_groups WHERE id = :g", g=group["id"])
    call.tx.wake("logs/discarded")


def discard_stream(call: Call, stream: Row) -> None:
    call.tx.run("DELETE FROM logs_streams WHERE id = :id", id=stream["id"])
    call.tx.run("INSERT INTO logs_discarded (stream_id) VALUES (:id)", id=stream["id"])
    call.tx.wake("logs/discarded")


def sweep(call: Call) -> bool:
    """Delete some events of discarded streams or past their group's retention. True while there is more."""
    gone = call.tx.one(
        "SELECT stream_id FROM logs_discarded ORDER BY stream_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    if gone is not None:
        if _delete(call, "stream_id = :of", gone["stream_id"], events_before=None) < JANITOR_EVENTS_MAX:
            call.tx.run("DELETE FROM logs_discarded WHERE stream_id = :id", id=gone["stream_id"])
        return True
    kept = call.tx.all(
        "SELECT id, retention_days FROM logs_groups WHERE retention_days IS NOT NULL ORDER BY id"
    )
    for group in kept:
        before = int(call.now * 1000) - group["retention_days"] * 86_400_000
        if _delete(call, "group_id = :of", group["id"], events_before=before) == JANITOR_EVENTS_MAX:
            return True
    return False


def _delete(call: Call, where: str, of: int, *, events_before: int | None) -> int:
    older = "" if events_before is None else " AND timestamp_ms < :before"
    values = {} if events_before is None else {"before": events_before}
    return call.tx.run(
        f"""
        DELETE FROM logs_events WHERE (stream_id, timestamp_ms, sequence) IN (
            SELECT stream_id, timestamp_ms, sequence FROM logs_events WHERE {where}{older} LIMIT :limit
        )
        """,
        of=of,
        limit=JANITOR_EVENTS_MAX,
        **values,
    )


def described_group(call: Call, row: Row) -> dict[str, Any]:
    size = call.tx.one("SELECT SUM(stored_bytes) AS size FROM logs_streams WHERE group_id = :g", g=row["id"])
    arn = arns.build("logs", row["region"], row["account"], f"log-group:{row['name']}")
    return {
        "logGroupName": row["name"],
        "creationTime": row["created_ms"],
        "retentionInDays": row["retention_days"],
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": int(size["size"] or 0) if size else 0,
        "logGroupClass": row["class"],
    }


def described_stream(group: Row, row: Row) -> dict[str, Any]:
    resource = f"log-group:{group['name']}:log-stream:{row['name']}"
    return {
        "logStreamName": row["name"],
        "creationTime": row["created_ms"],
        "firstEventTimestamp": row["first_event_ms"],
        "lastEventTimestamp": row["last_event_ms"],
        "lastIngestionTime": row["last_ingestion_ms"],
        "uploadSequenceToken": sequence_token(row["next_sequence"]),
        "arn": arns.build("logs", group["region"], group["account"], resource),
        "storedBytes": 0,  # AWS stopped counting by stream in 2019
    }


def sequence_token(next_sequence: int) -> str:
    """PutLogEvents has ignored these since 2023; old agents still want one."""
    return f"{next_sequence:056d}"


def write_token(*parts: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def read_token(token: str) -> list[Any]:
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=list[Any])
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.") from None
    return parts
