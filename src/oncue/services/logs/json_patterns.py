"""JSON filter patterns of CloudWatch Logs, `{ $.level = "ERROR" && $.latency > 100 }`. Pure.

Rules: the page "Filter pattern syntax" of the CloudWatch Logs User Guide, "Using filter patterns to match
terms in JSON log events". A comparison with a property that is not there does not match. Regular expressions
are refused.
"""

import re
from collections.abc import Callable, Iterator
from operator import ge, gt, le, lt
from typing import Any

import msgspec

from oncue.errors import ServiceError

DEPTH_MAX = 20
Condition = Callable[[Any], bool]
TOKEN = re.compile(
    r"\s*(?:(?P<punctuation>&&|\|\||[(){}])|(?P<operator>!=|<=|>=|=|<|>)"
    r'|(?P<selector>\$(?:\.[\w@:-]+|\[(?:\d+|\*)\]|\.?\["[^"]+"\])*)'
    r'|"(?P<string>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"&|(){}=<>!]+))'
)
STEP = re.compile(r'\.([\w@:-]+)|\[(\d+|\*)\]|\.?\["([^"]+)"\]')
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
Token = tuple[str, str]


def compile_json(pattern: str) -> Callable[[str], bool]:
    """The predicate of a pattern in braces. ServiceError InvalidParameterException."""
    parser = _Parser(_tokens(pattern))
    parser.expect("{")
    condition = parser.either(0)
    parser.expect("}")
    if parser.kind:
        raise invalid()

    def matches(message: str) -> bool:
        try:
            return condition(msgspec.json.decode(message))
        except (msgspec.MsgspecError, RecursionError):
            return False

    return matches


def invalid() -> ServiceError:
    return ServiceError("InvalidParameterException", "Invalid filter pattern")


def _tokens(pattern: str) -> list[Token]:
    found: list[Token] = []
    text, position = pattern.strip(), 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise invalid()
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return [*found, ("", "")]


class _Parser:
    """`either` is a chain of ||, `both` of &&; `single` a comparison or an expression in parentheses."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = iter(tokens)
        self.kind, self.text = next(self._tokens)

    def take(self) -> str:
        text = self.text
        self.kind, self.text = next(self._tokens, ("", ""))
        return text

    def expect(self, text: str) -> None:
        if self.kind == "string" or self.take() != text:
            raise invalid()

    def either(self, depth: int) -> Condition:
        parts = [self.both(depth)]
        while self.kind == "punctuation" and self.text == "||":
            self.take()
            parts.append(self.both(depth))
        return lambda value: any(part(value) for part in parts)

    def both(self, depth: int) -> Condition:
        parts = [self.single(depth)]
        while self.kind == "punctuation" and self.text == "&&":
            self.take()
            parts.append(self.single(depth))
        return lambda value: all(part(value) for part in parts)

    def single(self, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            raise invalid()
        if self.kind == "punctuation" and self.text == "(":
            self.take()
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        if self.kind != "selector":
            raise invalid()
        steps = _steps(self.take())
        if self.kind == "operator":
            return self._comparison(steps)
        return self._state(steps)

    def _comparison(self, steps: list[str | int]) -> Condition:
        operator, kind, text = self.take(), self.kind, self.text
        if kind not in ("string", "word") or (kind == "word" and text.startswith("%")):
            raise invalid()
        self.take()
        number = float(text) if kind == "word" and NUMBER.fullmatch(text) else None
        if operator in ORDERINGS:
            if number is None:
                raise invalid()
            order, limit = ORDERINGS[operator], number
            return lambda value: any(
                _is_number(item) and order(item, limit) for item in _select(value, steps)
            )
        equal = _equality(text, number)
        if operator == "=":
            return lambda value: any(equal(item) for item in _select(value, steps))
        return lambda value: any(not equal(item) for item in _select(value, steps))

    def _state(self, steps: list[str | int]) -> Condition:
        words = [self.take()]
        if words[0] in ("IS", "NOT"):
            words.append(self.take())
        match " ".join(words):
            case "IS NULL":
                return lambda value: any(item is None for item in _select(value, steps))
            case "IS TRUE":
                return lambda value: any(item is True for item in _select(value, steps))
            case "IS FALSE":
                return lambda value: any(item is False for item in _select(value, steps))
            case "NOT EXISTS":
                return lambda value: not any(True for _ in _select(value, steps))
            case "EXISTS":
                return lambda value: any(True for _ in _select(value, steps))
        raise invalid()


def _equality(text: str, number: float | None) -> Condition:
    if number is not None:
        return lambda item: _is_number(item) and item == number
    plain = re.sub(r"\\(.)", r"\1", text)
    if "*" not in plain:
        return lambda item: item == plain
    pieces = plain.split("*")
    return lambda item: isinstance(item, str) and _like(item, pieces)


def _like(text: str, pieces: list[str]) -> bool:
    """Whether `text` is the pieces in their order with anything between them; in linear time."""
    first, *middle, last = pieces
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        position = text.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return True


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _steps(selector: str) -> list[str | int]:
    """Names, indexes, and -1 for `[*]`."""
    steps: list[str | int] = []
    for name, index, quoted in STEP.findall(selector):
        steps.append(name or quoted or (-1 if index == "*" else int(index)))
    return steps


def _select(value: Any, steps: list[str | int]) -> Iterator[Any]:
    """Every value that the selector means: none, one, or several with `[*]`."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from _select(value[step], rest)
    elif isinstance(value, list):
        chosen = value if step == -1 else value[step : step + 1]
        for item in chosen:
            yield from _select(item, rest)
