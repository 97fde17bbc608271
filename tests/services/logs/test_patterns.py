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
        ("{ $.level = 1 }", "JSON filter pattern"),
        ("[a, b]", "space-delimited"),
        ("%x%", "regular expression"),
    ],
)
def test_refusals(pattern: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as refused:
        compile_pattern(pattern)
    assert refused.value.code == "InvalidParameterException"
    assert sentence in refused.value.message
