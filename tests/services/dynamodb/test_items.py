"""One item at a time, over HTTP: put, get, update, delete, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.dynamodb.conftest import Make, item, plain


def refusal(function: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        function(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_every_type_comes_back(dynamodb: Any, table: Make) -> None:
    whole = {
        "id": {"S": "ä😀"},
        "n": {"N": "-1.50e2"},
        "b": {"B": b"\x00\xff"},
        "t": {"BOOL": False},
        "z": {"NULL": True},
        "m": {"M": {"l": {"L": [{"S": ""}, {"N": "0.10"}]}, "e": {"M": {}}}},
        "ss": {"SS": ["b", "a"]},
        "ns": {"NS": ["1.0", "2"]},
        "bs": {"BS": [b"x"]},
    }
    name = table("id:S")
    dynamodb.put_item(TableName=name, Item=whole)
    got = dynamodb.get_item(TableName=name, Key={"id": {"S": "ä😀"}})["Item"]
    assert got["n"] == {"N": "-150"}
    assert got["m"] == {"M": {"l": {"L": [{"S": ""}, {"N": "0.1"}]}, "e": {"M": {}}}}
    assert sorted(got["ns"]["NS"]) == ["1", "2"]
    for same in ("id", "b", "t", "z", "bs"):
        assert got[same] == whole[same]
    assert "Item" not in dynamodb.get_item(TableName=name, Key=item(id="other"))


def test_numbers_are_one_key_however_they_are_written(dynamodb: Any, table: Make) -> None:
    name = table("n:N")
    dynamodb.put_item(TableName=name, Item={"n": {"N": "1.0"}, "v": {"S": "a"}})
    dynamodb.put_item(TableName=name, Item={"n": {"N": "01e0"}, "v": {"S": "b"}})
    assert dynamodb.get_item(TableName=name, Key={"n": {"N": "1"}})["Item"]["v"] == {"S": "b"}
    assert dynamodb.scan(TableName=name)["Count"] == 1


def test_return_values(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    put = dynamodb.put_item(TableName=name, Item=item(id="a", n=1), ReturnValues="ALL_OLD")
    assert "Attributes" not in put
    put = dynamodb.put_item(
        TableName=name, Item=item(id="a", n=2, doc={"x": 1, "y": 2}), ReturnValues="ALL_OLD"
    )
    assert plain(put["Attributes"]) == {"id": "a", "n": 1}

    def update(text: str, returned: str) -> Any:
        reply = dynamodb.update_item(
            TableName=name,
            Key=item(id="a"),
            UpdateExpression=text,
            ExpressionAttributeValues={":v": {"N": "7"}},
            ReturnValues=returned,
        )
        return plain(reply.get("Attributes"))

    assert update("SET n = :v", "UPDATED_OLD") == {"n": 2}
    assert update("SET n = n + :v", "UPDATED_NEW") == {"n": 14}
    assert update("SET doc.x = :v", "UPDATED_NEW") == {"doc": {"x": 7}}
    assert update("SET fresh = :v", "UPDATED_OLD") is None
    assert update("SET n = :v", "ALL_OLD") == {"id": "a", "n": 14, "doc": {"x": 7, "y": 2}, "fresh": 7}
    assert update("SET n = :v REMOVE doc, fresh", "ALL_NEW") == {"id": "a", "n": 7}
    assert update("SET n = :v", "NONE") is None
    gone = dynamodb.delete_item(TableName=name, Key=item(id="a"), ReturnValues="ALL_OLD")
    assert plain(gone["Attributes"]) == {"id": "a", "n": 7}
    assert refusal(dynamodb.put_item, TableName=name, Item=item(id="a"), ReturnValues="ALL_NEW") == (
        "ValidationException",
        "ReturnValues can only be ALL_OLD or NONE",
    )


def test_update_makes_the_item_unless_it_only_takes_away(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    dynamodb.update_item(TableName=name, Key=item(id="bare"))
    dynamodb.update_item(TableName=name, Key=item(id="gone"), UpdateExpression="REMOVE x")
    dynamodb.update_item(
        TableName=name,
        Key=item(id="sum"),
        UpdateExpression="ADD n :n",
        ExpressionAttributeValues={":n": {"N": "3"}},
    )
    found = sorted(
        (plain(one) or {} for one in dynamodb.scan(TableName=name)["Items"]), key=lambda one: one["id"]
    )
    assert found == [{"id": "bare"}, {"id": "sum", "n": Decimal(3)}]


def test_conditions_decide(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    only_new = {"TableName": name, "ConditionExpression": "attribute_not_exists(id)"}
    dynamodb.put_item(Item=item(id="a", n=1), **only_new)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(Item=item(id="a", n=2), ReturnValuesOnConditionCheckFailure="ALL_OLD", **only_new)
    assert caught.value.response["Error"]["Message"] == "The conditional request failed"
    assert plain(caught.value.response["Item"]) == {"id": "a", "n": 1}
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.update_item(
            TableName=name,
            Key=item(id="a"),
            UpdateExpression="SET n = :two",
            ConditionExpression="n > :two",
            ExpressionAttributeValues={":two": {"N": "2"}},
        )
    assert "Item" not in caught.value.response
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.delete_item(TableName=name, Key=item(id="b"), ConditionExpression="attribute_exists(id)")
    assert plain(dynamodb.get_item(TableName=name, Key=item(id="a"))["Item"]) == {"id": "a", "n": 1}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "One or more parameter values were invalid: Missing the key id in the item"),
        (
            {"id": {"N": "1"}},
            "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
        ),
        (
            {"id": {"S": ""}},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
            "contain an empty string value. Key: id",
        ),
        (
            {"id": {"S": "x" * 2049}},
            "One or more parameter values were invalid: "
            "Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            {"id": {"S": "a"}, "s": {"SS": []}},
            "One or more parameter values were invalid: An string set  may not be empty",
        ),
        (
            {"id": {"S": "a"}, "s": {"SS": ["a", "a"]}},
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
        ({"id": {"S": "a"}, "s": {"NS": ["1", "1.0"]}}, "Input collection contains duplicates"),
        (
            {"id": {"S": "a"}, "n": {"N": "x"}},
            "The parameter cannot be converted to a numeric value: x",
        ),
        (
            {"id": {"S": "a"}, "z": {"NULL": False}},
            "One or more parameter values were invalid: "
            "Null attribute value types must have the value of true",
        ),
        ({"id": {"S": "a"}, "big": {"S": "x" * 409_600}}, "Item size has exceeded the maximum allowed size"),
    ],
)
def test_items_that_are_refused(dynamodb: Any, table: Make, given: Any, sentence: str) -> None:
    name = table("id:S")
    assert refusal(dynamodb.put_item, TableName=name, Item=given) == ("ValidationException", sentence)
    assert dynamodb.scan(TableName=name)["Count"] == 0


def test_the_biggest_item_is_taken(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    room = 409_600 - len("id") - 1 - len("big")
    dynamodb.put_item(TableName=name, Item={"id": {"S": "a"}, "big": {"S": "x" * room}})
    reply = dynamodb.get_item(TableName=name, Key=item(id="a"), ReturnConsumedCapacity="TOTAL")
    assert reply["ConsumedCapacity"] == {"TableName": name, "CapacityUnits": 50.0}
    assert refusal(
        dynamodb.update_item,
        TableName=name,
        Key=item(id="a"),
        UpdateExpression="SET more = :v",
        ExpressionAttributeValues={":v": {"S": "x"}},
    ) == ("ValidationException", "Item size to update has exceeded the maximum allowed size")


def test_keys_that_are_refused(dynamodb: Any, table: Make) -> None:
    name = table("p:S", "s:N")
    mismatch = ("ValidationException", "The provided key element does not match the schema")
    for key in ({"p": {"S": "a"}}, {"p": {"S": "a"}, "s": {"S": "1"}}, item(p="a", s=1, x=1)):
        assert refusal(dynamodb.get_item, TableName=name, Key=key) == mismatch
        assert refusal(dynamodb.delete_item, TableName=name, Key=key) == mismatch
    assert refusal(
        dynamodb.update_item,
        TableName=name,
        Key=item(p="a", s=1),
        UpdateExpression="SET p = :v",
        ExpressionAttributeValues={":v": {"S": "x"}},
    ) == (
        "ValidationException",
        "One or more parameter values were invalid: Cannot update attribute p. "
        "This attribute is part of the key",
    )


def test_parameters_that_are_refused(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    assert refusal(dynamodb.get_item, TableName="nothing", Key=item(id="a")) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    unused = {"ExpressionAttributeValues": {":x": {"S": "x"}}}
    assert refusal(dynamodb.put_item, TableName=name, Item=item(id="a"), **unused) == (
        "ValidationException",
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
    )
    assert refusal(
        dynamodb.put_item,
        TableName=name,
        Item=item(id="a"),
        ConditionExpression="attribute_not_exists(id)",
        **unused,
    ) == (
        "ValidationException",
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}",
    )
    code, sentence = refusal(
        dynamodb.put_item, TableName=name, Item=item(id="a"), Expected={"id": {"Exists": False}}
    )
    assert code == "ValidationException"
    assert "Expected" in sentence
    code, sentence = refusal(
        dynamodb.put_item,
        TableName=name,
        Item=item(id="a"),
        ConditionExpression="id = :x",
        ExpressionAttributeValues={":x": {"NS": []}},
    )
    assert sentence == (
        "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
        "An number set  may not be empty for key :x"
    )


def test_write_capacity(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    big = {"id": {"S": "a"}, "x": {"S": "x" * 3000}}
    units = dynamodb.put_item(TableName=name, Item=big, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert units == {"TableName": name, "CapacityUnits": 3.0}
    units = dynamodb.put_item(TableName=name, Item=item(id="a"), ReturnConsumedCapacity="INDEXES")
    assert units["ConsumedCapacity"] == {
        "TableName": name,
        "CapacityUnits": 3.0,
        "Table": {"CapacityUnits": 3.0},
    }
    read = dynamodb.get_item(
        TableName=name, Key=item(id="a"), ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )
    assert read["ConsumedCapacity"]["CapacityUnits"] == 1.0
