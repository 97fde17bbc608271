"""Results -> XML, as the query protocol writes them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from oncue.protocol.form_shapes import wire_name
from oncue.protocol.model import Shape
from oncue.protocol.shapes import Shapes
from oncue.protocol.texts import text_writer

Write = Callable[[str, Any, list[str]], None]  # tag, value, the pieces of XML so far

UNSAFE = re.compile(r"[&<>\"\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escape(text: str) -> str:
    """Text for XML 1.0. What XML cannot carry at all becomes U+FFFD; a carriage return must be written out,
    or the client's parser would turn it into a line feed."""
    return UNSAFE.sub(lambda found: ESCAPES.get(found[0], "\ufffd"), text)


class Writer(Shapes[Write]):
    """Results -> pieces of XML."""

    def structure(self, shape: Shape) -> Write:
        inside = self.members(shape)

        def write(tag: str, value: Any, out: list[str]) -> None:
            out.append(f"<{tag}>")
            inside(value, out)
            out.append(f"</{tag}>")

        return write

    def members(self, shape: Shape) -> Callable[[Mapping[str, Any], list[str]], None]:
        wire: dict[str, tuple[str, Write]] = {}
        for name, reference in shape["members"].items():
            member = self.model.follow(reference)
            wire[name] = (wire_name(self.model, member, name), self.of(member))
        where = shape["name"]

        def write(value: Mapping[str, Any], out: list[str]) -> None:
            for name, item in value.items():
                if item is not None:
                    assert name in wire, f"{where} has no member {name}"
                    tag, write_member = wire[name]
                    write_member(tag, item, out)

        return write

    def list(self, shape: Shape) -> Write:
        member = self.model.follow(shape["member"])
        item, item_tag = self.of(member), member.get("locationName", "member")
        flattened = shape.get("flattened", False)

        def write(tag: str, value: Any, out: list[str]) -> None:
            if not flattened:
                out.append(f"<{tag}>")
            for element in value:
                item(tag if flattened else item_tag, element, out)
            if not flattened:
                out.append(f"</{tag}>")

        return write

    def map(self, shape: Shape) -> Write:
        key, value = self.model.follow(shape["key"]), self.model.follow(shape["value"])
        key_tag, value_tag = key.get("locationName", "key"), value.get("locationName", "value")
        write_key, write_value = self.of(key), self.of(value)
        flattened = shape.get("flattened", False)

        def write(tag: str, entries: Any, out: list[str]) -> None:
            entry_tag = tag if flattened else "entry"
            if not flattened:
                out.append(f"<{tag}>")
            for name, item in entries.items():
                out.append(f"<{entry_tag}>")
                write_key(key_tag, name, out)
                write_value(value_tag, item, out)
                out.append(f"</{entry_tag}>")
            if not flattened:
                out.append(f"</{tag}>")

        return write

    def scalar(self, shape: Shape) -> Write:
        text = text_writer(shape, "iso8601")
        return lambda tag, value, out: out.append(f"<{tag}>{escape(text(value))}</{tag}>")
