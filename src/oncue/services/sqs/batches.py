"""Batches: the checks on a list of entries, and the reply that tells success from failure entry by entry."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oncue.errors import ServiceError
from oncue.services.sqs import refusals

ENTRIES_MAX = 10
ID = re.compile(r"[A-Za-z0-9_-]{1,80}")

Entry = Mapping[str, Any]


def check(entries: Sequence[Entry], shape: str) -> None:
    """Faults of the request as a whole. `shape` is the entries' name in the model."""
    if not entries:
        raise ServiceError("EmptyBatchRequest", f"There should be at least one {shape} in the request.")
    if len(entries) > ENTRIES_MAX:
        raise ServiceError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {ENTRIES_MAX}. You have sent {len(entries)}.",
        )
    seen = set()
    for entry in entries:
        if not ID.fullmatch(entry["Id"]):
            raise ServiceError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )
    for entry in entries:
        if entry["Id"] in seen:
            raise ServiceError("BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])


def performed(entries: Sequence[Entry], perform: Callable[[Entry], dict[str, Any] | None]) -> dict[str, Any]:
    """Each entry on its own: what `perform` answers is a success, a ServiceError of it a failed entry (so
    it refuses before it writes)."""
    successful, failed = [], []
    for entry in entries:
        try:
            answer = perform(entry) or {}
        except ServiceError as error:
            failed.append(_failure(entry["Id"], error))
        else:
            successful.append({"Id": entry["Id"]} | answer)
    return {"Successful": successful or None, "Failed": failed or None}


def _failure(id: str, error: ServiceError) -> dict[str, Any]:
    code = refusals.QUERY_CODES.get(error.code, error.code)
    return {"Id": id, "Code": code, "Message": error.message, "SenderFault": error.status < 500}
