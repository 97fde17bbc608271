"""Time, identifiers and chance: the only door through which they enter."""

import os
import random
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Source(Protocol):
    """Where time and randomness come from; a simulation installs its own with `use`."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def random_bytes(self, count: int) -> bytes: ...


class _System:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    random_bytes = staticmethod(os.urandom)


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
    return str(uuid.UUID(bytes=_source.random_bytes(16), version=4))


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
