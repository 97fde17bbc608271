"""AddPermission and RemovePermission: edits of the policy document that a queue keeps as data. Pure."""

import json
import re
from typing import Any

from oncue.services.sqs import refusals
from oncue.services.sqs.attributes import STATEMENTS_MAX

LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
ACCOUNT = re.compile(r"[0-9]{12}")
ACTIONS = frozenset(
    (
        "*",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
    )
)
ACTIONS_MAX = 7


def with_permission(policy: str | None, arn: str, label: str, accounts: list[str], actions: list[str]) -> str:
    """The policy document with one more statement, `label` its Sid."""
    _check(label, accounts, actions)
    document = _read(policy, arn)
    if any(statement.get("Sid") == label for statement in document["Statement"]):
        raise refusals.invalid_value("Label", label, "Already exists.")
    if len(document["Statement"]) >= STATEMENTS_MAX:
        raise refusals.over_limit(
            f"{STATEMENTS_MAX + 1} statements were found in the submitted policy, "
            f"max allowed is {STATEMENTS_MAX}"
        )
    document["Statement"].append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_many([f"arn:aws:iam::{account}:root" for account in accounts])},
            "Action": _one_or_many([f"SQS:{action}" for action in actions]),
            "Resource": arn,
        }
    )
    return json.dumps(document)


def without_permission(policy: str | None, arn: str, label: str) -> str:
    """The policy document without the statement `label`; '' when none is left."""
    document = _read(policy, arn)
    rest = [statement for statement in document["Statement"] if statement.get("Sid") != label]
    if len(rest) == len(document["Statement"]):
        raise refusals.invalid_value("Label", label, "can't find label.")
    document["Statement"] = rest
    return json.dumps(document) if rest else ""


def _check(label: str, accounts: list[str], actions: list[str]) -> None:
    if not LABEL.fullmatch(label):
        raise refusals.invalid_value(
            "Label",
            label,
            "Label can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
        )
    if not accounts:
        raise refusals.missing("AWSAccountIds")
    if not actions:
        raise refusals.missing("Actions")
    for account in accounts:
        if not ACCOUNT.fullmatch(account):
            raise refusals.invalid_value("PrincipalId", f"[{account}]", "Unable to verify.")
    if len(actions) > ACTIONS_MAX:
        raise refusals.over_limit(f"{len(actions)} Actions were found, maximum allowed is {ACTIONS_MAX}.")
    for action in actions:
        if action not in ACTIONS:
            reason = "Please refer to the appropriate WSDL for a list of valid actions. "
            raise refusals.invalid_value("ActionName", f"SQS:{action}", reason)


def _read(policy: str | None, arn: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(policy) if policy else {}
    statements = document.get("Statement", [])
    return {
        "Version": document.get("Version", "2008-10-17"),
        "Id": document.get("Id", f"{arn}/SQSDefaultPolicy"),
        "Statement": [statements] if isinstance(statements, dict) else list(statements),
    }


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
