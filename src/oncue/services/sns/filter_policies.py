"""What a filter policy may say: its operators and limits, and the sentences that refuse it. Pure.

A refusal is a PolicyError with AWS's sentence; who asked puts `Invalid parameter: ...` before it.
"""

import ipaddress
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

KEYS_MAX = 5
COMBINATIONS_MAX = 150
POLICY_BYTES_MAX = 262_144
NUMBER_MAX = 10**9
DEPTH_MAX = 100
ATTRIBUTES = "MessageAttributes"
BODY = "MessageBody"
SCOPES = (ATTRIBUTES, BODY)
TEXT_OPERATORS = ("prefix", "suffix", "equals-ignore-case")
OPERATORS = frozenset((*TEXT_OPERATORS, "anything-but", "numeric", "exists", "cidr"))
NUMERIC: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOO_COMPLEX = "Filter policy is too complex"
SCALARS = "Match value must be String, number, true, false, or null"

Policy = Mapping[str, Any]


class PolicyError(ValueError):
    """Why a filter policy is not one."""


def checked(text: str, scope: str) -> Policy:
    """The policy of a JSON text. Raises PolicyError; `{}` lets everything pass."""
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise PolicyError("Filter policy is too large")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise PolicyError("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise PolicyError("Filter is not an object")
    combinations = _checked_node(policy, scope, 1, 0)
    if len(_keys(policy)) > KEYS_MAX:
        raise PolicyError(f"Filter policy can not have more than {KEYS_MAX} keys")
    if combinations > COMBINATIONS_MAX:
        raise PolicyError(TOO_COMPLEX)
    return policy


def is_or(key: str, value: Any) -> bool:
    """Whether `$or` is the operator: two objects or more, none with a key that is an operator's name. In
    any other case it is a name like all others (page "AND/OR logic")."""
    return (
        key == "$or"
        and isinstance(value, list)
        and len(value) > 1
        and all(isinstance(item, dict) and item and not OPERATORS & item.keys() for item in value)
    )


def _keys(policy: Policy) -> set[str]:
    """Top-level names: what is nested does not count."""
    keys = set()
    for key, value in policy.items():
        keys |= {name for item in value for name in _keys(item)} if is_or(key, value) else {key}
    return keys


def _checked_node(policy: Policy, scope: str, depth: int, inside: int) -> int:
    """The number of combinations: the product over the keys of their values, each times its depth; the
    alternatives of an `$or` add up. `inside` counts every object around this one, `$or` included."""
    if inside > DEPTH_MAX:
        raise PolicyError(TOO_COMPLEX)
    combinations = 1
    for key, value in policy.items():
        if is_or(key, value):
            combinations *= sum(_checked_node(item, scope, depth, inside + 1) for item in value)
        elif isinstance(value, dict):
            if scope == ATTRIBUTES:
                raise PolicyError(
                    "Filter policy scope MessageAttributes does not support nested filter policy"
                )
            if not value:
                raise PolicyError("Empty objects are not allowed")
            combinations *= _checked_node(value, scope, depth + 1, inside + 1)
        elif isinstance(value, list):
            if not value:
                raise PolicyError("Empty arrays are not allowed")
            for rule in value:
                _check_rule(rule)
            combinations *= len(value) * depth
        else:
            raise PolicyError(f'"{key}" must be an object or an array')
    return combinations


def _check_rule(rule: Any) -> None:
    if isinstance(rule, list):
        raise PolicyError(SCALARS)
    if not isinstance(rule, dict):
        _check_number(rule)
        return
    if not rule:
        raise PolicyError("Empty objects are not allowed")
    if len(rule) > 1:
        raise PolicyError("Only one key allowed in match expression")
    ((name, operand),) = rule.items()
    if name not in OPERATORS:
        raise PolicyError(f"Unrecognized match type {name}")
    if name == "exists":
        if not isinstance(operand, bool):
            raise PolicyError("exists match pattern must be either true or false.")
    elif name == "numeric":
        _check_numeric(operand)
    elif name == "anything-but":
        _check_anything_but(operand)
    elif name == "cidr":
        _check_cidr(operand)
    elif not isinstance(operand, str):
        raise PolicyError(f"{name} match pattern must be a string")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_number(value: Any) -> None:
    if _is_number(value) and not -NUMBER_MAX <= value <= NUMBER_MAX:
        raise PolicyError("Value must be between -1.0E9 and 1.0E9, inclusive")


def _check_anything_but(operand: Any) -> None:
    if isinstance(operand, dict):
        for name, part in operand.items():
            if name != "prefix":
                raise PolicyError(f"Unsupported anything-but pattern: {name}")
            if not isinstance(part, str):
                raise PolicyError("prefix match pattern must be a string")
        if len(operand) != 1:
            raise PolicyError("Only one key allowed in match expression")
        return
    if operand == []:
        raise PolicyError("Empty arrays are not allowed")
    for item in operand if isinstance(operand, list) else [operand]:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise PolicyError("Inside anything but list, start|null|boolean is not supported.")
        _check_number(item)


def _check_numeric(operand: Any) -> None:
    if not isinstance(operand, list):
        raise PolicyError("Value of numeric must be an array.")
    if not operand:
        raise PolicyError("Invalid member in numeric match: ]")
    terms = _terms(operand)
    first, low = next(terms)
    second = next(terms, None)
    if second is None:
        return
    if first not in (">", ">="):
        raise PolicyError("Too many elements in numeric expression")
    name, high = second
    if name not in ("<", "<="):
        raise PolicyError(f"Bad numeric range operator: {name}")
    if not low < high:
        raise PolicyError("Bottom must be less than top")
    if next(terms, None) is not None:
        raise PolicyError("Too many terms in numeric range expression")


def _terms(operand: list[Any]) -> Iterator[tuple[str, float]]:
    for at in range(0, len(operand), 2):
        name = operand[at]
        if not isinstance(name, str):
            raise PolicyError(f"Invalid member in numeric match: {json.dumps(name)}")
        if name not in NUMERIC:
            raise PolicyError(f"Unrecognized numeric range operator: {name}")
        value = operand[at + 1] if at + 1 < len(operand) else None
        if value is None or not _is_number(value):
            raise PolicyError(f"Value of {'equals' if name == '=' else name} must be numeric")
        _check_number(value)
        yield name, value


def _check_cidr(operand: Any) -> None:
    if not isinstance(operand, str):
        raise PolicyError("prefix match pattern must be a string")
    if operand.count("/") != 1:
        raise PolicyError("Malformed CIDR, one '/' required")
    address, _, mask = operand.partition("/")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise PolicyError(f"Nonstandard IP address: {address}") from None
    if not (mask.isascii() and mask.isdigit()):
        raise PolicyError("Malformed CIDR, mask bits must be an integer")
    if int(mask) > ip.max_prefixlen:
        raise PolicyError(f"Malformed CIDR, mask bits must not be over {ip.max_prefixlen}")
