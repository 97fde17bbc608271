"""Query and Scan over HTTP: order, ranges, pages, filters, indexes and segments."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.dynamodb.conftest import Make, item, plain
from tests.services.dynamodb.test_items import refusal

NUMBERS = [
    "-1e20",
    "-100",
    "-20",
    "-3",
    "-0.5",
    "-0.01",
    "0",
    "1e-9",
    "0.5",
    "3",
    "20",
    "20.5",
    "100",
    "1e20",
]


def all_pages(function: Any, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = function(**parameters)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.fixture
def numbered(dynamodb: Any, table: Make) -> str:
    name = table("p:S", "n:N")
    for number in reversed(NUMBERS):
        dynamodb.put_item(TableName=name, Item={"p": {"S": "a"}, "n": {"N": number}, "v": {"S": number}})
    dynamodb.put_item(TableName=name, Item={"p": {"S": "b"}, "n": {"N": "1"}})
    return name


def query(dynamodb: Any, name: str, condition: str, *, p: str = "a", **parameters: Any) -> list[Any]:
    given = {f":{key}": value for key, value in parameters.pop("given", {}).items()}
    return all_pages(
        dynamodb.query,
        TableName=name,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={":p": {"S": p}, **given},
        **parameters,
    )


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_numbers_in_order_forward_and_back(dynamodb: Any, numbered: str, limit: int) -> None:
    found = query(dynamodb, numbered, "p = :p", Limit=limit)
    assert [one["v"]["S"] for one in found] == NUMBERS
    found = query(dynamodb, numbered, ":p = p", Limit=limit, ScanIndexForward=False)
    assert [one["v"]["S"] for one in found] == NUMBERS[::-1]


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        ("n = :x", 9, 10),
        ("n < :x", 0, 9),
        ("n <= :x", 0, 10),
        ("n > :x", 10, 14),
        (":x <= n", 9, 14),
        ("n BETWEEN :y AND :x", 3, 10),
        ("(n > :y)", 4, 14),
    ],
)
def test_ranges(dynamodb: Any, numbered: str, condition: str, low: int, high: int) -> None:
    given = {name: {"N": number} for name, number in (("x", "3.0"), ("y", "-3")) if f":{name}" in condition}
    found = query(dynamodb, numbered, f"p = :p AND {condition}", given=given)
    assert [one["v"]["S"] for one in found] == NUMBERS[low:high]


def test_strings_sort_by_bytes_and_by_prefix(dynamodb: Any, table: Make) -> None:
    name = table("p:S", "s:S")
    texts = ["A", "B", "a", "ab", "abc", "b", "ä", "\uffff", "😀"]
    for text in reversed(texts):
        dynamodb.put_item(TableName=name, Item=item(p="a", s=text))
    assert [one["s"]["S"] for one in query(dynamodb, name, "p = :p")] == texts
    found = query(dynamodb, name, "p = :p AND begins_with(s, :x)", given={"x": {"S": "ab"}})
    assert [one["s"]["S"] for one in found] == ["ab", "abc"]
    reply = dynamodb.query(
        TableName=name,
        KeyConditionExpression="p = :p",
        ExpressionAttributeValues={":p": {"S": "a"}},
        Limit=len(texts),
        Select="COUNT",
    )
    assert (reply["Count"], reply["ScannedCount"]) == (9, 9)
    assert plain(reply["LastEvaluatedKey"]) == {"p": "a", "s": "😀"}
    assert "Items" not in reply


def test_binary_sorts_unsigned_and_by_prefix(dynamodb: Any, table: Make) -> None:
    name = table("p:S", "b:B")
    keys = [b"\x00", b"\x01\xff", b"\x7f", b"\x80", b"\xff", b"\xff\x00", b"\xff\xff"]
    for key in reversed(keys):
        dynamodb.put_item(TableName=name, Item={"p": {"S": "a"}, "b": {"B": key}})
    assert [one["b"]["B"] for one in query(dynamodb, name, "p = :p")] == keys
    found = query(dynamodb, name, "p = :p AND begins_with(b, :x)", given={"x": {"B": b"\xff"}})
    assert [one["b"]["B"] for one in found] == keys[4:]


def test_a_filter_comes_after_the_limit(dynamodb: Any, numbered: str) -> None:
    page = dynamodb.query(
        TableName=numbered,
        KeyConditionExpression="p = :p",
        FilterExpression="v IN (:x, :y)",
        ExpressionAttributeValues={":p": {"S": "a"}, ":x": {"S": "-100"}, ":y": {"S": "3"}},
        ProjectionExpression="v",
        Limit=5,
    )
    assert page["Items"] == [{"v": {"S": "-100"}}]
    assert (page["Count"], page["ScannedCount"]) == (1, 5)
    assert page["LastEvaluatedKey"] == {"p": {"S": "a"}, "n": {"N": "-0.5"}}
    assert refusal(
        dynamodb.query,
        TableName=numbered,
        KeyConditionExpression="p = :p",
        FilterExpression="n > :x",
        ExpressionAttributeValues={":p": {"S": "a"}, ":x": {"N": "1"}},
    ) == (
        "ValidationException",
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: n",
    )


def test_a_page_ends_after_a_megabyte(dynamodb: Any, table: Make) -> None:
    name = table("p:S", "n:N")
    for n in range(5):
        dynamodb.put_item(TableName=name, Item=item(p="a", n=n, x="x" * 300_000))
    page = dynamodb.query(
        TableName=name,
        KeyConditionExpression="p = :p",
        FilterExpression="attribute_not_exists(x)",
        ExpressionAttributeValues={":p": {"S": "a"}},
        ReturnConsumedCapacity="TOTAL",
    )
    assert (page["Count"], page["ScannedCount"]) == (0, 4)
    assert plain(page["LastEvaluatedKey"]) == {"p": "a", "n": 3}
    assert page["ConsumedCapacity"]["CapacityUnits"] == 146.5
    assert len(query(dynamodb, name, "p = :p")) == 5


def test_scans_and_segments_see_everything_once(dynamodb: Any, table: Make) -> None:
    name = table("p:S", "n:N")
    made = {(f"p{n % 17}", Decimal(n)) for n in range(100)}
    for start in range(0, 100, 25):
        puts = [{"PutRequest": {"Item": item(p=f"p{n % 17}", n=n)}} for n in range(start, start + 25)]
        dynamodb.batch_write_item(RequestItems={name: puts})

    def pairs(found: list[Any]) -> list[tuple[str, Decimal]]:
        return [(one["p"]["S"], Decimal(one["n"]["N"])) for one in found]

    whole = pairs(all_pages(dynamodb.scan, TableName=name))
    assert set(whole) == made
    assert pairs(all_pages(dynamodb.scan, TableName=name, Limit=7)) == whole
    for total in (1, 3, 8):
        parts = [
            pairs(all_pages(dynamodb.scan, TableName=name, Segment=n, TotalSegments=total, Limit=9))
            for n in range(total)
        ]
        assert [pair for part in parts for pair in part] == whole
    assert sum(1 for part in parts if part) > 1
    assert refusal(dynamodb.scan, TableName=name, Segment=3, TotalSegments=3) == (
        "ValidationException",
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
        "Segment: 3 is not less than TotalSegments: 3",
    )


def test_start_keys_that_are_refused(dynamodb: Any, numbered: str) -> None:
    def start(key: dict[str, Any]) -> str:
        with pytest.raises(ClientError) as caught:
            dynamodb.query(
                TableName=numbered,
                KeyConditionExpression="p = :p",
                ExpressionAttributeValues={":p": {"S": "a"}},
                ExclusiveStartKey=key,
            )
        return str(caught.value.response["Error"]["Message"])

    assert start(item(p="a")) == "The provided starting key is invalid"
    assert start(item(p="a", n="1")) == "The provided starting key is invalid"
    assert "outside query boundaries" in start(item(p="b", n=1))
    assert refusal(dynamodb.scan, TableName=numbered, ExclusiveStartKey=item(p="a")) == (
        "ValidationException",
        "The provided starting key is invalid: The provided key element does not match the schema",
    )


@pytest.fixture
def indexed(dynamodb: Any, table: Make) -> str:
    def index(name: str, partition: str, sort: str | None, **projection: Any) -> dict[str, Any]:
        schema = [{"AttributeName": partition, "KeyType": "HASH"}]
        schema += [{"AttributeName": sort, "KeyType": "RANGE"}] if sort else []
        return {"IndexName": name, "KeySchema": schema, "Projection": projection}

    return table(
        "p:S",
        "s:S",
        "colour:S",
        "rank_:N",
        GlobalSecondaryIndexes=[
            index("by-colour", "colour", "rank_", ProjectionType="ALL"),
            index("keys-only", "colour", None, ProjectionType="KEYS_ONLY"),
            index("some", "colour", None, ProjectionType="INCLUDE", NonKeyAttributes=["x"]),
        ],
        LocalSecondaryIndexes=[index("by-rank", "p", "rank_", ProjectionType="KEYS_ONLY")],
    )


def coloured(dynamodb: Any, name: str, index: str, **parameters: Any) -> list[Any]:
    return [
        plain(one)
        for one in all_pages(
            dynamodb.query,
            TableName=name,
            IndexName=index,
            KeyConditionExpression="colour = :c",
            ExpressionAttributeValues={":c": {"S": "red"}},
            **parameters,
        )
    ]


def test_indexes_follow_the_items(dynamodb: Any, indexed: str) -> None:
    for n in range(4):
        dynamodb.put_item(TableName=indexed, Item=item(p="p", s=f"s{n}", colour="red", rank_=9 - n, x=n, y=n))
    dynamodb.put_item(TableName=indexed, Item=item(p="p", s="bare", x=1))
    dynamodb.put_item(TableName=indexed, Item=item(p="q", s="unranked", colour="red"))
    ranked = coloured(dynamodb, indexed, "by-colour")
    assert [one["s"] for one in ranked] == ["s3", "s2", "s1", "s0"]
    assert ranked[0] == {"p": "p", "s": "s3", "colour": "red", "rank_": 6, "x": 3, "y": 3}
    assert len(coloured(dynamodb, indexed, "keys-only", Limit=2)) == 5
    assert {"p": "p", "s": "s1", "colour": "red"} in coloured(dynamodb, indexed, "keys-only")
    assert {"p": "p", "s": "s1", "colour": "red", "x": 1} in coloured(dynamodb, indexed, "some")
    change = {"TableName": indexed, "ExpressionAttributeValues": {":v": {"N": "1"}}}
    dynamodb.update_item(Key=item(p="p", s="s0"), UpdateExpression="SET rank_ = :v", **change)
    dynamodb.update_item(TableName=indexed, Key=item(p="p", s="s1"), UpdateExpression="REMOVE colour")
    dynamodb.delete_item(TableName=indexed, Key=item(p="p", s="s2"))
    assert [one["s"] for one in coloured(dynamodb, indexed, "by-colour")] == ["s0", "s3"]
    assert [one["s"] for one in coloured(dynamodb, indexed, "by-colour", Limit=1)] == ["s0", "s3"]
    assert len(all_pages(dynamodb.scan, TableName=indexed, IndexName="keys-only", Limit=1)) == 3


def test_a_local_index_fetches_what_it_lacks(dynamodb: Any, indexed: str) -> None:
    dynamodb.put_item(TableName=indexed, Item=item(p="p", s="a", rank_=2, x=1))
    dynamodb.put_item(TableName=indexed, Item=item(p="p", s="b", rank_=1, x=2))
    by_rank = {"IndexName": "by-rank", "ConsistentRead": True}
    assert query(dynamodb, indexed, "p = :p", p="p", **by_rank) == [
        item(p="p", s="b", rank_=1),
        item(p="p", s="a", rank_=2),
    ]
    found = query(dynamodb, indexed, "p = :p", p="p", Select="ALL_ATTRIBUTES", **by_rank)
    assert [one["x"]["N"] for one in found] == ["2", "1"]
    found = query(dynamodb, indexed, "p = :p", p="p", ProjectionExpression="x", **by_rank)
    assert found == [item(x=2), item(x=1)]


def test_what_indexes_refuse(dynamodb: Any, indexed: str) -> None:
    by_colour = {
        "TableName": indexed,
        "KeyConditionExpression": "colour = :c",
        "ExpressionAttributeValues": {":c": {"S": "red"}},
    }
    sentences = [
        refusal(dynamodb.query, IndexName="nothing", **by_colour)[1],
        refusal(dynamodb.query, IndexName="by-colour", ConsistentRead=True, **by_colour)[1],
        refusal(dynamodb.query, IndexName="some", Select="ALL_ATTRIBUTES", **by_colour)[1],
        refusal(dynamodb.query, IndexName="some", ProjectionExpression="x, y", **by_colour)[1],
        refusal(dynamodb.put_item, TableName=indexed, Item=item(p="p", s="s", colour=1))[1],
        refusal(dynamodb.put_item, TableName=indexed, Item=item(p="p", s="s", colour=""))[1],
    ]
    invalid = "One or more parameter values were invalid: "
    assert sentences == [
        "The table does not have the specified index: nothing",
        "Consistent reads are not supported on global secondary indexes",
        f"{invalid}Select type ALL_ATTRIBUTES is not supported for global secondary index some "
        "because its projection type is not ALL",
        f"{invalid}Global secondary index some does not project [y]",
        f"{invalid}Type mismatch for Index Key colour Expected: S Actual: N IndexName: by-colour",
        "One or more parameter values are not valid. A value specified for a secondary index key is not "
        "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
        "IndexName: by-colour, IndexKey: colour",
    ]


def test_index_capacity(dynamodb: Any, indexed: str) -> None:
    units = dynamodb.put_item(
        TableName=indexed, Item=item(p="p", s="s", colour="red"), ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"]
    assert units["CapacityUnits"] == 3.0
    assert units["Table"] == {"CapacityUnits": 1.0}
    assert units["GlobalSecondaryIndexes"] == {
        "keys-only": {"CapacityUnits": 1.0},
        "some": {"CapacityUnits": 1.0},
    }
    units = dynamodb.put_item(
        TableName=indexed, Item=item(p="p", s="s", colour="blue", y=1), ReturnConsumedCapacity="TOTAL"
    )["ConsumedCapacity"]
    assert units["CapacityUnits"] == 5.0


def test_the_longest_keys_fit_everywhere(dynamodb: Any, indexed: str) -> None:
    partition, sort, colour = "ä" * 1024, "s" * 1024, "c" * 2048
    dynamodb.put_item(TableName=indexed, Item=item(p=partition, s=sort, colour=colour, rank_=1))
    assert dynamodb.get_item(TableName=indexed, Key=item(p=partition, s=sort))["Item"]["rank_"] == {"N": "1"}
    assert dynamodb.scan(TableName=indexed, IndexName="by-colour")["Count"] == 1
