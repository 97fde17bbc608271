"""Sequencing through the real server: stock clients, a naive function, every delivery of three events."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from tests.services.lambda_.deployments import deployed, zipped
from tests.services.lambda_.test_sequencing import deliveries

NAIVE = """
import boto3, json
table = boto3.client("dynamodb")
def handler(event, context):
    for record in event["Records"]:
        draft = json.loads(record["body"])
        item = {name: {"S": draft[name]} for name in ("post", "version")}
        table.put_item(TableName="drafts", Item=item)
"""
LINE = "latest key=/post version=/version type=semver"
DEADLINE_S = 60


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


def test_every_delivery_through_the_server_ends_with_the_highest(client: Callable[..., Any]) -> None:
    """The naive function, and one tag on it: nothing in its code knows of versions."""
    sqs, functions, table = client("sqs"), client("lambda"), client("dynamodb")
    table.create_table(
        TableName="drafts",
        KeySchema=[{"AttributeName": "post", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "post", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    url = sqs.create_queue(QueueName="drafts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployed(functions, "save", zipped(NAIVE), Tags={"oncue:sequencing": LINE})
    functions.create_event_source_mapping(FunctionName="save", EventSourceArn=arn)
    histories = {f"p{number}": delivery for number, delivery in enumerate(deliveries())}
    for place in range(max(map(len, histories.values()))):
        entries = [
            {
                "Id": str(number),
                "MessageBody": msgspec.json.encode({"post": post, "version": history[place]}).decode(),
            }
            for number, (post, history) in enumerate(histories.items())
            if place < len(history)
        ]
        for some in tens(entries):
            sqs.send_message_batch(QueueUrl=url, Entries=some)

    def left() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    until(lambda: left() == 0)
    saved: dict[str, str] = {}
    for page in table.get_paginator("scan").paginate(TableName="drafts"):
        saved |= {item["post"]["S"]: item["version"]["S"] for item in page["Items"]}
    assert saved == dict.fromkeys(histories, "v1.2")


def tens(entries: list[Any]) -> list[list[Any]]:
    return [entries[first : first + 10] for first in range(0, len(entries), 10)]
