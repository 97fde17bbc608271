"""Policy documents: what IAM accepts as one, and their form in replies. Pure.

Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM and AWS STS quotas" (white space
does not count). What actions and principals mean is not looked at: nothing is enforced here.
"""

import re
from typing import Any
from urllib.parse import quote

import msgspec

from oncue.errors import ServiceError

TRUST_CHARACTERS_MAX = 2_048
POLICY_CHARACTERS_MAX = 6_144
INLINE_CHARACTERS_MAX = 10_240  # all inline policies of one role together
VERSIONS = (None, "2008-10-17", "2012-10-17")
SPACE = re.compile(r"\s+")


def malformed(sentence: str) -> ServiceError:
    return ServiceError("MalformedPolicyDocument", sentence)


def over(sentence: str) -> ServiceError:
    return ServiceError("LimitExceeded", sentence, 409)


def characters(document: str) -> int:
    return len(SPACE.sub("", document))


def quoted(document: str) -> str:
    """As replies carry it: percent-encoded (RFC 3986), which clients undo."""
    return quote(document, safe="")


def check_trust(document: str) -> None:
    """A role's trust policy: statements with a principal and without resources."""
    for statement in _statements(document):
        if "Resource" in statement or "NotResource" in statement:
            raise malformed("Has prohibited field Resource")
        if not {"Principal", "NotPrincipal"} & statement.keys():
            raise malformed("AssumeRole policy must contain a principal")
    if characters(document) > TRUST_CHARACTERS_MAX:
        raise over(f"Cannot exceed quota for ACLSizePerRole: {TRUST_CHARACTERS_MAX}")


def check_permissions(document: str) -> None:
    """An identity policy: statements with resources and without a principal."""
    for statement in _statements(document):
        if {"Principal", "NotPrincipal"} & statement.keys():
            raise malformed("Policy document should not specify a principal.")
        if not {"Resource", "NotResource"} & statement.keys():
            raise malformed("Policy statement must contain resources.")


def check_managed(document: str) -> None:
    check_permissions(document)
    if characters(document) > POLICY_CHARACTERS_MAX:
        raise over(f"Cannot exceed quota for PolicySize: {POLICY_CHARACTERS_MAX}")


def _statements(document: str) -> list[dict[str, Any]]:
    try:
        found = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError):
        raise malformed("This policy contains invalid Json") from None
    if not isinstance(found, dict) or found.get("Version") not in VERSIONS:
        raise malformed("Syntax errors in policy.")
    statements = found.get("Statement")
    listed: list[Any] = statements if isinstance(statements, list) else [statements]
    for statement in listed:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise malformed("Syntax errors in policy.")
        if not {"Action", "NotAction"} & statement.keys():
            raise malformed("Policy statement must contain actions.")
    return listed
