"""kill -9 while versions come in the wrong order: each key ends with its highest, each message once."""

import json
import pathlib
import random
import threading
import time
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests import running
from tests.services.lambda_.deployments import deployed, zipped

ACCOUNT = "123456789012"
KILL_AFTER_S = (0.5, 2.0)
DEADLINE_S = 100
KEYS = 40
NAIVE = """
import boto3, json
table = boto3.client("dynamodb")
def handler(event, context):
    for record in event["Records"]:
        item = {name: {"S": str(value)} for name, value in json.loads(record["body"]).items()}
        table.put_item(TableName="drafts", Item=item)
"""
GONE = (BotoCoreError, ClientError)


def prepare(server: running.Running) -> str:
    """The URL of a queue that feeds the naive function, one tag on its mapping."""
    sqs, functions = server.client("sqs", ACCOUNT), server.client("lambda", ACCOUNT)
    server.client("dynamodb", ACCOUNT).create_table(
        TableName="drafts",
        KeySchema=[{"AttributeName": "post", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "post", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    url = sqs.create_queue(QueueName="drafts", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    deployed(functions, "save", zipped(NAIVE), Timeout=5)
    functions.create_event_source_mapping(
        FunctionName="save",
        EventSourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:drafts",
        Tags={"oncue:sequencing": "latest key=/post version=/version type=int"},
    )
    return str(url)


def send_until_killed(
    server: running.Running, url: str, chance: random.Random, accepted: dict[str, tuple[str, int]]
) -> None:
    sqs = server.client("sqs", ACCOUNT)
    while True:
        post, version = f"p{chance.randrange(KEYS)}", chance.randrange(1_000)
        try:
            body = json.dumps({"post": post, "version": version})
            reply = sqs.send_message(QueueUrl=url, MessageBody=body)
        except GONE:
            return
        accepted[reply["MessageId"]] = (post, version)


def asked(server: running.Running, query: str) -> Any:
    # an unsigned request speaks for the default account: this one names its own
    request = urllib.request.Request(f"{server.endpoint}/_oncue/sequencing?{query}")
    credential = f"Credential={ACCOUNT}/20260101/us-east-1/lambda/aws4_request"
    request.add_header("Authorization", f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0")
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)


def pending(server: running.Running, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = server.client("sqs", ACCOUNT)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_the_highest_version_is_the_last_whatever_dies(
    store_url: str, tmp_path: pathlib.Path, rounds: int
) -> None:
    accepted: dict[str, tuple[str, int]] = {}
    chance = random.Random(1)
    server = running.start(store_url, tmp_path)
    url = prepare(server)
    for _ in range(rounds):
        sender = threading.Thread(target=send_until_killed, args=(server, url, chance, accepted))
        sender.start()
        threading.Event().wait(chance.uniform(*KILL_AFTER_S))
        server.kill()
        sender.join()
        server = running.start(store_url, tmp_path)
    try:
        assert len(accepted) > 10 * rounds
        deadline = time.monotonic() + DEADLINE_S
        while pending(server, url):
            assert time.monotonic() < deadline, "not everything has come to an end"
            threading.Event().wait(0.2)
        items = server.client("dynamodb", ACCOUNT).scan(TableName="drafts")["Items"]
        saved = {item["post"]["S"]: int(item["version"]["S"]) for item in items}
        for number in range(KEYS):
            check_key(server, f"p{number}", saved, accepted)
    finally:
        server.kill()


def check_key(
    server: running.Running, post: str, saved: dict[str, int], accepted: dict[str, tuple[str, int]]
) -> None:
    """A message may have been stored whose acknowledgement was lost: it counts as well."""
    sent = {message_id: version for message_id, (name, version) in accepted.items() if name == post}
    found = asked(server, f"key={post}")["Keys"][0]["Timeline"]
    ended = {one["MessageId"]: one["Outcome"] for one in found}
    assert len(ended) == len(found), "one outcome for each"
    assert sent.keys() <= ended.keys()
    assert set(ended.values()) <= {"done", "superseded", "duplicate"}
    done = [int(one["Version"]) for one in sorted(found, key=lambda one: one["Fence"]) if one["Fence"]]
    assert done == sorted(set(done)), "successes go upwards"
    assert saved[post] == done[-1] >= max(sent.values())
