"""Roles, policies and tags as rows, and their shapes in replies."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.iam import documents
from oncue.store import Row

AWS_POLICY = re.compile(r"arn:aws:iam::aws:policy/(?:[!-~]+/)?(?P<name>[A-Za-z0-9+=,.@_-]+)")
OWN_POLICY = re.compile(
    r"arn:aws:iam::(?P<account>\d{12}):policy(?P<path>/|/[!-~]+/)(?P<name>[A-Za-z0-9+=,.@_-]+)"
)
PAGE_DEFAULT, ROWS_MAX = 100, 10_000
TAGS_MAX = 50
Tag = dict[str, str]


def missing(sentence: str) -> ServiceError:
    return ServiceError("NoSuchEntity", sentence, 404)


def exists(sentence: str) -> ServiceError:
    return ServiceError("EntityAlreadyExists", sentence, 409)


def in_use(sentence: str) -> ServiceError:
    return ServiceError("DeleteConflict", sentence, 409)


def new_id(prefix: str) -> str:
    """`AROA` or `ANPA` and 17 capital letters and digits."""
    return prefix + base64.b32encode(bytes.fromhex(clock.token(11))).decode()[:17]


def role(call: Call, name: str, *, lock: bool = False) -> Row:
    held = " FOR UPDATE" if lock else ""
    row = call.tx.one(
        f"SELECT * FROM iam_roles WHERE account = :account AND name = :name{held}",
        account=call.account,
        name=name,
    )
    if row is None:
        raise missing(f"The role with name {name} cannot be found.")
    return row


def role_shape(row: Row) -> dict[str, Any]:
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": row["boundary"]}
    return {
        "Path": row["path"],
        "RoleName": row["name"],
        "RoleId": row["id"],
        "Arn": f"arn:aws:iam::{row['account']}:role{row['path']}{row['name']}",
        "CreateDate": row["created_at"],
        "AssumeRolePolicyDocument": documents.quoted(row["trust"]),
        "Description": row["description"],
        "MaxSessionDuration": row["max_session_s"],
        "PermissionsBoundary": boundary if row["boundary"] else None,
    }


def policy_arn(row: Row) -> str:
    return f"arn:aws:iam::{row['account']}:policy{row['path']}{row['name']}"


def policy(call: Call, arn: str, *, lock: bool = False, sentence: str = "Policy {arn} was not found.") -> Row:
    """The caller's own policy of that ARN; those of AWS have no rows."""
    found = OWN_POLICY.fullmatch(arn)
    if found is None and not AWS_POLICY.fullmatch(arn):
        raise ServiceError("InvalidInput", f"ARN {arn} is not valid.")
    row = None
    if found and found["account"] == call.account:
        held = " FOR UPDATE" if lock else ""
        row = call.tx.one(
            f"SELECT * FROM iam_policies WHERE account = :account AND name = :name AND path = :path{held}",
            account=call.account,
            name=found["name"],
            path=found["path"],
        )
    if row is None:
        raise missing(sentence.format(arn=arn))
    return row


def attachments(call: Call, arn: str) -> int:
    row = call.tx.one(
        "SELECT COUNT(*) AS n FROM iam_attachments WHERE account = :account AND policy_arn = :arn",
        account=call.account,
        arn=arn,
    )
    assert row is not None, "a count is one row"
    return int(row["n"])


def policy_shape(call: Call, row: Row) -> dict[str, Any]:
    return {
        "PolicyName": row["name"],
        "PolicyId": row["id"],
        "Arn": policy_arn(row),
        "Path": row["path"],
        "DefaultVersionId": f"v{row['default_version']}",
        "AttachmentCount": attachments(call, policy_arn(row)),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": row["created_at"],
        "UpdateDate": row["updated_at"],
    }


def tags(call: Call, kind: str, owner: str) -> list[Tag]:
    rows = call.tx.all(
        "SELECT tag_key, tag_value FROM iam_tags"
        " WHERE account = :account AND kind = :kind AND owner = :owner ORDER BY tag_key",
        account=call.account,
        kind=kind,
        owner=owner,
    )
    return [{"Key": row["tag_key"], "Value": row["tag_value"]} for row in rows]


def add_tags(call: Call, kind: str, owner: str, added: list[Tag] | None) -> None:
    """Keys differ by more than case; a key that is there gets the new value."""
    folded = [tag["Key"].lower() for tag in added or []]
    if len(folded) != len(set(folded)):
        raise ServiceError(
            "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    for tag in added or []:
        call.tx.run(
            "INSERT INTO iam_tags (account, kind, owner, folded, tag_key, tag_value)"
            " VALUES (:account, :kind, :owner, :folded, :key, :value)"
            " ON CONFLICT (account, kind, owner, folded) DO UPDATE SET tag_key = :key, tag_value = :value",
            account=call.account,
            kind=kind,
            owner=owner,
            folded=tag["Key"].lower(),
            key=tag["Key"],
            value=tag["Value"],
        )
    if len(tags(call, kind, owner)) > TAGS_MAX:
        raise documents.over(f"The number of tags has reached the maximum limit of {TAGS_MAX}.")


def remove_tags(call: Call, kind: str, owner: str, keys: list[str] | None = None) -> None:
    """Remove those keys, or with None every tag."""
    for key in [tag["Key"] for tag in tags(call, kind, owner)] if keys is None else keys:
        call.tx.run(
            "DELETE FROM iam_tags WHERE account = :account AND kind = :kind AND owner = :owner"
            " AND folded = :folded",
            account=call.account,
            kind=kind,
            owner=owner,
            folded=key.lower(),
        )


def page(
    member: str,
    rows: list[Row],
    key: Callable[[Row], str],
    shape: Callable[[Row], Any],
    marker: str | None,
    most: int | None,
) -> dict[str, Any]:
    """One page of `rows`, sorted by `key`; the marker names the last one of the page before."""
    ordered = sorted(rows, key=key)
    after = _opened(marker) if marker else ""
    rest = [row for row in ordered if key(row) > after]
    shown = rest[: most or PAGE_DEFAULT]
    reply: dict[str, Any] = {member: [shape(row) for row in shown], "IsTruncated": len(rest) > len(shown)}
    if reply["IsTruncated"]:
        reply["Marker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return reply


def _opened(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ServiceError("InvalidInput", "Invalid Marker.") from None
