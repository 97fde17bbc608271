"""A standard queue against a model that fits on a page, under any order of operations and any clock, on both
stores."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oncue import clock
from oncue.app import open_store, schema_of_the_store
from oncue.errors import ServiceError
from oncue.services.sqs import Sqs, messages
from oncue.store import migrations
from tests.services.sqs.conftest import ACCOUNT, Local

RETENTION_S = 345_600
RECEIVES_MAX = 3
NUMBERS = itertools.count()


class Still:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0
        self._system = clock._System()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def random_bytes(self, count: int) -> bytes:
        return self._system.random_bytes(count)


@dataclass
class Known:
    """What must be true of one message."""

    due_at: float
    expires_at: float
    attempts: int = 0
    handles: list[str] = field(default_factory=list)


class StandardQueue(RuleBasedStateMachine):
    def __init__(self, store_url: str) -> None:
        super().__init__()
        self.store_url = store_url

    @initialize()
    def begin(self) -> None:
        self.clock = Still()
        clock.use(self.clock)
        self.runner = asyncio.Runner()
        steps = schema_of_the_store() + migrations.of_package("oncue.services.sqs", "sqs")
        self.store = open_store(self.store_url, steps)
        self.runner.run(self.store.start())
        self.sqs = Local(self.store, Sqs())
        number = next(NUMBERS)
        self.dead_url = self.runner.run(self.sqs.queue(f"dead{number}"))
        policy = {
            "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead{number}",
            "maxReceiveCount": RECEIVES_MAX,
        }
        self.url = self.runner.run(self.sqs.queue(f"q{number}", RedrivePolicy=json.dumps(policy)))
        self.known: dict[str, Known] = {}
        self.dead: set[str] = set()
        self.handles: dict[str, str] = {}
        self.received_at: dict[str, float] = {}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.store.stop())
            self.runner.close()
        clock.use(None)

    def perform(self, operation: str, **parameters: Any) -> Any:
        return self.runner.run(getattr(self.sqs, operation)(QueueUrl=self.url, **parameters))

    def due(self) -> set[str]:
        now = self.clock.at
        return {key for key, known in self.known.items() if known.due_at <= now < known.expires_at}

    def in_the_dead_letter_queue(self) -> set[str]:
        sql = "SELECT body FROM backlog WHERE lane = (SELECT 'sqs/' || id FROM sqs_queues WHERE name = :name)"
        name = self.dead_url.rpartition("/")[2]
        rows = self.runner.run(self.store.transact(lambda tx: tx.all(sql, name=name)))
        return {messages.unpack(row["body"]).message_id for row in rows}

    @rule(seconds=st.sampled_from([0.5, 1, 5, 29.5, 31, 1000, 43_200, 200_000]))
    def wait(self, seconds: float) -> None:
        self.clock.at += seconds

    @rule(delay_s=st.sampled_from([None, 0, 1, 900]), tenant=st.sampled_from([None, "a", "b"]))
    def send(self, delay_s: int | None, tenant: str | None) -> None:
        sent = self.perform("send_message", MessageBody="m", DelaySeconds=delay_s, MessageGroupId=tenant)
        key = sent["MessageId"]
        now = self.clock.at
        self.known[key] = Known(now + (delay_s or 0), now + RETENTION_S)

    @rule(count=st.integers(1, 10))
    def send_batch(self, count: int) -> None:
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(count)]
        for entry in self.perform("send_message_batch", Entries=entries)["Successful"]:
            self.known[entry["MessageId"]] = Known(self.clock.at, self.clock.at + RETENTION_S)

    @rule(limit=st.integers(1, 10), visibility_s=st.sampled_from([None, 0, 1, 43_200]))
    def receive(self, limit: int, visibility_s: int | None) -> None:
        due = self.due()
        used_up = {key for key in due if self.known[key].attempts >= RECEIVES_MAX}
        got = self.perform(
            "receive_message",
            MaxNumberOfMessages=limit,
            VisibilityTimeout=visibility_s,
            AttributeNames=["ApproximateReceiveCount"],
        )["Messages"]
        ids = {message["MessageId"] for message in got or ()}
        assert len(ids) == len(got or ()), "twice in one receive"
        assert ids <= due - used_up
        assert len(ids) == min(limit, len(due - used_up))
        moved = self.in_the_dead_letter_queue() - self.dead
        assert moved <= used_up
        assert moved == used_up or len(ids) == limit
        self.dead |= moved
        for key in moved:
            del self.known[key]
        for message in got or ():
            known = self.known[message["MessageId"]]
            known.attempts += 1
            known.due_at = self.clock.at + (30 if visibility_s is None else visibility_s)
            assert message["Attributes"] == {"ApproximateReceiveCount": str(known.attempts)}
            assert message["ReceiptHandle"] not in self.handles
            known.handles.append(message["ReceiptHandle"])
            self.handles[message["ReceiptHandle"]] = message["MessageId"]
            self.received_at[message["ReceiptHandle"]] = self.clock.at

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(list(self.handles)))
        self.perform("delete_message", ReceiptHandle=handle)
        self.known.pop(self.handles[handle], None)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), visibility_s=st.sampled_from([0, 1, 30, 5000]))
    def hide(self, data: st.DataObject, visibility_s: int) -> None:
        handle = data.draw(st.sampled_from(list(self.handles)))
        known = self.known.get(self.handles[handle])
        latest = known is not None and known.handles[-1] == handle
        hidden_s = self.clock.at + visibility_s - self.received_at[handle]
        refused = False
        try:
            self.perform("change_message_visibility", ReceiptHandle=handle, VisibilityTimeout=visibility_s)
        except ServiceError:
            refused = True
        assert refused == (not latest or hidden_s > 43_201)
        if known is not None and not refused:
            known.due_at = self.clock.at + visibility_s

    @rule()
    def purge(self) -> None:
        self.perform("purge_queue")
        self.known.clear()

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "known"):
            return
        now = self.clock.at
        alive = [known for known in self.known.values() if known.expires_at > now]
        visible = sum(known.due_at <= now for known in alive)
        held = sum(known.due_at > now and bool(known.handles) for known in alive)
        assert self.runner.run(self.sqs.counts(self.url)) == (visible, held, len(alive) - visible - held)


def test_a_standard_queue(store_url: str) -> None:
    examples = 20 if store_url.startswith("sqlite") else 8
    bounded = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(lambda: StandardQueue(store_url), settings=bounded)
