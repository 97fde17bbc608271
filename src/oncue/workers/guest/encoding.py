"""A handler's result as JSON: what the standard library can write, and Decimal numbers digit for digit."""

import decimal
import json
import math
import os
import re
from typing import Any

from .faults import Fault

UNICODE_SINCE = 12  # from Python 3.12 on, Lambda's runtimes answer with unescaped Unicode
RESPONSE_BYTES_MAX = 6_291_556


class Encoder:
    """Writes results as the runtime `python3.<minor>` does. Bytes are answered as they are."""

    def __init__(self, minor: int) -> None:
        self._ascii = minor < UNICODE_SINCE
        self._mark = (
            f"decimal {os.urandom(16).hex()} "  # not to be guessed: what follows it is written unquoted
        )
        self._marked = re.compile(f'"{self._mark}([^"]*)"')
        self._marks = 0

    def encode(self, result: object) -> bytes:
        if isinstance(result, bytes):
            return result
        self._marks = 0
        try:
            text = json.dumps(result, ensure_ascii=self._ascii, default=self._other)
            if self._marks:
                text = self._marked.sub(r"\1", text)
            return text.encode()
        except MemoryError:
            raise
        except Exception as error:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None

    def _other(self, value: object) -> Any:
        if isinstance(value, decimal.Decimal):
            self._marks += 1
            return math.nan if value.is_nan() else f"{self._mark}{value}"
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def decode(event: bytes) -> object:
    try:
        return json.loads(event)
    except MemoryError:
        raise
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
