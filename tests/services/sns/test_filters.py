"""Filter policies: what they accept, and which of them are refused with which sentence."""

import json
from typing import Any

import pytest

from oncue.services.sns import filter_policies
from oncue.services.sns.filter_policies import ATTRIBUTES, BODY, PolicyError
from oncue.services.sns.filters import Filter

TEXT = ("String", "red")


def by_attributes(policy: dict[str, Any], **attributes: tuple[str, str | bytes]) -> bool:
    return Filter(filter_policies.checked(json.dumps(policy), ATTRIBUTES), ATTRIBUTES).accepts("", attributes)


def by_body(policy: dict[str, Any], body: Any) -> bool:
    text = body if isinstance(body, str) else json.dumps(body)
    return Filter(filter_policies.checked(json.dumps(policy), BODY), BODY).accepts(text, {})


@pytest.mark.parametrize(
    ("rule", "attribute", "expected"),
    [
        ("red", ("String", "red"), True),
        ("red", ("String", "Red"), False),
        ("red", ("String.color", "red"), True),
        ("red", ("Binary", b"red"), False),
        ("100", ("Number", "100"), False),
        (100, ("Number", "100"), True),
        (100, ("Number.int", "1e2"), True),
        (100, ("String", "100"), False),
        (0.1, ("Number", "0.1000000001"), True),
        (True, ("String", "true"), False),
        (True, ("String.Array", "[true]"), True),
        (1, ("String.Array", "[true]"), False),
        (None, ("String.Array", "[null]"), True),
        ("red", ("String.Array", '["blue", "red"]'), True),
        ("red", ("String.Array", '["blue"'), False),
        ({"prefix": "re"}, TEXT, True),
        ({"prefix": "ed"}, TEXT, False),
        ({"suffix": "ed"}, TEXT, True),
        ({"suffix": "re"}, TEXT, False),
        ({"equals-ignore-case": "RED"}, TEXT, True),
        ({"equals-ignore-case": "READ"}, TEXT, False),
        ({"anything-but": "red"}, TEXT, False),
        ({"anything-but": ["blue", "green"]}, TEXT, True),
        ({"anything-but": ["red"]}, ("String.Array", '["red", "blue"]'), True),
        ({"anything-but": ["red", "blue"]}, ("String.Array", '["red", "blue"]'), False),
        ({"anything-but": {"prefix": "re"}}, TEXT, False),
        ({"anything-but": {"prefix": "b"}}, TEXT, True),
        ({"anything-but": [100]}, ("Number", "100"), False),
        ({"anything-but": 100}, ("Number", "50"), True),
        ({"numeric": ["=", 5]}, ("Number", "5.0"), True),
        ({"numeric": [">", 0, "<=", 5]}, ("Number", "5"), True),
        ({"numeric": [">", 0, "<=", 5]}, ("Number", "0"), False),
        ({"numeric": ["<", 5]}, ("String", "1"), False),
        ({"cidr": "10.0.0.0/24"}, ("String", "10.0.0.255"), True),
        ({"cidr": "10.0.0.0/24"}, ("String", "10.0.1.0"), False),
        ({"cidr": "10.0.0.0/24"}, ("String", "red"), False),
        ({"cidr": "2001:db8::/32"}, ("String", "2001:db8::1"), True),
        ({"exists": True}, TEXT, True),
        ({"exists": False}, TEXT, False),
        ({"exists": True}, ("Binary", b"x"), False),
    ],
)
def test_one_rule_and_one_attribute(rule: Any, attribute: tuple[str, str | bytes], expected: bool) -> None:
    assert by_attributes({"a": [rule]}, a=attribute) is expected


def test_rules_of_one_key_are_alternatives_and_keys_are_not() -> None:
    policy = {"a": ["red", {"prefix": "bl"}], "b": [{"numeric": [">", 1]}]}
    assert by_attributes(policy, a=("String", "blue"), b=("Number", "2"))
    assert not by_attributes(policy, a=("String", "blue"), b=("Number", "1"))
    assert not by_attributes(policy, a=("String", "green"), b=("Number", "2"))
    assert not by_attributes(policy, a=TEXT)


def test_what_is_not_there() -> None:
    assert by_attributes({"a": [{"exists": False}]})
    assert not by_attributes({"a": [{"anything-but": "red"}]})
    assert by_attributes({"a": [{"anything-but": "red"}, {"exists": False}]})
    assert not by_attributes({"a": [{"exists": True}]})


def test_or() -> None:
    policy = {"source": ["s"], "$or": [{"a": ["red"]}, {"b": [{"numeric": ["=", 1]}]}]}
    assert by_attributes(policy, source=("String", "s"), a=TEXT)
    assert by_attributes(policy, source=("String", "s"), b=("Number", "1"))
    assert not by_attributes(policy, source=("String", "s"), b=("Number", "2"))
    assert not by_attributes(policy, a=TEXT)


def test_an_or_that_is_none_is_a_name() -> None:
    assert by_attributes({"$or": ["x"]}, **{"$or": ("String", "x")})
    assert by_attributes({"$or": [{"prefix": "x"}, {"prefix": "y"}]}, **{"$or": ("String", "y1")})


@pytest.mark.parametrize(
    ("policy", "body", "expected"),
    [
        ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
        ({"a": {"b": ["x"]}}, {"a": {"b": "y"}}, False),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
        ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ({"a": {"b": ["x"], "c": [1]}}, {"a": [{"b": "x", "c": 2}, {"b": "y", "c": 1}]}, False),
        ({"a": ["x"]}, {"a": ["y", ["x"]]}, True),
        ({"a": [True]}, {"a": True}, True),
        ({"a": [1]}, {"a": True}, False),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [None]}, {}, False),
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": {"b": 0}}, False),
        ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
        ({"a": [{"exists": True}]}, {"a": None}, True),
        ({"a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"a": {"c": 2}}, True),
        ({"a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"a": {"c": 1}}, False),
        ({"a": ["x"]}, "no JSON", False),
        ({"a": [{"exists": False}]}, "[1]", False),
        ({"a": [{"exists": False}]}, "[" * 100_000, False),
    ],
)
def test_a_body(policy: dict[str, Any], body: Any, expected: bool) -> None:
    assert by_body(policy, body) is expected


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ('{"a": "x"}', '"a" must be an object or an array'),
        ('{"a": []}', "Empty arrays are not allowed"),
        ('{"a": [["x"]]}', "Match value must be String, number, true, false, or null"),
        ('{"a": [{"wildcard": "x*"}]}', "Unrecognized match type wildcard"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key allowed in match expression"),
        ('{"a": [{"exists": "yes"}]}', "exists match pattern must be either true or false."),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"suffix": 1}]}', "suffix match pattern must be a string"),
        ('{"a": [{"anything-but": {"suffix": "x"}}]}', "Unsupported anything-but pattern: suffix"),
        ('{"a": [{"anything-but": {"prefix": 1}}]}', "prefix match pattern must be a string"),
        ('{"a": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": ["<", "5"]}]}', "Value of < must be numeric"),
        ('{"a": [{"numeric": ["!", 5]}]}', "Unrecognized numeric range operator: !"),
        (
            '{"a": [{"numeric": [">", 1, "<", 5, "<", 6]}]}',
            "Too many terms in numeric range expression",
        ),
        ('{"a": [{"numeric": ["=", 1, "<", 5]}]}', "Too many elements in numeric expression"),
        ('{"a": [{"numeric": [">", 1, ">", 5]}]}', "Bad numeric range operator: >"),
        ('{"a": [{"numeric": 5}]}', "Value of numeric must be an array."),
        ('{"a": [{"numeric": []}]}', "Invalid member in numeric match: ]"),
        ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
        ('{"a": [{"cidr": "10.0.0.0/33"}]}', "Malformed CIDR, mask bits must not be over 32"),
        ('{"a": [{"cidr": "ten/8"}]}', "Nonstandard IP address: ten"),
        ('{"a": [1e10]}', "Value must be between -1.0E9 and 1.0E9, inclusive"),
        ("{", "failed to parse JSON."),
        ("[]", "Filter is not an object"),
        (
            json.dumps({name: ["x"] for name in "abcdef"}),
            "Filter policy can not have more than 5 keys",
        ),
        (json.dumps({"a": list(range(16)), "b": list(range(10))}), "Filter policy is too complex"),
        (
            '{"a": {"b": ["x"]}}',
            "Filter policy scope MessageAttributes does not support nested filter policy",
        ),
        ("[" * 100_000, "failed to parse JSON."),
    ],
)
def test_what_is_refused(policy: str, sentence: str) -> None:
    with pytest.raises(PolicyError) as refused:
        filter_policies.checked(policy, ATTRIBUTES)
    assert str(refused.value) == sentence


def test_nesting_multiplies_the_combinations() -> None:
    """The example of the page "Filter policy constraints": 4 x 3 times 3 x 2 times 3 x 1 are 216."""
    policy = {
        "key_a": {"key_b": {"key_c": ["1", "2", "3", "4"]}},
        "key_d": {"key_e": ["1", "2", "3"]},
        "key_f": ["1", "2", "3"],
    }
    with pytest.raises(PolicyError, match="Filter policy is too complex"):
        filter_policies.checked(json.dumps(policy), BODY)
    filter_policies.checked(json.dumps(policy | {"key_f": ["1", "2"]}), BODY)


def test_a_policy_that_is_nested_without_end() -> None:
    deep: Any = ["x"]
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(PolicyError, match="Filter policy is too complex"):
        filter_policies.checked(json.dumps(deep), BODY)
