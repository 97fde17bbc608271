"""Versions as bytes that sort as the versions do: `a < b` exactly when `encode(a) < encode(b)`. Pure.

Every encoding is prefix-free, so that tuples are simply joined. Rules: semver.org (precedence), RFC 3339.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

TYPES = ("int", "semver", "time", "hlc", "lex", "auto")
AUTO = ("int", "semver", "time")  # in this order
INT_BYTES_MAX = 126
DIGITS_MAX = 300
CHARS_MAX = 1_024
SEMVER_PARTS = 4
NUMBER = re.compile(r"-?[0-9]+")
SEMVER = re.compile(
    r"v?([0-9]+(?:\.[0-9]+){0,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))  # below so much it is s, ms, us; else ns
RELEASE, END, NUMERIC, WORD = b"\xff", b"\x01", b"\x02", b"\x03"


@dataclass(frozen=True, slots=True)
class Version:
    order: bytes
    text: str
    type: str  # as it was read; joined with '+' in a tuple


def encode(values: Sequence[Any], type: str) -> Version:
    """The version that the values (of one pointer each) declare. `type` is one for all, or one for each,
    joined with '+'. ValueError says what is wrong with it."""
    types = type.split("+")
    if len(types) == 1:
        types *= len(values)
    if len(types) != len(values):
        raise ValueError(f"the version has {len(values)} parts, its type {len(types)}")
    parts = [_part(value, kind) for value, kind in zip(values, types, strict=True)]
    return Version(
        b"".join(part.order for part in parts),
        "+".join(part.text for part in parts),
        "+".join(part.type for part in parts),
    )


def _part(value: Any, kind: str) -> Version:
    if isinstance(value, str) and len(value) > CHARS_MAX:
        raise ValueError(f"a version has at most {CHARS_MAX} characters")
    if kind != "auto":
        order, text = ENCODERS[kind](value)
        return Version(order, text, kind)
    for candidate in AUTO:
        try:
            order, text = ENCODERS[candidate](value)
            return Version(order, text, candidate)
        except ValueError:
            continue
    raise ValueError(f"{shown(value)} is neither an int nor a semver nor a time")


def integer_of(value: Any) -> int:
    """JSON 12, "12" and 12.0 are equal; booleans and fractions are none."""
    if isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not an integer")
    if isinstance(value, int):
        number = value
    elif _is_number(value):
        number = int(value)
    else:
        raise ValueError(f"{shown(value)} is not an integer")
    if abs(number) >= 10**DIGITS_MAX:
        raise ValueError(f"an integer has at most {DIGITS_MAX} digits")
    return number


def order_of_int(number: int) -> bytes:
    """One byte for sign and length, then the magnitude, big-endian; negative ones are complemented."""
    size = (abs(number).bit_length() + 7) // 8
    assert size <= INT_BYTES_MAX, "callers bound their integers"
    if number >= 0:
        return bytes([0x80 + size]) + number.to_bytes(size, "big")
    return bytes([0x7F - size]) + ((1 << 8 * size) - 1 + number).to_bytes(size, "big")


def order_of_text(text: str) -> bytes:
    """UTF-8; NUL is escaped, and the end marked, so that a prefix sorts before what it begins."""
    return text.encode().replace(b"\0", b"\0\xff") + b"\0\0"


def shown(value: Any) -> str:
    """A value as a message may name it: short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _int(value: Any) -> tuple[bytes, str]:
    number = integer_of(value)
    return order_of_int(number), str(number)


def _semver(value: Any) -> tuple[bytes, str]:
    """1 to 4 numbers, what is missing is 0; a pre-release comes before its release; a build says nothing."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = SEMVER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{shown(value)} is not a semver")
    numbers = [_digits(part) for part in match[1].split(".")]
    numbers += [0] * (SEMVER_PARTS - len(numbers))
    order = b"".join(order_of_int(number) for number in numbers)
    if match[2] is None:
        return order + RELEASE, text
    for word in match[2].split("."):
        order += NUMERIC + order_of_int(_digits(word)) if word.isdigit() else WORD + word.encode() + b"\0"
    return order + END, text


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, str) and len(value) <= DIGITS_MAX and NUMBER.fullmatch(value) is not None


def _digits(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise ValueError(f"an integer has at most {DIGITS_MAX} digits")
    return int(text)


def _time(value: Any) -> tuple[bytes, str]:
    """RFC 3339 with its offset, or seconds, milliseconds, microseconds, nanoseconds since 1970, told apart
    by their size. A time without an offset is refused: nobody guesses."""
    if isinstance(value, str) and (match := TIME.fullmatch(value)):
        try:
            moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].upper()}")
        except ValueError as error:
            raise ValueError(f"{shown(value)} is not a time: {error}") from None
        since = moment - EPOCH
        nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + int((match[3] or "").ljust(9, "0"))
        return order_of_int(nanoseconds), value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{shown(value)} is not a time")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{shown(value)} is not a time with an offset") from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 21:
        raise ValueError(f"{shown(value)} is not a time")
    unit = next((unit for limit, unit in EPOCH_UNITS if abs(number) < limit), 1)
    return order_of_int(int(number * unit)), str(value)


def _hlc(value: Any) -> tuple[bytes, str]:
    """A hybrid logical clock: `[physical, logical, node]`, or `physical:logical:node` as text; the node may
    be missing."""
    parts = value.split(":", 2) if isinstance(value, str) else value
    if not isinstance(parts, list) or not 2 <= len(parts) <= 3:
        raise ValueError(f"{shown(value)} is not physical:logical:node")
    physical, logical = integer_of(parts[0]), integer_of(parts[1])
    node = parts[2] if len(parts) == 3 else ""
    if not isinstance(node, str | int) or isinstance(node, bool) or len(str(node)) > CHARS_MAX:
        raise ValueError(f"{shown(value)} is not physical:logical:node")
    order = order_of_int(physical) + order_of_int(logical) + order_of_text(str(node))
    return order, f"{physical}:{logical}:{node}"


def _lex(value: Any) -> tuple[bytes, str]:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text")
    return order_of_text(value), value


ENCODERS = {"int": _int, "semver": _semver, "time": _time, "hlc": _hlc, "lex": _lex}
