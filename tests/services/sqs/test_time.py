"""What time does to queues and messages: in process, with the clock put forward."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from oncue import clock
from oncue.errors import ServiceError
from oncue.services.sqs import Sqs
from oncue.store import Store, backlog
from tests.services.sqs.conftest import ACCOUNT, Local

Forward = Callable[[float], None]
DAY_S = 86_400


async def handle_of(sqs: Local, url: str, **parameters: Any) -> str:
    (message,) = (await sqs.receive_message(QueueUrl=url, **parameters))["Messages"]
    return str(message["ReceiptHandle"])


async def test_a_delay(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue(DelaySeconds="10")
    await sqs.send_message(QueueUrl=url, MessageBody="queue's")
    await sqs.send_message(QueueUrl=url, MessageBody="own", DelaySeconds=0)
    assert await sqs.bodies(url) == ["own"]
    assert await sqs.counts(url) == (0, 1, 1)
    forward(11)
    assert await sqs.bodies(url) == ["queue's"]


async def test_a_changed_delay_is_for_new_messages(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue(DelaySeconds="900")
    await sqs.send_message(QueueUrl=url, MessageBody="old")
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    await sqs.send_message(QueueUrl=url, MessageBody="new")
    assert await sqs.bodies(url) == ["new"]
    forward(901)
    assert "old" in await sqs.bodies(url)


async def test_the_visibility_timeout(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    assert await sqs.bodies(url) == ["m"]
    forward(29)
    assert await sqs.bodies(url) == []
    forward(2)
    assert await sqs.bodies(url, VisibilityTimeout=43_200) == ["m"]
    forward(43_199)
    assert await sqs.bodies(url) == []
    forward(2)
    assert await sqs.bodies(url) == ["m"]


async def test_hiding_counts_from_now_and_is_not_remembered(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    handle = await handle_of(sqs, url)
    forward(20)
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=100)
    forward(99)
    assert await sqs.bodies(url) == []
    forward(2)
    assert await sqs.bodies(url) == ["m"]
    forward(31)
    assert await sqs.bodies(url) == ["m"]


async def test_hidden_for_twelve_hours_at_most(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    handle = await handle_of(sqs, url, VisibilityTimeout=40_000)
    forward(30_000)
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=13_200)
    with pytest.raises(ServiceError) as caught:
        await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=13_202)
    assert caught.value.code == "InvalidParameterValueException"
    assert caught.value.message == (
        "Value 13202 for parameter VisibilityTimeout is invalid. "
        "Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]."
    )


async def test_hiding_after_the_timeout(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    handle = await handle_of(sqs, url)
    forward(31)
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=10)
    assert await sqs.bodies(url) == []
    forward(11)
    assert await sqs.bodies(url) == ["m"]


async def test_deleting_after_the_timeout(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    handle = await handle_of(sqs, url)
    forward(31)
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert await sqs.bodies(url) == []


async def test_a_fifo_handle_ends_with_its_timeout(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    handle = await handle_of(sqs, url)
    forward(31)
    with pytest.raises(ServiceError, match=r"Reason: The receipt handle has expired\."):
        await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert await sqs.bodies(url) == ["m"]


async def test_retention(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue(MessageRetentionPeriod="60")
    await sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=30)
    forward(59)
    assert await sqs.bodies(url, VisibilityTimeout=0) == ["m"]
    forward(2)
    assert await sqs.bodies(url) == []
    assert await sqs.counts(url) == (0, 0, 0)


async def test_a_changed_retention_is_for_what_is_there(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    forward(61)
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    assert await sqs.bodies(url) == []
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "3600"})
    assert await sqs.bodies(url, VisibilityTimeout=0) == ["m"]
    forward(3600)
    assert await sqs.store.transact(lambda tx: backlog.expire(tx, clock.now(), 0, 10**9)) == 1


async def redriven(sqs: Local, name: str, dead: str, **attributes: str) -> str:
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{dead}"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    return await sqs.queue(name, RedrivePolicy=policy, VisibilityTimeout="0", **attributes)


async def test_a_dead_letter_ages_from_its_first_send(sqs: Local, forward: Forward) -> None:
    dead = await sqs.queue("dead", MessageRetentionPeriod=str(2 * DAY_S))
    url = await redriven(sqs, "q", "dead", MessageRetentionPeriod=str(4 * DAY_S))
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    forward(DAY_S)
    assert await sqs.bodies(url) == ["m"]
    assert await sqs.bodies(url) == []
    forward(DAY_S - 60)
    assert await sqs.bodies(dead, VisibilityTimeout=0) == ["m"]
    forward(120)
    assert await sqs.bodies(dead) == []


async def test_a_fifo_dead_letter_begins_anew(sqs: Local, forward: Forward) -> None:
    dead = await sqs.queue("dead.fifo", FifoQueue="true", MessageRetentionPeriod=str(DAY_S))
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = await redriven(sqs, "q.fifo", "dead.fifo", **fifo)
    await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    forward(2 * DAY_S)
    assert await sqs.bodies(url) == ["m"]
    assert await sqs.bodies(url) == []
    forward(DAY_S - 60)
    assert await sqs.bodies(dead) == ["m"]


async def test_the_window_of_duplicates(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    first = await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    forward(299)
    again = await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    assert again["MessageId"] == first["MessageId"]
    forward(2)
    late = await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    assert late["MessageId"] != first["MessageId"]
    assert await sqs.bodies(url) == ["m", "m"]


async def test_the_window_of_an_attempt(sqs: Local, forward: Forward) -> None:
    url = await sqs.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    await sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g")
    attempt = {"ReceiveRequestAttemptId": "a", "VisibilityTimeout": 200}
    handle = await handle_of(sqs, url, **attempt)
    forward(150)
    assert await handle_of(sqs, url, **attempt) == handle
    forward(149)
    assert await sqs.bodies(url) == [], "the repeated receive hid it anew"
    forward(2)
    assert await sqs.bodies(url, **attempt) == [], "the attempt is forgotten after five minutes"


async def test_the_waits_of_aws(opened: Store, forward: Forward) -> None:
    sqs = Local(opened, Sqs(waits=True))
    url = await sqs.queue()
    await sqs.purge_queue(QueueUrl=url)
    with pytest.raises(ServiceError) as caught:
        await sqs.purge_queue(QueueUrl=url)
    assert (caught.value.code, caught.value.status) == ("PurgeQueueInProgress", 403)
    assert caught.value.message == "Only one PurgeQueue operation on q is allowed every 60 seconds."
    forward(61)
    await sqs.purge_queue(QueueUrl=url)
    await sqs.delete_queue(QueueUrl=url)
    with pytest.raises(ServiceError) as caught:
        await sqs.queue()
    assert caught.value.code == "QueueDeletedRecently"
    await sqs.queue("other")
    forward(61)
    await sqs.queue()
    await sqs.delete_queue(QueueUrl=url)


async def test_another_service_sends_in_its_own_transaction(sqs: Local) -> None:
    url = await sqs.queue()

    def two_sends(call: Any) -> None:
        call.sqs.send_message(QueueUrl=url, MessageBody="one")
        call.sqs.send_message(QueueUrl=url, MessageBody="")

    with pytest.raises(ServiceError, match="MessageBody"):
        await sqs.call.transact(two_sends)
    assert await sqs.bodies(url) == []


async def test_a_fifo_delay_holds_for_each_message(sqs: Local, forward: Forward) -> None:
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = await sqs.queue("q.fifo", DelaySeconds="10", **fifo)
    await sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")
    forward(8)
    await sqs.send_message(QueueUrl=url, MessageBody="2", MessageGroupId="g")
    forward(3)
    handle = await handle_of(sqs, url, MaxNumberOfMessages=10)
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert await sqs.bodies(url) == []
    forward(8)
    assert await sqs.bodies(url) == ["2"]
