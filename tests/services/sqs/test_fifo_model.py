"""A FIFO queue against a model that fits on a page, under any order of operations and any clock, on both
stores."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oncue import clock
from oncue.app import open_store, schema_of_the_store
from oncue.errors import ServiceError
from oncue.services.sqs import Sqs
from oncue.store import migrations
from tests.services.sqs.conftest import Local
from tests.services.sqs.test_model import Still

GROUPS = ("a", "b")
RECENT = 5  # handles that are used: mostly live ones
DEDUPLICATION_S = 300
NUMBERS = itertools.count()


@dataclass
class Known:
    """What must be true of one message; its place in the list is its order."""

    key: str
    group: str
    due_at: float
    attempts: int = 0
    handle: str = ""

    def held(self, now: float) -> bool:
        return bool(self.handle) and self.due_at > now


class FifoQueue(RuleBasedStateMachine):
    def __init__(self, store_url: str) -> None:
        super().__init__()
        self.store_url = store_url

    @initialize(scope=st.sampled_from(["queue", "messageGroup"]))
    def begin(self, scope: str) -> None:
        self.clock = Still()
        clock.use(self.clock)
        self.runner = asyncio.Runner()
        steps = schema_of_the_store() + migrations.of_package("oncue.services.sqs", "sqs")
        self.store = open_store(self.store_url, steps)
        self.runner.run(self.store.start())
        self.sqs = Local(self.store, Sqs())
        fifo = {"FifoQueue": "true", "DeduplicationScope": scope, "VisibilityTimeout": "30"}
        self.url = self.runner.run(self.sqs.queue(f"q{next(NUMBERS)}.fifo", **fifo))
        self.by_group = scope == "messageGroup"
        self.known: list[Known] = []
        self.accepted: dict[tuple[str, str], tuple[float, str, str]] = {}
        self.last_sequence = ""
        self.handles: dict[str, str] = {}
        self.received_at: dict[str, float] = {}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.store.stop())
            self.runner.close()
        clock.use(None)

    def perform(self, operation: str, **parameters: Any) -> Any:
        return self.runner.run(getattr(self.sqs, operation)(QueueUrl=self.url, **parameters))

    def refused(self, operation: str, **parameters: Any) -> bool:
        try:
            self.perform(operation, **parameters)
        except ServiceError:
            return True
        return False

    def message_of(self, handle: str) -> Known | None:
        return next((known for known in self.known if known.key == self.handles[handle]), None)

    def open_groups(self) -> dict[str, list[Known]]:
        """The messages of each group of which nothing is in flight, in order."""
        now = self.clock.at
        closed = {known.group for known in self.known if known.held(now)}
        groups: dict[str, list[Known]] = {}
        for known in self.known:
            if known.group not in closed:
                groups.setdefault(known.group, []).append(known)
        return groups

    @rule(seconds=st.sampled_from([0.5, 5, 29.5, 31, 301]))
    def wait(self, seconds: float) -> None:
        self.clock.at += seconds

    @rule(group=st.sampled_from(GROUPS), count=st.integers(2, 4))
    def send_some(self, group: str, count: int) -> None:
        for _ in range(count):
            self.send(group, None)

    @rule(group=st.sampled_from(GROUPS), name=st.sampled_from(["1", "2", None]))
    def send(self, group: str, name: str | None) -> None:
        name = name or f"unique{next(NUMBERS)}"
        now, scope = self.clock.at, (group if self.by_group else "", name)
        reply = self.perform(
            "send_message", MessageBody="m", MessageGroupId=group, MessageDeduplicationId=name
        )
        answer = (reply["MessageId"], reply["SequenceNumber"])
        until, *earlier = self.accepted.get(scope, (0.0, "", ""))
        if now < until:
            assert answer == tuple(earlier), "a duplicate has the answer of the first"
            return
        assert answer[1] > self.last_sequence, "sequence numbers grow"
        self.last_sequence = answer[1]
        self.accepted[scope] = (now + DEDUPLICATION_S, *answer)
        self.known.append(Known(answer[0], group, now))

    @rule(limit=st.sampled_from([1, 3, 10]), visibility_s=st.sampled_from([None, None, 0, 1]))
    def receive(self, limit: int, visibility_s: int | None) -> None:
        groups = self.open_groups()
        got = self.perform(
            "receive_message",
            MaxNumberOfMessages=limit,
            VisibilityTimeout=visibility_s,
            AttributeNames=["ApproximateReceiveCount"],
        )["Messages"]
        ids = [message["MessageId"] for message in got or ()]
        assert len(ids) == min(limit, sum(map(len, groups.values())))
        taken: dict[str, list[str]] = {}
        by_id = {known.key: known for known in self.known}
        for message in got or ():
            known = by_id[message["MessageId"]]
            taken.setdefault(known.group, []).append(known.key)
            known.attempts += 1
            known.handle = message["ReceiptHandle"]
            known.due_at = self.clock.at + (30 if visibility_s is None else visibility_s)
            assert message["Attributes"] == {"ApproximateReceiveCount": str(known.attempts)}
            self.handles[known.handle] = known.key
            self.received_at[known.handle] = self.clock.at
        for group, keys in taken.items():
            assert keys == [known.key for known in groups.get(group, [])][: len(keys)], "order in the group"

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(list(self.handles)[-RECENT:]))
        known = self.message_of(handle)
        live = known is not None and known.handle == handle and known.held(self.clock.at)
        refused = self.refused("delete_message", ReceiptHandle=handle)
        assert refused == (known is not None and not live)
        if live:
            self.known.remove(known)

    @precondition(lambda self: any(known.held(self.clock.at) for known in self.known))
    @rule(first=st.booleans())
    def give_back(self, first: bool) -> None:
        held = [known for known in self.known if known.held(self.clock.at)]
        known = held[0 if first else -1]
        self.perform("change_message_visibility", ReceiptHandle=known.handle, VisibilityTimeout=0)
        known.due_at = self.clock.at

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), visibility_s=st.sampled_from([0, 0, 1, 5000]))
    def hide(self, data: st.DataObject, visibility_s: int) -> None:
        handle = data.draw(st.sampled_from(list(self.handles)[-RECENT:]))
        known = self.message_of(handle)
        live = known is not None and known.handle == handle and known.held(self.clock.at)
        too_long = self.clock.at + visibility_s - self.received_at[handle] > 43_201
        given = {"ReceiptHandle": handle, "VisibilityTimeout": visibility_s}
        assert self.refused("change_message_visibility", **given) == (not live or too_long)
        if live and not too_long:
            known.due_at = self.clock.at + visibility_s


def test_a_fifo_queue(store_url: str) -> None:
    examples = 40 if store_url.startswith("sqlite") else 12
    bounded = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(lambda: FifoQueue(store_url), settings=bounded)
