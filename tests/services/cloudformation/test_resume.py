"""A stack operation goes on where it was after the power switch."""

import pathlib
from typing import Any

import pytest

from tests import running

QUEUES = 40
BODY = "Resources:\n" + "".join(
    f"  Q{n}:\n    Type: AWS::SQS::Queue\n" + (f"    DependsOn: Q{n - 1}\n" if n else "")
    for n in range(QUEUES)
)
QUICKLY = {"Delay": 0.05, "MaxAttempts": 1_000}


def complete(cloud: Any, status: str) -> int:
    """How many resources have got there so far."""
    rows = cloud.list_stack_resources(StackName="many")["StackResourceSummaries"]
    return sum(row["ResourceStatus"] == status for row in rows)


def kill_when(server: running.Running, cloud: Any, status: str, at_least: int) -> None:
    for _ in range(10_000):
        if complete(cloud, status) >= at_least:
            server.kill()
            return
    raise AssertionError(f"{at_least} resources never became {status}")


@pytest.mark.crash
def test_creation_and_deletion_survive_a_kill(store_url: str, tmp_path: pathlib.Path) -> None:
    server = running.start(store_url, tmp_path / "data")
    try:
        cloud = server.client("cloudformation")
        stack = cloud.create_stack(StackName="many", TemplateBody=BODY)["StackId"]
        kill_when(server, cloud, "CREATE_COMPLETE", 5)
        server = running.start(store_url, tmp_path / "data", port=server.port)
        assert complete(cloud, "CREATE_COMPLETE") < QUEUES
        cloud.get_waiter("stack_create_complete").wait(StackName="many", WaiterConfig=QUICKLY)
        assert len(server.client("sqs").list_queues()["QueueUrls"]) == QUEUES
        made = [event for event in history(cloud, stack) if event[1] == "CREATE_COMPLETE"]
        assert len(made) == len(set(made)) == QUEUES + 1
        cloud.delete_stack(StackName="many")
        for _ in range(10_000):
            if complete(cloud, "CREATE_COMPLETE") <= QUEUES - 5:
                break
        server.kill()
        server = running.start(store_url, tmp_path / "data", port=server.port)
        cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICKLY)
        assert server.client("sqs").list_queues().get("QueueUrls", []) == []
        gone = [event for event in history(cloud, stack) if event[1] == "DELETE_COMPLETE"]
        assert len(gone) == len(set(gone)) == QUEUES + 1
    finally:
        server.kill()


def history(cloud: Any, stack: str) -> list[tuple[str, str]]:
    pages = cloud.get_paginator("describe_stack_events").paginate(StackName=stack)
    return [
        (row["LogicalResourceId"], row["ResourceStatus"]) for page in pages for row in page["StackEvents"]
    ]
