"""The table's entries of one post: `latest`, one for each version, and one for each arrival.

post    entry                          what
p1      latest                         the newest draft
p1      version/00000001.00000002...   each draft that was ever sent
p1      arrival/<ms>/<message id>      when something arrived and what became of it
"""

import time

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from versions import key_of

SAVED, STALE, DUPLICATE = "saved", "ignored as stale", "duplicate"
QUERY_PAGES_MAX = 100
dynamodb = boto3.client("dynamodb")
refused = dynamodb.exceptions.ConditionalCheckFailedException


def typed(item):
    write = TypeSerializer().serialize
    return {name: write(value) for name, value in item.items()}


def plain(item):
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}


def draft_item(post, entry, draft, source):
    return {
        "post": post,
        "entry": entry,
        "version": draft["version"],
        "version_key": key_of(draft["version"]),
        "title": str(draft.get("title", "")),
        "text": str(draft.get("text", "")),
        "source": source,
    }


def keep_version(table, post, draft, source):
    """Each version is kept once; the first one to arrive under a version stays."""
    entry = f"version/{key_of(draft['version'])}"
    try:
        dynamodb.put_item(
            TableName=table,
            Item=typed(draft_item(post, entry, draft, source)),
            ConditionExpression="attribute_not_exists(post)",
        )
    except refused:
        pass


def keep_latest(table, post, draft, source):
    """Becomes the latest only if it is newer than what is there: the order of arrival does not matter."""
    item = draft_item(post, "latest", draft, source)
    try:
        dynamodb.put_item(
            TableName=table,
            Item=typed(item),
            ConditionExpression="attribute_not_exists(post) OR version_key < :key",
            ExpressionAttributeValues=typed({":key": item["version_key"]}),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except refused as error:
        there = plain(error.response.get("Item", {}))
        if there.get("source") == source:
            return SAVED  # by this very message, whose first attempt was cut short
        return DUPLICATE if there.get("version_key") == item["version_key"] else STALE
    return SAVED


def overwrite_latest(table, post, draft, source):
    """What everybody writes first: the last one to arrive wins, whatever its version is."""
    dynamodb.put_item(TableName=table, Item=typed(draft_item(post, "latest", draft, source)))
    return SAVED


def note_arrival(table, post, version, outcome, arrived_ms, source):
    item = {
        "post": post,
        "entry": f"arrival/{arrived_ms:013d}/{source}",
        "version": version,
        "outcome": outcome,
        "arrived_ms": arrived_ms,
        "executed_ms": int(time.time() * 1000),
    }
    dynamodb.put_item(TableName=table, Item=typed(item))


def latest(table, post):
    """The newest draft, or None."""
    key = typed({"post": post, "entry": "latest"})
    answer = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
    return plain(answer["Item"]) if "Item" in answer else None


def entries(table, post, prefix):
    """All entries of a post that begin with `prefix`, in their order."""
    found, start = [], {}
    for _ in range(QUERY_PAGES_MAX):
        answer = dynamodb.query(
            TableName=table,
            KeyConditionExpression="post = :post AND begins_with(entry, :prefix)",
            ExpressionAttributeValues=typed({":post": post, ":prefix": prefix}),
            ConsistentRead=True,
            **start,
        )
        found += [plain(item) for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    return found
