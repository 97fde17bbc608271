"""Scalars that travel as text: form fields, XML, headers, parts of a URL."""

from collections.abc import Callable
from typing import Any

from oncue.protocol import scalars
from oncue.protocol.model import Shape


def text_reader(shape: Shape, time_style: str) -> Callable[[str], Any]:
    """How to read a scalar from text: a form field, a header, a part of a URL."""
    kind, style = shape["type"], shape.get("timestampFormat", time_style)
    if kind in scalars.RANGES:
        return lambda text: scalars.integer_of_text(text, kind)
    if kind in ("float", "double"):
        return lambda text: scalars.float_of_text(text, kind)
    if kind == "timestamp":
        return lambda text: scalars.time_of_text(text, style)
    return {"boolean": scalars.boolean_of_text, "blob": scalars.blob_of_text}.get(kind, str)


def text_writer(shape: Shape, time_style: str) -> Callable[[Any], str]:
    kind, style = shape["type"], shape.get("timestampFormat", time_style)
    if kind == "timestamp":
        return lambda value: str(scalars.wire_time(value, style))
    if kind == "blob":
        return scalars.text_of_blob
    return lambda value: scalars.text_of(kind, value)
