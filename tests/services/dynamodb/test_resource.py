"""boto3's own Table and its condition builder, as most applications use them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key

from tests.running import Running
from tests.services.dynamodb.conftest import Make, item


@pytest.fixture
def things(server: Running, account: str, table: Make) -> Any:
    name = table("p:S", "n:N")
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="test",
    )
    return resource.Table(name)


def test_the_condition_builder_and_the_batch_writer(things: Any) -> None:
    with things.batch_writer() as batch:
        for n in range(60):
            batch.put_item(Item={"p": "a", "n": n, "name": f"thing {n}", "data": {"status": n % 2 == 0}})
    found = things.query(
        KeyConditionExpression=Key("p").eq("a") & Key("n").between(10, Decimal("20.5")),
        FilterExpression=Attr("data.status").eq(True) & ~Attr("name").contains("14")
        | Attr("name").begins_with("thing 11") & Attr("absent").not_exists(),
        ProjectionExpression="n",
    )["Items"]
    assert [one["n"] for one in found] == [10, 11, 12, 16, 18, 20]
    found = things.scan(FilterExpression=Attr("n").is_in([1, 2]) | Attr("data").size().gt(5))["Items"]
    assert sorted(one["n"] for one in found) == [1, 2]


def test_item_collections_are_measured(dynamodb: Any, table: Make) -> None:
    name = table(
        "p:S",
        "s:S",
        "r:S",
        TableName="local",
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-r",
                "KeySchema": [
                    {"AttributeName": "p", "KeyType": "HASH"},
                    {"AttributeName": "r", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    measured = {"ItemCollectionKey": {"p": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    put = dynamodb.put_item(TableName=name, Item=item(p="a", s="1"), ReturnItemCollectionMetrics="SIZE")
    assert put["ItemCollectionMetrics"] == measured
    batch = dynamodb.batch_write_item(
        RequestItems={name: [{"PutRequest": {"Item": item(p="a", s=s)}} for s in "23"]},
        ReturnItemCollectionMetrics="SIZE",
    )
    assert batch["ItemCollectionMetrics"] == {name: [measured]}
    plain_table = table("id:S")
    put = dynamodb.put_item(TableName=plain_table, Item=item(id="a"), ReturnItemCollectionMetrics="SIZE")
    assert "ItemCollectionMetrics" not in put


def test_names_that_are_no_names(client: Callable[..., Any]) -> None:
    dynamodb = client("dynamodb")
    for name in ("ab", "a b c", "a\0b", "x" * 300):
        with pytest.raises(dynamodb.exceptions.ClientError) as caught:
            dynamodb.describe_table(TableName=name)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
