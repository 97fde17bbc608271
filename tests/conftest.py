"""One suite, both stores: where the databases, servers and clients of the tests come from."""

import pathlib
from collections.abc import Callable, Iterator

import pytest

from tests import postgres

STORES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL that lives as long as the session, from a wheel: nothing to install."""
    with postgres.running() as address:
        yield address


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """The address of an empty database, as `--store` takes it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/oncue.db"
    return postgres.new_database(request.getfixturevalue("postgres_server"))


MakeClient = Callable[..., object]
