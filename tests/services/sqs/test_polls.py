"""Long polls in process: who wakes them, what they cost, and what becomes of a receiver that goes."""

import asyncio
from typing import Any

import pytest

from oncue import clock
from oncue.services.sqs import Sqs, receiving
from oncue.services.sqs.polls import Polls
from oncue.store import Store
from tests.services.sqs.conftest import Local

SOON_S = 10


async def begun(local: Local, url: str, **parameters: Any) -> "asyncio.Task[list[str]]":
    """A long poll that has looked, found nothing, and stands in line; the first of the line sleeps."""
    lane = await lane_of(local, url)
    line = local.service._polls._lines.get(lane)
    before = line.waiting if line else 0
    task = asyncio.create_task(local.bodies(url, WaitTimeSeconds=20, **parameters))
    while not (waiting(local, lane) == before + 1 and asleep(local, lane)):
        await asyncio.sleep(0)
        assert not task.done(), task
    return task


def waiting(local: Local, lane: str) -> int:
    line = local.service._polls._lines.get(lane)
    return line.waiting if line else 0


def asleep(local: Local, lane: str) -> bool:
    bells = local.store._belfry._bells.get(lane, ())  # type: ignore[attr-defined]
    return any(bell._sleeper is not None for bell in bells)


async def lane_of(local: Local, url: str) -> str:
    name = url.rsplit("/", 1)[1]
    row = await local.store.transact(
        lambda tx: tx.one("SELECT id FROM sqs_queues WHERE name = :name", name=name), reads_only=True
    )
    assert row is not None
    return f"sqs/{row['id']}"


async def test_a_send_wakes_a_poll_at_once(sqs: Local) -> None:
    url = await sqs.queue()
    poll = await begun(sqs, url)
    started = clock.monotonic()
    await sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert await asyncio.wait_for(poll, SOON_S) == ["hello"]
    assert clock.monotonic() - started < 1


async def test_a_delayed_message_wakes_a_poll_when_it_is_due(sqs: Local) -> None:
    url = await sqs.queue()
    poll = await begun(sqs, url)
    started = clock.monotonic()
    await sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=1)
    assert await asyncio.wait_for(poll, SOON_S) == ["later"]
    assert 0.9 < clock.monotonic() - started < 2


async def test_a_message_that_was_delayed_before_the_poll(sqs: Local) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=1)
    assert await asyncio.wait_for(sqs.bodies(url, WaitTimeSeconds=20), SOON_S) == ["later"]


async def test_a_lapsed_visibility_wakes_a_poll(sqs: Local) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="again")
    assert await sqs.bodies(url, VisibilityTimeout=1) == ["again"]
    assert await asyncio.wait_for(sqs.bodies(url, WaitTimeSeconds=20), SOON_S) == ["again"]


async def test_giving_back_wakes_a_poll(sqs: Local) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="back")
    (message,) = (await sqs.receive_message(QueueUrl=url))["Messages"]
    poll = await begun(sqs, url)
    handle = message["ReceiptHandle"]
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert await asyncio.wait_for(poll, SOON_S) == ["back"]


async def test_a_poll_ends_empty(sqs: Local) -> None:
    url = await sqs.queue(ReceiveMessageWaitTimeSeconds="1")
    started = clock.monotonic()
    assert await sqs.receive_message(QueueUrl=url) == {"Messages": None}
    assert 0.9 < clock.monotonic() - started < SOON_S
    assert sqs.service._polls._lines == {}


async def test_the_end_of_the_queue_ends_its_polls(sqs: Local) -> None:
    url = await sqs.queue()
    poll = await begun(sqs, url)
    await sqs.delete_queue(QueueUrl=url)
    with pytest.raises(Exception, match="The specified queue does not exist"):
        await asyncio.wait_for(poll, SOON_S)


async def test_a_poll_does_not_take_from_a_new_queue_of_the_same_name_in_silence(sqs: Local) -> None:
    url = await sqs.queue()
    poll = await begun(sqs, url)

    def replace(call: Any) -> None:
        call.sqs.delete_queue(QueueUrl=url)
        call.sqs.create_queue(QueueName="q")
        call.sqs.send_message(QueueUrl=url, MessageBody="new")

    await sqs.call.transact(replace)
    assert await asyncio.wait_for(poll, SOON_S) == ["new"]


async def test_one_message_costs_a_crowd_few_claims(sqs: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await sqs.queue()
    lane = await lane_of(sqs, url)
    polls = [await begun(sqs, url, MaxNumberOfMessages=1) for _ in range(30)]
    assert len(sqs.store._belfry._bells[lane]) == 1  # type: ignore[attr-defined]
    claims: list[str] = []
    take = receiving.take

    def counted(call: Any, wish: Any, room: Any) -> receiving.Catch:
        claims.append(wish.url)
        return take(call, wish, room)

    monkeypatch.setattr("oncue.services.sqs.polls.take", counted)
    await sqs.send_message(QueueUrl=url, MessageBody="one")
    done, _ = await asyncio.wait(polls, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [["one"]]
    limit = clock.monotonic() + SOON_S
    while not asleep(sqs, lane):
        await asyncio.sleep(0)
        assert clock.monotonic() < limit
    assert len(claims) <= 4
    for number in range(29):
        await sqs.send_message(QueueUrl=url, MessageBody=str(number))
    await asyncio.wait_for(asyncio.gather(*polls), SOON_S)
    got = [body for poll in polls for body in poll.result()]
    assert sorted(got) == sorted(["one", *map(str, range(29))])


async def test_the_first_of_the_line_may_go(sqs: Local) -> None:
    url = await sqs.queue()
    first, second = [await begun(sqs, url) for _ in range(2)]
    first.cancel()
    await asyncio.wait({first})
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    assert await asyncio.wait_for(second, SOON_S) == ["m"]


async def test_the_line_ends_for_all_in_time(sqs: Local) -> None:
    url = await sqs.queue()
    first = await begun(sqs, url)
    started = clock.monotonic()
    assert await sqs.bodies(url, WaitTimeSeconds=1) == []
    assert 0.9 < clock.monotonic() - started < SOON_S
    assert not first.done()
    first.cancel()
    await asyncio.wait({first})
    assert sqs.service._polls._lines == {}


async def test_a_receiver_that_goes_while_it_waits_holds_nothing(sqs: Local) -> None:
    url = await sqs.queue()
    poll = await begun(sqs, url)
    poll.cancel()
    await asyncio.wait({poll})
    await sqs.send_message(QueueUrl=url, MessageBody="for another")
    assert await sqs.bodies(url) == ["for another"]
    assert sqs.service._polls._lines == {}


async def test_a_claim_of_a_receiver_that_has_gone_is_given_back(sqs: Local) -> None:
    url = await sqs.queue()
    await sqs.send_message(QueueUrl=url, MessageBody="precious")
    receive = asyncio.create_task(sqs.bodies(url))
    await asyncio.sleep(0)  # the transaction is submitted
    receive.cancel()
    await asyncio.wait({receive})
    assert receive.cancelled()
    await sqs.service.stop()
    (message,) = (await sqs.receive_message(QueueUrl=url, AttributeNames=["All"]))["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


async def test_two_receivers_never_get_the_same(sqs: Local) -> None:
    url = await sqs.queue()
    for start in range(0, 100, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)]
        await sqs.send_message_batch(QueueUrl=url, Entries=entries)

    async def receive() -> list[str]:
        got: list[str] = []
        while bodies := await sqs.bodies(url, MaxNumberOfMessages=3):
            got += bodies
        return got

    shares = await asyncio.gather(*(receive() for _ in range(5)))
    got = [body for share in shares for body in share]
    while rest := await sqs.bodies(url):  # on PostgreSQL a receiver may pass by what another one has locked
        got += rest
    assert sorted(got, key=int) == [str(number) for number in range(100)]


async def test_the_limit_of_messages_in_flight(opened: Store) -> None:
    local = Local(opened, Sqs(in_flight_max=3))
    url = await local.queue()
    for number in range(5):
        await local.send_message(QueueUrl=url, MessageBody=str(number))
    (message,) = (await local.receive_message(QueueUrl=url))["Messages"]
    assert len(await local.bodies(url)) == 2
    with pytest.raises(Exception, match="OverLimit") as caught:
        await local.bodies(url)
    assert caught.value.status == 403  # type: ignore[attr-defined]
    assert await local.bodies(url, WaitTimeSeconds=1) == []
    await local.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(await local.bodies(url)) == 1


async def test_a_fifo_queue_in_full_flight_answers_nothing(opened: Store) -> None:
    local = Local(opened, Sqs(in_flight_max=1))
    url = await local.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    for group in "ab":
        await local.send_message(QueueUrl=url, MessageBody=group, MessageGroupId=group)
    assert await local.bodies(url) == ["a"]
    assert await local.bodies(url) == []


async def test_the_counting_is_bounded(opened: Store) -> None:
    polls = Polls(in_flight_max=1)
    local = Local(opened, Sqs())
    local.service._polls = polls
    for number in range(3):
        url = await local.queue(f"q{number}")
        assert await local.bodies(url) == []
    assert len(polls._room) == 3


async def test_creating_at_once_makes_one_queue(sqs: Local) -> None:
    urls = await asyncio.gather(*(sqs.queue(VisibilityTimeout="9") for _ in range(10)))
    assert set(urls) == {"http://here/123456789012/q"}
    listed = await sqs.list_queues()
    assert listed["QueueUrls"] == ["http://here/123456789012/q"]


async def test_duplicates_at_once_are_one_message(sqs: Local) -> None:
    url = await sqs.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    sends = (sqs.send_message(QueueUrl=url, MessageBody="m", MessageGroupId="g") for _ in range(10))
    sent = await asyncio.gather(*sends)
    assert len({(one["MessageId"], one["SequenceNumber"]) for one in sent}) == 1
    assert await sqs.bodies(url) == ["m"]
