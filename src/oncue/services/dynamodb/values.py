"""AttributeValue trees as the API writes them (`{"S": "a"}`): admitted, compared, measured."""

import base64
from decimal import Decimal
from typing import Any

import msgspec

from oncue.services.dynamodb import numbers
from oncue.services.dynamodb.refusals import bad_parameters, invalid

Value = dict[str, Any]
Item = dict[str, Value]

KINDS = frozenset(("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"))
SETS = frozenset(("SS", "NS", "BS"))
ORDERED = frozenset(("S", "N", "B"))
LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "M": "MAP",
    "L": "LIST",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
}
NO_TYPE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL_TYPES = (
    "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes"
)
NESTING_MAX = 32
NAME_BYTES_MAX = 65_535
CONTAINER_BYTES = 3  # a list or map costs this, and one byte more for each element
SIZE_BYTES_MAX = 409_600


def kind_of(value: Value) -> str:
    return next(iter(value))


def admit(value: Value, level: int = 0) -> Value:
    """The value as it is stored: exactly one type, numbers in their one spelling, sets without duplicates."""
    given = [kind for kind, content in value.items() if content is not None]
    if not given:
        raise invalid(NO_TYPE)
    kind = given[0]
    content = value[kind]
    admitted: Any = content
    if kind == "N":
        admitted = numbers.spell(content)
    elif kind == "NULL":
        if content is not True:
            raise bad_parameters("Null attribute value types must have the value of true")
    elif kind in SETS:
        admitted = _admit_set(kind, content)
    elif kind in ("M", "L"):
        if level >= NESTING_MAX:
            raise invalid("Nesting Levels have exceeded supported limits")
        if kind == "M":
            admitted = {_admit_name(name): admit(inner, level + 1) for name, inner in content.items()}
        else:
            admitted = [admit(inner, level + 1) for inner in content]
    if len(given) > 1:
        raise invalid(SEVERAL_TYPES)
    return {kind: admitted}


def _admit_set(kind: str, members: list[Any]) -> list[Any]:
    if not members:
        empty = {
            "SS": "An string set  may not be empty",
            "NS": "An number set  may not be empty",
            "BS": "Binary sets should not be empty",
        }
        raise bad_parameters(empty[kind])
    if kind == "NS":
        members = [numbers.spell(member) for member in members]
    if len(set(members)) == len(members):
        return members
    if kind == "NS":
        raise invalid("Input collection contains duplicates")
    shown = [m if isinstance(m, str) else base64.b64encode(m).decode() for m in members]
    tail = "of type BS contains duplicates." if kind == "BS" else " contains duplicates."
    raise bad_parameters(f"Input collection [{', '.join(shown)}]{tail}")


def _admit_name(name: str) -> str:
    if not name:
        raise bad_parameters("Empty attribute name")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise bad_parameters("Attribute name is too large, must be less than 65536 bytes")
    return name


def admit_item(item: dict[str, Value]) -> Item:
    return {_admit_name(name): admit(value) for name, value in item.items()}


def equal(left: Value, right: Value) -> bool:
    """Same type and content; sets have no order; both are admitted, so that numbers have one spelling."""
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    a, b = left[kind], right[kind]
    if kind in SETS:
        return len(a) == len(b) and set(a) == set(b)
    if kind == "L":
        return len(a) == len(b) and all(map(equal, a, b))
    if kind == "M":
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    return bool(a == b)


def compare(left: Value, right: Value) -> int | None:
    """Negative, zero or positive; None where the two have no order (other types, or types that have none).

    Strings compare by their UTF-8 bytes, which is the order of their code points.
    """
    kind = kind_of(left)
    if kind not in ORDERED or kind_of(right) != kind:
        return None
    a, b = left[kind], right[kind]
    if kind == "N":
        a, b = Decimal(a), Decimal(b)
    return int(a > b) - int(a < b)


def size(value: Value) -> int:
    """Bytes, by the rules of the developer guide's page "Item sizes and formats"."""
    kind = kind_of(value)
    content = value[kind]
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return numbers.size(content)
    if kind == "B":
        return len(content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M":
        return CONTAINER_BYTES + len(content) + item_size(content)
    if kind == "L":
        return CONTAINER_BYTES + sum(1 + size(inner) for inner in content)
    return sum(size({kind[0]: member}) for member in content)


def item_size(item: Item) -> int:
    return sum(len(name.encode()) + size(value) for name, value in item.items())


def describe(value: Value) -> str:
    """A value inside a refusal: `{N:1}`."""
    kind = kind_of(value)
    content = value[kind]
    return f"{{{kind}:{base64.b64encode(content).decode() if kind == 'B' else content}}}"


def pack(item: Item) -> bytes:
    return msgspec.msgpack.encode(item)


def unpack(body: bytes) -> Item:
    item: Item = msgspec.msgpack.decode(body)
    return item
