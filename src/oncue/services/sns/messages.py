"""What may be published: the checks on a message and its attributes, with AWS's sentences. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services.sns import refusals
from oncue.services.sns.refusals import bad_value, invalid

SUBJECT_CHARS_MAX = 100
NAME_BYTES_MAX = 256
ENTRIES_MAX = 10
BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
NAME_CHARACTER = re.compile(r"[A-Za-z0-9_.-]")
KIND = re.compile(r"(String|Number|Binary)(\..+)?")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NO_DEFAULT = "Message Structure - No default entry in JSON message body"
NO_JSON = "Message Structure - JSON message body failed to parse"

Attributes = dict[str, tuple[str, str | bytes]]  # name -> (data type, text or bytes)


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A message that may be published, as far as it alone can tell."""

    text: str
    by_protocol: dict[str, str]  # what a MessageStructure says for some protocols
    subject: str | None
    attributes: dict[str, tuple[str, Any]]  # Attributes: msgpack tells text and bytes apart by itself
    group_id: str | None
    deduplication_id: str | None
    size_bytes: int

    def text_for(self, protocol: str) -> str:
        return self.by_protocol.get(protocol, self.text)


def of_entry(entry: Mapping[str, Any]) -> Message:
    """`entry` has Publish's parameters, or is an entry of PublishBatch, whose members have the same names."""
    body = entry.get("Message") or ""
    if not body:
        raise invalid("Empty message")
    text, by_protocol = _structured(body, entry.get("MessageStructure"))
    subject = entry.get("Subject")
    if subject is not None:
        _check_subject(subject)
    attributes = _attributes(entry.get("MessageAttributes") or {})
    for name in ("MessageGroupId", "MessageDeduplicationId"):
        value = entry.get(name)
        if value is not None and not GROUP.fullmatch(value):
            raise invalid(name, f"{name} can only include alphanumeric and punctuation characters.")
    return Message(
        text,
        by_protocol,
        subject,
        attributes,
        entry.get("MessageGroupId"),
        entry.get("MessageDeduplicationId"),
        len(body.encode()) + bytes_of(attributes),
    )


def bytes_of(attributes: Attributes) -> int:
    return sum(
        len(name.encode()) + len(kind.encode()) + len(value if isinstance(value, bytes) else value.encode())
        for name, (kind, value) in attributes.items()
    )


def check_batch(entries: Sequence[Mapping[str, Any]]) -> None:
    """Faults of the request as a whole."""
    if not entries:
        raise ServiceError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > ENTRIES_MAX:
        raise ServiceError(
            "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible."
        )
    ids = [entry["Id"] for entry in entries]
    if not all(BATCH_ID.fullmatch(name) for name in ids):
        raise ServiceError(
            "InvalidBatchEntryId",
            "The Id of a batch entry in a batch request doesn't abide by the specification.",
        )
    if len(set(ids)) < len(ids):
        raise ServiceError(
            "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."
        )


def _structured(body: str, structure: str | None) -> tuple[str, dict[str, str]]:
    if structure is None:
        return body, {}
    if structure != "json":
        raise invalid("MessageStructure")
    try:
        texts = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid(NO_JSON) from None
    if not isinstance(texts, dict):
        raise invalid(NO_JSON)
    default = texts.get("default")
    if not isinstance(default, str):
        raise invalid(NO_DEFAULT)
    if not default:
        raise invalid("Empty message")
    try:
        "".join(text for text in texts.values() if isinstance(text, str)).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, written as an escape
        raise invalid(NO_JSON) from None
    return default, {protocol: text for protocol, text in texts.items() if isinstance(text, str) and text}


def _check_subject(subject: str) -> None:
    """Fewer than 100 characters, no control characters, and it does not begin with a space."""
    if not subject or len(subject) >= SUBJECT_CHARS_MAX or CONTROL.search(subject) or subject[0] == " ":
        raise invalid("Subject")


def _attributes(given: Mapping[str, Mapping[str, Any]]) -> Attributes:
    checked: Attributes = {}
    for name, value in given.items():
        _check_name(name)
        checked[name] = _value(name, value)
    return checked


def _check_name(name: str) -> None:
    if not name:
        raise bad_value("The request must contain non-empty message attribute names.")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise bad_value(f"Length of message attribute name must be less than {NAME_BYTES_MAX} bytes.")
    if name[0] == ".":
        raise bad_value("Invalid message attribute name starting with character '.' was found.")
    if name[-1] == ".":
        raise bad_value("Invalid message attribute name ending with character '.' was found.")
    wrong = NAME_CHARACTER.sub("", name)
    if wrong:
        raise bad_value(
            f"Invalid non-alphanumeric character '#x{ord(wrong[0]):X}' was found in the message attribute "
            "name. Can only include alphanumeric characters, hyphens, underscores, or dots."
        )
    if ".." in name:
        raise bad_value("Message attribute name can not have successive '.' character.")


def _value(name: str, value: Mapping[str, Any]) -> tuple[str, str | bytes]:
    kind = value.get("DataType") or ""
    if not KIND.fullmatch(kind):
        raise bad_value(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported "
            "type prefixes is Binary, Number, and String."
        )
    field = "Binary" if kind.startswith("Binary") else "String"
    content: str | bytes | None = value.get(f"{field}Value")
    if not content:
        other = value.get("StringValue" if field == "Binary" else "BinaryValue")
        if other and content is None:
            raise bad_value(f"The message attribute '{name}' with type '{kind}' must use field '{field}'.")
        raise bad_value(
            f"The message attribute '{name}' must contain non-empty message attribute value for message "
            f"attribute type '{kind}'."
        )
    if isinstance(content, str) and kind.startswith("Number") and not NUMBER.fullmatch(content):
        raise bad_value(f"Could not cast message attribute '{name}' value to number.")
    return kind, content


def check_kind(message: Message, *, fifo: bool, content_deduplication: bool) -> None:
    """What a FIFO topic demands of a message, and a standard one does not take."""
    if not fifo:
        if message.deduplication_id is not None:
            raise invalid(
                "MessageDeduplicationId",
                "The request includes MessageDeduplicationId parameter that is not valid for this topic type",
            )
        return
    if message.group_id is None:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    if message.deduplication_id is None and not content_deduplication:
        raise invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
            "provided explicitly"
        )


def too_long() -> ServiceError:
    return refusals.invalid("Message too long")


def batch_too_long() -> ServiceError:
    return ServiceError(
        "BatchRequestTooLong", "The length of all the messages put together is more than the limit."
    )
