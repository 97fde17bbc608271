"""One suite, both stores: where the databases, servers and clients of the tests come from."""

import pathlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import postgres, running

STORES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL that lives as long as the session, from a wheel: nothing to install."""
    with postgres.running() as address:
        yield address


def new_store(kind: str, folder: pathlib.Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/oncue.db"
    return postgres.new_database(request.getfixturevalue("postgres_server"))


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """The address of an empty database, as `--store` takes it."""
    return new_store(request.param, tmp_path, request)


@pytest.fixture(scope="session", params=STORES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[running.Running]:
    """A running server on each store, shared by the tests of the session; each test has its own account."""
    folder = tmp_path_factory.mktemp(f"server-{request.param}")
    with running.serving(new_store(request.param, folder, request), folder) as started:
        yield started


@pytest.fixture
def account() -> str:
    """A fresh account: what one test makes, no other sees."""
    return f"{random.SystemRandom().randrange(10**11, 10**12)}"


@pytest.fixture
def client(server: running.Running, account: str) -> Callable[..., Any]:
    """`client("sqs")`: a boto3 client of the test's own account."""

    def make(service: str, **options: Any) -> Any:
        return server.client(service, account, **options)

    return make
