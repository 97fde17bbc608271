"""kill -9 while events are accepted and functions run: every event that was accepted has its effect."""

import pathlib
import random
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests import running
from tests.services.lambda_.deployments import deployed, zipped

ACCOUNT = "123456789012"
KILL_AFTER_S = (0.5, 2.0)
DEADLINE_S = 100
TELL = """
import boto3, os
sqs = boto3.client("sqs")
def handler(event, context):
    for name in [event["name"]] if "name" in event else [entry["body"] for entry in event["Records"]]:
        sqs.send_message(QueueUrl=os.environ["TARGET"], MessageBody=name)
"""
GONE = (BotoCoreError, ClientError)


def invoke_until_killed(server: running.Running, prefix: str, accepted: set[str]) -> None:
    functions = server.client("lambda", ACCOUNT)
    number = 0
    while True:
        number += 1
        name = f"{prefix}-event-{number}"
        try:
            functions.invoke(
                FunctionName="tell", InvocationType="Event", Payload=f'{{"name":"{name}"}}'.encode()
            )
        except GONE:
            return
        accepted.add(name)


def send_until_killed(server: running.Running, url: str, prefix: str, accepted: set[str]) -> None:
    sqs = server.client("sqs", ACCOUNT)
    number = 0
    while True:
        number += 1
        name = f"{prefix}-message-{number}"
        try:
            sqs.send_message(QueueUrl=url, MessageBody=name)
        except GONE:
            return
        accepted.add(name)


def prepare(server: running.Running) -> tuple[str, str]:
    """The URLs of a source that feeds the function `tell`, and of the target that it tells."""
    sqs, functions = server.client("sqs", ACCOUNT), server.client("lambda", ACCOUNT)
    source = sqs.create_queue(QueueName="source", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    target = sqs.create_queue(QueueName="target")["QueueUrl"]
    environment = {"Variables": {"TARGET": target}}
    deployed(functions, "tell", zipped(TELL), Timeout=5, Environment=environment)
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:source"
    functions.create_event_source_mapping(FunctionName="tell", EventSourceArn=arn)
    return source, target


def missing(sqs: Any, target: str, accepted: set[str]) -> set[str]:
    """What has not been told when the deadline is over."""
    left, deadline = set(accepted), time.monotonic() + DEADLINE_S
    while left and time.monotonic() < deadline:
        taken = sqs.receive_message(QueueUrl=target, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in taken.get("Messages", []):
            left.discard(message["Body"])
            sqs.delete_message(QueueUrl=target, ReceiptHandle=message["ReceiptHandle"])
    return left


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_what_was_accepted_is_run(store_url: str, tmp_path: pathlib.Path, rounds: int) -> None:
    accepted: set[str] = set()
    chance = random.Random(1)
    server = running.start(store_url, tmp_path)
    source, target = prepare(server)
    for number in range(rounds):
        clients = [
            threading.Thread(target=invoke_until_killed, args=(server, f"r{number}", accepted)),
            threading.Thread(target=send_until_killed, args=(server, source, f"r{number}", accepted)),
        ]
        for client in clients:
            client.start()
        threading.Event().wait(chance.uniform(*KILL_AFTER_S))
        server.kill()
        for client in clients:
            client.join()
        server = running.start(store_url, tmp_path)
    try:
        assert len(accepted) > 10 * rounds
        assert missing(server.client("sqs", ACCOUNT), target, accepted) == set()
    finally:
        server.kill()
