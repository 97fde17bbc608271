"""The operations of DynamoDB."""

from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call, Service, reads_only
from oncue.services.dynamodb import (
    batches,
    items,
    keys,
    metrics,
    paths,
    projections,
    queries,
    tables,
    tags,
    transactions,
    values,
    writes,
)
from oncue.services.dynamodb.capacity import Meter
from oncue.services.dynamodb.definitions import admit_throughput
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import invalid

NAMES_MAX = 100  # of one page of ListTables
Names = dict[str, str] | None
Given = dict[str, Any] | None
Reply = dict[str, Any]


class Dynamodb(Service):
    """Tables, items, queries and transactions. Legacy parameters (Expected, KeyConditions, …), streams, time
    to live, PartiQL, backups and global tables are refused."""

    name = "dynamodb"

    # -- tables

    def create_table(
        self,
        call: Call,
        *,
        TableName: str,
        AttributeDefinitions: list[dict[str, str]],
        KeySchema: list[dict[str, str]],
        LocalSecondaryIndexes: list[dict[str, Any]] | None = None,
        GlobalSecondaryIndexes: list[dict[str, Any]] | None = None,
        BillingMode: str = "PROVISIONED",
        ProvisionedThroughput: dict[str, int] | None = None,
        StreamSpecification: dict[str, Any] | None = None,
        TableClass: str | None = None,
        DeletionProtectionEnabled: bool = False,
        Tags: list[dict[str, str]] | None = None,
    ) -> Reply:
        _refuse_streams(StreamSpecification)
        given = {
            "AttributeDefinitions": AttributeDefinitions,
            "KeySchema": KeySchema,
            "LocalSecondaryIndexes": LocalSecondaryIndexes,
            "GlobalSecondaryIndexes": GlobalSecondaryIndexes,
            "BillingMode": BillingMode,
            "ProvisionedThroughput": ProvisionedThroughput,
            "TableClassSummary": {"TableClass": TableClass} if TableClass else None,
            "DeletionProtectionEnabled": DeletionProtectionEnabled,
        }
        definition = {member: value for member, value in given.items() if value is not None}
        name = tables.name_of(call, TableName)
        return {"TableDescription": tables.create(call, name, definition, tags.admit(Tags or []))}

    @reads_only
    def describe_table(self, call: Call, *, TableName: str) -> Reply:
        return {"Table": tables.describe(call, tables.existing_row(call, TableName))}

    @reads_only
    def list_tables(self, call: Call, *, ExclusiveStartTableName: str = "", Limit: int = NAMES_MAX) -> Reply:
        rows = call.tx.all(
            "SELECT name FROM dynamodb_tables WHERE account = :account AND region = :region "
            "AND name > :after ORDER BY name LIMIT :count",
            account=call.account,
            region=call.region,
            after=ExclusiveStartTableName,
            count=Limit + 1,
        )
        names = [row["name"] for row in rows]
        last = names[Limit - 1] if len(names) > Limit else None
        return {"TableNames": names[:Limit], "LastEvaluatedTableName": last}

    def delete_table(self, call: Call, *, TableName: str) -> Reply:
        row = tables.existing_row(call, TableName, lock=True)
        return {"TableDescription": tables.delete(call, row)}

    def update_table(
        self,
        call: Call,
        *,
        TableName: str,
        BillingMode: str | None = None,
        ProvisionedThroughput: dict[str, int] | None = None,
        StreamSpecification: dict[str, Any] | None = None,
        TableClass: str | None = None,
        DeletionProtectionEnabled: bool | None = None,
    ) -> Reply:
        _refuse_streams(StreamSpecification)
        row = tables.existing_row(call, TableName, lock=True)
        definition = msgspec.json.decode(row["definition"])
        if DeletionProtectionEnabled is not None:
            definition["DeletionProtectionEnabled"] = DeletionProtectionEnabled
        if TableClass is not None:
            definition["TableClassSummary"] = {"TableClass": TableClass}
        if BillingMode is not None or ProvisionedThroughput is not None:
            admit_throughput(definition, BillingMode, ProvisionedThroughput)
        return {"TableDescription": tables.describe(call, tables.save(call, row, definition))}

    # -- one item

    @reads_only
    def get_item(
        self,
        call: Call,
        *,
        TableName: str,
        Key: dict[str, Any],
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ConsistentRead: bool = False,
        ReturnConsumedCapacity: str | None = None,
    ) -> Reply:
        placeholders = Placeholders(ExpressionAttributeNames, None, ProjectionExpression=ProjectionExpression)
        wanted = projections.parse(ProjectionExpression, placeholders)
        placeholders.refuse_unused()
        table = tables.find(call, TableName)
        _, at = keys.of_key(table, Key)
        item = items.read(call.tx, table, at)
        meter = Meter(table, writes=False, factor=1.0 if ConsistentRead else 0.5)
        meter.read(values.item_size(item or {}))
        shown = paths.project(item, wanted) if item is not None and wanted is not None else item
        return {"Item": shown, "ConsumedCapacity": meter.report(ReturnConsumedCapacity)}

    def put_item(
        self,
        call: Call,
        *,
        TableName: str,
        Item: dict[str, Any],
        ConditionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ExpressionAttributeValues: Given = None,
        ReturnValues: str = "NONE",
        ReturnValuesOnConditionCheckFailure: str | None = None,
        ReturnConsumedCapacity: str | None = None,
        ReturnItemCollectionMetrics: str | None = None,
    ) -> Reply:
        _only_old(ReturnValues)
        write = writes.put(
            call,
            TableName=TableName,
            Item=Item,
            ConditionExpression=ConditionExpression,
            ExpressionAttributeNames=ExpressionAttributeNames,
            ExpressionAttributeValues=ExpressionAttributeValues,
            ReturnValuesOnConditionCheckFailure=ReturnValuesOnConditionCheckFailure,
        )
        return _carry_out(call, write, ReturnValues, ReturnConsumedCapacity, ReturnItemCollectionMetrics)

    def update_item(
        self,
        call: Call,
        *,
        TableName: str,
        Key: dict[str, Any],
        UpdateExpression: str | None = None,
        ConditionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ExpressionAttributeValues: Given = None,
        ReturnValues: str = "NONE",
        ReturnValuesOnConditionCheckFailure: str | None = None,
        ReturnConsumedCapacity: str | None = None,
        ReturnItemCollectionMetrics: str | None = None,
    ) -> Reply:
        write = writes.update(
            call,
            TableName=TableName,
            Key=Key,
            UpdateExpression=UpdateExpression,
            ConditionExpression=ConditionExpression,
            ExpressionAttributeNames=ExpressionAttributeNames,
            ExpressionAttributeValues=ExpressionAttributeValues,
            ReturnValuesOnConditionCheckFailure=ReturnValuesOnConditionCheckFailure,
        )
        return _carry_out(call, write, ReturnValues, ReturnConsumedCapacity, ReturnItemCollectionMetrics)

    def delete_item(
        self,
        call: Call,
        *,
        TableName: str,
        Key: dict[str, Any],
        ConditionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ExpressionAttributeValues: Given = None,
        ReturnValues: str = "NONE",
        ReturnValuesOnConditionCheckFailure: str | None = None,
        ReturnConsumedCapacity: str | None = None,
        ReturnItemCollectionMetrics: str | None = None,
    ) -> Reply:
        _only_old(ReturnValues)
        write = writes.delete(
            call,
            TableName=TableName,
            Key=Key,
            ConditionExpression=ConditionExpression,
            ExpressionAttributeNames=ExpressionAttributeNames,
            ExpressionAttributeValues=ExpressionAttributeValues,
            ReturnValuesOnConditionCheckFailure=ReturnValuesOnConditionCheckFailure,
        )
        return _carry_out(call, write, ReturnValues, ReturnConsumedCapacity, ReturnItemCollectionMetrics)

    # -- many items

    @reads_only
    def query(
        self,
        call: Call,
        *,
        TableName: str,
        KeyConditionExpression: str | None = None,
        IndexName: str | None = None,
        FilterExpression: str | None = None,
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ExpressionAttributeValues: Given = None,
        Select: str | None = None,
        Limit: int | None = None,
        ConsistentRead: bool = False,
        ScanIndexForward: bool = True,
        ExclusiveStartKey: dict[str, Any] | None = None,
        ReturnConsumedCapacity: str | None = None,
    ) -> Reply:
        if KeyConditionExpression is None:
            raise invalid(
                "Either the KeyConditions or KeyConditionExpression parameter "
                "must be specified in the request."
            )
        return queries.query(
            call,
            TableName=TableName,
            IndexName=IndexName,
            KeyConditionExpression=KeyConditionExpression,
            FilterExpression=FilterExpression,
            ProjectionExpression=ProjectionExpression,
            ExpressionAttributeNames=ExpressionAttributeNames,
            ExpressionAttributeValues=ExpressionAttributeValues,
            Select=Select,
            Limit=Limit,
            ConsistentRead=ConsistentRead,
            ScanIndexForward=ScanIndexForward,
            ExclusiveStartKey=ExclusiveStartKey,
            ReturnConsumedCapacity=ReturnConsumedCapacity,
        )

    @reads_only
    def scan(
        self,
        call: Call,
        *,
        TableName: str,
        IndexName: str | None = None,
        FilterExpression: str | None = None,
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: Names = None,
        ExpressionAttributeValues: Given = None,
        Select: str | None = None,
        Limit: int | None = None,
        ConsistentRead: bool = False,
        Segment: int | None = None,
        TotalSegments: int | None = None,
        ExclusiveStartKey: dict[str, Any] | None = None,
        ReturnConsumedCapacity: str | None = None,
    ) -> Reply:
        return queries.scan(
            call,
            TableName=TableName,
            IndexName=IndexName,
            FilterExpression=FilterExpression,
            ProjectionExpression=ProjectionExpression,
            ExpressionAttributeNames=ExpressionAttributeNames,
            ExpressionAttributeValues=ExpressionAttributeValues,
            Select=Select,
            Limit=Limit,
            ConsistentRead=ConsistentRead,
            Segment=Segment,
            TotalSegments=TotalSegments,
            ExclusiveStartKey=ExclusiveStartKey,
            ReturnConsumedCapacity=ReturnConsumedCapacity,
        )

    @reads_only
    def batch_get_item(
        self,
        call: Call,
        *,
        RequestItems: dict[str, dict[str, Any]],
        ReturnConsumedCapacity: str | None = None,
    ) -> Reply:
        return batches.get(call, RequestItems, ReturnConsumedCapacity)

    def batch_write_item(
        self,
        call: Call,
        *,
        RequestItems: dict[str, list[dict[str, Any]]],
        ReturnConsumedCapacity: str | None = None,
        ReturnItemCollectionMetrics: str | None = None,
    ) -> Reply:
        return batches.write(call, RequestItems, ReturnConsumedCapacity, ReturnItemCollectionMetrics)

    def transact_write_items(
        self,
        call: Call,
        *,
        TransactItems: list[dict[str, Any]],
        ClientRequestToken: str | None = None,
        ReturnConsumedCapacity: str | None = None,
        ReturnItemCollectionMetrics: str | None = None,
    ) -> Reply:
        return transactions.write(
            call, TransactItems, ClientRequestToken, ReturnConsumedCapacity, ReturnItemCollectionMetrics
        )

    @reads_only
    def transact_get_items(
        self,
        call: Call,
        *,
        TransactItems: list[dict[str, Any]],
        ReturnConsumedCapacity: str | None = None,
    ) -> Reply:
        return transactions.get(call, TransactItems, ReturnConsumedCapacity)

    # -- what surrounds a table

    def tag_resource(self, call: Call, *, ResourceArn: str, Tags: list[dict[str, str]]) -> None:
        row = tags.row_of(call, ResourceArn, lock=True)
        tags.save(call, row, tags.merged(tags.read(row), tags.admit(Tags)))

    def untag_resource(self, call: Call, *, ResourceArn: str, TagKeys: list[str]) -> None:
        row = tags.row_of(call, ResourceArn, lock=True)
        tags.save(call, row, [tag for tag in tags.read(row) if tag["Key"] not in TagKeys])

    @reads_only
    def list_tags_of_resource(self, call: Call, *, ResourceArn: str, NextToken: str | None = None) -> Reply:
        """Always one page: a table has at most fifty tags, so that no NextToken of ours exists."""
        if NextToken is not None:
            raise invalid("Invalid NextToken")
        return {"Tags": tags.read(tags.row_of(call, ResourceArn))}

    @reads_only
    def describe_time_to_live(self, call: Call, *, TableName: str) -> Reply:
        tables.existing_row(call, TableName)
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}

    @reads_only
    def describe_continuous_backups(self, call: Call, *, TableName: str) -> Reply:
        row = tables.row_of(call, TableName)
        if row is None:
            name = tables.name_of(call, TableName)
            raise ServiceError("TableNotFoundException", f"Table not found: {name}")
        return {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "DISABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
            }
        }


def _refuse_streams(specification: dict[str, Any] | None) -> None:
    if specification is not None and specification.get("StreamEnabled"):
        raise invalid("Oncue does not support streams of tables yet.")


def _only_old(returned: str) -> None:
    if returned not in ("NONE", "ALL_OLD"):
        raise invalid("ReturnValues can only be ALL_OLD or NONE")


def _carry_out(
    call: Call, write: writes.Write, returned: str, capacity: str | None, collections: str | None
) -> Reply:
    wants_before = returned != "NONE" or capacity not in (None, "NONE")
    before, after = writes.carry_out(call, write, wants_before=wants_before)
    meter = Meter(write.table, writes=True)
    meter.write(before, after)
    shown = {"ALL_OLD": before, "UPDATED_OLD": before, "ALL_NEW": after, "UPDATED_NEW": after}.get(returned)
    if shown is not None and returned.startswith("UPDATED"):
        wanted = write.update.wanted if write.update else None
        shown = paths.project(shown, wanted) if wanted else None
    return {
        "Attributes": shown or None,
        "ConsumedCapacity": meter.report(capacity),
        "ItemCollectionMetrics": metrics.of(call, write, collections),
    }
