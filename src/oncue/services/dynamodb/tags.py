"""The tags of tables."""

from typing import Any

import msgspec

from oncue import arns
from oncue.services import Call
from oncue.services.dynamodb import tables
from oncue.services.dynamodb.refusals import bad_parameters, invalid
from oncue.store import Row

TAGS_MAX = 50
Tag = dict[str, str]


def admit(given: list[Tag]) -> list[Tag]:
    names = [tag["Key"] for tag in given]
    if len(set(names)) < len(names):
        raise bad_parameters("Duplicate tag keys are not allowed")
    if len(given) > TAGS_MAX:
        raise bad_parameters(f"Too many tags, at most {TAGS_MAX} are allowed")
    return given


def row_of(call: Call, resource: str, *, lock: bool = False) -> Row:
    """Of the table that an ARN names."""
    try:
        arns.parse(resource)
    except ValueError:
        raise invalid("Invalid TableArn: Invalid ResourceArn provided as input") from None
    row = tables.row_of(call, resource, lock=lock)
    if row is None:
        raise tables.no_resource(resource)
    return row


def read(row: Row) -> list[Tag]:
    tags: list[Tag] = msgspec.json.decode(row["tags"])
    return tags


def save(call: Call, row: Row, tags: list[Tag]) -> None:
    text = msgspec.json.encode(admit(tags)).decode()
    call.tx.run("UPDATE dynamodb_tables SET tags = :tags WHERE id = :id", tags=text, id=row["id"])


def merged(old: list[Tag], new: list[Tag]) -> list[Tag]:
    both: dict[str, Any] = {tag["Key"]: tag for tag in (*old, *new)}
    return list(both.values())
