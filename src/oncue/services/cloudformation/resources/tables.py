"""AWS::DynamoDB::Table."""

from typing import Any

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props, shapes

CREATED_WITH = [
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "SSESpecification",
    "Tags",
    "TableClass",
    "DeletionProtectionEnabled",
]
UPDATED_WITH = ("BillingMode", "ProvisionedThroughput", "TableClass", "DeletionProtectionEnabled")
NUMBERS = frozenset({"ReadCapacityUnits", "WriteCapacityUnits"})
FLAGS = frozenset({"Enabled"})


def with_numbers(value: Any) -> Any:
    """Numbers and flags that a template has as text, as DynamoDB wants them."""
    if isinstance(value, list):
        return [with_numbers(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if key in NUMBERS and isinstance(item, str) and item.isdigit():
            item = int(item)
        if key in FLAGS and isinstance(item, str):
            item = item.lower() == "true"
        result[key] = with_numbers(item)
    return result


class Table(Kind):
    """Ref: the table's name. GetAtt: Arn, StreamArn."""

    type = "AWS::DynamoDB::Table"
    name_property = "TableName"
    name_length_max = 255
    attributes = frozenset({"Arn", "StreamArn"})
    properties = shapes(
        props("text", "TableName", replaces=True),
        props("list", "KeySchema", required=True, replaces=True),
        props("list", "LocalSecondaryIndexes", replaces=True),
        props("list", "AttributeDefinitions GlobalSecondaryIndexes Tags"),
        props("text", "BillingMode TableClass"),
        props("map", "ProvisionedThroughput StreamSpecification TimeToLiveSpecification SSESpecification"),
        props("boolean", "DeletionProtectionEnabled"),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        given = with_numbers(subject.properties)
        wanted = {key: given[key] for key in CREATED_WITH if key in given}
        if "BillingMode" not in wanted:
            wanted["BillingMode"] = "PROVISIONED"
        if "StreamSpecification" in given:
            wanted["StreamSpecification"] = self.stream(given)
        call.dynamodb.create_table(TableName=subject.name, **wanted)
        if "TimeToLiveSpecification" in given:
            self.live(call, subject.name, given["TimeToLiveSpecification"])
        return self.made(call, subject.name)

    def stream(self, given: Properties) -> dict[str, Any]:
        view = given.get("StreamSpecification")
        return (
            {"StreamEnabled": True, "StreamViewType": view["StreamViewType"]}
            if view
            else {"StreamEnabled": False}
        )

    def live(self, call: Call, name: str, specification: dict[str, Any]) -> None:
        call.dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)

    def made(self, call: Call, name: str) -> Made:
        table = call.dynamodb.describe_table(TableName=name)["Table"]
        arn = table.get("TableArn") or arns.build("dynamodb", call.region, call.account, f"table/{name}")
        attributes = {"Arn": arn}
        if table.get("LatestStreamArn"):
            attributes["StreamArn"] = table["LatestStreamArn"]
        return Made(name, attributes)

    def update(self, call: Call, subject: Subject) -> Made:
        name = subject.physical_id
        before, after = with_numbers(subject.before), with_numbers(subject.properties)
        wanted = {key: after[key] for key in UPDATED_WITH if key in after and before.get(key) != after[key]}
        if "ProvisionedThroughput" in before and "ProvisionedThroughput" not in after:
            wanted["BillingMode"] = after.get("BillingMode", "PROVISIONED")
        if before.get("StreamSpecification") != after.get("StreamSpecification"):
            wanted["StreamSpecification"] = self.stream(after)
        indexes = self.index_updates(before, after)
        if indexes:
            wanted["GlobalSecondaryIndexUpdates"] = indexes
            wanted["AttributeDefinitions"] = after.get("AttributeDefinitions", [])
        if before.get("SSESpecification") != after.get("SSESpecification"):
            wanted["SSESpecification"] = after.get("SSESpecification", {"Enabled": False})
        if wanted:
            call.dynamodb.update_table(TableName=name, **wanted)
        self.update_rest(call, name, before, after)
        return self.made(call, name)

    def update_rest(self, call: Call, name: str, before: Properties, after: Properties) -> None:
        had, wants = before.get("TimeToLiveSpecification"), after.get("TimeToLiveSpecification")
        if had != wants:
            self.live(call, name, wants or {**(had or {}), "Enabled": False})
        old = {tag["Key"]: tag["Value"] for tag in before.get("Tags", [])}
        new = {tag["Key"]: tag["Value"] for tag in after.get("Tags", [])}
        arn = arns.build("dynamodb", call.region, call.account, f"table/{name}")
        if old.keys() - new.keys():
            call.dynamodb.untag_resource(ResourceArn=arn, TagKeys=sorted(old.keys() - new.keys()))
        if new and new != old:
            call.dynamodb.tag_resource(ResourceArn=arn, Tags=after["Tags"])

    def index_updates(self, before: Properties, after: Properties) -> list[dict[str, Any]]:
        old = {index["IndexName"]: index for index in before.get("GlobalSecondaryIndexes", [])}
        new = {index["IndexName"]: index for index in after.get("GlobalSecondaryIndexes", [])}
        updates: list[dict[str, Any]] = [{"Delete": {"IndexName": name}} for name in old if name not in new]
        for name, index in new.items():
            if name not in old:
                updates.append({"Create": index})
            elif old[name] != index:
                updates += [{"Delete": {"IndexName": name}}, {"Create": index}]
        return updates

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.dynamodb.delete_table(TableName=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


KINDS: tuple[Kind, ...] = (Table(),)
