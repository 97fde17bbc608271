"""Invariants I1-I8 under histories of sends, duplicates, failures, crashes, lost leases and two nodes."""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from oncue.app import open_store, schema_of_the_store
from oncue.services import Call
from oncue.services.lambda_.sequencing import claims, steps
from oncue.services.lambda_.sequencing import settings as sequences
from oncue.services.lambda_.sequencing.claims import Run
from oncue.store import Store, migrations
from tests.services.lambda_.conftest import Local

LEASE_S = 30
RECEIVES_MAX = 4
KEYS = ("a", "b")
NODES = ("one", "two")
MAPPING = {"MaximumBatchingWindowInSeconds": 0}
numbers = itertools.count(10**11)


@dataclass
class World:
    """One store for all examples of a test; each example has an account of its own."""

    runner: asyncio.Runner
    store: Store
    forward: Callable[[float], None]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)


@pytest.fixture
def world(store_url: str, forward: Callable[[float], None]) -> Iterator[World]:
    steps_of_rooms = schema_of_the_store()
    for room in ("sqs", "logs", "lambda_"):
        steps_of_rooms += migrations.of_package(f"oncue.services.{room}", room)
    with asyncio.Runner() as runner:
        store = open_store(store_url, steps_of_rooms)
        runner.run(store.start())
        yield World(runner, store, forward)
        runner.run(store.stop())


@dataclass
class Effects:
    """Two stores outside: one takes whatever comes, one compares the fence."""

    naive: dict[str, str] = field(default_factory=dict)
    fenced: dict[str, tuple[int, str]] = field(default_factory=dict)

    def happen(self, run: Run) -> None:
        self.naive[run.name] = run.pending.text
        if run.fence > self.fenced.get(run.name, (0, ""))[0]:
            self.fenced[run.name] = (run.fence, run.pending.text)


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]
    line: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.local = Local(self.world.store, str(next(numbers)))
        self.uuid, self.url = self.world.do(self._deploy())
        self.sent: dict[str, tuple[str, int]] = {}  # message id: (key, version)
        self.held: dict[str, list[Run]] = {node: [] for node in NODES}
        self.fences: dict[str, int] = {}
        self.leases: dict[str, Run] = {}
        self.effects = Effects()
        self.now = 0.0

    async def _deploy(self) -> tuple[str, str]:
        _, dead = await self.local.queue("dead")
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": RECEIVES_MAX})
        url, arn = await self.local.queue("q", VisibilityTimeout=str(LEASE_S), RedrivePolicy=policy)
        await self.local.function("f", lambda event: None)
        made = await self.local.lambda_.create_event_source_mapping(
            FunctionName="f", EventSourceArn=arn, Tags={"oncue:sequencing": self.line}
        )
        return made["UUID"], url

    # What happens

    @rule(key=st.sampled_from(KEYS), version=st.integers(1, 5), twice=st.booleans())
    def send(self, key: str, version: int, twice: bool) -> None:
        for _ in range(1 + twice):
            body = json.dumps({"key": key, "version": version})
            reply = self.world.do(self.local.sqs.send_message(QueueUrl=self.url, MessageBody=body))
            self.sent[reply["MessageId"]] = (key, version)

    @rule(node=st.sampled_from(NODES), limit=st.integers(1, 3))
    def take(self, node: str, limit: int) -> None:
        def work(call: Call) -> tuple[steps.Step, float]:
            row = sequences.of_mapping(call, self.uuid)
            assert row is not None
            return steps.take(call, row, self.url, MAPPING, limit), call.now

        step, at = self.world.do(self.local.call.transact(work))
        self.sequence = step.sequence
        done = self._done()
        for run in step.runs:
            other = self.leases.get(run.name)
            assert other is None or other.until <= at, "I3: one live lease of a key"
            assert run.fence > self.fences.get(run.name, 0), "I3: fences strictly increase"
            versions = done.get(run.name, [])
            assert run.pending.attempts <= RECEIVES_MAX
            assert int(run.pending.text) > max(versions, default=0), "I2: newer than the last success"
            assert run.message["Attributes"]["SequencingFence"] == str(run.fence)
            self.fences[run.name] = run.fence
            self.leases[run.name] = run
        self.held[node] += step.runs

    @rule(node=st.sampled_from(NODES), succeeded=st.booleans())
    def complete(self, node: str, succeeded: bool) -> None:
        """The oldest invocation of a node ends, maybe long after its lease has passed."""
        if self.held[node]:
            self._end(self.held[node].pop(0), succeeded)

    @rule(node=st.sampled_from(NODES), effect=st.booleans())
    def crash(self, node: str, effect: bool) -> None:
        for run in self.held[node]:
            if effect:
                self.effects.happen(run)
        self.held[node] = []

    @rule(seconds=st.sampled_from((1.0, LEASE_S + 1.0)))
    def wait(self, seconds: float) -> None:
        self.world.forward(seconds)

    # What holds

    @invariant()
    def conservation(self) -> None:
        outcomes, parked = self._rows()
        ended = [row["message_id"] for row in outcomes]
        pending = [row["message_id"] for row in parked]
        assert len(set(ended + pending)) == len(ended + pending), "I5: one outcome, or pending"
        assert set(ended + pending) <= set(self.sent)
        done = {row["item"]: row for row in outcomes if row["outcome"] == "done"}
        for row in outcomes:
            if row["outcome"] == "superseded":
                by = done[row["by_item"]]
                assert int(by["version_text"]) > int(row["version_text"]), "I5, G4: by a higher success"
            assert row["outcome"] in ("done", "superseded", "duplicate", "dlq", "late")

    @invariant()
    def successes_increase(self) -> None:
        for key, versions in self._done().items():
            assert versions == sorted(set(versions)), f"I1: {key} {versions}"

    @invariant()
    def a_fenced_store_is_never_behind(self) -> None:
        for key, versions in self._done().items():
            assert int(self.effects.fenced[key][1]) >= versions[-1], "I8"

    def teardown(self) -> None:
        """The faults stop: everything comes to an end (I7), and the highest version is the last (I4)."""
        for runs in self.held.values():
            runs.clear()
        for _ in range(20):
            if not self._left():
                break
            self.world.forward(LEASE_S + 1)
            self.take("one", 3)
            for run in self.held["one"]:
                self._end(run, True)
            self.held["one"].clear()
        assert not self._left(), "I7"
        outcomes, _ = self._rows()
        assert {row["message_id"] for row in outcomes} == set(self.sent)
        self.conservation()
        for key, versions in self._done().items():
            self._final(key, versions, [row for row in outcomes if row["name"] == key])
        self.world.do(self.local.lambda_.delete_event_source_mapping(UUID=self.uuid))

    def _final(self, key: str, versions: list[int], outcomes: list[Any]) -> None:
        gone = {int(row["version_text"]) for row in outcomes if row["outcome"] in ("dlq", "late")}
        sent = {version for name, version in self.sent.values() if name == key}
        if self.line.startswith("latest"):
            assert max(versions) >= max(sent - gone, default=0), "I4"
        else:
            assert set(versions) | gone == sent, "I6: what did not succeed was a gap"

    # What is there

    def _end(self, run: Run, succeeded: bool) -> None:
        if succeeded:
            self.effects.happen(run)
        work = self.local.call.transact(lambda call: claims.complete(call, self.sequence, [(run, succeeded)]))
        lost = self.world.do(work)
        current = self.leases.get(run.name)
        if not lost:
            assert current is run, "a result counts only for the last who began"
            del self.leases[run.name]

    def _left(self) -> bool:
        return self.world.do(self.local.counts(self.url)) != (0, 0)

    def _rows(self) -> tuple[list[Any], list[Any]]:
        def read(call: Call) -> tuple[list[Any], list[Any]]:
            row = sequences.of_mapping(call, self.uuid)
            assert row is not None
            sql = "SELECT * FROM lambda_sequence_{} WHERE sequence = :s ORDER BY {}"
            return (
                call.tx.all(sql.format("outcomes", "id"), s=row["id"]),
                call.tx.all(sql.format("messages", "item"), s=row["id"]),
            )

        rows: tuple[list[Any], list[Any]] = self.world.do(self.local.call.transact(read))
        return rows

    def _done(self) -> dict[str, list[int]]:
        """Versions of the successes of each key, in the order of their fences."""
        found: dict[str, list[int]] = {}
        for row in sorted(self._rows()[0], key=lambda row: row["fence"]):
            if row["outcome"] == "done":
                found.setdefault(row["name"], []).append(int(row["version_text"]))
        return found


@pytest.mark.parametrize(
    "line",
    [
        "latest key=/key version=/version type=int",
        "in-order key=/key version=/version gap=20s late=drop",
    ],
)
def test_the_invariants_hold_in_every_history(world: World, line: str) -> None:
    machine = type("Example", (Machine,), {"world": world, "line": line})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
