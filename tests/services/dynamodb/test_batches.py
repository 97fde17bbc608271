"""BatchGetItem, BatchWriteItem, TransactGetItems and TransactWriteItems over HTTP."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.dynamodb.conftest import Make, item, plain
from tests.services.dynamodb.test_items import refusal


def test_batches_write_and_read_several_tables(dynamodb: Any, table: Make) -> None:
    one, two = table("id:S"), table("p:S", "n:N", TableName="others")
    dynamodb.put_item(TableName=one, Item=item(id="old"))
    written = dynamodb.batch_write_item(
        RequestItems={
            one: [
                {"PutRequest": {"Item": item(id="a", x=1, y=2)}},
                {"PutRequest": {"Item": item(id="b")}},
                {"DeleteRequest": {"Key": item(id="old")}},
            ],
            two: [{"PutRequest": {"Item": item(p="p", n=1)}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert written["UnprocessedItems"] == {}
    assert {c["TableName"]: c["CapacityUnits"] for c in written["ConsumedCapacity"]} == {one: 3.0, two: 1.0}
    got = dynamodb.batch_get_item(
        RequestItems={
            one: {"Keys": [item(id="a"), item(id="old"), item(id="b")], "ProjectionExpression": "id, x"},
            two: {"Keys": [item(p="p", n=1)], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert got["UnprocessedKeys"] == {}
    assert [plain(found) for found in got["Responses"][one]] == [{"id": "a", "x": 1}, {"id": "b"}]
    assert got["Responses"][two] == [item(p="p", n=1)]
    assert {c["TableName"]: c["CapacityUnits"] for c in got["ConsumedCapacity"]} == {one: 1.5, two: 1.0}


def test_batches_that_are_refused(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    twice = ("ValidationException", "Provided list of item keys contains duplicates")
    put = {"PutRequest": {"Item": item(id="a")}}
    delete = {"DeleteRequest": {"Key": item(id="a")}}
    assert refusal(dynamodb.batch_write_item, RequestItems={name: [put, delete]}) == twice
    assert refusal(dynamodb.batch_get_item, RequestItems={name: {"Keys": [item(id="a")] * 2}}) == twice
    assert dynamodb.scan(TableName=name)["Count"] == 0
    assert (
        refusal(dynamodb.batch_write_item, RequestItems={"nothing": [put]})[0] == "ResourceNotFoundException"
    )


def test_a_batch_gives_back_what_does_not_fit(dynamodb: Any, table: Make) -> None:
    name = table("n:N")
    for n in range(45):
        dynamodb.put_item(TableName=name, Item=item(n=n, x="x" * 399_000))
    keys = [item(n=n) for n in range(45)]
    first = dynamodb.batch_get_item(RequestItems={name: {"Keys": keys}})
    left = first["UnprocessedKeys"][name]["Keys"]
    assert len(first["Responses"][name]) + len(left) == 45
    assert len(left) == 3
    second = dynamodb.batch_get_item(RequestItems=first["UnprocessedKeys"])
    assert len(second["Responses"][name]) == 3
    assert second["UnprocessedKeys"] == {}


def cancellation(function: Any, **parameters: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        function(**parameters)
    response = caught.value.response
    assert response["Error"]["Code"] == "TransactionCanceledException"
    return response


def test_a_transaction_does_all_or_nothing(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    dynamodb.put_item(TableName=name, Item=item(id="a", n=1))
    dynamodb.put_item(TableName=name, Item=item(id="gone"))
    add = {
        "TableName": name,
        "Key": item(id="a"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    delete = {"TableName": name, "Key": item(id="gone")}
    check = {"TableName": name, "Key": item(id="b"), "ConditionExpression": "attribute_not_exists(id)"}
    put = {"TableName": name, "Item": item(id="c"), "ConditionExpression": "attribute_not_exists(id)"}
    actions = [{"Update": add}, {"Delete": delete}, {"ConditionCheck": check}, {"Put": put}]
    done = dynamodb.transact_write_items(TransactItems=actions, ReturnConsumedCapacity="TOTAL")
    assert done["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 8.0, "WriteCapacityUnits": 8.0}]
    found = sorted(str(plain(one)) for one in dynamodb.scan(TableName=name)["Items"])
    assert found == ["{'id': 'a', 'n': Decimal('2')}", "{'id': 'c'}"]

    put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    response = cancellation(dynamodb.transact_write_items, TransactItems=actions)
    assert response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, None, None, ConditionalCheckFailed]"
    )
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "None"},
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": item(id="c"),
        },
    ]
    assert sorted(str(plain(one)) for one in dynamodb.scan(TableName=name)["Items"]) == found


def test_a_transaction_that_the_items_do_not_bear(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    add = {
        "TableName": name,
        "Key": item(id="a"),
        "UpdateExpression": "SET n = n + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    put = {"TableName": name, "Item": item(id="b")}
    response = cancellation(dynamodb.transact_write_items, TransactItems=[{"Put": put}, {"Update": add}])
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ValidationError",
            "Message": "The provided expression refers to an attribute that does not exist in the item",
        },
    ]
    assert dynamodb.scan(TableName=name)["Count"] == 0
    assert refusal(dynamodb.transact_write_items, TransactItems=[{"Put": put}, {"Put": put}]) == (
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
    )
    assert dynamodb.describe_table(TableName=name)["Table"]["ItemCount"] == 0


def test_a_token_makes_a_transaction_happen_once(dynamodb: Any, table: Make) -> None:
    name = table("id:S")

    def add(amount: str) -> Any:
        update = {
            "TableName": name,
            "Key": item(id="a"),
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": amount}},
        }
        return {"TransactItems": [{"Update": update}], "ClientRequestToken": "once"}

    for _ in range(3):
        dynamodb.transact_write_items(**add("1"))
    assert plain(dynamodb.get_item(TableName=name, Key=item(id="a"))["Item"]) == {"id": "a", "n": 1}
    assert refusal(dynamodb.transact_write_items, **add("2"))[0] == "IdempotentParameterMismatchException"


def test_transactions_read(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    dynamodb.put_item(TableName=name, Item=item(id="a", n=1, x=2))
    got = dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": name, "Key": item(id="nothing")}},
            {"Get": {"TableName": name, "Key": item(id="a"), "ProjectionExpression": "n"}},
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert got["Responses"] == [{}, {"Item": item(n=1)}]
    assert got["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]
