"""TransactWriteItems and TransactGetItems: all or nothing, as if nobody else were there."""

import hashlib
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.dynamodb import (
    conditions,
    items,
    keys,
    metrics,
    paths,
    projections,
    tables,
    values,
    writes,
)
from oncue.services.dynamodb.capacity import Meter
from oncue.services.dynamodb.keys import Position
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.refusals import invalid
from oncue.services.dynamodb.tables import Table
from oncue.services.dynamodb.values import Item
from oncue.services.dynamodb.writes import Write

BYTES_MAX = 4 * 1024 * 1024
TOKEN_S = 600
TOKENS_EXPIRED_AT_ONCE = 10
FACTOR = 2.0  # a transaction reads and writes everything twice
ACTIONS = ("ConditionCheck", "Put", "Delete", "Update")
SAME_ITEM = "Transaction request cannot include multiple operations on one item"
TOO_BIG = "Aggregate size of items in the transaction exceeds the limit of 4194304 bytes"
Reason = dict[str, Any]


def write(
    call: Call,
    actions: list[dict[str, Any]],
    token: str | None,
    capacity: str | None,
    collections: str | None,
) -> dict[str, Any]:
    if token is not None and _done_before(call, token, actions):
        return {}
    prepared = [_prepare(call, action) for action in actions]
    order = sorted(range(len(prepared)), key=lambda n: (prepared[n].table.id, prepared[n].at))
    if len({(one.table.id, one.at) for one in prepared}) < len(prepared):
        raise invalid(SAME_ITEM)
    befores: dict[int, Item | None] = {}
    for n in order:
        befores[n] = items.hold(call.tx, prepared[n].table, prepared[n].at)
    outcomes = [_decide(one, befores[n]) for n, one in enumerate(prepared)]
    reasons = [reason for _, reason in outcomes]
    total = sum(values.item_size(after) for after, _ in outcomes if after is not None)
    refused = any(reason["Code"] != "None" for reason in reasons)
    meters: dict[int, Meter] = {}
    for n in order:
        one, before = prepared[n], befores[n]
        after = before if refused or total > BYTES_MAX else outcomes[n][0]
        items.settle(call.tx, one.table, one.at, before, after)
        meters.setdefault(one.table.id, Meter(one.table, writes=True, factor=FACTOR)).write(before, after)
    if refused:
        raise _cancelled(reasons)
    if total > BYTES_MAX:
        raise invalid(TOO_BIG)
    reports = [report for meter in meters.values() if (report := meter.report(capacity, split=True))]
    return {
        "ConsumedCapacity": reports or None,
        "ItemCollectionMetrics": metrics.of_many(call, prepared, collections),
    }


def _prepare(call: Call, action: dict[str, Any]) -> Write:
    given = [kind for kind in ACTIONS if action.get(kind) is not None]
    if len(given) != 1:
        raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    parameters = action[given[0]]
    if given == ["Put"]:
        return writes.put(call, **parameters)
    if given == ["Update"]:
        return writes.update(call, **parameters)
    return writes.delete(call, **parameters, checks_only=given == ["ConditionCheck"])


def _decide(write: Write, before: Item | None) -> tuple[Item | None, Reason]:
    """The item as it would be, and what speaks against it."""
    if not conditions.holds(write.condition, before or {}):
        reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        return None, reason | ({"Item": before} if write.shows_item and before else {})
    try:
        return write.change(before), {"Code": "None"}
    except ServiceError as error:
        return None, {"Code": "ValidationError", "Message": error.message}


def _cancelled(reasons: list[Reason]) -> ServiceError:
    codes = ", ".join(reason["Code"] for reason in reasons)
    return ServiceError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def _done_before(call: Call, token: str, actions: list[dict[str, Any]]) -> bool:
    """Whether the same request with this token has succeeded in the last ten minutes; else note it.

    The note stays only if this transaction succeeds; another with the same token waits for that.
    """
    hashed = hashlib.sha256(token.encode()).digest()
    call.tx.run(
        "DELETE FROM dynamodb_tokens WHERE account = :account AND region = :region AND token = :token "
        "AND expires_at <= :now",
        account=call.account,
        region=call.region,
        token=hashed,
        now=call.now,
    )
    call.tx.run(
        "DELETE FROM dynamodb_tokens WHERE (account, region, token) IN (SELECT account, region, token "
        "FROM dynamodb_tokens WHERE expires_at <= :now LIMIT :most FOR UPDATE SKIP LOCKED)",
        now=call.now,
        most=TOKENS_EXPIRED_AT_ONCE,
    )
    digest = hashlib.sha256(msgspec.json.encode(actions, order="sorted")).digest()
    noted = call.tx.run(
        "INSERT INTO dynamodb_tokens (account, region, token, digest, expires_at) "
        "VALUES (:account, :region, :token, :digest, :expires_at) "
        "ON CONFLICT (account, region, token) DO NOTHING",
        account=call.account,
        region=call.region,
        token=hashed,
        digest=digest,
        expires_at=call.now + TOKEN_S,
    )
    if noted:
        return False
    row = call.tx.one(
        "SELECT digest FROM dynamodb_tokens WHERE account = :account AND region = :region AND token = :token",
        account=call.account,
        region=call.region,
        token=hashed,
    )
    if row is None or row["digest"] != digest:
        raise ServiceError(
            "IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    return True


def get(call: Call, actions: list[dict[str, Any]], capacity: str | None) -> dict[str, Any]:
    wanted: list[tuple[Table, Position]] = []
    trees: list[paths.Tree | None] = []
    for action in actions:
        request = action["Get"]
        expression = request.get("ProjectionExpression")
        placeholders = Placeholders(
            request.get("ExpressionAttributeNames"), None, ProjectionExpression=expression
        )
        trees.append(projections.parse(expression, placeholders))
        placeholders.refuse_unused()
        table = tables.find(call, request["TableName"])
        wanted.append((table, keys.of_key(table, request["Key"])[1]))
    if len({(table.id, at) for table, at in wanted}) < len(wanted):
        raise invalid(SAME_ITEM)
    found = items.read_many(call.tx, wanted)
    if sum(values.item_size(item) for item in found if item is not None) > BYTES_MAX:
        raise invalid(TOO_BIG)
    meters: dict[int, Meter] = {}
    responses: list[dict[str, Item]] = []
    for (table, _), tree, item in zip(wanted, trees, found, strict=True):
        meter = meters.setdefault(table.id, Meter(table, writes=False, factor=FACTOR))
        meter.read(values.item_size(item) if item is not None else 0)
        shown = paths.project(item, tree) if item is not None and tree is not None else item
        responses.append({} if shown is None else {"Item": shown})
    reports = [report for meter in meters.values() if (report := meter.report(capacity, split=True))]
    return {"Responses": responses, "ConsumedCapacity": reports or None}
