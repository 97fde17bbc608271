"""Time, identifiers and chance: the only door through which they enter."""

import os
import random
import threading
import time
from datetime import UTC, datetime
from typing import Protocol

BLOCK_BYTES = 4_096
VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # the UUID's two fixed bits


class Source(Protocol):
    """Where time and randomness come from; a simulation installs its own with `use`."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def random_bytes(self, count: int) -> bytes: ...


class _System(threading.local):
    """The machine's own. Random bytes are drawn from the kernel in blocks, one block a thread."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def random_bytes(self, count: int) -> bytes:
        begin, end = self._used, self._used + count
        if end > len(self._block):
            self._block = os.urandom(max(BLOCK_BYTES, count))
            begin, end = 0, count
        self._used = end
        return self._block[begin:end]


_source: Source = _System()


def use(source: Source | None) -> None:
    """Install another source of time and chance; None brings the machine's own back."""
    global _source
    _source = source or _System()


def now() -> float:
    """Seconds since the epoch, UTC."""
    return _source.now()


def monotonic() -> float:
    """Seconds on a clock that never goes back, for measuring durations."""
    return _source.monotonic()


def pause(seconds: float) -> None:
    """Do nothing for a while: for the command line, which has nothing else to do. Never in the server."""
    time.sleep(seconds)


def new_id() -> str:
    """A random UUID (version 4), as AWS uses for message, request and mapping ids."""
    text = _source.random_bytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


def token(count: int = 12) -> str:
    """`count` random bytes as lower-case hexadecimal digits."""
    return _source.random_bytes(count).hex()


def chance() -> float:
    """A number drawn evenly from [0, 1)."""
    return random.Random(_source.random_bytes(8)).random()


def iso_ms(seconds: float) -> str:
    """`2026-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_datetime(seconds: float) -> datetime:
    """The moment as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
