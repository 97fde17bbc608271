"""Query and Scan: from their parameters to a page and its reply."""

from typing import Any

from oncue.services import Call
from oncue.services.dynamodb import conditions, key_conditions, keys, pages, paths, projections, tables
from oncue.services.dynamodb.capacity import Meter
from oncue.services.dynamodb.conditions import Condition, Junction
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import bad_parameters, invalid
from oncue.services.dynamodb.syntax import Function, Operand, Reference
from oncue.services.dynamodb.tables import Index, Table

STRANGE_START = "The provided starting key is invalid"
OUTSIDE = "The provided starting key is outside query boundaries based on provided conditions"


def query(
    call: Call,
    *,
    TableName: str,
    IndexName: str | None,
    KeyConditionExpression: str,
    FilterExpression: str | None,
    ProjectionExpression: str | None,
    ExpressionAttributeNames: dict[str, str] | None,
    ExpressionAttributeValues: dict[str, Any] | None,
    Select: str | None,
    Limit: int | None,
    ConsistentRead: bool,
    ScanIndexForward: bool,
    ExclusiveStartKey: dict[str, Any] | None,
    ReturnConsumedCapacity: str | None,
) -> dict[str, Any]:
    placeholders = Placeholders(
        ExpressionAttributeNames,
        ExpressionAttributeValues,
        FilterExpression=FilterExpression,
        KeyConditionExpression=KeyConditionExpression,
    )
    asked = key_conditions.parse(KeyConditionExpression, placeholders)
    condition = _filter(FilterExpression, placeholders)
    wanted = projections.parse(ProjectionExpression, placeholders)
    placeholders.refuse_unused()
    _admit_select(Select, IndexName, wanted, "Querying")
    table = tables.find(call, TableName)
    index = _index(table, IndexName, ConsistentRead)
    owner = index or table
    partition, range_ = key_conditions.partition_and_range(asked, owner.partition, owner.sort)
    _refuse_filtered_keys(condition, owner)
    source = pages.Source(table, index, ScanIndexForward)
    place = keys.place_of(partition)
    source.only(place)
    if range_ is not None:
        source.within(range_)
    after = None
    if ExclusiveStartKey is not None:
        after = source.start(ExclusiveStartKey, lambda: invalid(STRANGE_START))
        if after[0] != place:
            raise invalid(OUTSIDE)
    view = _view(condition, wanted, Select, index)
    page = pages.read(call.tx, source, view, after, Limit)
    return _reply(page, source, view, ConsistentRead, ReturnConsumedCapacity)


def scan(
    call: Call,
    *,
    TableName: str,
    IndexName: str | None,
    FilterExpression: str | None,
    ProjectionExpression: str | None,
    ExpressionAttributeNames: dict[str, str] | None,
    ExpressionAttributeValues: dict[str, Any] | None,
    Select: str | None,
    Limit: int | None,
    ConsistentRead: bool,
    Segment: int | None,
    TotalSegments: int | None,
    ExclusiveStartKey: dict[str, Any] | None,
    ReturnConsumedCapacity: str | None,
) -> dict[str, Any]:
    _admit_segment(Segment, TotalSegments)
    placeholders = Placeholders(
        ExpressionAttributeNames,
        ExpressionAttributeValues,
        FilterExpression=FilterExpression,
        ProjectionExpression=ProjectionExpression,
    )
    condition = _filter(FilterExpression, placeholders)
    wanted = projections.parse(ProjectionExpression, placeholders)
    placeholders.refuse_unused()
    _admit_select(Select, IndexName, wanted, "Scanning")
    table = tables.find(call, TableName)
    index = _index(table, IndexName, ConsistentRead)
    source = pages.Source(table, index)
    after = None
    if ExclusiveStartKey is not None:
        after = source.start(
            ExclusiveStartKey,
            lambda: invalid(f"{STRANGE_START}: The provided key element does not match the schema"),
        )
    if Segment is not None and TotalSegments is not None:
        source.segment(Segment, TotalSegments)
        if after is not None and not _in_segment(after[0], Segment, TotalSegments):
            raise invalid(
                f"{STRANGE_START}: Invalid start key: the start key is not in the segment {Segment}"
            )
    view = _view(condition, wanted, Select, index)
    page = pages.read(call.tx, source, view, after, Limit)
    return _reply(page, source, view, ConsistentRead, ReturnConsumedCapacity)


def _in_segment(place: bytes, segment: int, total: int) -> bool:
    return int.from_bytes(place[:8], "big") * total // pages.PLACES == segment


def _filter(text: str | None, placeholders: Placeholders) -> Condition | None:
    return None if text is None else conditions.parse("FilterExpression", text, placeholders)


def _index(table: Table, name: str | None, consistent: bool) -> Index | None:
    if name is None:
        return None
    index = table.indexes.get(name)
    if index is None:
        raise invalid(f"The table does not have the specified index: {name}")
    if consistent and index.is_global:
        raise invalid("Consistent reads are not supported on global secondary indexes")
    return index


def _admit_select(select: str | None, index_name: str | None, wanted: paths.Tree | None, doing: str) -> None:
    if select == "ALL_PROJECTED_ATTRIBUTES" and index_name is None:
        raise bad_parameters(f"ALL_PROJECTED_ATTRIBUTES can be used only when {doing} using an IndexName")
    if select == "SPECIFIC_ATTRIBUTES" and wanted is None:
        raise bad_parameters(
            "Must specify the AttributesToGet or ProjectionExpression "
            "when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if select not in (None, "SPECIFIC_ATTRIBUTES") and wanted is not None:
        chosen = "only the Count" if select == "COUNT" else select
        raise bad_parameters(f"Cannot specify the ProjectionExpression when choosing to get {chosen}")


def _admit_segment(segment: int | None, total: int | None) -> None:
    if segment is not None and total is None:
        raise invalid(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if total is not None and segment is None:
        raise invalid(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if segment is not None and total is not None and segment >= total:
        raise invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )


def _view(
    condition: Condition | None, wanted: paths.Tree | None, select: str | None, index: Index | None
) -> pages.View:
    """A local index fetches from its table what it does not project, a global one cannot."""
    whole = index is None or index.projection == "ALL"
    if index is not None and not whole:
        missing = sorted(str(name) for name in (wanted or {}) if name not in index.projected)
        if select == "ALL_ATTRIBUTES" and index.is_global:
            raise bad_parameters(
                f"Select type ALL_ATTRIBUTES is not supported for global secondary index {index.name} "
                "because its projection type is not ALL"
            )
        if missing and index.is_global:
            raise bad_parameters(
                f"Global secondary index {index.name} does not project [{', '.join(missing)}]"
            )
        whole = select == "ALL_ATTRIBUTES" or bool(missing)
    return pages.View(condition, wanted, select == "COUNT", whole)


def _refuse_filtered_keys(condition: Condition | None, owner: Table | Index) -> None:
    for name in _names(condition) if condition is not None else ():
        if name in owner.key_names:
            raise invalid(
                "Filter Expression can only contain non-primary key attributes: "
                f"Primary key attribute: {name}"
            )


def _names(condition: Condition) -> list[str]:
    """The attributes that a condition speaks of."""
    if isinstance(condition, Junction):
        return [name for part in condition.parts for name in _names(part)]
    operands: tuple[Operand, ...]
    if isinstance(condition, conditions.Compare):
        operands = (condition.left, condition.right)
    elif isinstance(condition, conditions.Between):
        operands = (condition.operand, condition.low, condition.high)
    elif isinstance(condition, conditions.In):
        operands = (condition.operand, *condition.choices)
    else:
        operands = condition.operands
    return [name for operand in operands for name in _operand_names(operand)]


def _operand_names(operand: Operand) -> list[str]:
    if isinstance(operand, Reference):
        return [str(operand.path[0])]
    inner = operand.operands if isinstance(operand, Function) else ()
    return [name for part in inner for name in _operand_names(part)]


def _reply(
    page: pages.Page, source: pages.Source, view: pages.View, consistent: bool, capacity: str | None
) -> dict[str, Any]:
    meter = Meter(source.table, writes=False, factor=1.0 if consistent else 0.5)
    fetched = source.index is not None and view.whole_items and source.index.projection != "ALL"
    meter.read(page.bytes, source.index.name if source.index and not fetched else None)
    return {
        "Items": None if view.counts_only else page.items,
        "Count": page.count,
        "ScannedCount": page.scanned,
        "LastEvaluatedKey": page.last_key,
        "ConsumedCapacity": meter.report(capacity),
    }
