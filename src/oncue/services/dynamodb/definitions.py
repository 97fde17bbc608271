"""Which tables may be made: the rules of CreateTable that AWS's model does not express."""

from typing import Any

from oncue.services.dynamodb.refusals import bad_parameters, invalid

LOCAL_INDEXES_MAX = 5
GLOBAL_INDEXES_MAX = 20
NON_KEY_ATTRIBUTES_MAX = 100
KEY_ATTRIBUTES_MAX = 2
Schema = list[dict[str, str]]


def admit_definition(definition: dict[str, Any]) -> None:
    """`definition` holds CreateTable's own members; absent ones are absent."""
    _admit_billing(definition)
    names = [attribute["AttributeName"] for attribute in definition["AttributeDefinitions"]]
    if len(set(names)) < len(names):
        raise bad_parameters("Duplicate AttributeName found in AttributeDefinitions")
    schema = definition["KeySchema"]
    _admit_schema(schema, names)
    used = {element["AttributeName"] for element in schema}
    indexes = set[str]()
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if member not in definition:
            continue
        if not definition[member]:
            raise bad_parameters(f"List of {member} is empty")
        for index in definition[member]:
            if member == "LocalSecondaryIndexes":
                _admit_local(index, schema, names)
            else:
                _admit_global(index, names, definition["BillingMode"])
            if index["IndexName"] in indexes:
                raise bad_parameters(f"Duplicate index name: {index['IndexName']}")
            indexes.add(index["IndexName"])
            used.update(element["AttributeName"] for element in index["KeySchema"])
    _admit_counts(definition)
    if used != set(names):
        if not indexes:
            raise bad_parameters(
                "Number of attributes in KeySchema does not exactly match number of attributes "
                "defined in AttributeDefinitions"
            )
        raise bad_parameters(
            "Some AttributeDefinitions are not used. AttributeDefinitions: "
            f"[{', '.join(names)}], keys used: [{', '.join(sorted(used))}]"
        )


def _admit_billing(definition: dict[str, Any]) -> None:
    throughput = definition.get("ProvisionedThroughput")
    if definition["BillingMode"] == "PAY_PER_REQUEST" and throughput:
        raise bad_parameters(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified "
            "when BillingMode is PAY_PER_REQUEST"
        )
    if definition["BillingMode"] == "PROVISIONED" and not throughput:
        raise bad_parameters(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )


def admit_throughput(
    definition: dict[str, Any], billing: str | None, throughput: dict[str, int] | None
) -> None:
    """Change what UpdateTable may change of a definition's billing, in place."""
    definition["BillingMode"] = billing or definition["BillingMode"]
    if throughput is not None or definition["BillingMode"] == "PAY_PER_REQUEST":
        definition.pop("ProvisionedThroughput", None)
    if throughput is not None:
        definition["ProvisionedThroughput"] = throughput
    _admit_billing(definition)
    if definition["BillingMode"] == "PAY_PER_REQUEST":
        for index in definition.get("GlobalSecondaryIndexes", ()):
            index.pop("ProvisionedThroughput", None)


def _admit_schema(schema: Schema, defined: list[str]) -> None:
    names = [element["AttributeName"] for element in schema]
    if len(names) > KEY_ATTRIBUTES_MAX:
        raise bad_parameters("Oncue supports keys of one partition and one sort attribute only")
    if not set(names) <= set(defined):
        raise bad_parameters(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(defined)}]"
        )
    if len(set(names)) < len(names):
        raise invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    for element, kind, which in zip(schema, ("HASH", "RANGE"), ("first", "second"), strict=False):
        if element["KeyType"] != kind:
            raise invalid(f"Invalid KeySchema: The {which} KeySchemaElement is not a {kind} key type")


def _admit_local(index: dict[str, Any], table: Schema, defined: list[str]) -> None:
    if len(table) < KEY_ATTRIBUTES_MAX:
        raise bad_parameters(
            "Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex"
        )
    schema, name = index["KeySchema"], index["IndexName"]
    _admit_schema(schema, defined)
    if len(schema) < KEY_ATTRIBUTES_MAX:
        raise bad_parameters(f"Index KeySchema does not have a range key for index: {name}")
    own, tables = schema[0]["AttributeName"], table[0]["AttributeName"]
    if own != tables:
        raise bad_parameters(
            "Index KeySchema does not have the same leading hash key as table KeySchema "
            f"for index: {name}. index hash key: {own}, table hash key: {tables}"
        )
    _admit_projection(index["Projection"])


def _admit_global(index: dict[str, Any], defined: list[str], billing: str) -> None:
    _admit_schema(index["KeySchema"], defined)
    _admit_projection(index["Projection"])
    throughput = index.get("ProvisionedThroughput")
    if throughput and billing == "PAY_PER_REQUEST":
        raise bad_parameters(
            f"ProvisionedThroughput should not be specified for index: {index['IndexName']} "
            "when BillingMode is PAY_PER_REQUEST"
        )
    if not throughput and billing == "PROVISIONED":
        raise bad_parameters(f"ProvisionedThroughput must be specified for index: {index['IndexName']}")
    for member in ("OnDemandThroughput", "WarmThroughput"):
        if member in index:
            raise bad_parameters(f"Oncue does not support {member} of an index")


def _admit_projection(projection: dict[str, Any]) -> None:
    kind, names = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        raise bad_parameters("Unknown ProjectionType: null")
    if names and kind != "INCLUDE":
        raise bad_parameters(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if not names and kind == "INCLUDE":
        raise bad_parameters("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")


def _admit_counts(definition: dict[str, Any]) -> None:
    local = definition.get("LocalSecondaryIndexes", ())
    everywhere = definition.get("GlobalSecondaryIndexes", ())
    if len(local) > LOCAL_INDEXES_MAX:
        raise bad_parameters(
            f"Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
        )
    if len(everywhere) > GLOBAL_INDEXES_MAX:
        raise bad_parameters(
            f"GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
        )
    count = sum(len(index["Projection"].get("NonKeyAttributes", ())) for index in (*local, *everywhere))
    if count > NON_KEY_ATTRIBUTES_MAX:
        raise bad_parameters(
            f"NonKeyAttributes count exceeds the per-table limit of {NON_KEY_ATTRIBUTES_MAX}"
        )
