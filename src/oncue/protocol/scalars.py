"""Scalars as each wire writes them: timestamps, blobs, numbers, booleans."""

import binascii
import re
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from oncue import clock
from oncue.protocol.malformed import Malformed

RANGES = {"integer": 2**31, "long": 2**63}
ARTICLES = {"integer": "an Integer", "long": "a Long", "float": "a Float", "double": "a Double"}
INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
INTEGER_DIGITS_MAX = 20
FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def blob_of_text(text: str) -> bytes:
    if len(text) % 4:
        raise Malformed(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}",
        )
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Malformed("Invalid base64 in a binary value.") from None


def text_of_blob(blob: bytes | str) -> str:
    return b64encode(blob.encode() if isinstance(blob, str) else blob).decode("ascii")


def integer_of(number: int, kind: str) -> int:
    limit = RANGES[kind]
    if not -limit <= number < limit:
        raise Malformed(f"{number:.0f} is out of the range of {ARTICLES[kind]}")
    return number


def integer_of_text(text: str, kind: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX or not INTEGER.fullmatch(text):
        raise Malformed(f"STRING_VALUE can not be converted to {ARTICLES[kind]}")
    return integer_of(int(text), kind)


def float_of_text(text: str, kind: str) -> float:
    if not FLOAT.fullmatch(text):
        raise Malformed(f"STRING_VALUE can not be converted to {ARTICLES[kind]}")
    return float(text)


def boolean_of_text(text: str) -> bool:
    if (lowered := text.lower()) not in ("true", "false"):
        raise Malformed("STRING_VALUE can not be converted to a Boolean")
    return lowered == "true"


def time_of_text(text: str, style: str) -> float:
    """Epoch seconds of a moment written in ISO 8601, in RFC 822, or as a number. Without a zone it is UTC."""
    try:
        if style == "unixTimestamp":
            return float_of_text(text, "double")
        moment = parsedate_to_datetime(text) if style == "rfc822" else datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Malformed("STRING_VALUE can not be converted to a Timestamp") from None


def wire_time(moment: float | datetime, style: str) -> int | float | str:
    """A moment (epoch seconds or an aware datetime) as the wire has it; AWS counts in milliseconds."""
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    if style == "unixTimestamp":
        rounded = round(seconds, 3)
        return int(rounded) if rounded == int(rounded) else rounded
    if style == "rfc822":
        return format_datetime(clock.as_datetime(seconds), usegmt=True)
    return clock.iso_ms(round(seconds, 3))


def text_of(kind: str, value: Any) -> str:
    """A string, number or boolean as text (XML, headers). Anything else is a broken invariant."""
    if kind == "boolean":
        assert value.__class__ is bool, f"{value!r} is no boolean"
        return "true" if value else "false"
    if kind in RANGES:
        assert value.__class__ is int, f"{value!r} is no integer"
        return str(value)
    if kind in ("float", "double"):
        assert value.__class__ in (int, float), f"{value!r} is no number"
        return repr(value)
    assert isinstance(value, str), f"{value!r} is no string"
    return value
