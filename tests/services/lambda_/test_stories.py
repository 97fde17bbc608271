"""Queues, functions and logs together, on a real server with real workers."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import running
from tests.services.lambda_.deployments import deployed, zipped

DEADLINE_S = 40
FORWARD = """
import boto3, json, os
sqs = boto3.client("sqs")
def handler(event, context):
    for record in event["Records"]:
        sqs.send_message(QueueUrl=os.environ["TARGET"], MessageBody="done " + record["body"])
"""
PARTIAL = """
import boto3, os
sqs = boto3.client("sqs")
def handler(event, context):
    failed = []
    for record in event["Records"]:
        tries = record["attributes"]["ApproximateReceiveCount"]
        sqs.send_message(QueueUrl=os.environ["TARGET"], MessageBody=record["body"] + " " + tries)
        if record["body"] == "bad" and tries == "1":
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""
TELL = """
import boto3, os
sqs = boto3.client("sqs")
def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["TARGET"], MessageBody=str(event["n"]))
    print("told", event["n"])
"""
CRASH = """
import boto3, os
sqs = boto3.client("sqs")
def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["TARGET"], MessageBody="tried")
    os._exit(1)
"""


def queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    """(url, arn)"""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def received(sqs: Any, url: str, count: int) -> list[str]:
    """The bodies of the next `count` messages, each deleted."""
    bodies: list[str] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(bodies) < count:
        assert time.monotonic() < deadline, f"only {bodies}"
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", []):
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def empty(sqs: Any, url: str) -> None:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + DEADLINE_S
    while True:
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if set(got.values()) == {"0"}:
            return
        assert time.monotonic() < deadline, got


def with_target(url: str) -> dict[str, Any]:
    return {"Environment": {"Variables": {"TARGET": url}}, "Timeout": 20}


def test_a_queue_feeds_a_function_that_feeds_a_queue(client: Callable[..., Any]) -> None:
    sqs, functions = client("sqs"), client("lambda")
    source, source_arn = queue(sqs, "source")
    target, _ = queue(sqs, "target")
    deployed(functions, "forward", zipped(FORWARD), **with_target(target))
    functions.create_event_source_mapping(FunctionName="forward", EventSourceArn=source_arn, BatchSize=2)
    entries = [{"Id": str(index), "MessageBody": str(index)} for index in range(6)]
    sqs.send_message_batch(QueueUrl=source, Entries=entries)
    assert sorted(received(sqs, target, 6)) == [f"done {index}" for index in range(6)]
    empty(sqs, source)


def test_what_is_reported_as_failed_comes_again(client: Callable[..., Any]) -> None:
    sqs, functions = client("sqs"), client("lambda")
    source, source_arn = queue(sqs, "source", VisibilityTimeout="3")
    target, _ = queue(sqs, "target")
    deployed(functions, "f", zipped(PARTIAL), Environment={"Variables": {"TARGET": target}})
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=source_arn, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    for body in ("good", "bad"):
        sqs.send_message(QueueUrl=source, MessageBody=body)
    assert sorted(received(sqs, target, 3)) == ["bad 1", "bad 2", "good 1"]
    empty(sqs, source)


def test_an_event_is_accepted_and_run(client: Callable[..., Any]) -> None:
    sqs, functions = client("sqs"), client("lambda")
    target, _ = queue(sqs, "target")
    deployed(functions, "tell", zipped(TELL), **with_target(target))
    reply = functions.invoke(FunctionName="tell", InvocationType="Event", Payload=b'{"n": 7}')
    assert (reply["StatusCode"], reply["Payload"].read()) == (202, b"")
    assert received(sqs, target, 1) == ["7"]


def tail(logs: Any, group: str, text: str) -> list[str]:
    """The messages of a group, as soon as one of them has `text`."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            events = logs.filter_log_events(logGroupName=group, interleaved=True)["events"]
            if any(text in event["message"] for event in events):
                return [event["message"] for event in events]
        assert time.monotonic() < deadline, f"{text!r} is not in {group}"


def test_output_is_in_the_logs(client: Callable[..., Any], server: running.Running, account: str) -> None:
    functions, logs = client("lambda"), client("logs")
    deployed(functions, "talk", zipped("def handler(event, context):\n    print('hear me')\n"))
    request_id = functions.invoke(FunctionName="talk")["ResponseMetadata"]["RequestId"]
    lines = tail(logs, "/aws/lambda/talk", "REPORT")
    kinds = [line.split()[0] for line in lines if not line.startswith("INIT_START")]
    assert kinds == ["START", "hear", "END", "REPORT"]
    assert f"START RequestId: {request_id} Version: $LATEST" in "".join(lines)
    stream = logs.describe_log_streams(logGroupName="/aws/lambda/talk")["logStreams"][0]["logStreamName"]
    assert "[$LATEST]" in stream
    printed = subprocess.run(
        [
            *(Path(sys.executable).parent / "aws", "logs", "filter-log-events"),
            *("--log-group-name", "/aws/lambda/talk", "--filter-pattern", '"hear me"'),
        ],
        env=os.environ
        | {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    assert [event["message"] for event in json.loads(printed.stdout)["events"]] == ["hear me\n"]


def test_a_function_that_kills_its_process_fails_alone(client: Callable[..., Any]) -> None:
    sqs, functions = client("sqs"), client("lambda")
    target, _ = queue(sqs, "target")
    deployed(functions, "crash", zipped(CRASH), **with_target(target))
    reply = functions.invoke(FunctionName="crash")
    assert reply["FunctionError"] == "Unhandled"
    assert json.load(reply["Payload"])["errorType"] == "Runtime.ExitError"
    functions.invoke(FunctionName="crash", InvocationType="Event", Payload=b"{}")
    assert received(sqs, target, 2) == ["tried", "tried"]
    functions.update_function_code(FunctionName="crash", ZipFile=zipped())
    assert functions.invoke(FunctionName="crash")["StatusCode"] == 200
