"""What an IAM policy that a Lambda authorizer returns says of one route. Pure.

Source: IAM User Guide, "Policy evaluation logic": an explicit Deny wins, then an Allow, else denied. Of the
policy language there is what authorizers write: Effect, Action and Resource with `*` and `?`.
"""

import re
from functools import lru_cache
from typing import Any

ACTION = "execute-api:Invoke"
STATEMENTS_MAX = 1_000
PATTERNS_CACHED = 4_096


class MalformedPolicyError(Exception):
    """The document is no policy, or says what is not understood here."""


def allows(document: Any, arn: str) -> bool:
    """Whether the policy lets its holder call the route `arn`."""
    if not isinstance(document, dict):
        raise MalformedPolicyError("policyDocument is not an object")
    statements = _many(document.get("Statement"))
    if len(statements) > STATEMENTS_MAX:
        raise MalformedPolicyError(f"more than {STATEMENTS_MAX} statements")
    effects = {_effect(one) for one in statements if _matches(one, arn)}
    return effects == {"Allow"}


def _effect(statement: dict[str, Any]) -> str:
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicyError(f"Effect {effect!r}")
    return str(effect)


def _matches(statement: Any, arn: str) -> bool:
    if not isinstance(statement, dict):
        raise MalformedPolicyError("a statement is not an object")
    strange = statement.keys() - {"Action", "Effect", "Resource", "Sid"}
    if strange:
        raise MalformedPolicyError(f"Oncue does not understand {', '.join(sorted(strange))} in a statement")
    actions, resources = _many(statement.get("Action")), _many(statement.get("Resource"))
    return any(_like(one, ACTION, ignore_case=True) for one in actions) and any(
        _like(one, arn) for one in resources
    )


def _many(value: Any) -> list[Any]:
    if value is None:
        raise MalformedPolicyError("Statement, Action or Resource is missing")
    return value if isinstance(value, list) else [value]


def _like(pattern: Any, text: str, *, ignore_case: bool = False) -> bool:
    if not isinstance(pattern, str):
        raise MalformedPolicyError(f"{pattern!r} is not a string")
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@lru_cache(PATTERNS_CACHED)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    text = "".join(parts.get(letter) or re.escape(letter) for letter in re.sub(r"\*+", "*", pattern))
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
