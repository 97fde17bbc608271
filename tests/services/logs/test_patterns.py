"""Filter patterns: what matches, and what is refused."""

import pytest

from oncue.errors import ServiceError
from oncue.services.logs.patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("  ", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR", "NOERRORS", True),
        ("ERROR Exception", "ERROR: some Exception", True),
        ("ERROR Exception", "ERROR only", False),
        ('"out of memory"', "it ran out of memory", True),
        ('"out of memory"', "out of the memory", False),
        (r'"say \"hi\""', 'they say "hi"', True),
        ("?ERROR ?WARN", "WARN: x", True),
        ("?ERROR ?WARN", "INFO: x", False),
        ("ERROR -Timeout", "ERROR Timeout", False),
        ("ERROR -Timeout", "ERROR else", True),
        ("-Timeout", "fine", True),
        ('-"task timed out"', "a task timed out", False),
        ("INFO ?ERROR", "INFO alone", True),  # AWS ignores ? beside other terms
        ("INFO ?ERROR", "ERROR alone", False),
    ],
)
def test_terms(pattern: str, message: str, matches: bool) -> None:
    assert compile_pattern(pattern)(message) is matches


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("foo-bar", "Invalid character(s) in term 'foo-bar'"),
        ('"never closed', "Invalid filter pattern"),
        ("{ $.level = 1", "Invalid filter pattern"),
        ("{ $.level }", "Invalid filter pattern"),
        ("{ level = 1 }", "Invalid filter pattern"),
        ("{ $.a = 1 } more", "Invalid filter pattern"),
        ("{ $.a > word }", "Invalid filter pattern"),
        ("{ $.a = %x% }", "Invalid filter pattern"),
        ("{ " + "(" * 30 + "$.a = 1" + ")" * 30 + " }", "Invalid filter pattern"),
        ("[a, b]", "space-delimited"),
        ("%x%", "regular expression"),
    ],
)
def test_refusals(pattern: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as refused:
        compile_pattern(pattern)
    assert refused.value.code == "InvalidParameterException"
    assert sentence in refused.value.message


EVENT = """{"level": "ERROR", "n": 12.5, "ok": true, "none": null, "ip": "10.1.2.3",
            "user": {"id": "42", "roles": ["a", "b"]}, "items": [{"k": 1}, {"k": 2}]}"""


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{$.level="error"}', False),
        ('{ $.level != "INFO" }', True),
        ('{ $.level != "ERROR" }', False),
        ('{ $.missing != "x" }', False),
        ("{ $.n = 12.5 }", True),
        ("{ $.n > 12 && $.n <= 12.5 }", True),
        ("{ $.n < 1e1 }", False),
        ("{ $.level > 1 }", False),
        ("{ $.ok IS TRUE }", True),
        ("{ $.ok IS FALSE }", False),
        ("{ $.none IS NULL }", True),
        ("{ $.missing IS NULL }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.level NOT EXISTS }", False),
        ('{ $.ip = "10.*" }', True),
        ('{ $.ip = "*.2.*" }', True),
        ('{ $.ip = "10.*.4" }', False),
        ('{ $.user.id = "42" }', True),
        ("{ $.user.id = 42 }", False),
        ('{ $.user.roles[1] = "b" }', True),
        ('{ $.user.roles[2] = "b" }', False),
        ("{ $.items[*].k = 2 }", True),
        ('{ $.level = "INFO" || ($.n > 1 && $.ok IS TRUE) }', True),
        ('{ ($.level = "INFO" || $.n > 1) && $.ok IS FALSE }', False),
    ],
)
def test_json(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(EVENT) is matches
    assert compile_pattern(pattern)("not json") is False


def test_a_message_nested_without_end_does_not_match() -> None:
    assert compile_pattern("{ $.a = 1 }")('{"a":' * 50_000 + "1" + "}" * 50_000) is False
