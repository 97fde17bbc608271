"""Tables for the tests, through boto3 over HTTP, on both stores."""

from collections.abc import Callable
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Make = Callable[..., str]
TO = TypeSerializer()
FROM = TypeDeserializer()


def item(**attributes: Any) -> dict[str, Any]:
    """`item(id="a", n=1)` in the API's spelling."""
    return {name: TO.serialize(value) for name, value in attributes.items()}


def plain(given: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if given is None else {name: FROM.deserialize(value) for name, value in given.items()}


@pytest.fixture
def dynamodb(client: Callable[..., Any]) -> Any:
    return client("dynamodb", max_pool_connections=50)


@pytest.fixture
def table(dynamodb: Any) -> Make:
    """`table("id:S", "n:N", ...)` makes a table and gives its name; further options as of CreateTable."""

    def make(partition: str, sort: str | None = None, *others: str, **options: Any) -> str:
        keys = [partition, *([sort] if sort else [])]
        name = options.pop("TableName", "things")
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[
                dict(zip(("AttributeName", "AttributeType"), key.split(":"), strict=True))
                for key in (*keys, *others)
            ],
            KeySchema=[
                {"AttributeName": key.split(":")[0], "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            BillingMode="PAY_PER_REQUEST",
            **options,
        )
        return str(name)

    return make
