"""Filter policies: checked when they are set, compiled once, and asked about every message. Pure.

Rules: the pages "Amazon SNS subscription filter policies", "Filter policy constraints", "String value
matching" and "Numeric value matching" of the SNS Developer Guide. An attribute or a property of the body
is a list of values; a condition holds when it holds for one of them.
"""

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from oncue.services.sns import filter_policies
from oncue.services.sns.filter_policies import NUMERIC, Policy

POLICIES_CACHED = 4_096
DIGITS = 5  # after the decimal point

Test = Callable[[Any], bool]  # of one value: a text, a number, a boolean or null
Node = Callable[[Mapping[str, Any]], bool]  # of the attributes, the body, or an object in it


class Filter:
    """A compiled policy."""

    def __init__(self, policy: Policy, scope: str) -> None:
        self.of_body = scope == filter_policies.BODY
        self._node = _node(policy)

    def accepts(self, body: str, attributes: Mapping[str, tuple[str, str | bytes]]) -> bool:
        """`attributes` maps a name to (data type, value). A body that is no JSON object does not match."""
        if not self.of_body:
            return self._node(_values_of_attributes(attributes))
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict) and self._node(document)


@lru_cache(POLICIES_CACHED)
def compiled(text: str, scope: str) -> Filter | None:
    """The filter of a policy that has been checked; None for one that lets everything pass."""
    policy = json.loads(text)
    return Filter(policy, scope) if policy else None


def _values_of_attributes(attributes: Mapping[str, tuple[str, str | bytes]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (kind, value) in attributes.items():
        if isinstance(value, bytes):
            continue
        if kind == "String.Array":
            try:
                items = json.loads(value)
            except (ValueError, RecursionError):
                continue
            values[name] = items if isinstance(items, list) else [items]
        elif kind.partition(".")[0] == "Number":
            values[name] = float(value)
        else:
            values[name] = value
    return values


def _node(policy: Policy) -> Node:
    nodes: list[Node] = []
    for key, value in policy.items():
        if filter_policies.is_or(key, value):
            nodes.append(_any_of([_node(alternative) for alternative in value]))
        elif isinstance(value, dict):
            nodes.append(_nested(key, _node(value)))
        else:
            nodes.append(_field(key, value))
    return lambda document: all(node(document) for node in nodes)


def _any_of(nodes: list[Node]) -> Node:
    return lambda document: any(node(document) for node in nodes)


def _nested(key: str, node: Node) -> Node:
    def matches(document: Mapping[str, Any]) -> bool:
        value = document.get(key)
        objects = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else [value]
        found = [item for item in objects if isinstance(item, dict)]
        return any(node(item) for item in found or [{}])

    return matches


def _field(key: str, conditions: list[Any]) -> Node:
    exists = {rule["exists"] for rule in conditions if isinstance(rule, dict) and "exists" in rule}
    tests = [_test(rule) for rule in conditions if not (isinstance(rule, dict) and "exists" in rule)]

    def matches(document: Mapping[str, Any]) -> bool:
        leaves = list(_leaves(document[key])) if key in document else []
        if bool(leaves) in exists:
            return True
        return any(test(leaf) for leaf in leaves for test in tests)

    return matches


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif not isinstance(value, dict):
        yield value


def _test(rule: Any) -> Test:
    if not isinstance(rule, dict):
        return _equals(rule)
    ((operator, operand),) = rule.items()
    if operator == "anything-but":
        return _anything_but(operand)
    if operator == "numeric":
        return _numeric(operand)
    if operator == "cidr":
        return _cidr(operand)
    return _text(operator, operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(wanted: Any) -> Test:
    if _is_number(wanted):
        rounded = round(wanted, DIGITS)
        return lambda value: _is_number(value) and round(value, DIGITS) == rounded
    return lambda value: type(value) is type(wanted) and value == wanted


def _text(operator: str, operand: str) -> Test:
    if operator == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(operand)
    if operator == "suffix":
        return lambda value: isinstance(value, str) and value.endswith(operand)
    assert operator == "equals-ignore-case", "policies are checked when they are set"
    folded = operand.casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, dict):
        ((operator, part),) = operand.items()
        test = _text(operator, part)
        return lambda value: not test(value)
    tests = [_equals(item) for item in (operand if isinstance(operand, list) else [operand])]
    return lambda value: not any(test(value) for test in tests)


def _numeric(terms: list[Any]) -> Test:
    bounds = [(NUMERIC[terms[at]], round(terms[at + 1], DIGITS)) for at in range(0, len(terms), 2)]

    def holds(value: Any) -> bool:
        if not _is_number(value):
            return False
        number = round(value, DIGITS)
        return all(compare(number, bound) for compare, bound in bounds)

    return holds


def _cidr(text: str) -> Test:
    network = ipaddress.ip_network(text, strict=False)

    def holds(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return holds
