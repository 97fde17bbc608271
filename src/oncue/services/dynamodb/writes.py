"""One write of one item: prepared from a request's parameters, then carried out alone or with others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oncue.services import Call
from oncue.services.dynamodb import conditions, items, keys, tables, updates, values
from oncue.services.dynamodb.conditions import Condition
from oncue.services.dynamodb.keys import Position
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import condition_failed, invalid
from oncue.services.dynamodb.tables import Table
from oncue.services.dynamodb.updates import Update
from oncue.services.dynamodb.values import Item

TOO_BIG = "Item size has exceeded the maximum allowed size"
UPDATED_TOO_BIG = "Item size to update has exceeded the maximum allowed size"
Change = Callable[[Item | None], Item | None]


@dataclass(frozen=True, slots=True)
class Write:
    """What to do with the item at a key: where the condition holds, it becomes `change(item)`."""

    table: Table
    at: Position
    condition: Condition | None
    change: Change
    shows_item: bool  # in the refusal, when the condition does not hold
    key: Item
    update: Update | None = None
    puts: bool = False  # whatever was there: with no condition and no index, it need not be read


def _condition(text: str | None, placeholders: Placeholders) -> Condition | None:
    return None if text is None else conditions.parse("ConditionExpression", text, placeholders)


def put(
    call: Call,
    *,
    TableName: str,
    Item: dict[str, Any],
    ConditionExpression: str | None = None,
    ExpressionAttributeNames: dict[str, str] | None = None,
    ExpressionAttributeValues: dict[str, Any] | None = None,
    ReturnValuesOnConditionCheckFailure: str | None = None,
) -> Write:
    placeholders = Placeholders(
        ExpressionAttributeNames,
        ExpressionAttributeValues,
        ConditionExpression=ConditionExpression,
    )
    condition = _condition(ConditionExpression, placeholders)
    placeholders.refuse_unused()
    item = values.admit_item(Item)
    if values.item_size(item) > values.SIZE_BYTES_MAX:
        raise invalid(TOO_BIG)
    table = tables.find(call, TableName)
    return Write(
        table,
        keys.of_item(table, item),
        condition,
        lambda before: item,
        ReturnValuesOnConditionCheckFailure == "ALL_OLD",
        item,
        puts=condition is None,
    )


def delete(
    call: Call,
    *,
    TableName: str,
    Key: dict[str, Any],
    ConditionExpression: str | None = None,
    ExpressionAttributeNames: dict[str, str] | None = None,
    ExpressionAttributeValues: dict[str, Any] | None = None,
    ReturnValuesOnConditionCheckFailure: str | None = None,
    checks_only: bool = False,
) -> Write:
    """`checks_only` makes it the ConditionCheck of a transaction: the item stays as it is."""
    placeholders = Placeholders(
        ExpressionAttributeNames,
        ExpressionAttributeValues,
        ConditionExpression=ConditionExpression,
    )
    condition = _condition(ConditionExpression, placeholders)
    placeholders.refuse_unused()
    table = tables.find(call, TableName)
    key, at = keys.of_key(table, Key)
    change: Change = (lambda before: before) if checks_only else (lambda before: None)
    return Write(table, at, condition, change, ReturnValuesOnConditionCheckFailure == "ALL_OLD", key)


def update(
    call: Call,
    *,
    TableName: str,
    Key: dict[str, Any],
    UpdateExpression: str | None = None,
    ConditionExpression: str | None = None,
    ExpressionAttributeNames: dict[str, str] | None = None,
    ExpressionAttributeValues: dict[str, Any] | None = None,
    ReturnValuesOnConditionCheckFailure: str | None = None,
) -> Write:
    placeholders = Placeholders(
        ExpressionAttributeNames,
        ExpressionAttributeValues,
        UpdateExpression=UpdateExpression,
        ConditionExpression=ConditionExpression,
    )
    asked = updates.NOTHING if UpdateExpression is None else updates.parse(UpdateExpression, placeholders)
    condition = _condition(ConditionExpression, placeholders)
    placeholders.refuse_unused()
    table = tables.find(call, TableName)
    key, at = keys.of_key(table, Key)
    updates.refuse_keys(asked, table.key_names)

    def change(before: Item | None) -> Item | None:
        after = updates.apply(asked, before if before is not None else key)
        if before is None and not asked.creates:
            return None
        if values.item_size(after) > values.SIZE_BYTES_MAX:
            raise invalid(UPDATED_TOO_BIG)
        keys.admit_index_keys(table, after)
        return after

    shows = ReturnValuesOnConditionCheckFailure == "ALL_OLD"
    return Write(table, at, condition, change, shows, key, asked)


def carry_out(call: Call, write: Write, *, wants_before: bool) -> tuple[Item | None, Item | None]:
    """Alone: the item before (where wanted) and after.

    Exactly one of several writers of an absent item finds it absent.
    """
    if write.puts and not wants_before and not write.table.indexes:
        after = write.change(None)
        assert after is not None
        items.overwrite(call.tx, write.table, write.at, after)
        return None, after
    for _ in range(items.ATTEMPTS_MAX):
        before = items.read(call.tx, write.table, write.at, lock=True)
        if not conditions.holds(write.condition, before or {}):
            raise condition_failed(before if write.shows_item else None)
        after = write.change(before)
        if items.replace(call.tx, write.table, write.at, before, after):
            return before, after
    raise items.too_busy()
