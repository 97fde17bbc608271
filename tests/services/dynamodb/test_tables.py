"""Tables over HTTP: made, described, listed, tagged, protected and deleted."""

from typing import Any

import pytest

from tests.running import Running
from tests.services.dynamodb.conftest import Make, item
from tests.services.dynamodb.test_items import refusal

HASH = [{"AttributeName": "id", "KeyType": "HASH"}]
DEFINED = [{"AttributeName": "id", "AttributeType": "S"}]


def test_a_table_is_made_and_described(dynamodb: Any, account: str) -> None:
    made = dynamodb.create_table(
        TableName="orders",
        KeySchema=HASH,
        AttributeDefinitions=DEFINED,
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        Tags=[{"Key": "a", "Value": "b"}],
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName="orders")
    dynamodb.put_item(TableName="orders", Item=item(id="a"))
    arn = f"arn:aws:dynamodb:us-east-1:{account}:table/orders"
    described = dynamodb.describe_table(TableName=arn)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["TableArn"] == arn
    assert described["TableId"] == made["TableId"]
    assert described["CreationDateTime"] == made["CreationDateTime"]
    assert (described["KeySchema"], described["AttributeDefinitions"]) == (HASH, DEFINED)
    assert (described["ItemCount"], described["TableSizeBytes"]) == (1, 3)
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert "BillingModeSummary" not in described
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_deletion_takes_everything_with_it(dynamodb: Any, table: Make) -> None:
    name = table("id:S", DeletionProtectionEnabled=True)
    dynamodb.put_item(TableName=name, Item=item(id="a"))
    assert refusal(dynamodb.delete_table, TableName=name) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. "
        "Disable deletion protection first.",
    )
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    assert dynamodb.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    dynamodb.get_waiter("table_not_exists").wait(TableName=name)
    assert refusal(dynamodb.describe_table, TableName=name) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Table: {name} not found",
    )
    assert table("id:S") == name
    assert dynamodb.scan(TableName=name)["Count"] == 0


def test_accounts_and_regions_are_apart(server: Running, account: str, table: Make) -> None:
    name = table("id:S")
    assert server.client("dynamodb", account).list_tables()["TableNames"] == [name]
    assert server.client("dynamodb", account, "eu-west-1").list_tables()["TableNames"] == []
    assert server.client("dynamodb", "1".zfill(12)).list_tables()["TableNames"] == []


def test_names_are_listed_in_pages(dynamodb: Any, table: Make) -> None:
    for name in ("ccc", "aaa", "bbb"):
        table("id:S", TableName=name)
    page = dynamodb.list_tables(Limit=2)
    assert page["TableNames"] == ["aaa", "bbb"]
    rest = dynamodb.list_tables(ExclusiveStartTableName=page["LastEvaluatedTableName"])
    assert rest["TableNames"] == ["ccc"]
    assert "LastEvaluatedTableName" not in rest


def test_tags(dynamodb: Any, table: Make) -> None:
    arn = dynamodb.describe_table(TableName=table("id:S"))["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}]
    code, _ = refusal(dynamodb.list_tags_of_resource, ResourceArn=f"{arn}x")
    assert code == "ResourceNotFoundException"


def test_what_terraform_asks(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    described = dynamodb.describe_table(TableName=name)["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "DISABLED"}
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"


def test_throughput_changes(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    units = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}
    dynamodb.update_table(TableName=name, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    described = dynamodb.describe_table(TableName=name)["Table"]
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 3
    assert "BillingModeSummary" not in described


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"BillingMode": "PROVISIONED"},
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both "
            "be specified when BillingMode is PROVISIONED",
        ),
        (
            {"AttributeDefinitions": [*DEFINED, {"AttributeName": "x", "AttributeType": "S"}]},
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly "
            "match number of attributes defined in AttributeDefinitions",
        ),
        (
            {"KeySchema": [{"AttributeName": "no", "KeyType": "HASH"}]},
            "One or more parameter values were invalid: Some index key attributes are not defined in "
            "AttributeDefinitions. Keys: [no], AttributeDefinitions: [id]",
        ),
        (
            {"KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {
                "LocalSecondaryIndexes": [
                    {"IndexName": "one", "KeySchema": HASH, "Projection": {"ProjectionType": "ALL"}}
                ]
            },
            "One or more parameter values were invalid: Table KeySchema does not have a range key, which is "
            "required when specifying a LocalSecondaryIndex",
        ),
        (
            {"GlobalSecondaryIndexes": [{"IndexName": "one", "KeySchema": HASH, "Projection": {}}]},
            "One or more parameter values were invalid: Unknown ProjectionType: null",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}},
            "Oncue does not support streams of tables yet.",
        ),
    ],
)
def test_tables_that_are_refused(dynamodb: Any, change: dict[str, Any], sentence: str) -> None:
    given = {
        "TableName": "bad",
        "KeySchema": HASH,
        "AttributeDefinitions": DEFINED,
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert refusal(dynamodb.create_table, **{**given, **change}) == ("ValidationException", sentence)
    assert dynamodb.list_tables()["TableNames"] == []


def test_a_name_is_taken_once(dynamodb: Any, table: Make) -> None:
    name = table("id:S")
    assert refusal(
        dynamodb.create_table,
        TableName=name,
        KeySchema=HASH,
        AttributeDefinitions=DEFINED,
        BillingMode="PAY_PER_REQUEST",
    ) == ("ResourceInUseException", f"Table already exists: {name}")
