"""Archive and replay of FIFO topics."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from oncue import clock
from oncue.errors import ServiceError
from tests.services.sns.local import ACCOUNT, DEADLINE_S, Local

PAST_DEDUPLICATION_S = 301


async def archived(local: Local, name: str = "t.fifo", days: int = 1) -> str:
    topic = await local.topic(name)
    policy = json.dumps({"MessageRetentionPeriod": str(days)})
    await local.do(
        "set_topic_attributes", TopicArn=topic, AttributeName="ArchivePolicy", AttributeValue=policy
    )
    return topic


async def publish(local: Local, topic: str, numbers: range) -> None:
    for number in numbers:
        await local.do("publish", TopicArn=topic, Message=f"{number}", MessageGroupId="g")


async def replaying(local: Local, topic: str, name: str, start: float, end: float | None = None) -> Any:
    """A new queue that wants what has been published since then; (its URL, its subscription)."""
    url = str((await local.do("create_queue", QueueName=name, Attributes={"FifoQueue": "true"}))["QueueUrl"])
    made = await local.do(
        "subscribe",
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
        Attributes={"ReplayPolicy": policy(start, end)},
    )
    return url, made["SubscriptionArn"]


def policy(start: float, end: float | None = None) -> str:
    points = {"PointType": "Timestamp", "StartingPoint": clock.iso_ms(start)}
    return json.dumps(points | ({"EndingPoint": clock.iso_ms(end)} if end is not None else {}))


async def received(local: Local, url: str, count: int) -> list[tuple[str, bool]]:
    """(message, whether it was replayed), in order."""
    found: list[tuple[str, bool]] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            await local.look()
            reply = await local.do("receive_message", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in reply["Messages"] or ():
                fields = json.loads(message["Body"])
                found.append((fields["Message"], "Replayed" in fields))
                await local.do("delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


async def completed(local: Local, arn: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            reply = await local.do("get_subscription_attributes", SubscriptionArn=arn)
            if reply["Attributes"]["ReplayStatus"] == "Completed":
                return
            await local.look()


async def test_a_new_queue_gets_what_was_before_then_what_comes(local: Local) -> None:
    topic, start = await archived(local), clock.now() - 1
    await publish(local, topic, range(50))
    url, arn = await replaying(local, topic, "late.fifo", start)
    await publish(local, topic, range(50, 60))  # while it replays, or just after
    found = await received(local, url, 60)
    assert [message for message, _ in found] == [str(number) for number in range(60)]
    assert [replayed for _, replayed in found] == [True] * 50 + [False] * 10
    await completed(local, arn)
    await publish(local, topic, range(60, 62))
    assert await received(local, url, 2) == [("60", False), ("61", False)]
    assert await local.left() == 0


async def test_a_window_then_what_has_come_since(local: Local, forward: Callable[[float], None]) -> None:
    topic = await archived(local)
    await publish(local, topic, range(5))
    forward(10)
    start = clock.now() - 1
    await publish(local, topic, range(5, 10))
    end = clock.now() + 1
    forward(10)
    await publish(local, topic, range(10, 15))
    await local.sns.stop()
    url, arn = await replaying(local, topic, "window.fifo", start, end)
    await publish(local, topic, range(15, 18))
    status = await local.do("get_subscription_attributes", SubscriptionArn=arn)
    assert status["Attributes"]["ReplayStatus"] == "Pending"
    await local.sns.start(local.call)
    found = await received(local, url, 8)
    assert [message for message, _ in found] == ["5", "6", "7", "8", "9", "15", "16", "17"]
    assert [replayed for _, replayed in found] == [True] * 5 + [False] * 3


async def test_a_queue_that_is_away_during_its_replay(local: Local, forward: Callable[[float], None]) -> None:
    topic, start = await archived(local), clock.now() - 1
    await publish(local, topic, range(30))
    local.sqs.down = True
    url, _ = await replaying(local, topic, "away.fifo", start)
    async with asyncio.timeout(DEADLINE_S):
        while not await local.left():
            await local.look()
    local.sqs.down = False
    forward(20)
    found = await received(local, url, 30)
    assert [message for message, _ in found] == [str(number) for number in range(30)]


async def test_the_same_queue_again(local: Local, forward: Callable[[float], None]) -> None:
    topic, start = await archived(local), clock.now() - 1
    url, arn = await replaying(local, topic, "again.fifo", start)
    await completed(local, arn)
    await publish(local, topic, range(3))
    assert len(await received(local, url, 3)) == 3
    forward(PAST_DEDUPLICATION_S)  # sooner, the queue itself would take them for duplicates
    await local.do(
        "set_subscription_attributes",
        SubscriptionArn=arn,
        AttributeName="ReplayPolicy",
        AttributeValue=policy(start),
    )
    assert await received(local, url, 3) == [("0", True), ("1", True), ("2", True)]


async def test_what_is_too_old_is_forgotten(local: Local, forward: Callable[[float], None]) -> None:
    topic, start = await archived(local, days=1), clock.now() - 1
    await publish(local, topic, range(3))
    forward(86_400 + 60)
    await publish(local, topic, range(3, 5))
    url, _ = await replaying(local, topic, "q.fifo", start)
    assert [message for message, _ in await received(local, url, 2)] == ["3", "4"]
    shown = await local.do("get_topic_attributes", TopicArn=topic)
    assert shown["Attributes"]["BeginningArchiveTime"] > clock.iso_ms(clock.now() - 60)


async def test_what_is_refused(local: Local) -> None:
    standard = await local.topic()
    policies = {"AttributeName": "ArchivePolicy", "AttributeValue": '{"MessageRetentionPeriod": 5}'}
    with pytest.raises(ServiceError, match="ArchivePolicy is only valid for FIFO topics"):
        await local.do("set_topic_attributes", TopicArn=standard, **policies)
    topic = await archived(local)
    with pytest.raises(ServiceError, match="must be an integer from 1 to 365"):
        await local.do(
            "set_topic_attributes",
            TopicArn=topic,
            AttributeName="ArchivePolicy",
            AttributeValue='{"MessageRetentionPeriod": "366"}',
        )
    with pytest.raises(ServiceError, match="InvalidState"):
        await local.do("delete_topic", TopicArn=topic)
    plain = await local.topic("plain.fifo")
    with pytest.raises(ServiceError, match="the topic has no ArchivePolicy"):
        await replaying(local, plain, "q.fifo", clock.now())
    for broken in ("{", '{"PointType": "Sequence"}', '{"PointType": "Timestamp", "StartingPoint": "soon"}'):
        with pytest.raises(ServiceError, match="ReplayPolicy"):
            await local.do(
                "subscribe",
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:q.fifo",
                Attributes={"ReplayPolicy": broken},
            )
    await local.do("set_topic_attributes", TopicArn=topic, AttributeName="ArchivePolicy", AttributeValue="{}")
    await local.do("delete_topic", TopicArn=topic)
