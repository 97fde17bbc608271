"""Messages: what may be sent, how it is kept in the backlog, and how a receiver sees it. Pure.

Rules and limits: AWS's pages "Amazon SQS message quotas" and "message metadata", and SendMessage's model.
"""

import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services.sqs import refusals

ATTRIBUTES_MAX = 10
NAME_BYTES_MAX = 256
TYPE_BYTES_MAX = 256
DELAY_S_MAX = 900
GROUP_CHARS_MAX = 128
TRACE_HEADER = "AWSTraceHeader"

Attributes = Mapping[str, Mapping[str, Any]]  # MessageAttributeValue by name, as in the model
UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAME = re.compile(r"[A-Za-z0-9_.-]+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
BAD_CHARACTERS = (
    "Invalid characters found. Valid unicode characters are "
    "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
)
RESERVED = (
    "You can't use message attribute names beginning with 'AWS.' or 'Amazon'. "
    "These strings are reserved for internal use."
)


class Message(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A message as it lies in the backlog. `attributes` maps a name to (data type, text or bytes)."""

    message_id: str
    body: str
    body_md5: str
    sender: str
    sent_ms: int
    attributes: dict[str, tuple[str, Any]] = {}  # text or bytes: msgpack tells them apart by itself
    attributes_md5: str = ""
    trace_header: str = ""
    group_id: str = ""
    deduplication_id: str = ""
    dead_letter_source: str = ""

    def pack(self) -> bytes:
        return _encoder.encode(self)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def unpack(body: bytes) -> Message:
    return _decoder.decode(body)


def check_body(body: str, parameter: str = "MessageBody") -> None:
    """MissingParameter for an empty one, InvalidMessageContents for characters that XML cannot carry."""
    if not body:
        raise refusals.missing(parameter)
    check_text(body)


def check_text(text: str) -> None:
    if not (text.isascii() and text.isprintable()) and UNSENDABLE.search(text):
        raise ServiceError("InvalidMessageContents", BAD_CHARACTERS)


def packed_attributes(attributes: Attributes | None) -> dict[str, tuple[str, str | bytes]]:
    """The user's message attributes, checked, as a Message keeps them."""
    if not attributes:
        return {}
    if len(attributes) > ATTRIBUTES_MAX:
        raise refusals.invalid(
            f"Number of message attributes [{len(attributes)}] exceeds "
            f"the allowed maximum [{ATTRIBUTES_MAX}]."
        )
    packed = {}
    for name, value in attributes.items():
        _check_name(name)
        packed[name] = _typed_value(name, value)
    return packed


def trace_header(attributes: Attributes | None) -> str:
    """The one system attribute that may be sent; '' when it was not."""
    for name in attributes or ():
        if name != TRACE_HEADER:
            raise refusals.invalid(f"Message system attribute name '{name}' is invalid.")
    value = (attributes or {}).get(TRACE_HEADER)
    if value is None:
        return ""
    kind, text = _typed_value(TRACE_HEADER, value, "system")
    if kind != "String":
        raise refusals.invalid(f"The type of message (system) attribute '{TRACE_HEADER}' must be 'String'.")
    assert isinstance(text, str)
    return text


def bytes_of(body: str, attributes: Mapping[str, tuple[str, str | bytes]]) -> int:
    """What counts against the limits: the body, and the names, types and values of the attributes."""
    size = len(body) if body.isascii() else len(body.encode())
    for name, (kind, value) in attributes.items():
        size += len(name) + len(kind.encode()) + len(_raw(value))
    return size


def md5_of_body(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, tuple[str, str | bytes]]) -> str:
    """The digest that SDKs compute for themselves and compare; '' for none. AWS's rule: names in order;
    each name, data type and value with its length in 4 bytes, the value after 1 (text) or 2 (binary)."""
    if not attributes:
        return ""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        kind, value = attributes[name]
        for part in (name.encode(), kind.encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        raw = _raw(value)
        digest.update((b"\2" if isinstance(value, bytes) else b"\1") + struct.pack(">I", len(raw)) + raw)
    return digest.hexdigest()


def check_group(parameter: str, value: str) -> None:
    """MessageGroupId and MessageDeduplicationId share their alphabet."""
    if not GROUP.fullmatch(value):
        raise refusals.invalid_value(
            parameter,
            value,
            f"{parameter} can only include alphanumeric and punctuation characters. "
            f"1 to {GROUP_CHARS_MAX} in length.",
        )


def check_delay(delay_s: int) -> None:
    if not 0 <= delay_s <= DELAY_S_MAX:
        raise refusals.invalid_value(
            "DelaySeconds", delay_s, f"DelaySeconds must be >= 0 and <= {DELAY_S_MAX}."
        )


def selected_attributes(
    attributes: Mapping[str, tuple[str, str | bytes]], names: frozenset[str]
) -> dict[str, tuple[str, str | bytes]]:
    """Those asked for by MessageAttributeNames: a name, `prefix.*`, `All` or `.*`."""
    if "All" in names or ".*" in names:
        return dict(attributes)
    prefixes = tuple(name[:-2] for name in names if name.endswith(".*"))
    return {name: value for name, value in attributes.items() if name in names or name.startswith(prefixes)}


def as_model(attributes: Mapping[str, tuple[str, str | bytes]]) -> dict[str, dict[str, Any]]:
    return {
        name: {"BinaryValue" if isinstance(value, bytes) else "StringValue": value, "DataType": kind}
        for name, (kind, value) in attributes.items()
    }


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _check_name(name: str) -> None:
    if not name:
        raise refusals.invalid("The request must contain non-empty message (user) attribute names.")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise refusals.invalid(f"Message (user) attribute name must be shorter than {NAME_BYTES_MAX} bytes.")
    if name.lower().startswith(("aws.", "amazon.")):
        raise refusals.invalid(RESERVED)
    wrong = NAME.sub("", name)
    if wrong:
        raise refusals.invalid(
            f"Invalid non-alphanumeric character '#x{ord(wrong[0]):X}' was found in the message attribute "
            "name. Can only include alphanumeric characters, hyphens, underscores, or dots."
        )
    if name.startswith(".") or name.endswith(".") or ".." in name:
        raise refusals.invalid(
            "You can't use message attribute names that begin or end with a dot, "
            "or that have two dots in a row."
        )


def _typed_value(name: str, value: Mapping[str, Any], owner: str = "user") -> tuple[str, str | bytes]:
    kind = value.get("DataType") or ""
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise refusals.invalid("Message attribute list values in SendMessage operation are not supported.")
    if not kind:
        raise refusals.invalid(
            f"The message ({owner}) attribute '{name}' must contain a non-empty message attribute value."
        )
    if len(kind.encode()) > TYPE_BYTES_MAX:
        raise refusals.invalid(
            f"Message ({owner}) attribute type must be shorter than {TYPE_BYTES_MAX} bytes."
        )
    base = kind.partition(".")[0]
    if base not in ("String", "Number", "Binary"):
        raise refusals.invalid(
            f"The type of message ({owner}) attribute '{name}' is invalid. You must use only the following "
            "supported type prefixes: Binary, Number, String."
        )
    content: str | bytes | None = value.get("BinaryValue" if base == "Binary" else "StringValue")
    if not content:
        raise refusals.invalid(
            f"Message ({owner}) attribute '{name}' must contain a non-empty value of type '{kind}'."
        )
    if isinstance(content, str):
        check_text(content)
        if base == "Number" and not NUMBER.fullmatch(content):
            raise refusals.invalid(
                f"Can't cast the value of message ({owner}) attribute '{name}' to a number."
            )
    return kind, content
