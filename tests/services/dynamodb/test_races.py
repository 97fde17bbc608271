"""Many writers at once, over HTTP: exactly one wins where one may, and nothing is counted twice or lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from tests.services.dynamodb.conftest import Make, item, plain

WRITERS = 8


def together(function: Callable[[int], Any], count: int) -> list[Any]:
    """What each of `count` calls came to, the errors' codes among them."""

    def attempt(number: int) -> Any:
        try:
            return function(number)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(attempt, range(count)))


def test_one_of_many_first_puts_wins(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    for round_ in range(5):
        key = f"lock-{round_}"

        def put(number: int, key: str = key) -> int:
            dynamodb.put_item(
                TableName=name,
                Item=item(id=key, owner=number),
                ConditionExpression="attribute_not_exists(id)",
            )
            return number

        outcomes = together(put, 2 * WRITERS)
        winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert len(winners) == 1
        assert outcomes.count("ConditionalCheckFailedException") == 2 * WRITERS - 1
        assert plain(dynamodb.get_item(TableName=name, Key=item(id=key))["Item"])["owner"] == winners[0]


def test_every_addition_counts(dynamodb: Any, table: Make) -> None:
    name = table("id:S", None, "owner:S", **BY_OWNER)

    def add(number: int) -> None:
        dynamodb.update_item(
            TableName=name,
            Key=item(id="counter"),
            UpdateExpression="ADD n :one SET #owner = :me",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":one": {"N": "1"}, ":me": {"S": str(number)}},
        )

    assert together(add, 100) == [None] * 100
    assert plain(dynamodb.get_item(TableName=name, Key=item(id="counter"))["Item"])["n"] == 100
    assert dynamodb.scan(TableName=name, IndexName="by-owner")["Count"] == 1


BY_OWNER: dict[str, Any] = {
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-owner",
            "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
}


def test_a_newer_version_is_never_replaced_by_an_older_one(dynamodb: Any, table: Make) -> None:
    name = table("id:S")

    def put(number: int) -> None:
        version = (number * 37) % 80
        dynamodb.put_item(
            TableName=name,
            Item=item(id="thing", version=version),
            ConditionExpression="attribute_not_exists(id) OR version < :v",
            ExpressionAttributeValues={":v": {"N": str(version)}},
        )

    outcomes = together(put, 80)
    assert set(outcomes) <= {None, "ConditionalCheckFailedException"}
    assert plain(dynamodb.get_item(TableName=name, Key=item(id="thing"))["Item"])["version"] == 79


def test_put_and_delete_of_one_key_in_turn(dynamodb: Any, table: Make) -> None:
    """Absent and present alternate: as many deletes succeed as puts, or one less."""
    name = table("id:S")

    def change(number: int) -> str:
        if number % 2:
            dynamodb.delete_item(TableName=name, Key=item(id="a"), ConditionExpression="attribute_exists(id)")
            return "deleted"
        dynamodb.put_item(TableName=name, Item=item(id="a"), ConditionExpression="attribute_not_exists(id)")
        return "put"

    outcomes = together(change, 120)
    assert set(outcomes) <= {"put", "deleted", "ConditionalCheckFailedException"}
    left = dynamodb.scan(TableName=name)["Count"]
    assert outcomes.count("put") - outcomes.count("deleted") == left
    assert outcomes.count("deleted") > 0


def test_transactions_move_money_without_losing_any(dynamodb: Any, table: Make) -> None:
    name = table("id:N")
    for n in range(4):
        dynamodb.put_item(TableName=name, Item=item(id=n, money=100))

    def move(number: int) -> None:
        source, target = number % 4, (number * 7 + 1) % 4
        if source == target:
            return
        both = [
            {
                "Update": {
                    "TableName": name,
                    "Key": item(id=account),
                    "UpdateExpression": "ADD money :n",
                    "ExpressionAttributeValues": {":n": {"N": amount}},
                }
            }
            for account, amount in ((source, "-1"), (target, "1"))
        ]
        dynamodb.transact_write_items(TransactItems=both)

    assert set(together(move, 60)) == {None}
    keys = [{"Get": {"TableName": name, "Key": item(id=n)}} for n in range(4)]
    got = dynamodb.transact_get_items(TransactItems=keys)["Responses"]
    assert sum(plain(one["Item"])["money"] for one in got) == 400


def test_two_checks_of_absence_cannot_both_pass(dynamodb: Any, table: Make) -> None:
    """Write skew: each puts its own item if the other's is absent. One at most may succeed."""
    name = table("id:S")
    for round_ in range(10):

        def put(number: int, round_: int = round_) -> str:
            mine, other = (f"{round_}-{n}" for n in (number, 1 - number))
            dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "ConditionCheck": {
                            "TableName": name,
                            "Key": item(id=other),
                            "ConditionExpression": "attribute_not_exists(id)",
                        }
                    },
                    {"Put": {"TableName": name, "Item": item(id=mine)}},
                ]
            )
            return "done"

        assert sorted(together(put, 2)) == ["TransactionCanceledException", "done"]
    assert dynamodb.scan(TableName=name)["Count"] == 10


def test_the_same_token_at_the_same_time(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    add = {
        "TableName": name,
        "Key": item(id="a"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    def once(number: int) -> None:
        dynamodb.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="same")

    assert together(once, WRITERS) == [None] * WRITERS
    assert plain(dynamodb.get_item(TableName=name, Key=item(id="a"))["Item"])["n"] == 1
