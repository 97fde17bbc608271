"""AddPermission and RemovePermission: edits of the policy document that a topic keeps as data. Pure."""

import json
import re
from typing import Any

from oncue.services.sns.refusals import invalid

ACCOUNT = re.compile(r"[0-9]{12}")
ACTIONS = frozenset(
    (
        "Publish",
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Receive",
        "*",
    )
)
STATEMENTS_MAX = 20


def with_permission(policy: str, arn: str, label: str, accounts: list[str], actions: list[str]) -> str:
    """The policy document with one more statement, `label` its Sid."""
    if not label:
        raise invalid("Label")
    for account in accounts:
        if not ACCOUNT.fullmatch(account):
            raise invalid("Policy Error: PrincipalNotFound")
    if not actions or not accounts:
        raise invalid("ActionName" if accounts else "AWSAccountId")
    for action in actions:
        if action not in ACTIONS:
            raise invalid("Policy statement action out of service scope!")
    document = json.loads(policy)
    statements = _statements(document)
    if any(statement.get("Sid") == label for statement in statements):
        raise invalid("Statement already exists")
    if len(statements) >= STATEMENTS_MAX:
        raise invalid("Policy", "too many statements")
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_many([f"arn:aws:iam::{account}:root" for account in accounts])},
        "Action": _one_or_many([f"SNS:{action}" for action in actions]),
        "Resource": arn,
    }
    return _written(document, [*statements, statement])


def without_permission(policy: str, label: str) -> str:
    """The policy document without the statement `label`; one that is not there is no error."""
    document = json.loads(policy)
    return _written(document, [item for item in _statements(document) if item.get("Sid") != label])


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def _written(document: dict[str, Any], statements: list[dict[str, Any]]) -> str:
    return json.dumps({**document, "Statement": statements}, separators=(",", ":"))


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
