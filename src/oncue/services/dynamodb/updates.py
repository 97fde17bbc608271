"""Update expressions: read into actions, and applied to an item."""

import copy
from dataclasses import dataclass

from oncue.services.dynamodb import numbers, paths, values
from oncue.services.dynamodb.paths import Path
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import bad_parameters, invalid
from oncue.services.dynamodb.syntax import (
    PATHS,
    TYPE,
    Function,
    Literal,
    Operand,
    Reader,
    Reference,
    Token,
)
from oncue.services.dynamodb.values import Item, Value

SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
WRONG_TYPE = "An operand in the update expression has an incorrect data type"
NO_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"


@dataclass(frozen=True, slots=True)
class Sum:
    """`left + right` or `left - right`, on the right side of a SET."""

    sign: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Update:
    """The actions of one expression; `wanted` is the tree of all its paths, for UPDATED_OLD and _NEW."""

    sets: tuple[tuple[Path, Operand | Sum], ...]
    removes: tuple[Path, ...]
    adds: tuple[tuple[Path, Value], ...]
    deletes: tuple[tuple[Path, Value], ...]
    wanted: paths.Tree

    @property
    def creates(self) -> bool:
        """Whether it makes an item where there was none: only taking away makes nothing."""
        return bool(self.sets or self.adds) or not (self.removes or self.deletes)


NOTHING = Update((), (), (), (), {})


def parse(text: str, placeholders: Placeholders) -> Update:
    return UpdateReader("UpdateExpression", text, placeholders).update()


class UpdateReader(Reader):
    def update(self) -> Update:
        sets: list[tuple[Path, Operand | Sum]] = []
        written: list[Path] = []
        removes: list[Path] = []
        others: dict[str, list[tuple[Path, Value]]] = {"ADD": [], "DELETE": []}
        read = set[str]()
        while self.peek().kind != "end" or not read:
            section = self.keyword()
            if section not in SECTIONS:
                self.syntax_error()
            if section in read:
                self.problem(0, f'The "{section}" section can only be used once in an update expression;')
            read.add(section)
            self.take()
            while True:
                if section == "SET":
                    sets.append(self.assignment())
                    written.append(sets[-1][0])
                elif section == "REMOVE":
                    removes.append(self.path())
                    written.append(removes[-1])
                else:
                    others[section].append(self.addition(section))
                    written.append(others[section][-1][0])
                if not self.accept(","):
                    break
        update = Update(tuple(sets), tuple(removes), tuple(others["ADD"]), tuple(others["DELETE"]), wanted={})
        try:
            update.wanted.update(paths.tree(written))
        except ValueError as error:
            self.problem(PATHS, str(error))
        self.settle()
        return update

    def assignment(self) -> tuple[Path, Operand | Sum]:
        path = self.path()
        self.expect("=")
        return path, self.right_side()

    def right_side(self) -> Operand | Sum:
        if self.peek().text == "(" and self.peek().kind == "sign":
            opened = self.position
            self.take()
            inner = self.right_side()
            self.expect(")")
            if isinstance(inner, Sum) or self.peek().text not in ("+", "-"):
                return inner
            self.position = opened
        left = self.operand()
        sign = self.peek()
        if sign.kind != "sign" or sign.text not in ("+", "-"):
            return left
        self.take()
        self.operators += 1
        right = self.operand()
        for operand in (left, right):
            self.check_number(sign, operand)
        return Sum(sign.text, left, right)

    def check_number(self, sign: Token, operand: Operand) -> None:
        if isinstance(operand, Literal) and "N" not in operand.value:
            self.refuse_kind(sign.text, operand.value)
        elif isinstance(operand, Function) and operand.name == "list_append":
            self.refuse_kind(sign.text, {"L": []})

    def call(self) -> Function:
        function = super().call()
        if function.name == "list_append":
            for operand in function.operands:
                if isinstance(operand, Literal) and "L" not in operand.value:
                    self.refuse_kind(function.name, operand.value)
        return function

    def addition(self, section: str) -> tuple[Path, Value]:
        """The path and operand of ADD or DELETE; the operand is always a `:value`."""
        path = self.path()
        if self.peek().kind != "value":
            self.syntax_error()
        value = self.literal().value
        kind = values.kind_of(value)
        if kind not in values.SETS and not (kind == "N" and section == "ADD"):
            self.problem(
                TYPE,
                f"Incorrect operand type for operator or function; operator: {section}, "
                f"operand type: {values.LONG_NAMES[kind]}",
            )
        return path, value


def refuse_keys(update: Update, key_names: tuple[str, ...]) -> None:
    for name in update.wanted:
        if name in key_names:
            raise bad_parameters(f"Cannot update attribute {name}. This attribute is part of the key")


def apply(update: Update, item: Item) -> Item:
    """The item after the update. Every right side reads the item as it was; `item` is left as it is."""
    after = copy.deepcopy(item)
    assigned = [(path, evaluate(right, item)) for path, right in update.sets]
    for path, value in sorted(assigned, key=lambda pair: _order(pair[0])):
        paths.put(after, path, copy.deepcopy(value))
    for path, value in update.adds:
        before = paths.get(item, path)
        paths.put(after, path, value if before is None else _added(before, value))
    taken = list(update.removes)
    for path, value in update.deletes:
        before = paths.get(item, path)
        if before is None:
            continue
        left = _without(before, value)
        if left is None:
            taken.append(path)
        else:
            paths.put(after, path, left)
    for path in sorted(taken, key=_order, reverse=True):  # so that no removal moves what is removed next
        paths.remove(after, path)
    return after


def _order(path: Path) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(part, int), part) for part in path)


def evaluate(right: Operand | Sum, item: Item) -> Value:
    if isinstance(right, Literal):
        return right.value
    if isinstance(right, Reference):
        found = paths.get(item, right.path)
        if found is None:
            raise invalid(NO_ATTRIBUTE)
        return found
    if isinstance(right, Sum):
        left, other = evaluate(right.left, item), evaluate(right.right, item)
        if "N" not in left or "N" not in other:
            raise invalid(WRONG_TYPE)
        operation = numbers.add if right.sign == "+" else numbers.subtract
        return {"N": operation(left["N"], other["N"])}
    first, second = right.operands
    if right.name == "if_not_exists":
        assert isinstance(first, Reference)
        found = paths.get(item, first.path)
        return found if found is not None else evaluate(second, item)
    left, other = evaluate(first, item), evaluate(second, item)
    if "L" not in left or "L" not in other:
        raise invalid(WRONG_TYPE)
    return {"L": [*left["L"], *other["L"]]}


def _added(before: Value, value: Value) -> Value:
    kind = values.kind_of(value)
    if values.kind_of(before) != kind:
        raise invalid(WRONG_TYPE)
    if kind == "N":
        return {"N": numbers.add(before["N"], value["N"])}
    return {kind: list(dict.fromkeys([*before[kind], *value[kind]]))}


def _without(before: Value, value: Value) -> Value | None:
    """The set without the members; None where none are left."""
    kind = values.kind_of(value)
    if values.kind_of(before) != kind:
        raise invalid(WRONG_TYPE)
    left = [member for member in before[kind] if member not in value[kind]]
    return {kind: left} if left else None
