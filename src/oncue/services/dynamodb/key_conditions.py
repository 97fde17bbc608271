"""Key condition expressions: one partition, and a range of its sort keys."""

from dataclasses import dataclass

from oncue.services.dynamodb import conditions
from oncue.services.dynamodb.conditions import Between, Compare, Condition, In, Junction
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import bad_parameters, invalid
from oncue.services.dynamodb.syntax import Function, Literal, Operand, Reference
from oncue.services.dynamodb.values import Value, kind_of

LABEL = "KeyConditionExpression"
TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}  # with the sides exchanged
IN_CONDITION = "Invalid condition in KeyConditionExpression: "
UNSUPPORTED = "Query key condition not supported"


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked of one key attribute: `=`, `<`, …, `BETWEEN` or `begins_with`, and its values."""

    operator: str
    values: tuple[Value, ...]


def parse(text: str, placeholders: Placeholders) -> dict[str, Range]:
    """Attribute name -> what is asked of it."""
    found: dict[str, Range] = {}
    for part in _parts(conditions.parse(LABEL, text, placeholders)):
        name, asked = _single(part)
        if name in found:
            raise invalid("KeyConditionExpressions must only contain one condition per key")
        found[name] = asked
    return found


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if not isinstance(condition, Junction):
        return (condition,)
    if condition.operator != "AND":
        raise _refused_operator(condition.operator)
    return tuple(inner for part in condition.parts for inner in _parts(part))


def _refused_operator(name: str) -> Exception:
    return invalid(f"Invalid operator used in KeyConditionExpression: {name}")


def _single(condition: Condition) -> tuple[str, Range]:
    operands: tuple[Operand, ...]
    if isinstance(condition, Compare) and condition.operator in TURNED:
        operator, operands = condition.operator, (condition.left, condition.right)
        if isinstance(condition.left, Literal):
            operator, operands = TURNED[operator], (condition.right, condition.left)
    elif isinstance(condition, Between):
        operator, operands = "BETWEEN", (condition.operand, condition.low, condition.high)
    elif isinstance(condition, Function) and condition.name == "begins_with":
        operator, operands = condition.name, condition.operands
    elif isinstance(condition, In):
        raise _refused_operator("IN")
    elif isinstance(condition, Function):
        raise _refused_operator(condition.name)
    else:
        assert isinstance(condition, Compare)
        raise _refused_operator(condition.operator)
    if any(isinstance(operand, Function) for operand in operands):
        raise invalid("KeyConditionExpressions cannot contain nested operations")
    first, *rest = operands
    if not isinstance(first, Reference):
        if operator in ("BETWEEN", "begins_with"):
            raise invalid(
                f"{IN_CONDITION}{operator} operator must have the key attribute as its first operand"
            )
        raise invalid(f"{IN_CONDITION}No key attribute specified")
    if len(first.path) > 1:
        raise invalid("KeyConditionExpressions cannot have conditions on nested attributes")
    given = [operand.value for operand in rest if isinstance(operand, Literal)]
    if len(given) < len(rest):
        raise invalid(f"{IN_CONDITION}Multiple attribute names used in one condition")
    return str(first.path[0]), Range(operator, tuple(given))


def partition_and_range(
    found: dict[str, Range], partition: tuple[str, str], sort: tuple[str, str] | None
) -> tuple[Value, Range | None]:
    """The partition key's value and what is asked of the sort key; the keys are (name, type)."""
    names = [partition[0], *([sort[0]] if sort else [])]
    for name in names[: len(found)]:
        if name not in found:
            raise invalid(f"Query condition missed key schema element: {name}")
    if len(found) > len(names):
        raise invalid(UNSUPPORTED)
    asked = found[partition[0]]
    if asked.operator != "=":
        raise invalid(UNSUPPORTED)
    for name, kind in (partition, *([sort] if sort else [])):
        for value in found[name].values if name in found else ():
            if kind_of(value) != kind:
                raise bad_parameters("Condition parameter type does not match schema type")
            if value[kind] in ("", b"") and found[name].operator != "begins_with":
                raise invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute "
                    f"cannot contain an empty {'string' if kind == 'S' else 'binary'} value. Key: {name}"
                )
    return asked.values[0], found.get(sort[0]) if sort else None
