"""The store boundary: a transaction runs one plain function; its bells ring only after the commit."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = dict[str, Any]


class Transaction(Protocol):
    """One transaction over the shared SQL dialect (docs/decisions/0002). Parameters are written `:name`."""

    def all(self, sql: str, **values: Any) -> list[Row]: ...
    def one(self, sql: str, **values: Any) -> Row | None: ...
    def run(self, sql: str, **values: Any) -> int:
        """The number of rows that the statement changed."""

    def wake(self, topic: str) -> None:
        """Ring the bells on `topic`, after this transaction has been committed."""


class Bell(Protocol):
    """Hears what is rung on its topic from the moment it was made until it is closed (use it with `with`)."""

    async def wait(self, timeout_s: float) -> bool:
        """Until rung (True; at once when rung since the last wait) or until the time is over (False)."""

    def __enter__(self) -> "Bell": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    shared: bool  # whether other nodes write to it too

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def transact(
        self, function: Callable[[Transaction], T], *, reads_only: bool = False, durable: bool = True
    ) -> T:
        """Run `function` in a transaction, and answer when it is committed (and, if `durable`, on disk).

        The function must have no other side effects: it may run again. `durable=False` is for what a crash
        may forget by contract (a visibility timeout, a receive count), never for what is acknowledged.
        """

    def listen(self, topic: str) -> Bell: ...


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered schema step of a room; `sql` may hold several statements."""

    room: str
    number: int
    sql: str
