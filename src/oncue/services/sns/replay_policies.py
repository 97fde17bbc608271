"""Archive and replay policies: how long a FIFO topic keeps what was published, and from when a subscription
wants it again. Pure.

Source: "Amazon SNS message archiving and replay for FIFO topics" in the SNS Developer Guide.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oncue.services.sns.refusals import invalid

DAYS_MAX = 365
PENDING, RUNNING, COMPLETED = "Pending", "In progress", "Completed"


@dataclass(frozen=True, slots=True)
class Window:
    """What is to be replayed, in epoch seconds; without an end up to now, and on."""

    start: float
    end: float | None


def archive_days(text: str | None) -> int:
    """The retention of a topic's ArchivePolicy; 0 for a topic without an archive."""
    if not text:
        return 0
    policy = _object(text, "ArchivePolicy")
    if not policy:
        return 0
    days = str(policy.get("MessageRetentionPeriod", ""))
    fit = days.isascii() and days.isdigit() and len(days) < 4 and 1 <= int(days) <= DAYS_MAX
    if not fit or len(policy) > 1:
        raise invalid(f"ArchivePolicy: MessageRetentionPeriod must be an integer from 1 to {DAYS_MAX} (days)")
    return int(days)


def checked(text: str) -> Window | None:
    """The window of a ReplayPolicy; None for `{}`, which ends a replay."""
    policy = _object(text, "ReplayPolicy")
    if not policy:
        return None
    if set(policy) - {"PointType", "StartingPoint", "EndingPoint"}:
        raise invalid("ReplayPolicy: the keys are PointType, StartingPoint and EndingPoint")
    if policy.get("PointType") != "Timestamp":
        raise invalid("ReplayPolicy: PointType must be Timestamp")
    start = _moment(policy.get("StartingPoint"), "StartingPoint")
    end = _moment(policy["EndingPoint"], "EndingPoint") if policy.get("EndingPoint") is not None else None
    if end is not None and end <= start:
        raise invalid("ReplayPolicy: EndingPoint must be after StartingPoint")
    return Window(start, end)


def is_none(text: str | None) -> bool:
    return not text or checked(text) is None


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(f"{name}: failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise invalid(f"{name}: must be a JSON object")
    return policy


def _moment(value: Any, name: str) -> float:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise invalid(f"ReplayPolicy: {name} must be a timestamp like 2026-01-01T00:00:00.000Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
