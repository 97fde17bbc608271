"""Queues as sources: what is received is run, deleted when it succeeded, and never lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services.lambda_ import leases, sources
from oncue.store import Store
from tests.services.lambda_.conftest import ACCOUNT, Local


def bodies(event: Any) -> list[str]:
    return [record["body"] for record in event["Records"]]


def ran(local: Local) -> list[str]:
    return [body for _, event in local.pool.seen for body in bodies(event)]


async def mapped(local: Local, handler: Callable[[Any], Any], *, queue: str = "q", **options: Any) -> str:
    """The URL of a queue that feeds the function `f`."""
    attributes = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
    url, arn = await local.queue(queue, VisibilityTimeout="30", **attributes)
    await local.function("f", handler)
    await local.lambda_.create_event_source_mapping(FunctionName="f", EventSourceArn=arn, **options)
    return url


async def test_a_message_reaches_its_function_and_is_deleted(local: Local) -> None:
    url = await mapped(local, lambda event: None)
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    await local.send(url, "hello", MessageAttributes=attributes)
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    record = local.pool.seen[0][1]["Records"][0]
    assert record["body"] == "hello"
    assert record["eventSourceARN"] == f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
    assert record["messageAttributes"]["kind"]["stringValue"] == "order"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    await local.until_counts(url, (0, 0))


async def test_many_messages_run_in_batches(local: Local) -> None:
    url = await mapped(local, lambda event: None, BatchSize=3, Enabled=False)
    await local.send(url, *(str(index) for index in range(10)))
    uuid = (await local.lambda_.list_event_source_mappings())["EventSourceMappings"][0]["UUID"]
    await local.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    await local.pool.until(lambda: len(ran(local)) == 10)
    assert sorted(ran(local)) == sorted(str(index) for index in range(10))
    assert max(len(bodies(event)) for _, event in local.pool.seen) == 3
    await local.until_counts(url, (0, 0))


async def test_a_failed_batch_comes_again_after_the_visibility_timeout(
    local: Local, forward: Callable[[float], None]
) -> None:
    tries: list[str] = []

    def fail_once(event: Any) -> None:
        tries.append(event["Records"][0]["attributes"]["ApproximateReceiveCount"])
        if len(tries) == 1:
            raise ArithmeticError("no")

    url = await mapped(local, fail_once)
    await local.send(url, "x")
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await local.until_counts(url, (0, 1))
    await local.until_idle()
    forward(31)
    await local.send(url, "ring")
    await local.pool.until(lambda: ran(local).count("x") == 2)
    assert "2" in tries
    await local.until_counts(url, (0, 0))


async def test_only_what_is_reported_comes_again(local: Local, forward: Callable[[float], None]) -> None:
    def report(event: Any) -> Any:
        bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        once = len(local.pool.seen) == 1
        return {"batchItemFailures": [{"itemIdentifier": name} for name in bad if once]}

    url = await mapped(
        local, report, Enabled=False, FunctionResponseTypes=["ReportBatchItemFailures"], BatchSize=10
    )
    await local.send(url, "good", "bad", "fine")
    uuid = (await local.lambda_.list_event_source_mappings())["EventSourceMappings"][0]["UUID"]
    await local.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    await local.until_counts(url, (0, 1))
    await local.until_idle()
    forward(31)
    await local.send(url, "ring")
    await local.until_counts(url, (0, 0))
    assert ran(local).count("bad") == 2
    assert ran(local).count("good") == ran(local).count("fine") == 1


async def test_a_window_gathers_a_batch(local: Local) -> None:
    url = await mapped(local, lambda event: None, BatchSize=12, MaximumBatchingWindowInSeconds=300)
    await local.send(url, *(str(index) for index in range(12)))
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    assert len(ran(local)) == 12
    await local.until_counts(url, (0, 0))


async def test_a_window_ends_with_what_there_is(local: Local) -> None:
    url = await mapped(local, lambda event: None, BatchSize=12, MaximumBatchingWindowInSeconds=1)
    await local.send(url, "alone")
    await local.pool.until(lambda: ran(local) == ["alone"])
    await local.until_counts(url, (0, 0))


async def test_groups_stay_in_order(local: Local) -> None:
    running: set[str] = set()

    async def one_at_a_time(event: Any) -> None:
        groups = {record["attributes"]["MessageGroupId"] for record in event["Records"]}
        assert not groups & running
        running.update(groups)
        await asyncio.sleep(0)
        running.difference_update(groups)

    url = await mapped(local, one_at_a_time, queue="q.fifo", BatchSize=2)
    for index in range(12):
        group = f"g{index % 3}"
        await local.send(url, f"{group} {index:02}", MessageGroupId=group, MessageDeduplicationId=str(index))
    await local.pool.until(lambda: len(ran(local)) == 12)
    for group in ("g0", "g1", "g2"):
        mine = [body for body in ran(local) if body.startswith(group)]
        assert mine == sorted(mine)
    await local.until_counts(url, (0, 0))


async def test_no_more_runs_at_once_than_allowed(local: Local) -> None:
    release = asyncio.Event()
    most = 0
    running = 0

    async def slow(event: Any) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    url = await mapped(local, slow, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    await local.send(url, *(str(index) for index in range(5)))
    await local.pool.until(lambda: len(local.pool.seen) == 2)
    assert await local.counts(url) == (3, 2)
    release.set()
    await local.until_counts(url, (0, 0))
    assert most == 2


async def test_reserved_concurrency_bounds_a_source(local: Local) -> None:
    release = asyncio.Event()

    async def slow(event: Any) -> None:
        await release.wait()

    url = await mapped(local, slow, BatchSize=1, Enabled=False)
    await local.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    await local.send(url, "a", "b")
    uuid = (await local.lambda_.list_event_source_mappings())["EventSourceMappings"][0]["UUID"]
    await local.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    with pytest.raises(ServiceError) as throttled:
        await local.lambda_.invoke(FunctionName="f")
    assert (throttled.value.code, throttled.value.status) == ("TooManyRequestsException", 429)
    assert await local.counts(url) == (1, 1)
    release.set()
    await local.until_counts(url, (0, 0))


async def test_a_deleted_mapping_takes_no_more(local: Local) -> None:
    url = await mapped(local, lambda event: None)
    uuid = (await local.lambda_.list_event_source_mappings())["EventSourceMappings"][0]["UUID"]
    await local.send(url, "before")
    await local.until_counts(url, (0, 0))
    deleted = await local.lambda_.delete_event_source_mapping(UUID=uuid)
    assert deleted["State"] == "Deleting"

    async def idle() -> bool:
        return not local.rooms["lambda"]._sources._pollers  # type: ignore[attr-defined]

    await local.until(idle)
    await local.send(url, "after")
    assert await local.counts(url) == (1, 0)
    assert ran(local) == ["before"]


async def test_a_stopping_node_gives_its_messages_back(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "STOP_S", 0.01)
    local = Local(opened)
    never = asyncio.Event()

    async def hang(event: Any) -> None:
        await never.wait()

    await local.start()
    url = await mapped(local, hang)
    await local.send(url, "x")
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await local.stop()
    assert await local.counts(url) == (1, 0)


async def test_a_window_that_is_cut_off_gives_its_messages_back(opened: Store) -> None:
    local = Local(opened)
    await local.start()
    url = await mapped(local, lambda event: None, BatchSize=12, MaximumBatchingWindowInSeconds=300)
    await local.send(url, "x")
    await local.until_counts(url, (0, 1))
    await local.stop()
    assert await local.counts(url) == (1, 0)


async def test_a_source_waits_for_its_function(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PAUSE_S", 0.01)
    url = await mapped(local, lambda event: None, Enabled=False)
    uuid = (await local.lambda_.list_event_source_mappings())["EventSourceMappings"][0]["UUID"]
    await local.lambda_.delete_function(FunctionName="f")
    await local.send(url, "x")
    await local.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)

    async def polling() -> bool:
        return bool(local.rooms["lambda"]._sources._pollers)  # type: ignore[attr-defined]

    await local.until(polling)
    assert await local.counts(url) == (1, 0)
    await local.function("f", lambda event: None)
    await local.until_counts(url, (0, 0))
    assert ran(local) == ["x"]


CREATE: dict[str, Any] = {"FunctionName": "f", "EventSourceArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"EventSourceArn": None}, "Unrecognized event source."),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:1:stream/s"}, "only Amazon SQS queues"),
        (
            {"EventSourceArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:missing"},
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
            "SQS Error Message: The specified queue does not exist.",
        ),
        ({"FunctionName": "missing"}, "Function does not exist"),
        (
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "FilterCriteria"),
        (
            {"FunctionName": "slow"},
            "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds",
        ),
    ],
)
async def test_refusals(local: Local, changes: dict[str, Any], sentence: str) -> None:
    await local.queue("q")
    await local.function("f", lambda event: None)
    await local.function("slow", lambda event: None, Timeout=60)
    with pytest.raises(ServiceError) as refused:
        await local.lambda_.create_event_source_mapping(**CREATE | changes)
    assert refused.value.code == "InvalidParameterValueException"
    assert sentence in refused.value.message
    assert (await local.lambda_.list_event_source_mappings())["EventSourceMappings"] == []


async def test_a_mapping_is_made_once(local: Local) -> None:
    await local.queue("q")
    await local.function("f", lambda event: None)
    made = await local.lambda_.create_event_source_mapping(**CREATE)
    assert made["State"] == "Creating"
    assert made["BatchSize"] == 10
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
    with pytest.raises(ServiceError) as refused:
        await local.lambda_.create_event_source_mapping(**CREATE)
    assert (refused.value.code, refused.value.status) == ("ResourceConflictException", 409)
    assert refused.value.message.endswith(f"the existing mapping with UUID {made['UUID']}")
    got = await local.lambda_.get_event_source_mapping(UUID=made["UUID"])
    assert got == made | {"State": "Enabled"}
    changed = await local.lambda_.update_event_source_mapping(UUID=made["UUID"], Enabled=False)
    assert changed["State"] == "Disabling"
    got = await local.lambda_.get_event_source_mapping(UUID=made["UUID"])
    assert got["State"] == "Disabled"
    tags = {"Resource": got["EventSourceMappingArn"]}
    await local.lambda_.tag_resource(**tags, Tags={"oncue:sequencing": "serial key=/id", "a": "b"})
    await local.lambda_.untag_resource(**tags, TagKeys=["a"])
    assert await local.lambda_.list_tags(**tags) == {"Tags": {"oncue:sequencing": "serial key=/id"}}


async def test_a_mapping_that_another_node_made_is_noticed(opened: Store) -> None:
    asked, working = Local(opened), Local(opened)
    await working.start()
    working.pool.handlers["f"] = lambda event: None
    url = await mapped(asked, lambda event: None)
    await asked.send(url, "x")
    await asked.until_counts(url, (0, 0))
    assert (ran(asked), ran(working)) == ([], ["x"])
    await working.stop()


async def test_two_nodes_share_a_queue(opened: Store) -> None:
    nodes = [Local(opened), Local(opened)]
    for node in nodes:
        await node.start()
        node.pool.handlers["f"] = lambda event: None
    url = await mapped(nodes[0], lambda event: None, BatchSize=1)
    await nodes[1].send(url, *(str(index) for index in range(20)))
    await nodes[0].until_counts(url, (0, 0))
    assert sorted(ran(nodes[0]) + ran(nodes[1])) == sorted(str(index) for index in range(20))
    for node in nodes:
        await node.stop()


async def test_a_failed_windowed_batch_is_hidden_long_enough(
    local: Local, forward: Callable[[float], None]
) -> None:
    def fail_once(event: Any) -> None:
        if len(local.pool.seen) == 1:
            raise ArithmeticError("no")

    url = await mapped(local, fail_once, BatchSize=2, MaximumBatchingWindowInSeconds=60)
    await local.send(url, "a", "b")
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await local.until_counts(url, (0, 2))
    await local.until_idle()
    forward(60 + 3 + 29)  # window + function timeout + AWS's margin, less one
    assert await local.counts(url) == (0, 2)
    assert len(local.pool.seen) == 1
    await local.until_idle()
    forward(2)
    await local.send(url, "ring")
    await local.pool.until(lambda: len(local.pool.seen) == 2)


async def test_a_message_stays_hidden_while_its_function_runs_and_a_node_lives(
    local: Local, forward: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    release, turn, renewed = asyncio.Event(), 0, -1
    hide = leases.Leases._hide

    async def counted(self: Any, times: dict[str, int]) -> None:
        nonlocal renewed
        begun = turn
        await hide(self, times)
        renewed = begun

    async def renewed_since() -> bool:
        return renewed == turn

    async def slow(event: Any) -> None:
        await release.wait()

    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(leases.Leases, "_hide", counted)
    url = await mapped(local, slow)
    await local.send(url, "x")
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    for _ in range(5):
        forward(leases.LEASE_S - 3)
        turn += 1
        await local.until(renewed_since)
    assert await local.counts(url) == (0, 1)
    dead = asyncio.Event()

    async def die(self: Any, times: dict[str, int]) -> None:
        dead.set()

    monkeypatch.setattr(leases.Leases, "_hide", die)
    await asyncio.wait_for(dead.wait(), 10)
    forward(leases.LEASE_S + 1)  # as if the node had died
    assert await local.counts(url) == (1, 0)
    release.set()


async def test_what_comes_after_a_failure_in_a_group_waits_for_it(
    local: Local, forward: Callable[[float], None]
) -> None:
    failed = False

    def fail_first(event: Any) -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise ArithmeticError("no")

    url = await mapped(local, fail_first, queue="q.fifo", BatchSize=1)
    for body in ("1", "2", "3"):
        await local.send(url, body, MessageGroupId="g", MessageDeduplicationId=body)
    await local.pool.until(lambda: len(local.pool.seen) == 1)
    await local.until_counts(url, (2, 1))
    await local.until_idle()
    assert ran(local) == ["1"]
    forward(31)
    await local.send(url, "other", MessageGroupId="h", MessageDeduplicationId="h")
    await local.until_counts(url, (0, 0))
    assert [body for body in ran(local) if body != "other"] == ["1", "1", "2", "3"]
