"""Where a message says its key and version: JSON Pointers into body, attributes and SNS envelope. Pure.

Rules: RFC 6901. A pointer that meets a text which holds JSON goes on inside it, so `/Message/version` reaches
into what SNS delivered to the queue.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from oncue.services.lambda_.sequencing.versions import shown

KEY_CHARS_MAX = 512
ROOTS = ("@attr", "@msgattr", "@sns")
Message = Mapping[str, Any]  # a member of ReceiveMessage's Messages
MISSING = object()


class Reader:
    """One message; its body is parsed once, when a pointer asks for it."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._body: Any = MISSING

    def value(self, pointer: str) -> Any:
        """What `pointer` points at. ValueError when there is nothing."""
        root, _, path = pointer.partition("/")
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")]
        if root == "@attr":
            found = (self._message.get("Attributes") or {}).get(tokens[0], MISSING)
            tokens = tokens[1:]
        elif root == "@msgattr":
            found = _attribute((self._message.get("MessageAttributes") or {}).get(tokens[0]))
            tokens = tokens[1:]
        elif root == "@sns":
            found = self._body_value()
            if not isinstance(found, dict) or "Message" not in found:
                raise ValueError("the body is not what SNS delivers")
        else:
            found = self._body_value()
        for token in tokens:
            found = _step(found, token)
        if found is MISSING or found is None:
            raise ValueError(f"there is nothing at {pointer}")
        return found

    def key(self, pointer: str) -> str:
        value = self.value(pointer)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"the key at {pointer} is {shown(value)}, neither a text nor a number")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(value)
        if not 0 < len(text) <= KEY_CHARS_MAX or "\0" in text:
            raise ValueError(f"a key has 1 to {KEY_CHARS_MAX} characters")
        return text

    def values(self, wanted: Sequence[str]) -> list[Any]:
        return [self.value(pointer) for pointer in wanted]

    def _body_value(self) -> Any:
        if self._body is MISSING:
            self._body = _parsed(self._message["Body"])
        if self._body is MISSING:
            raise ValueError("the body is not JSON")
        return self._body


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return MISSING


def _attribute(value: Mapping[str, Any] | None) -> Any:
    if value is None or value.get("StringValue") is None:
        return MISSING
    return value["StringValue"]


def _step(found: Any, token: str) -> Any:
    if isinstance(found, str):
        found = _parsed(found)
    if isinstance(found, dict):
        return found.get(token, MISSING)
    if isinstance(found, list) and token.isdigit() and len(token) < 9 and int(token) < len(found):
        return found[int(token)]
    return MISSING
