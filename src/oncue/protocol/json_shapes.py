"""JSON values <-> parameters: one closure per shape, made once, on its first use."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from oncue.protocol import scalars
from oncue.protocol.malformed import Malformed, Undeclared
from oncue.protocol.model import Shape
from oncue.protocol.shapes import Shapes

Convert = Callable[[Any], Any]
JSON_TYPES = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}


def parse(body: bytes) -> Any:
    """The JSON value of a body; an empty one counts as an empty object."""
    if not body:
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"Could not parse the request body as JSON: {error}") from None
    except RecursionError:
        raise Malformed("The request body is nested too deeply.") from None


def mismatch(value: Any, wanted: str) -> Malformed:
    """AWS's sentence for a JSON value of the wrong type; `wanted` as in "a String", or a container's word."""
    if value is None:
        return Malformed("Unexpected null: a list or map must not contain it.")
    if isinstance(value, dict):
        return Malformed("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return Malformed("Start of list found where not expected")
    if wanted == "list":
        return Malformed("Expected list or null")
    if wanted == "structure":
        return Malformed("Expected null")
    token = ("FALSE_VALUE", "TRUE_VALUE")[value] if isinstance(value, bool) else JSON_TYPES[type(value)]
    return Malformed(f"{token} can not be converted to {wanted}")


def same(value: Any) -> Any:
    return value


class Reader(Shapes[Convert]):
    """Parsed JSON -> parameters. Raises Malformed and Undeclared."""

    def structure(self, shape: Shape) -> Convert:
        return same if shape.get("document") else self.members(shape, shape["members"])

    def members(self, shape: Shape, members: Mapping[str, Any]) -> Convert:
        """As `structure`, with some of its members only (those that a REST request has in its body)."""
        followed = {name: self.model.follow(reference) for name, reference in members.items()}
        wire = {m.get("locationName", name): (name, self.of(m)) for name, m in followed.items()}
        where, alone = shape["name"], shape.get("union", False)

        def read(value: Any) -> dict[str, Any]:
            if value.__class__ is not dict:
                raise mismatch(value, "structure")
            read: dict[str, Any] = {}
            for key, item in value.items():
                member = wire.get(key)
                if member is None:
                    if key == "__type":
                        continue
                    raise Undeclared(key, where)
                if item is not None:
                    read[member[0]] = member[1](item)
            if alone and len(read) != 1:
                raise Malformed(f"Exactly one member of the union {where} must be set.")
            return read

        return read

    def list(self, shape: Shape) -> Convert:
        item = self.of(self.model.follow(shape["member"]))

        def read(value: Any) -> list[Any]:
            if value.__class__ is not list:
                raise mismatch(value, "list")
            return [item(element) for element in value]

        return read

    def map(self, shape: Shape) -> Convert:
        item = self.of(self.model.follow(shape["value"]))

        def read(value: Any) -> dict[str, Any]:
            if value.__class__ is not dict:
                raise mismatch(value, "structure")
            return {key: item(element) for key, element in value.items()}

        return read

    def scalar(self, shape: Shape) -> Convert:
        kind = shape["type"]
        if kind == "string" and shape.get("jsonvalue"):
            return lambda value: parse(read_string(value).encode())
        if kind == "blob":
            return lambda value: scalars.blob_of_text(read_string(value))
        if kind == "timestamp":
            return read_time(shape.get("timestampFormat", "unixTimestamp"))
        if kind in scalars.RANGES:
            return lambda value: read_integer(value, kind)
        if kind in ("float", "double"):
            return lambda value: read_float(value, kind)
        return {"boolean": read_boolean, "string": read_string}[kind]


def read_string(value: Any) -> str:
    if value.__class__ is str:
        return value
    raise mismatch(value, "a String")


def read_boolean(value: Any) -> bool:
    if value.__class__ is bool:
        return value
    raise mismatch(value, "a Boolean")


def read_integer(value: Any, kind: str) -> int:
    if value.__class__ is int or (value.__class__ is float and value.is_integer()):
        return scalars.integer_of(int(value), kind)
    raise mismatch(value, scalars.ARTICLES[kind])


def read_float(value: Any, kind: str) -> float:
    if value.__class__ in (int, float):
        try:
            return float(value)
        except OverflowError:
            raise Malformed(f"The number is out of the range of {scalars.ARTICLES[kind]}") from None
    raise mismatch(value, scalars.ARTICLES[kind])


def read_time(style: str) -> Convert:
    if style == "unixTimestamp":
        return lambda value: read_float(value, "double")
    return lambda value: scalars.time_of_text(read_string(value), style)


class Writer(Shapes[Convert]):
    """Results -> JSON values. A member that the model does not know is a broken invariant of the service."""

    def structure(self, shape: Shape) -> Convert:
        return same if shape.get("document") else self.members(shape, shape["members"])

    def members(self, shape: Shape, members: Mapping[str, Any]) -> Convert:
        """As `structure`, with some of its members only (those that a REST request has in its body)."""
        followed = {name: self.model.follow(reference) for name, reference in members.items()}
        wire = {name: (m.get("locationName", name), self.of(m)) for name, m in followed.items()}
        where = shape["name"]

        def write(value: Any) -> dict[str, Any]:
            written: dict[str, Any] = {}
            for name, item in value.items():
                if item is None:
                    continue
                member = wire.get(name)
                assert member is not None, f"{where} has no member {name}"
                written[member[0]] = member[1](item)
            return written

        return write

    def list(self, shape: Shape) -> Convert:
        item = self.of(self.model.follow(shape["member"]))
        return lambda value: [item(element) for element in value]

    def map(self, shape: Shape) -> Convert:
        item = self.of(self.model.follow(shape["value"]))
        return lambda value: {key: item(element) for key, element in value.items()}

    def scalar(self, shape: Shape) -> Convert:
        kind = shape["type"]
        if kind == "string" and shape.get("jsonvalue"):
            return lambda value: msgspec.json.encode(value).decode()
        if kind == "blob":
            return scalars.text_of_blob
        if kind == "timestamp":
            style = shape.get("timestampFormat", "unixTimestamp")
            return lambda value: scalars.wire_time(value, style)
        if kind == "string":
            return write_string

        def write(value: Any) -> Any:
            scalars.text_of(kind, value)
            return value

        return write


def write_string(value: Any) -> str:
    assert isinstance(value, str), f"{value!r} is no string"
    return value
