"""kill -9 between an event and its effect: each event that was acknowledged is carried out after the
restart."""

import http.client
import io
import json
import pathlib
import threading
import zipfile
from typing import Any

import pytest

from tests import running
from tests.wire import Refused, Wire

CODE = """
import os, boto3
table = boto3.client("dynamodb")

def handler(event, context):
    for record in event["Records"]:
        table.put_item(TableName="effects", Item={"id": {"S": record["body"]}, "by": {"S": str(os.getpid())}})
"""
EVENTS = 300
SENDERS = 4
KILL_AT = 100
DONE_S = 90
UNKNOWN = (OSError, http.client.HTTPException)


def archive(code: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", code)
    return packed.getvalue()


def deploy(server: running.Running) -> str:
    """A queue, a table, and a function between them; the queue's URL."""
    sqs, table, functions = server.client("sqs"), server.client("dynamodb"), server.client("lambda")
    url = sqs.create_queue(QueueName="events", Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    table.create_table(
        TableName="effects",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    functions.create_function(
        FunctionName="effect",
        Runtime="python3.11",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": archive(CODE)},
        Timeout=3,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="effect")
    functions.create_event_source_mapping(FunctionName="effect", EventSourceArn=arn, BatchSize=5)
    return str(url)


def send(
    server: running.Running, url: str, numbers: list[int], sent: set[str], enough: threading.Event
) -> list[int]:
    """Sends until the server is gone; what was not acknowledged."""
    wire = Wire(server.port)
    while numbers:
        try:
            wire.call("SendMessage", QueueUrl=url, MessageBody=str(numbers[0]))
        except UNKNOWN:
            break
        sent.add(str(numbers.pop(0)))
        if len(sent) >= KILL_AT:
            enough.set()
    return numbers


def effects(server: running.Running) -> set[str]:
    wire, found, start = Wire(server.port, "dynamodb"), set(), {}
    while True:
        page: dict[str, Any] = wire.call("Scan", TableName="effects", ConsistentRead=True, **start)
        found |= {item["id"]["S"] for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def wait_for(server: running.Running, wanted: set[str], more_than: int = -1) -> set[str]:
    """Until all wanted effects are there, or time is over; a long poll on an empty queue is the pause
    between looks."""
    wire = Wire(server.port)
    pause = wire.call("CreateQueue", QueueName="pause")["QueueUrl"]
    found: set[str] = set()
    for _ in range(DONE_S):
        found = effects(server)
        if wanted <= found and len(found) > more_than:
            break
        wire.call("ReceiveMessage", QueueUrl=pause, WaitTimeSeconds=1)
    return found


def descendants(pid: int) -> set[int]:
    """The living processes that stem from a process."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := stat_of(int(entry.name))):
            parents[int(entry.name)] = int(stat[1])
    found, more = set(), {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return found


def stat_of(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None for what is dead or a zombie."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields if fields[0] != "Z" else None


def assert_gone(workers: set[int]) -> None:
    """Nothing of a killed node lives on."""
    assert len(workers) > 1, "no worker was running when the server was killed"
    pause = threading.Event()
    for _ in range(100):
        alive = {pid for pid in workers if stat_of(pid)}
        if not alive:
            return
        pause.wait(0.05)
    raise AssertionError(f"left behind: {alive}")


@pytest.mark.crash
def test_every_acknowledged_event_has_its_effect(store_url: str, tmp_path: pathlib.Path, rounds: int) -> None:
    server = running.start(store_url, tmp_path)
    url = deploy(server)
    sent: set[str] = set()
    try:
        for turn in range(rounds):
            numbers = [list(range(turn * EVENTS + s, (turn + 1) * EVENTS, SENDERS)) for s in range(SENDERS)]
            enough = threading.Event()
            already = len(sent)
            acknowledged: set[str] = set()
            threads = [
                threading.Thread(target=send, args=(server, url, some, acknowledged, enough))
                for some in numbers
            ]
            for thread in threads:
                thread.start()
            assert enough.wait(running.READY_S)
            wait_for(server, sent, more_than=len(sent))
            workers = descendants(server.process.pid)
            server.kill()
            for thread in threads:
                thread.join(running.STOP_S)
            sent |= acknowledged
            assert len(sent) > already
            assert_gone(workers)
            server = running.start(store_url, tmp_path, port=server.port)
        found = wait_for(server, sent)
    finally:
        server.kill()
    assert sent - found == set(), f"{len(sent - found)} acknowledged events have no effect"


def test_a_refusal_changes_nothing(server: running.Running, account: str) -> None:
    wire = Wire(server.port, account=account)
    url = wire.call("CreateQueue", QueueName="strict")["QueueUrl"]
    for broken in (
        {"MessageBody": ""},
        {"MessageBody": "x", "DelaySeconds": 901},
        {"MessageBody": "x", "Nonsense": 1},
    ):
        with pytest.raises(Refused, match="400"):
            wire.call("SendMessage", QueueUrl=url, **broken)
    counts = wire.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert json.dumps(counts["Attributes"]) == '{"ApproximateNumberOfMessages": "0"}'
