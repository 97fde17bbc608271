"""Sequenced mappings in process, on both stores: what arrives in any order ends as its versions say."""

import asyncio
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from oncue.services import Call
from oncue.services.lambda_.sequencing import claims, settings, steps
from oncue.services.lambda_.sequencing.steps import Step
from oncue.store import Store
from tests.services.lambda_.conftest import Local

LATEST = "latest key=/post version=/version type=semver"
TAG = "oncue:sequencing"


def body(version: Any, post: str = "p1", **more: Any) -> str:
    return msgspec.json.encode({"post": post, "version": version} | more).decode()


def version_of(record: Any) -> Any:
    return msgspec.json.decode(record["body"])["version"]


class Application:
    """A queue, its dead-letter queue, and a function that notes what it is given."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.records: list[Any] = []
        self.fails: Callable[[Any], bool] = lambda record: False
        self.uuid = ""
        self.url = ""

    def handler(self, event: Any) -> Any:
        self.records += event["Records"]
        if any(self.fails(record) for record in event["Records"]):
            raise ArithmeticError("told to")

    def versions(self, post: str = "p1") -> list[Any]:
        return [version_of(record) for record in self.records if key_of(record) == post]

    async def deploy(self, line: str, *, receives: int = 3, fifo: bool = False, **options: Any) -> None:
        suffix = ".fifo" if fifo else ""
        kind = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        self.dead_url, dead = await self.local.queue(
            f"dead{suffix}", **({"FifoQueue": "true"} if fifo else {})
        )
        policy = msgspec.json.encode({"deadLetterTargetArn": dead, "maxReceiveCount": receives}).decode()
        self.url, self.arn = await self.local.queue(
            f"q{suffix}", VisibilityTimeout="5", RedrivePolicy=policy, **kind
        )
        await self.local.function("f", self.handler)
        made = await self.local.lambda_.create_event_source_mapping(
            FunctionName="f", EventSourceArn=self.arn, Tags={TAG: line}, **options
        )
        self.uuid = made["UUID"]

    async def key(self, post: str = "p1") -> dict[str, Any]:
        found = await self.local.lambda_.find_sequence_key(Key=post)
        return dict(found["Keys"][0])

    async def outcomes(self, post: str = "p1") -> list[tuple[str, str]]:
        return [(one["Version"], one["Outcome"]) for one in (await self.key(post))["Timeline"]]

    async def until_done(self, count: int) -> None:
        async def done() -> bool:
            counts = (await self.local.lambda_.get_sequence(UUID=self.uuid))["Counts"]
            return bool(counts.get("done", 0) >= count)

        await self.local.until(done)

    async def until_settled(self, count: int) -> None:
        async def settled() -> bool:
            counts = (await self.local.lambda_.get_sequence(UUID=self.uuid))["Counts"]
            return counts["pending"] == 0 and sum(counts.values()) - counts["conflict"] == count

        await self.local.until(settled)


def key_of(record: Any) -> str:
    return str(record["attributes"].get("SequencingKey"))


@pytest.fixture
def application(local: Local) -> Application:
    return Application(local)


async def test_an_older_version_that_comes_later_is_superseded(application: Application) -> None:
    await application.deploy(LATEST)
    await application.local.send(application.url, body("v1.2"))
    await application.until_settled(1)
    await application.local.send(application.url, body("v1.0"), body("v1.1"), body("1.2.0"))
    await application.until_settled(4)
    assert application.versions() == ["v1.2"]
    assert sorted(await application.outcomes()) == [
        ("1.2.0", "duplicate"),
        ("v1.0", "superseded"),
        ("v1.1", "superseded"),
        ("v1.2", "done"),
    ]
    timeline = {one["Version"]: one for one in (await application.key())["Timeline"]}
    assert timeline["v1.0"]["ByVersion"] == "v1.2"
    assert timeline["1.2.0"]["Detail"].startswith("conflict")
    await application.local.until_counts(application.url, (0, 0))
    attributes = application.records[0]["attributes"]
    assert attributes["SequencingKey"] == "p1"
    assert attributes["SequencingVersion"] == "v1.2"
    assert attributes["SequencingFence"] == "1"
    assert attributes["SequencingCoalesced"] == "0"
    assert "SequencingPrevious" not in attributes


EVENTS = ("v1.2", "v1.0", "v1.1")


def deliveries() -> list[tuple[str, ...]]:
    """Every order in which three events can come, each of them once or twice."""
    found: set[tuple[str, ...]] = set()
    for copies in itertools.product((1, 2), repeat=len(EVENTS)):
        parts = [event for event, count in zip(EVENTS, copies, strict=True) for _ in range(count)]
        found |= set(itertools.permutations(parts))
    return sorted(found)


async def test_every_delivery_of_three_events_ends_with_the_highest(application: Application) -> None:
    """The invariants I1, I2, I5 and I10 on the seed's story: a naive save, and 222 histories."""
    await application.deploy(LATEST, BatchSize=10)
    saved: dict[str, str] = {}

    def save(event: Any) -> None:
        for record in event["Records"]:
            application.records.append(record)
            saved[msgspec.json.decode(record["body"])["post"]] = version_of(record)

    application.local.pool.handlers["f"] = save
    histories = {f"p{number}": delivery for number, delivery in enumerate(deliveries())}
    assert len(histories) == 222
    for place in range(max(map(len, histories.values()))):
        bodies = [body(history[place], post) for post, history in histories.items() if place < len(history)]
        await application.local.send(application.url, *bodies)
    await application.until_settled(sum(map(len, histories.values())))
    assert saved == dict.fromkeys(histories, "v1.2")
    for post, history in histories.items():
        ran = application.versions(post)
        assert ran == sorted(set(ran)), "versions of successes strictly increase"
        ended = await application.outcomes(post)
        assert sorted(version for version, _ in ended) == sorted(history)
        assert sorted(version for version, outcome in ended if outcome == "done") == ran
        assert {outcome for _, outcome in ended} <= {"done", "superseded", "duplicate"}


async def test_two_nodes_share_the_keys(local: Local) -> None:
    """1,500 random versions of 12 keys, two nodes, failures: one at a time, upwards, and few runs."""
    application, other = Application(local), Local(local.store)
    chance = random.Random(7)
    running: set[str] = set()
    overlaps: list[str] = []
    runs: list[tuple[str, int, int]] = []

    async def handler(event: Any) -> dict[str, Any]:
        failed = []
        for record in event["Records"]:
            key = key_of(record)
            if key in running:
                overlaps.append(key)
            running.add(key)
        await asyncio.sleep(0)
        for record in event["Records"]:
            key, fence = key_of(record), int(record["attributes"]["SequencingFence"])
            running.discard(key)
            if chance.random() < 0.1:
                failed.append({"itemIdentifier": record["messageId"]})
            else:
                runs.append((key, fence, version_of(record)))
        return {"batchItemFailures": failed}

    await application.deploy(
        "latest key=/post version=/version",
        receives=50,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        BatchSize=3,
    )
    for node in (local, other):
        node.pool.handlers["f"] = handler
    await other.start()
    sent = [(f"p{chance.randrange(12)}", chance.randrange(1, 200)) for _ in range(1_500)]
    try:
        for first in range(0, len(sent), 50):
            bodies = [body(version, post) for post, version in sent[first : first + 50]]
            await asyncio.gather(*(application.local.send(application.url, one) for one in bodies))
        await application.until_settled(len(sent))
    finally:
        await other.stop()
    assert overlaps == [], "one at a time"
    assert {node.pool.seen != [] for node in (local, other)} == {True}, "both had a part in it"
    assert len(runs) < len(sent) / 3, "most were superseded without a run"
    for post in {post for post, _ in sent}:
        ran = [(fence, version) for key, fence, version in sorted(runs) if key == post]
        assert [version for _, version in ran] == sorted({version for _, version in ran})
        assert ran[-1][1] == max(version for name, version in sent if name == post)


async def test_a_message_that_comes_while_a_run_ends_is_not_forgotten(opened: Store) -> None:
    """The end of a run waits for an admission under way (the row lock), and sees what it has parked."""
    application = Application(Local(opened))
    local = application.local
    await application.deploy(LATEST)
    mapping = {"MaximumBatchingWindowInSeconds": 0}

    def take(call: Call, ended: threading.Event | None = None, begun: threading.Event | None = None) -> Step:
        row = settings.of_mapping(call, application.uuid)
        assert row is not None
        step = steps.take(call, row, application.url, mapping, 1)
        if begun is not None and ended is not None:
            begun.set()
            ended.wait(0.3)  # the transaction stays open meanwhile
        return step

    await local.send(application.url, body("1.1"))
    first = await local.call.transact(take)
    await local.send(application.url, body("1.2"))
    begun, ended = threading.Event(), threading.Event()
    second = asyncio.create_task(local.call.transact(lambda call: take(call, ended, begun)))
    await asyncio.to_thread(begun.wait, 5)
    runs = [(first.runs[0], True)]
    await local.call.transact(lambda call: claims.complete(call, first.sequence, runs))
    ended.set()
    assert (await second).runs == []
    third = await local.call.transact(take)
    assert [run.pending.text for run in third.runs] == ["1.2"]
