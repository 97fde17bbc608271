"""Fair queues: how long a quiet tenant's messages wait beside a noisy one, by the clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from oncue import clock
from oncue.services.sqs import Sqs
from oncue.services.sqs.noise import Noise
from oncue.store import Store, backlog, tenants
from oncue.store.tenants import Load
from tests.services.sqs.conftest import Local
from tests.services.sqs.test_costs import Counting
from tests.services.sqs.test_model import Still

CONSUMERS = 60  # messages processed at once
PROCESSING_S = 1.0
TICK_S = 0.25
RUN_S = 8
FLOOD = 1_000  # messages of the noisy tenant, all at once: more than 16 s of work


@pytest.fixture
def still() -> Iterator[Still]:
    source = Still()
    clock.use(source)
    yield source
    clock.use(None)


@dataclass
class Fleet:
    """Consumers, and one quiet tenant."""

    sqs: Local
    url: str
    still: Still
    groups: bool
    busy: list[tuple[float, list[str]]] = field(default_factory=list)
    dwell_s: list[float] = field(default_factory=list)

    async def send(self, tenant: str, count: int) -> None:
        group = {"MessageGroupId": tenant} if self.groups else {}
        for first in range(0, count, 10):
            size = min(10, count - first)
            entries = [{"Id": str(n), "MessageBody": tenant, **group} for n in range(size)]
            await self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    async def tick(self) -> None:
        """Delete what is done, and take as much anew."""
        now = self.still.at
        for done_at, handles in self.busy:
            if done_at <= now:
                entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
                await self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        self.busy = [batch for batch in self.busy if batch[0] > now]
        while (free := CONSUMERS - sum(len(handles) for _, handles in self.busy)) > 0:
            got = await self.receive(min(10, free))
            if not got:
                return
            self.busy.append((now + PROCESSING_S, [message["ReceiptHandle"] for message in got]))
            self.dwell_s += [
                now - int(message["Attributes"]["SentTimestamp"]) / 1000
                for message in got
                if message["Body"] == "quiet"
            ]

    async def receive(self, limit: int) -> list[dict[str, Any]]:
        reply = await self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=limit, AttributeNames=["SentTimestamp"]
        )
        return reply["Messages"] or []


async def longest_dwell_s(sqs: Local, still: Still, name: str, *, groups: bool, flood: int) -> float:
    """Of the quiet tenant's messages, those included that still wait when the time is over."""
    fleet = Fleet(sqs, await sqs.queue(name), still, groups)
    sent_at: list[float] = []
    for number in range(int(RUN_S / TICK_S)):
        if number == 4:
            await fleet.send("noisy", flood)
        if number % 5 == 2:  # mostly when all consumers are busy
            await fleet.send("quiet", 1)
            sent_at.append(still.at)
        await fleet.tick()
        still.at += TICK_S
    return max([*fleet.dwell_s, *(still.at - at for at in sent_at[len(fleet.dwell_s) :])])


async def test_a_noisy_tenant_does_not_delay_a_quiet_one(sqs: Local, still: Still) -> None:
    alone = await longest_dwell_s(sqs, still, "alone", groups=True, flood=0)
    fair = await longest_dwell_s(sqs, still, "fair", groups=True, flood=FLOOD)
    plain = await longest_dwell_s(sqs, still, "plain", groups=False, flood=FLOOD)
    assert alone == 0.0
    assert fair <= PROCESSING_S, "no longer than until a consumer is free"
    assert plain >= RUN_S / 2, "the flood means nothing if nobody suffers from it"


async def test_noisy_messages_come_when_no_quiet_one_waits(sqs: Local, still: Still) -> None:
    fleet = Fleet(sqs, await sqs.queue(), still, True)
    await fleet.send("noisy", 100)
    for _ in range(5):
        await fleet.tick()
        still.at += TICK_S
    assert await sqs.counts(fleet.url) == (0, 40, 0)


async def test_messages_without_a_group_are_quiet(sqs: Local, still: Still) -> None:
    fleet = Fleet(sqs, await sqs.queue(), still, True)
    await fleet.send("noisy", 60)
    for _ in range(4):
        await fleet.receive(10)
    await sqs.send_message(QueueUrl=fleet.url, MessageBody="nobody's")
    assert [message["Body"] for message in await fleet.receive(1)] == ["nobody's"]


async def test_a_message_given_back_keeps_its_place(sqs: Local, still: Still) -> None:
    fleet = Fleet(sqs, await sqs.queue(), still, True)
    await fleet.send("quiet", 1)
    (message,) = await fleet.receive(1)
    await fleet.send("noisy", 100)
    for _ in range(4):
        await fleet.receive(10)
    hide = {"QueueUrl": fleet.url, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
    await sqs.change_message_visibility(**hide)
    assert [message["Body"] for message in await fleet.receive(1)] == ["quiet"]


async def test_what_it_costs(opened: Store, still: Still) -> None:
    """In statements: a queue without groups pays nothing (test_costs), a fair one by the batch. What is in
    flight is measured beside that, now and then; here once, because the clock stands still."""
    counting = Counting(opened)
    local = Local(counting, Sqs())  # type: ignore[arg-type]
    url = await local.queue()
    await local.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="a")

    async def cost(operation: str, **parameters: Any) -> int:
        counting.statements = 0
        replies.append(await getattr(local, operation)(QueueUrl=url, **parameters))
        return counting.statements

    replies: list[Any] = []
    assert await cost("send_message", MessageBody="m", MessageGroupId="a") == 3
    await local.bodies(url)
    await local.service.stop()  # what it measures is measured
    await local.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="a")
    assert await cost("receive_message") == 3
    handle = replies[-1]["Messages"][0]["ReceiptHandle"]
    assert await cost("delete_message", ReceiptHandle=handle) == 3
    for _ in range(300):
        await local.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="noisy")
    for _ in range(4):
        await local.bodies(url)
    await local.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="quiet")
    assert await cost("receive_message") == 4, "the tenants, the quiet one's message, its next one"


def test_who_is_noisy() -> None:
    noise = Noise()
    assert noise.is_old(1_000.0)
    noise.measured(Load(1_000, {"a": 99, "b": 101, "c": 800}), 1_000.0)
    assert noise.noisy == ("b", "c"), "more than a tenth, least in flight first"
    assert not noise.is_old(1_000.9)
    assert noise.is_old(1_001.2)
    assert noise.is_old(999.0), "the clock was put back"
    noise.measured(Load(40, {"a": 29, "b": 11}), 0.0)
    assert noise.noisy == (), "thirty at least"
    noise.claimed(["a", ""])
    assert noise.noisy == ("a",)


def test_few_but_slow_messages_are_noise_too() -> None:
    noise = Noise()
    for second in range(1, 100):
        noise.measured(Load(10, {"slow": 5, "b": 1}), float(second))
    assert noise.noisy == ("slow",)
    for second in range(100, 400):
        noise.measured(Load(10, {"b": 1}), float(second))
    assert noise.noisy == ()


async def test_dead_letters_leave_no_tenant_behind(opened: Store, sqs: Local) -> None:
    dead = await sqs.queue("dead")
    arn = (await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"]))["Attributes"]
    policy = f'{{"deadLetterTargetArn":"{arn["QueueArn"]}","maxReceiveCount":1}}'
    url = await sqs.queue("q", RedrivePolicy=policy, VisibilityTimeout="0")
    await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="a")
    assert await sqs.bodies(url) == ["m"]
    assert await sqs.bodies(url) == []
    assert await opened.transact(lambda tx: tx.all("SELECT name FROM backlog_tenants")) == []
    assert (await opened.transact(lambda tx: tenants.load(tx, "sqs/1", 0.0))).total == 0
    assert (await opened.transact(lambda tx: backlog.counts(tx, "sqs/1", clock.now()))).ready == 1
