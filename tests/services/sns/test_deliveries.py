"""What could not be delivered at once, in process, on both stores: order, schedules, stops, limits."""

import asyncio
import json
import pathlib
import ssl
from collections.abc import Callable

import pytest

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import deliveries, due, posting, signing
from oncue.services.sns.posting import Unreachable, post
from oncue.store import Store, backlog
from tests.services.sns.local import ACCOUNT, DEADLINE_S, Local, bodies


async def test_a_fifo_queue_that_was_away_gets_everything_in_order(
    local: Local, forward: Callable[[float], None]
) -> None:
    topic = await local.topic("t.fifo")
    url = await local.queue(topic, "q.fifo")
    local.sqs.down = True
    for number in range(12):
        await local.do("publish", TopicArn=topic, Message=f"{number}", MessageGroupId=f"g{number % 2}")
    local.sqs.down = False
    for number in range(12, 16):  # these could go straight on, but not before the others
        await local.do("publish", TopicArn=topic, Message=f"{number}", MessageGroupId=f"g{number % 2}")
    forward(20)
    found = [int(body) for body in await bodies(local, url, 16)]
    assert [number for number in found if number % 2] == list(range(1, 16, 2))
    assert [number for number in found if not number % 2] == list(range(0, 16, 2))
    assert await local.left() == 0


async def test_a_standard_queue_that_was_away_gets_everything(
    local: Local, forward: Callable[[float], None]
) -> None:
    topic = await local.topic()
    url = await local.queue(topic, "q")
    local.sqs.down = True
    for number in range(30):
        await local.do("publish", TopicArn=topic, Message=f"{number}")
    local.sqs.down = False
    forward(20)
    assert sorted(map(int, await bodies(local, url, 30))) == list(range(30))


async def test_a_subscription_that_has_left_gets_nothing_more(local: Local) -> None:
    topic = await local.topic()
    arn = await local.web(topic, "http://a/")
    local.endpoint.open.clear()
    for number in range(deliveries.POSTS_MAX + 5):
        await local.do("publish", TopicArn=topic, Message=f"{number}")
    await local.endpoint.until(lambda: len(local.endpoint.got) == 1 + deliveries.POSTS_MAX)
    await local.do("unsubscribe", SubscriptionArn=arn)
    local.endpoint.open.set()
    await local.endpoint.until(lambda: local.endpoint.got[-1][1]["Type"] == "UnsubscribeConfirmation")
    assert len(local.endpoint.messages("http://a/")) == deliveries.POSTS_MAX
    with pytest.raises(ServiceError, match="Subscription does not exist"):
        await local.do("get_subscription_attributes", SubscriptionArn=arn)


async def test_a_node_that_stops_leaves_everything_for_the_next(local: Local, opened: Store) -> None:
    topic = await local.topic()
    await local.web(topic, "http://a/")
    local.endpoint.open.clear()
    for number in range(20):
        await local.do("publish", TopicArn=topic, Message=f"{number}")
    await local.endpoint.until(lambda: len(local.endpoint.got) == 1 + deliveries.POSTS_MAX)
    patience, deliveries.GIVE_BACK_AFTER_S = deliveries.GIVE_BACK_AFTER_S, 0.01
    try:
        await local.sns.stop()
    finally:
        deliveries.GIVE_BACK_AFTER_S = patience
    assert await local.left() == 20
    other = Local(opened)
    await other.sns.start(other.call)
    await other.endpoint.until(lambda: len(other.endpoint.got) == 20)
    await other.sns.stop()
    assert sorted(map(int, other.endpoint.messages("http://a/"))) == list(range(20))
    assert await other.left() == 0


async def test_the_default_policy_waits_20_seconds_three_times(
    local: Local, forward: Callable[[float], None]
) -> None:
    topic = await local.topic()
    dead = await local.do("create_queue", QueueName="dead")
    target = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
    await local.web(topic, "http://a/", RedrivePolicy=json.dumps({"deadLetterTargetArn": target}))
    local.endpoint.statuses["http://a/"] = 503
    await local.do("publish", TopicArn=topic, Message="m")
    for tries in range(1, 5):
        await local.endpoint.until(lambda: len(local.endpoint.messages("http://a/")) == tries)  # noqa: B023
        if tries < 4:
            await _waiting_20_s(local)
            forward(20.1)
            await local.look()
    (letter,) = await bodies(local, dead["QueueUrl"], 1)
    assert json.loads(letter)["Message"] == "m"
    assert len(local.endpoint.messages("http://a/")) == 4


async def _waiting_20_s(local: Local) -> None:
    """Until the outcome of the last try has been written down: a claim would end after 30 s."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            row = await local.store.transact(
                lambda tx: tx.one("SELECT due_at FROM backlog WHERE lane LIKE 'sns/%'")
            )
            assert row is not None
            if 15 < row["due_at"] - clock.now() <= 20:
                return
            await asyncio.sleep(0)


async def test_the_throttle_of_a_subscription(local: Local) -> None:
    topic = await local.topic()
    policy = json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 20}})
    await local.web(topic, "http://slow/", DeliveryPolicy=policy)
    began = clock.monotonic()
    for number in range(24):
        await local.do("publish", TopicArn=topic, Message=f"{number}")
    await local.endpoint.until(lambda: len(local.endpoint.messages("http://slow/")) == 24)
    assert clock.monotonic() - began > 16 / 20


async def test_a_topic_takes_everything_with_it(local: Local) -> None:
    topic = await local.topic()
    await local.queue(topic, "q")
    local.sqs.down = True
    await local.do("publish", TopicArn=topic, Message="m")
    await local.do("delete_topic", TopicArn=topic)
    await local.do("delete_topic", TopicArn=topic)
    for table in ("sns_topics", "sns_subscriptions", "sns_due"):
        rows = await local.store.transact(lambda tx, table=table: tx.all(f"SELECT * FROM {table}"))  # type: ignore[misc]
        assert rows == []
    assert await local.left() == 0
    with pytest.raises(ServiceError, match="Topic does not exist"):
        await local.do("publish", TopicArn=topic, Message="m")


async def test_a_claim_that_was_lost_is_taken_up_again(
    opened: Store, forward: Callable[[float], None]
) -> None:
    """As after kill -9: the rows are claimed, and nobody is there who claimed them."""
    first = Local(opened)
    await first.sns.start(first.call)
    topic = await first.topic()
    await first.web(topic, "http://a/")
    await first.sns.stop()
    await first.do("publish", TopicArn=topic, Message="m")

    def lose(call: Call) -> None:
        ids, _ = due.take(call, call.now + deliveries.CLAIM_S)
        for number in ids:
            lane = f"sns/deliveries/{number}"
            assert backlog.claim(call.tx, lane, now=call.now, until=call.now + deliveries.CLAIM_S, limit=1)

    await first.call.transact(lose)
    forward(deliveries.CLAIM_S + 1)
    second = Local(opened)
    await second.sns.start(second.call)
    await second.endpoint.until(lambda: second.endpoint.messages("http://a/") == ["m"])
    await second.sns.stop()


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, None],
)
async def test_an_answer_that_is_none(answer: bytes | None) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await over.wait()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unreachable):
        await post(f"http://127.0.0.1:{port}/", {}, b"body", timeout_s=0.2)
    over.set()
    server.close()


async def test_tls_is_verified(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, certificate = signing.made()
    for name, pem in (("key", private), ("certificate", certificate)):
        (tmp_path / name).write_bytes(pem)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "certificate", tmp_path / "key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with pytest.raises(Unreachable, match="certificate verify failed"):
        await post(url, {}, b"body")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate"))
    trusting.check_hostname = False
    monkeypatch.setattr(posting, "_tls", lambda: trusting)
    assert await post(url, {}, b"body") == 200
    server.close()


async def test_what_is_posted() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    status = await post(f"http://me:p%40ss@127.0.0.1:{port}/a/b?c=d", {"X-A": "1"}, b"body")
    server.close()
    assert status == 204
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "POST /a/b?c=d HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Authorization: Basic bWU6cEBzcw==" in lines
    assert "X-A: 1" in lines
    assert lines[-1] == "body"


async def test_a_host_with_quotes_does_not_break_the_envelope(local: Local) -> None:
    topic = await local.topic()
    await local.web(topic, "http://a/")
    local.call.base_url = 'http://"evil"\\'
    await local.do("publish", TopicArn=topic, Message='\n  "UnsubscribeURL" : ""')
    await local.endpoint.until(lambda: len(local.endpoint.got) == 2)
    fields = local.endpoint.got[1][1]
    assert fields["UnsubscribeURL"].startswith('http://"evil"\\/?Action=Unsubscribe')
    assert fields["Message"] == '\n  "UnsubscribeURL" : ""'
