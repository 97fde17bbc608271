"""The shared store: several nodes meet in one PostgreSQL; wake-ups travel by NOTIFY, off the write path."""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar, cast

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from oncue import clock
from oncue.errors import SetupError
from oncue.store import Migration, Row, migrations
from oncue.store.bells import Belfry, LocalBell

T = TypeVar("T")
Connection = psycopg.Connection[dict[str, Any]]

CONNECTIONS = 8
ATTEMPTS_MAX = 10  # of one transaction, after deadlocks and serialization failures
POLL_S = 1.0  # the net under lost notifications
ANNOUNCE_S = 0.01
TOPICS_MAX = 200  # in one announcement
RECONNECT_S = 1.0
OPEN_S = 15.0
SCHEMA_LOCK = 0x4F4E4355
CHANNEL = "oncue_wake"
PARAMETER = re.compile(r"'[^']*'|(?<![:\w]):([a-z_]\w*)")
OPTIONS = "-c search_path=oncue -c idle_in_transaction_session_timeout=30000 -c client_min_messages=warning"


class OutcomeUnknown(Exception):
    """The connection was lost while a commit was under way: it may or may not have happened."""


class PostgresTransaction:
    __slots__ = ("_connection", "topics")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.topics: set[str] = set()

    def all(self, sql: str, **values: Any) -> list[Row]:
        return self._connection.execute(_translated(sql), values).fetchall()

    def one(self, sql: str, **values: Any) -> Row | None:
        return self._connection.execute(_translated(sql), values).fetchone()

    def run(self, sql: str, **values: Any) -> int:
        return self._connection.execute(_translated(sql), values).rowcount

    def wake(self, topic: str) -> None:
        self.topics.add(topic)


class PostgresStore:
    shared = True

    def __init__(self, dsn: str, steps: Sequence[Migration], *, connections: int = CONNECTIONS) -> None:
        self._dsn = dsn
        self._steps = steps
        self._node = clock.token(4)
        self._belfry = Belfry(POLL_S)
        self._unannounced: set[str] = set()
        self._connections = connections

    async def start(self) -> None:
        """SetupError when the database cannot be reached or is of a newer version."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._migrate)
        except psycopg.OperationalError as error:
            raise SetupError(
                f"PostgreSQL does not answer: {str(error).strip()}. Check the address in --store and that "
                f"it runs."
            ) from None
        self._pool = self._new_pool()
        await asyncio.to_thread(self._pool.open, True, OPEN_S)
        self._threads = ThreadPoolExecutor(self._connections, thread_name_prefix="oncue-pg")
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._announce())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._pool.close)

    async def transact(
        self, function: Callable[[Any], T], *, reads_only: bool = False, durable: bool = True
    ) -> T:
        """A transaction that has begun runs to its end in its own thread, whoever gives up waiting:
        cancelling a commit that waits for a standby would make it succeed without the standby
        (design/engine.md 8)."""
        work = self._loop.run_in_executor(self._threads, self._perform, function, durable or reads_only)
        result, topics = await asyncio.shield(work)
        self._belfry.ring(topics)
        self._unannounced |= topics
        return result

    def listen(self, topic: str) -> LocalBell:
        return self._belfry.listen(topic)

    def _new_pool(self) -> "ConnectionPool[Connection]":
        return ConnectionPool(
            self._dsn,
            min_size=1,
            max_size=self._connections + 1,  # one more for the announcements
            open=False,
            timeout=OPEN_S,
            kwargs={"row_factory": dict_row, "options": OPTIONS},
            check=ConnectionPool.check_connection,
        )

    def _perform(self, function: Callable[[Any], T], durable: bool) -> tuple[T, set[str]]:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return self._attempt(function, durable)
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                if attempt == ATTEMPTS_MAX:
                    raise
        raise AssertionError("the last attempt answers or raises")

    def _attempt(self, function: Callable[[Any], T], durable: bool) -> tuple[T, set[str]]:
        with self._pool.connection() as connection:
            transaction = PostgresTransaction(connection)
            if not durable:
                connection.execute("SET LOCAL synchronous_commit TO OFF")
            result = function(transaction)
            try:
                connection.commit()
            except psycopg.OperationalError as error:
                raise OutcomeUnknown("the connection was lost during a commit") from error
            return result, transaction.topics

    def _migrate(self) -> None:
        kwargs: dict[str, Any] = {"row_factory": dict_row, "options": OPTIONS}
        with psycopg.connect(self._dsn, **kwargs) as connection:
            transaction = PostgresTransaction(cast(Connection, connection))
            transaction.all("SELECT pg_advisory_xact_lock(:key)", key=SCHEMA_LOCK)
            transaction.run("CREATE SCHEMA IF NOT EXISTS oncue")
            transaction.run(_schema_words(migrations.LEDGER))
            for step in migrations.missing(transaction, self._steps):
                for statement in migrations.statements(step.sql):
                    transaction.run(_schema_words(statement))
                migrations.record(transaction, step)

    async def _announce(self) -> None:
        """Tells the other nodes, from transactions of its own: NOTIFY takes a global lock at its commit."""
        while True:
            await asyncio.sleep(ANNOUNCE_S)
            topics = [self._unannounced.pop() for _ in range(min(TOPICS_MAX, len(self._unannounced)))]
            if topics:
                try:
                    await asyncio.to_thread(self._notify, topics)
                except psycopg.Error:
                    continue  # the other nodes' polling finds what this would have told

    def _notify(self, topics: list[str]) -> None:
        with self._pool.connection() as connection:
            for topic in topics:
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{self._node}|{topic}"])

    async def _hear(self) -> None:
        while True:
            try:
                await self._hear_one_connection()
            except psycopg.Error:
                await asyncio.sleep(RECONNECT_S)

    async def _hear_one_connection(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            async for notice in connection.notifies():
                node, _, topic = notice.payload.partition("|")
                if node != self._node:
                    self._belfry.ring([topic])


@lru_cache(4096)
def _translated(sql: str) -> str:
    def parameter(match: re.Match[str]) -> str:
        return f"%({match[1]})s" if match[1] else match[0]

    return PARAMETER.sub(parameter, sql.replace("%", "%%"))


def _schema_words(sql: str) -> str:
    """Text compares by bytes whatever the database's locale is."""
    return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', sql)
