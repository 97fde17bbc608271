"""The composition root: builds the store, the workers, the services and the server. The only module that
knows all."""

from collections.abc import Sequence
from pathlib import Path

from oncue.errors import SetupError
from oncue.store import Migration, Store, migrations

SQLITE = "sqlite:///"


def schema_of_the_store() -> list[Migration]:
    return migrations.of_package("oncue.store", "store")


def open_store(url: str, steps: Sequence[Migration]) -> Store:
    """The store that `url` names: `sqlite:///PATH` (relative, or with a fourth slash absolute) or
    `postgresql://…`."""
    if url.startswith(SQLITE):
        from oncue.store import sqlite

        return sqlite.SqliteStore(Path(url.removeprefix(SQLITE)), steps, on_broken_disk=sqlite.stop_process)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from oncue.store.postgres import PostgresStore
        except ImportError:
            raise SetupError("The PostgreSQL driver is missing: pip install 'oncue[postgres]'.") from None
        return PostgresStore(url, steps)
    raise SetupError(f"--store takes sqlite:///PATH or postgresql://…, not {url!r}.")
