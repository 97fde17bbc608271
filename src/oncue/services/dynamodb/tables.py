"""What a table is: its keys, its indexes, how it is made, found and described."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.dynamodb.definitions import admit_definition
from oncue.services.dynamodb.refusals import invalid, no_table
from oncue.store import Row

TABLES_CACHED = 512
COUNTED_MAX = 100_000  # ItemCount and TableSizeBytes stop here; AWS brings them up to date every six hours
STRANGE_TABLE_ARN = "Invalid TableArn: Invalid ResourceArn provided as input"

NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
STRANGE_NAME = (
    "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain "
    "only the characters a-z, A-Z, 0-9, '_', '-', and '.'"
)

Attribute = tuple[str, str]  # name and type


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    partition: Attribute
    sort: Attribute | None
    projection: str  # ALL, KEYS_ONLY or INCLUDE
    projected: frozenset[str]  # names of all attributes, unless the projection is ALL
    is_global: bool

    @property
    def key_names(self) -> tuple[str, ...]:
        return (self.partition[0], *([self.sort[0]] if self.sort else []))


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    name: str
    partition: Attribute
    sort: Attribute | None
    indexes: dict[str, Index]

    @property
    def key_names(self) -> tuple[str, ...]:
        return (self.partition[0], *([self.sort[0]] if self.sort else []))


def name_of(call: Call, name_or_arn: str) -> str:
    """TableName may be a name or the ARN of a table of the caller's own."""
    if not name_or_arn.startswith("arn:"):
        if not NAME.fullmatch(name_or_arn):
            raise invalid(STRANGE_NAME)
        return name_or_arn
    try:
        arn = arns.parse(name_or_arn)
    except ValueError:
        raise invalid(STRANGE_TABLE_ARN) from None
    kind, _, name = arn.resource.partition("/")
    if arn.service != "dynamodb" or kind != "table" or not NAME.fullmatch(name):
        raise invalid(STRANGE_TABLE_ARN)
    if (arn.account, arn.region) != (call.account, call.region):
        raise no_table()
    return name


def arn_of(call: Call, name: str) -> str:
    return arns.build("dynamodb", call.region, call.account, f"table/{name}")


def row_of(call: Call, name_or_arn: str, *, lock: bool = False) -> Row | None:
    sql = (
        "SELECT id, name, definition, tags FROM dynamodb_tables "
        "WHERE account = :account AND region = :region AND name = :name"
    )
    name = name_of(call, name_or_arn)
    return call.tx.one(
        f"{sql} FOR UPDATE" if lock else sql, account=call.account, region=call.region, name=name
    )


def existing_row(call: Call, name_or_arn: str, *, lock: bool = False) -> Row:
    row = row_of(call, name_or_arn, lock=lock)
    if row is None:
        raise no_table(name_of(call, name_or_arn))
    return row


def no_resource(arn: str) -> ServiceError:
    return ServiceError(
        "ResourceNotFoundException", f"Requested resource not found: ResourceArn: {arn} not found"
    )


def find(call: Call, name_or_arn: str) -> Table:
    """The table for a data operation."""
    row = row_of(call, name_or_arn)
    if row is None:
        raise no_table()
    return _read(row["id"], row["name"], row["definition"])


@lru_cache(TABLES_CACHED)
def _read(table_id: int, name: str, text: str) -> Table:
    definition = msgspec.json.decode(text)
    kinds = {a["AttributeName"]: a["AttributeType"] for a in definition["AttributeDefinitions"]}
    partition, sort = _attributes(definition["KeySchema"], kinds)
    table_keys = [partition[0], *([sort[0]] if sort else [])]
    indexes = {}
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for given in definition.get(member, ()):
            its_partition, its_sort = _attributes(given["KeySchema"], kinds)
            projection = given["Projection"]
            names = [*table_keys, its_partition[0], *([its_sort[0]] if its_sort else [])]
            indexes[given["IndexName"]] = Index(
                name=given["IndexName"],
                partition=its_partition,
                sort=its_sort,
                projection=projection["ProjectionType"],
                projected=frozenset((*names, *projection.get("NonKeyAttributes", ()))),
                is_global=member == "GlobalSecondaryIndexes",
            )
    return Table(table_id, name, partition, sort, indexes)


def _attributes(schema: list[dict[str, str]], kinds: dict[str, str]) -> tuple[Attribute, Attribute | None]:
    names = [element["AttributeName"] for element in schema]
    first, *rest = ((name, kinds[name]) for name in names)
    return first, rest[0] if rest else None


def create(call: Call, name: str, definition: dict[str, Any], tags: list[dict[str, str]]) -> dict[str, Any]:
    """Its description, CREATING as AWS says it; from the commit on it is ACTIVE."""
    admit_definition(definition)
    definition |= {"TableId": clock.new_id(), "CreationDateTime": call.now}
    created = call.tx.one(
        "INSERT INTO dynamodb_tables (account, region, name, definition, tags) "
        "VALUES (:account, :region, :name, :definition, :tags) "
        "ON CONFLICT (account, region, name) DO NOTHING RETURNING id, name, definition, tags",
        account=call.account,
        region=call.region,
        name=name,
        definition=msgspec.json.encode(definition).decode(),
        tags=msgspec.json.encode(tags).decode(),
    )
    if created is None:
        raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
    return describe(call, created, status="CREATING")


def delete(call: Call, row: Row) -> dict[str, Any]:
    """With all its items; the description as it was."""
    definition = msgspec.json.decode(row["definition"])
    if definition["DeletionProtectionEnabled"]:
        raise invalid(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    described = describe(call, row, status="DELETING")
    for statement in (
        "DELETE FROM dynamodb_index_entries WHERE table_id = :id",
        "DELETE FROM dynamodb_items WHERE table_id = :id",
        "DELETE FROM dynamodb_tables WHERE id = :id",
    ):
        call.tx.run(statement, id=row["id"])
    return described


def save(call: Call, row: Row, definition: dict[str, Any]) -> Row:
    text = msgspec.json.encode(definition).decode()
    call.tx.run("UPDATE dynamodb_tables SET definition = :text WHERE id = :id", text=text, id=row["id"])
    return {**row, "definition": text}


def describe(call: Call, row: Row, *, status: str = "ACTIVE") -> dict[str, Any]:
    """The TableDescription of AWS's model."""
    definition = msgspec.json.decode(row["definition"])
    arn = arn_of(call, row["name"])
    counted = call.tx.one(
        "SELECT COUNT(*) AS items, COALESCE(SUM(size), 0) AS bytes FROM "
        "(SELECT size FROM dynamodb_items WHERE table_id = :id LIMIT :most) AS found",
        id=row["id"],
        most=COUNTED_MAX,
    )
    assert counted is not None
    throughput = definition.get("ProvisionedThroughput")
    described = {
        "TableName": row["name"],
        "TableArn": arn,
        "TableStatus": status,
        "ItemCount": int(counted["items"]),
        "TableSizeBytes": int(counted["bytes"]),
        "ProvisionedThroughput": _throughput(throughput),
        "DeletionProtectionEnabled": definition["DeletionProtectionEnabled"],
    }
    for member in ("TableId", "CreationDateTime", "KeySchema", "AttributeDefinitions", "TableClassSummary"):
        described[member] = definition.get(member)
    if definition["BillingMode"] == "PAY_PER_REQUEST":
        described["BillingModeSummary"] = {
            "BillingMode": "PAY_PER_REQUEST",
            "LastUpdateToPayPerRequestDateTime": definition["CreationDateTime"],
        }
    index_status = {"CREATING": "CREATING", "DELETING": "DELETING"}.get(status, "ACTIVE")
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if definition.get(member):
            is_global = member == "GlobalSecondaryIndexes"
            described[member] = [
                _describe_index(call, row["id"], arn, index, index_status if is_global else None)
                for index in definition[member]
            ]
    return described


def _throughput(given: dict[str, int] | None) -> dict[str, int]:
    given = given or {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    return {"NumberOfDecreasesToday": 0, **given}


def _describe_index(
    call: Call, table_id: int, arn: str, index: dict[str, Any], status: str | None
) -> dict[str, Any]:
    counted = call.tx.one(
        "SELECT COUNT(*) AS items FROM (SELECT 1 AS number FROM dynamodb_index_entries "
        "WHERE table_id = :id AND index_name = :name LIMIT :most) AS found",
        id=table_id,
        name=index["IndexName"],
        most=COUNTED_MAX,
    )
    assert counted is not None
    described = {
        "IndexName": index["IndexName"],
        "IndexArn": f"{arn}/index/{index['IndexName']}",
        "KeySchema": index["KeySchema"],
        "Projection": index["Projection"],
        "ItemCount": int(counted["items"]),
        "IndexSizeBytes": 0,
    }
    if status is not None:
        described["IndexStatus"] = status
        described["ProvisionedThroughput"] = _throughput(index.get("ProvisionedThroughput"))
    return described
