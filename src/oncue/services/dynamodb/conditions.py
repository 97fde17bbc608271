"""Condition and filter expressions: read into a tree, and evaluated on an item."""

from dataclasses import dataclass

from oncue.services.dynamodb import paths, values
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.syntax import (
    PATHS,
    TYPE,
    USE,
    Function,
    Literal,
    Operand,
    Reader,
    Reference,
    Token,
)
from oncue.services.dynamodb.values import Item, Value

COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))
CHOICES_MAX = 100  # of IN
DEPTH_MAX = 100  # of AND, OR and NOT inside each other
SIZED = frozenset(("S", "B", "SS", "NS", "BS", "L", "M"))
BINDING = {"OR": 1, "AND": 2, "NOT": 3}


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    operand: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """AND or OR of two or more, NOT of one; `depth` counts the junctions inside each other."""

    operator: str
    parts: tuple["Condition", ...]
    depth: int


Condition = Compare | Between | In | Junction | Function


def parse(label: str, text: str, placeholders: Placeholders) -> Condition:
    reader = ConditionReader(label, text, placeholders)
    condition = reader.condition()
    reader.settle()
    return condition


class ConditionReader(Reader):
    """Operator precedence with two stacks, so that no expression's depth is a depth of our own calls."""

    def __init__(self, label: str, text: str, placeholders: Placeholders) -> None:
        super().__init__(label, text, placeholders)
        self.done: list[Condition | Operand] = []
        self.pending: list[tuple[str, int]] = []  # operator or "(", and its position among the tokens
        self.group = (-1, -1)  # where the last parentheses opened and closed

    def condition(self) -> Condition:
        while True:
            while self.keyword() == "NOT" or self.peek().text == "(":
                self.pending.append((self.peek().text.upper(), self.position))
                self.position += 1
            self.done.append(self.operand())
            self.tail()
            while self.peek().text == ")" and self.close():
                self.tail()
            if self.keyword() not in ("AND", "OR"):
                break
            operator = self.keyword()
            self.reduce(BINDING[operator])
            self.check_condition()
            self.pending.append((operator, self.position))
            self.position += 1
        self.reduce(0)
        if self.pending or self.peek().kind != "end":
            self.syntax_error()
        return self.check_condition()

    def close(self) -> bool:
        """The `)` ahead closes what is open; False where nothing is."""
        self.reduce(0)
        if not self.pending:
            return False
        _, opened = self.pending.pop()
        if self.group == (opened + 1, self.position - 1):
            self.problem(USE, "The expression has redundant parentheses;")
        self.group = (opened, self.position)
        self.position += 1
        return True

    def reduce(self, binding: int) -> None:
        """Carry out what binds at least as tightly as `binding`, back to the last open parenthesis."""
        while self.pending and self.pending[-1][0] != "(" and BINDING[self.pending[-1][0]] >= binding:
            operator, _ = self.pending.pop()
            count = 1 if operator == "NOT" else 2
            right = self.check_condition()
            parts: tuple[Condition, ...] = (right,)
            if count == 2:
                self.done.pop()
                parts = (*self.flat(operator, self.check_condition()), *self.flat(operator, right))
            depth = 1 + max(part.depth if isinstance(part, Junction) else 0 for part in parts)
            if depth > DEPTH_MAX:
                self.refuse("The expression is nested too deeply;")
            self.done[-1] = Junction(operator, parts, depth)

    @staticmethod
    def flat(operator: str, part: Condition) -> tuple[Condition, ...]:
        same = isinstance(part, Junction) and part.operator == operator
        return part.parts if same and isinstance(part, Junction) else (part,)

    def check_condition(self) -> Condition:
        """What was read last, which must be true or false."""
        last = self.done[-1]
        if isinstance(last, Reference | Literal):
            self.syntax_error()
        if isinstance(last, Function) and last.name == "size":
            self.misused(last.name)
        return last

    def misused(self, name: str) -> None:
        self.problem(
            USE, f"The function is not allowed to be used this way in an expression; function: {name}"
        )

    def check_operand(self, node: Condition | Operand, at: Token) -> Operand:
        if isinstance(node, Function):
            if node.name in self.functions and node.name != "size":
                self.misused(node.name)
            return node
        if not isinstance(node, Reference | Literal):
            self.syntax_error(at)
        return node

    def tail(self) -> None:
        """A comparator, BETWEEN or IN that follows an operand."""
        token = self.peek()
        if token.kind == "sign" and token.text in COMPARATORS:
            left = self.check_operand(self.done[-1], token)
            self.take()
            right = self.check_operand(self.operand(), token)
            self.check_comparison(token.text, left, (right,), ordered=token.text not in ("=", "<>"))
            self.done[-1] = Compare(token.text, left, right)
        elif self.keyword() == "BETWEEN":
            operand = self.check_operand(self.done[-1], token)
            self.take()
            low = self.check_operand(self.operand(), token)
            if self.keyword() != "AND":
                self.syntax_error()
            self.take()
            high = self.check_operand(self.operand(), token)
            self.check_comparison("BETWEEN", operand, (low, high), ordered=True)
            self.check_bounds(low, high)
            self.done[-1] = Between(operand, low, high)
        elif self.keyword() == "IN":
            operand = self.check_operand(self.done[-1], token)
            self.take()
            self.expect("(")
            choices = [self.check_operand(self.operand(), token)]
            while self.accept(","):
                choices.append(self.check_operand(self.operand(), token))
            self.expect(")")
            if len(choices) > CHOICES_MAX:
                self.problem(
                    TYPE,
                    "Incorrect number of operands for operator or function; "
                    f"operator or function: IN, number of operands: {len(choices) + 1}",
                )
            self.check_comparison("IN", operand, tuple(choices), ordered=False)
            self.done[-1] = In(operand, tuple(choices))

    def check_comparison(
        self, operator: str, first: Operand, others: tuple[Operand, ...], *, ordered: bool
    ) -> None:
        for operand in (first, *others) if ordered else ():
            if isinstance(operand, Literal) and values.kind_of(operand.value) not in values.ORDERED:
                self.refuse_kind(operator, operand.value)
        self.refuse_same(operator, first, others)

    def check_bounds(self, low: Operand, high: Operand) -> None:
        if not isinstance(low, Literal) or not isinstance(high, Literal):
            return
        order = values.compare(low.value, high.value)
        if order is not None and order <= 0:
            return
        rule = (
            "same data type for lower and upper bounds"
            if order is None
            else "upper bound to be greater than or equal to lower bound"
        )
        self.problem(
            PATHS,
            f"The BETWEEN operator requires {rule}; "
            f"lower bound operand: AttributeValue: {values.describe(low.value)}, "
            f"upper bound operand: AttributeValue: {values.describe(high.value)}",
        )

    def call(self) -> Function:
        function = super().call()
        for operand in function.operands:
            if isinstance(operand, Function) and operand.name != "size" and operand.name in self.functions:
                self.misused(operand.name)
        if len(function.operands) == self.functions.get(function.name):
            self.check_operand_kinds(function)
        return function

    def check_operand_kinds(self, function: Function) -> None:
        name, operands = function.name, function.operands
        literals = [operand.value for operand in operands if isinstance(operand, Literal)]
        if name == "attribute_type":
            if not literals or "S" not in literals[-1]:
                self.refuse_kind(name, literals[-1] if literals else {"{PATH}": None})
            elif literals[-1]["S"] not in values.KINDS:
                self.problem(
                    TYPE,
                    f"Invalid attribute type name found; type: {literals[-1]['S']}, "
                    "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
                )
        elif name == "begins_with":
            for value in literals:
                if values.kind_of(value) not in ("S", "B"):
                    self.refuse_kind(name, value)
        elif name == "size":
            for value in literals:
                if values.kind_of(value) not in SIZED:
                    self.refuse_kind(name, value)
        if name in ("begins_with", "contains"):
            self.refuse_same(name, operands[0], operands[1:])


def holds(condition: Condition | None, item: Item) -> bool:
    """Whether the condition is true of the item (an empty one where there is none). None always is."""
    if condition is None:
        return True
    if isinstance(condition, Junction):
        if condition.operator == "NOT":
            return not holds(condition.parts[0], item)
        wanted = condition.operator == "OR"
        for part in condition.parts:
            if holds(part, item) is wanted:
                return wanted
        return not wanted
    if isinstance(condition, Compare):
        return _compares(condition, item)
    if isinstance(condition, Between):
        operand, low, high = (resolve(o, item) for o in (condition.operand, condition.low, condition.high))
        return _ordered(">=", operand, low) and _ordered("<=", operand, high)
    if isinstance(condition, In):
        value = resolve(condition.operand, item)
        choices = (resolve(choice, item) for choice in condition.choices)
        return value is not None and any(c is not None and values.equal(value, c) for c in choices)
    return _function_holds(condition, item)


def resolve(operand: Operand, item: Item) -> Value | None:
    """The operand's value; None where the item does not have it."""
    if isinstance(operand, Literal):
        return operand.value
    if isinstance(operand, Reference):
        return paths.get(item, operand.path)
    value = resolve(operand.operands[0], item)  # size() is the only function that is an operand
    if value is None or values.kind_of(value) not in SIZED:
        return None
    return {"N": str(len(value[values.kind_of(value)]))}


def _compares(condition: Compare, item: Item) -> bool:
    left, right = resolve(condition.left, item), resolve(condition.right, item)
    if condition.operator in ("=", "<>"):
        same = left is not None and right is not None and values.equal(left, right)
        return same is (condition.operator == "=")
    return _ordered(condition.operator, left, right)


def _ordered(operator: str, left: Value | None, right: Value | None) -> bool:
    order = values.compare(left, right) if left is not None and right is not None else None
    if order is None:
        return False
    return order < 0 if operator == "<" else order > 0 if operator == ">" else _inclusive(operator, order)


def _inclusive(operator: str, order: int) -> bool:
    return order <= 0 if operator == "<=" else order >= 0


def _function_holds(function: Function, item: Item) -> bool:
    value, *rest = (resolve(operand, item) for operand in function.operands)
    if function.name == "attribute_exists":
        return value is not None
    if function.name == "attribute_not_exists":
        return value is None
    if value is None or rest[0] is None:
        return False
    other = rest[0]
    kind, other_kind = values.kind_of(value), values.kind_of(other)
    if function.name == "attribute_type":
        return bool(other["S"] == kind)
    if function.name == "begins_with":
        return kind == other_kind and kind in ("S", "B") and value[kind].startswith(other[kind])
    if kind in values.SETS:
        return kind[0] == other_kind and other[other_kind] in value[kind]
    if kind == "L":
        return any(values.equal(member, other) for member in value["L"])
    return kind in ("S", "B") and kind == other_kind and other[kind] in value[kind]
