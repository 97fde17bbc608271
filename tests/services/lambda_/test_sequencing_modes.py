"""The modes and their policies one by one: order, gaps, settling, poison, what is invalid or refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from oncue.errors import ServiceError
from tests.services.lambda_.conftest import Local
from tests.services.lambda_.test_sequencing import LATEST, TAG, Application, body, version_of

COUNTED = "in-order key=/post version=/version"


@pytest.fixture
def application(local: Local) -> Application:
    return Application(local)


def wrong(record: Any) -> bool:
    return bool(msgspec.json.decode(record["body"]).get("fails"))


async def dead(application: Application) -> list[Any]:
    reply = await application.local.sqs.receive_message(
        QueueUrl=application.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return list(reply["Messages"] or ())


async def test_in_order_waits_for_what_is_missing(application: Application) -> None:
    await application.deploy(COUNTED)
    await application.local.send(application.url, body(3), body(2))
    await application.local.until_counts(application.url, (0, 2))
    assert (await application.key())["State"] == "waiting"
    await application.local.send(application.url, body(1), body(1))
    await application.until_settled(4)
    assert application.versions() == [1, 2, 3]
    assert sorted(await application.outcomes()) == [
        ("1", "done"),
        ("1", "duplicate"),
        ("2", "done"),
        ("3", "done"),
    ]


async def test_a_gap_is_skipped_when_its_time_is_over_and_what_comes_then_is_late(
    application: Application, forward: Callable[[float], None]
) -> None:
    await application.deploy(f"{COUNTED} gap=30s")
    await application.local.send(application.url, body(1), body(4))
    await application.until_done(1)
    forward(31)
    await application.local.send(application.url, body(5))
    await application.until_done(3)
    await application.local.send(application.url, body(3), body(4))
    await application.until_settled(5)
    assert application.versions() == [1, 4, 5]
    assert (await application.key())["Gaps"] == "2:3"
    assert ("3", "late") in await application.outcomes()
    assert ("4", "duplicate") in await application.outcomes()
    assert [msgspec.json.decode(one["Body"])["version"] for one in await dead(application)] == [3]


async def test_on_gap_stop_goes_on_only_with_the_missing_one(
    application: Application, forward: Callable[[float], None]
) -> None:
    await application.deploy(f"{COUNTED} gap=1s on-gap=stop first=5")
    await application.local.send(application.url, body(6))
    await application.local.until_counts(application.url, (0, 1))
    forward(60)
    await application.local.send(application.url, body(7))
    await application.local.until_counts(application.url, (0, 2))
    assert application.versions() == []
    await application.local.send(application.url, body(5))
    await application.until_settled(3)
    assert application.versions() == [5, 6, 7]


async def test_lateness_orders_what_cannot_be_counted(
    application: Application, forward: Callable[[float], None]
) -> None:
    await application.deploy("in-order key=/post version=/at type=time lateness=5s late=run")
    at = "2026-01-01T00:00:0{}Z"
    await application.local.send(application.url, body("b", at=at.format(2)), body("a", at=at.format(1)))
    await application.local.until_counts(application.url, (0, 2))
    assert application.versions() == []
    forward(6)
    await application.local.send(application.url, body("c", post="other", at=at.format(3)))
    await application.local.pool.until(lambda: application.versions() == ["a", "b"])
    await application.local.send(application.url, body("late", at=at.format(0)))
    await application.local.pool.until(lambda: application.versions() == ["a", "b", "late"])


async def test_one_at_a_time_by_arrival_and_keys_beside_each_other(application: Application) -> None:
    await application.deploy("serial key=/post")
    running: dict[str, int] = {}
    begun, go = asyncio.Event(), asyncio.Event()

    async def handler(event: Any) -> None:
        posts = {msgspec.json.decode(record["body"])["post"] for record in event["Records"]}
        for post in posts:
            assert running.setdefault(post, 0) == 0, "one at a time"
            running[post] = 1
        application.records += event["Records"]
        if "slow" in posts:
            begun.set()
            await go.wait()
        running.update(dict.fromkeys(posts, 0))

    application.local.pool.handlers["f"] = handler
    await application.local.send(application.url, body(1, "slow"))
    await begun.wait()
    await application.local.send(application.url, *(body(n, post) for n in (2, 3) for post in ("slow", "p1")))
    await application.local.pool.until(lambda: application.versions() == [2, 3])
    go.set()
    await application.until_settled(5)
    assert application.versions("slow") == [1, 2, 3]


async def test_a_burst_settles_before_it_runs(
    application: Application, forward: Callable[[float], None]
) -> None:
    await application.deploy(f"{LATEST} settle=20s max-wait=1m")
    await application.local.send(application.url, body("1.1"), body("1.3"), body("1.2"))
    await application.local.until_counts(application.url, (0, 3))
    assert application.versions() == []
    forward(21)
    await application.local.send(application.url, body("1", "other"))
    await application.local.pool.until(lambda: application.versions() == ["1.3"])
    assert application.records[0]["attributes"]["SequencingCoalesced"] == "2"


async def test_a_failure_is_tried_again_and_a_newer_one_overtakes(application: Application) -> None:
    await application.deploy(LATEST, receives=5)
    application.fails = lambda record: version_of(record) == "1.1"
    await application.local.send(application.url, body("1.1"))
    await application.local.pool.until(lambda: application.versions() == ["1.1"])
    await application.local.send(application.url, body("1.2"))
    await application.until_settled(2)
    assert application.versions() == ["1.1", "1.2"]
    assert sorted(await application.outcomes()) == [("1.1", "superseded"), ("1.2", "done")]


async def test_poison_goes_to_the_dead_letters_and_the_next_lower_one_runs(application: Application) -> None:
    """G4: an older one is superseded only by a success."""
    await application.deploy(LATEST, receives=1)
    application.fails = lambda record: version_of(record) == "1.2"
    await application.local.send(application.url, body("1.2"), body("1.0"))
    await application.until_settled(2)
    assert sorted(await application.outcomes()) == [("1.0", "done"), ("1.2", "dlq")]
    moved = await dead(application)
    assert [msgspec.json.decode(one["Body"])["version"] for one in moved] == ["1.2"]


async def test_poison_of_a_counted_key_is_a_gap(application: Application) -> None:
    await application.deploy(COUNTED, receives=1)
    application.fails = lambda record: version_of(record) == 1
    await application.local.send(application.url, body(2), body(1))
    await application.until_settled(2)
    assert sorted(await application.outcomes()) == [("1", "dlq"), ("2", "done")]
    assert (await application.key())["Gaps"] == "1:1"


async def test_poison_may_stop_a_key_until_it_is_reset(application: Application) -> None:
    await application.deploy(f"{COUNTED} on-poison=stop", receives=1)
    application.fails = lambda record: version_of(record) == 1
    await application.local.send(application.url, body(1), body(2))

    async def stopped() -> bool:
        try:
            return bool((await application.key())["State"] == "stopped")
        except ServiceError:
            return False

    await application.local.until(stopped)
    assert 2 not in application.versions()
    await application.local.lambda_.reset_sequence(UUID=application.uuid, Key="p1", To="1")
    await application.until_settled(2)
    assert ("2", "done") in await application.outcomes()


@pytest.mark.parametrize(
    "sent", ['{"post": "p1"}', '{"post": "p1", "version": "soon"}', "no JSON", '{"version": "1"}']
)
async def test_what_cannot_be_sequenced_is_a_dead_letter_that_says_why(
    application: Application, sent: str
) -> None:
    await application.deploy(LATEST)
    await application.local.send(application.url, sent)
    await application.until_settled(1)
    assert application.records == []
    moved = await dead(application)
    assert moved[0]["Body"] == sent
    assert moved[0]["MessageAttributes"]["SequencingError"]["StringValue"]
    explained = await application.local.lambda_.explain_message(MessageId=moved[0]["MessageId"])
    assert explained["Arrivals"][0]["Outcome"] == "invalid"


async def test_what_cannot_be_sequenced_may_run_for_itself_or_be_dropped(application: Application) -> None:
    await application.deploy(f"{LATEST} on-invalid=run")
    await application.local.send(application.url, "no JSON")
    await application.until_settled(1)
    assert [record["body"] for record in application.records] == ["no JSON"]
    again = {"Resource": f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{application.uuid}"}
    await application.local.lambda_.tag_resource(**again, Tags={TAG: f"{LATEST} on-invalid=drop"})
    await application.local.send(application.url, "no JSON either")
    await application.until_settled(2)
    assert len(application.records) == 1
    await application.local.until_counts(application.url, (0, 0))


async def test_a_type_is_settled_by_the_first_message(application: Application) -> None:
    await application.deploy("latest key=/post version=/version")
    await application.local.send(application.url, body("v1.2"))
    await application.until_settled(1)
    await application.local.send(application.url, body("2026-01-02T03:04:05Z"))
    await application.until_settled(2)
    counts = (await application.local.lambda_.get_sequence(UUID=application.uuid))["Counts"]
    assert (counts["done"], counts["invalid"]) == (1, 1)


async def test_a_fifo_queue_has_its_groups_as_keys(application: Application) -> None:
    """Versions of a group that come in the wrong order do not block it: they are set aside."""
    await application.deploy("in-order version=/version", fifo=True)
    for version in (3, 2, 1):
        await application.local.send(application.url, body(version), MessageGroupId="g")
    await application.until_settled(3)
    assert application.versions("g") == [1, 2, 3]
    await application.local.until_counts(application.url, (0, 0))


async def test_messages_go_back_when_the_rule_goes(application: Application) -> None:
    await application.deploy(COUNTED)
    await application.local.send(application.url, body(2))
    await application.local.until_counts(application.url, (0, 1))
    resource = f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{application.uuid}"
    await application.local.lambda_.untag_resource(Resource=resource, TagKeys=[TAG])
    await application.local.pool.until(lambda: len(application.records) == 1)
    assert "SequencingKey" not in application.records[0]["attributes"]
    await application.local.until_counts(application.url, (0, 0))


async def test_messages_go_back_when_the_mapping_is_deleted(application: Application) -> None:
    await application.deploy(COUNTED)
    await application.local.send(application.url, body(2))
    await application.local.until_counts(application.url, (0, 1))
    await application.local.lambda_.delete_event_source_mapping(UUID=application.uuid)
    await application.local.until_counts(application.url, (1, 0))


async def test_a_mapping_may_outlive_its_queue(application: Application) -> None:
    await application.deploy(COUNTED)
    await application.local.send(application.url, body(2))
    await application.local.until_counts(application.url, (0, 1))
    await application.local.sqs.delete_queue(QueueUrl=application.url)
    await application.local.lambda_.delete_event_source_mapping(UUID=application.uuid)


async def test_what_is_past_its_time_is_counted_then_forgotten(
    application: Application, forward: Callable[[float], None]
) -> None:
    await application.deploy(f"{LATEST} ttl=1h")
    await application.local.send(application.url, body("1.1"), body("1.0"))
    await application.until_settled(2)
    forward(86_401)
    await application.local.send(application.url, body("1.2", "other"))

    async def forgotten() -> bool:
        try:
            return (await application.key())["Timeline"] == []
        except ServiceError:
            return True

    await application.local.until(forgotten)
    await application.until_settled(3)
    with pytest.raises(ServiceError, match="knows the key"):
        await application.key()


async def test_a_purge_takes_what_is_parked_and_keeps_what_is_known(application: Application) -> None:
    await application.deploy(COUNTED)
    await application.local.send(application.url, body(1), body(3))
    await application.local.pool.until(lambda: application.versions() == [1])
    await application.local.until_counts(application.url, (0, 1))
    await application.local.sqs.purge_queue(QueueUrl=application.url)
    await application.local.until_counts(application.url, (0, 0))
    await application.local.send(application.url, body(2))
    await application.until_settled(3)
    assert sorted(await application.outcomes()) == [("1", "done"), ("2", "done"), ("3", "expired")]


async def test_a_second_sequenced_mapping_of_a_queue_is_refused(application: Application) -> None:
    await application.deploy(LATEST)
    await application.local.function("g", application.handler)
    with pytest.raises(ServiceError, match="has a sequenced mapping already"):
        await application.local.lambda_.create_event_source_mapping(
            FunctionName="g", EventSourceArn=application.arn, Tags={TAG: LATEST}
        )


async def test_our_own_setting_holds_before_the_tag(application: Application) -> None:
    await application.deploy(LATEST)
    shown = await application.local.lambda_.put_sequence(UUID=application.uuid, Rule="serial key=/post")
    assert (shown["Rule"], shown["SetBy"]) == ("serial key=/post", "api")
    again = await application.local.lambda_.delete_sequence(UUID=application.uuid)
    assert again == {"Rule": LATEST}


async def test_a_tag_of_the_function_holds_for_its_mappings(application: Application) -> None:
    local = application.local
    url, arn = await local.queue("drafts")
    tags = {TAG: "serial key=/a", f"{TAG}:drafts": LATEST}
    await local.function("f", application.handler, Tags=tags)
    made = await local.lambda_.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    assert (await local.lambda_.get_sequence(UUID=made["UUID"]))["Rule"] == LATEST
    await local.send(url, body("1.1"))
    await local.pool.until(lambda: application.versions() == ["1.1"])


async def test_known_keys_keep_their_meaning(application: Application) -> None:
    await application.deploy(LATEST)
    await application.local.send(application.url, body("1.1"))
    await application.until_settled(1)
    with pytest.raises(ServiceError, match="another meaning"):
        await application.local.lambda_.put_sequence(UUID=application.uuid, Rule=COUNTED)
    await application.local.lambda_.reset_sequence(UUID=application.uuid)
    await application.local.lambda_.put_sequence(UUID=application.uuid, Rule=COUNTED)
