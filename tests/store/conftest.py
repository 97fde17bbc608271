"""A started store, one of each kind."""

from collections.abc import AsyncIterator

import pytest_asyncio

from oncue.app import open_store, schema_of_the_store
from oncue.store import Store


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = open_store(store_url, schema_of_the_store())
    await store.start()
    yield store
    await store.stop()
