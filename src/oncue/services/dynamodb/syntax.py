"""Tokens, and what all expressions are made of: paths, values and function calls."""

import re
from dataclasses import dataclass
from typing import NoReturn

from oncue.errors import ServiceError
from oncue.services.dynamodb import values
from oncue.services.dynamodb.paths import Path, show
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import invalid
from oncue.services.dynamodb.reserved import RESERVED
from oncue.services.dynamodb.values import Value

EXPRESSION_BYTES_MAX = 4096
OPERATORS_MAX = 300  # of an update expression
NESTING_MAX = 100  # of functions and parentheses around operands
INDEX_MAX = 2**31 - 1

TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<name>#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<number>[0-9]+)|(?P<sign><>|<=|>=|[=<>()\[\],.+-])|(?P<end>\Z)|(?P<other>\S))"
)
EOF = "<EOF>"

# name -> number of operands
IN_CONDITIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
IN_UPDATES = {"if_not_exists": 2, "list_append": 2}
NEEDS_PATH = frozenset(("attribute_exists", "attribute_not_exists", "attribute_type", "if_not_exists"))

# What is wrong with the sense of an expression is said in this order, after what is wrong with its form.
RANKS = (RESERVED_WORD, FUNCTION, USE, UNDEFINED, OPERANDS, TYPE, PATHS) = range(7)


@dataclass(frozen=True, slots=True)
class Reference:
    """An operand that names a place in the item."""

    path: Path


@dataclass(frozen=True, slots=True)
class Literal:
    """An operand given as `:value`."""

    value: Value


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    operands: tuple["Operand", ...]


Operand = Reference | Literal | Function


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # word, name, value, number, sign, end, other
    text: str
    start: int
    end: int


class Reader:
    """Reads one expression from left to right. `label` is its parameter's name, for the refusals."""

    def __init__(self, label: str, text: str, placeholders: Placeholders) -> None:
        self.label = label
        self.text = text
        self.placeholders = placeholders
        self.problems: list[tuple[int, str]] = []
        self.functions = IN_UPDATES if label == "UpdateExpression" else IN_CONDITIONS
        self.nesting = 0
        self.operators = 0
        if not text.strip():
            self.refuse("The expression can not be empty;")
        if len(text.encode()) > EXPRESSION_BYTES_MAX:
            self.refuse(
                "Expression size has exceeded the maximum allowed size; "
                f"expression size: {len(text.encode())}"
            )
        self.tokens = [
            Token(str(m.lastgroup), m[str(m.lastgroup)], m.start(str(m.lastgroup)), m.end())
            for m in TOKEN.finditer(text)
        ]
        self.position = 0

    # -- refusing

    def refuse(self, sentence: str) -> NoReturn:
        raise self.error(sentence)

    def error(self, sentence: str) -> ServiceError:
        return invalid(f"Invalid {self.label}: {sentence}")

    def syntax_error(self, token: Token | None = None) -> NoReturn:
        """At `token`, or at the next one; `near` shows its neighbours too."""
        at = self.tokens.index(token) if token else self.position
        at = min(at, len(self.tokens) - 1)
        first, last = self.tokens[max(0, at - 1)], self.tokens[min(at + 1, len(self.tokens) - 1)]
        shown = EOF if self.tokens[at].kind == "end" else self.tokens[at].text
        near = self.text[first.start : last.end].strip()
        self.refuse(f'Syntax error; token: "{shown}", near: "{near}"')

    def problem(self, rank: int, sentence: str) -> None:
        self.problems.append((rank, sentence))

    def settle(self) -> None:
        """The end must have been reached; then the gravest problem, and of equals the first, is refused."""
        if self.peek().kind != "end":
            self.syntax_error()
        if self.operators > OPERATORS_MAX and self.functions is IN_UPDATES:
            self.refuse(
                "The expression contains too many operators; "
                f"operator count: {self.operators}, maximum: {OPERATORS_MAX}"
            )
        if self.problems:
            self.refuse(min(self.problems, key=lambda problem: problem[0])[1])

    # -- tokens

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self.position += 1
        return token

    def accept(self, sign: str) -> bool:
        if self.peek().kind == "sign" and self.peek().text == sign:
            self.position += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            self.syntax_error()

    def keyword(self) -> str:
        """The next token in capitals, if it is a word; else nothing."""
        return self.peek().text.upper() if self.peek().kind == "word" else ""

    # -- operands

    def path(self) -> Path:
        parts: list[str | int] = [self._name()]
        while True:
            if self.accept("."):
                parts.append(self._name())
            elif self.accept("["):
                if self.peek().kind != "number" or len(self.peek().text) > len(str(INDEX_MAX)):
                    self.syntax_error()
                parts.append(int(self.take().text))
                self.expect("]")
            else:
                return tuple(parts)

    def _name(self) -> str:
        token = self.peek()
        if token.kind not in ("word", "name"):
            self.syntax_error()
        self.position += 1
        if token.kind == "word":
            if token.text.upper() in RESERVED:
                self.problem(
                    RESERVED_WORD,
                    f"Attribute name is a reserved keyword; reserved keyword: {token.text}",
                )
            return token.text
        name = self.placeholders.name(token.text)
        if name is None:
            self.problem(
                UNDEFINED,
                "An expression attribute name used in the document path is not defined; "
                f"attribute name: {token.text}",
            )
        return name if name is not None else token.text

    def literal(self) -> Literal:
        token = self.take()
        value = self.placeholders.value(token.text)
        if value is None:
            self.problem(
                UNDEFINED,
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {token.text}",
            )
        return Literal(value or {"NULL": True})

    def operand(self) -> Operand:
        """A path, a value, a function call, or one of them in parentheses."""
        self.nesting += 1
        if self.nesting > NESTING_MAX:
            self.refuse("The expression is nested too deeply;")
        try:
            if self.accept("("):
                inner = self.operand()
                self.expect(")")
                return inner
            if self.peek().kind == "value":
                return self.literal()
            if self.peek().kind == "word" and self.peek(1).text == "(":
                return self.call()
            return Reference(self.path())
        finally:
            self.nesting -= 1

    def call(self) -> Function:
        name = self.take().text
        self.expect("(")
        self.operators += 1
        operands: list[Operand] = []
        if not self.accept(")"):
            operands.append(self.argument())
            while self.accept(","):
                operands.append(self.argument())
            self.expect(")")
        function = Function(name, tuple(operands))
        self._check_call(function)
        return function

    def argument(self) -> Operand:
        return self.operand()

    def _check_call(self, function: Function) -> None:
        name, count = function.name, len(function.operands)
        if name not in self.functions:
            known = name in IN_CONDITIONS or name in IN_UPDATES
            what = "an update" if self.functions is IN_UPDATES else "a condition"
            self.problem(
                FUNCTION,
                f"The function is not allowed in {what} expression; function: {name}"
                if known
                else f"Invalid function name; function: {name}",
            )
        elif count != self.functions[name]:
            self.problem(
                OPERANDS,
                "Incorrect number of operands for operator or function; "
                f"operator or function: {name}, number of operands: {count}",
            )
        elif name in NEEDS_PATH and not isinstance(function.operands[0], Reference):
            self.problem(
                OPERANDS,
                f"Operator or function requires a document path; operator or function: {name}",
            )

    def refuse_kind(self, operator: str, value: Value) -> None:
        self.problem(
            TYPE,
            "Incorrect operand type for operator or function; "
            f"operator or function: {operator}, operand type: {values.kind_of(value)}",
        )

    def refuse_same(self, operator: str, first: Operand, others: tuple[Operand, ...]) -> None:
        """AWS refuses a comparison of a path with itself."""
        if isinstance(first, Reference) and first in others:
            self.problem(
                PATHS,
                "The first operand must be distinct from the remaining operands for this operator or "
                f"function; operator: {operator}, first operand: {show(first.path)}",
            )
