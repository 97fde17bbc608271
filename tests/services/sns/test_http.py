"""HTTP endpoints: asked, confirmed, delivered to, retried, buried, unsubscribed and back again."""

import json
import pathlib
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import running
from tests.services.sns.subscriber import Subscriber
from tests.services.sns.test_fan_out import verify

CONFIRMED = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]


def policy(**retry: Any) -> str:
    return json.dumps({"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 1, **retry}})


def test_nothing_is_delivered_before_the_endpoint_has_confirmed(
    sns: Any, topic: str, subscriber: Subscriber
) -> None:
    made = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    assert made["SubscriptionArn"] == "pending confirmation"
    again = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=subscriber.url, ReturnSubscriptionArn=True
    )
    arn = again["SubscriptionArn"]
    assert arn.startswith(f"{topic}:")
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [entry["SubscriptionArn"] for entry in listed] == ["PendingConfirmation"]
    sns.publish(TopicArn=topic, Message="too early")
    first, second = subscriber.wait(2)[:2]
    assert first.path == "/hook?a=1"
    assert first.headers["content-type"] == "text/plain; charset=UTF-8"
    assert first.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert first.headers["x-amz-sns-topic-arn"] == topic
    assert first.headers["x-amz-sns-message-id"] == first.fields["MessageId"]
    assert first.fields["Message"].startswith(f"You have chosen to subscribe to the topic {topic}.\n")
    verify(first.fields, CONFIRMED)
    with pytest.raises(ClientError, match="Invalid parameter: Token"):
        sns.confirm_subscription(TopicArn=topic, Token="wrong")
    assert first.fields["Token"] != second.fields["Token"]  # only the later one is good
    by_time = sorted((first, second), key=lambda entry: entry.fields["Timestamp"])
    with pytest.raises(ClientError, match="Invalid parameter: Token"):
        sns.confirm_subscription(TopicArn=topic, Token=by_time[0].fields["Token"])
    confirmed = sns.confirm_subscription(TopicArn=topic, Token=by_time[1].fields["Token"])
    assert confirmed["SubscriptionArn"] == arn
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert attributes["PendingConfirmation"] == "false"
    sns.publish(TopicArn=topic, Message="now")
    last = subscriber.wait(3)[2]
    assert last.kind == "Notification"
    assert last.headers["x-amz-sns-subscription-arn"] == arn
    assert last.fields["Message"] == "now"
    verify(last.fields)


def test_a_link_confirms_and_another_leaves(sns: Any, topic: str, subscriber: Subscriber) -> None:
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    assert "<ConfirmSubscriptionResult><SubscriptionArn>" in subscriber.confirm()
    sns.publish(TopicArn=topic, Message="m")
    notification = subscriber.wait(2)[1].fields
    urllib.request.urlopen(notification["UnsubscribeURL"], timeout=10).read()
    goodbye = subscriber.wait(3)[2]
    assert goodbye.kind == "UnsubscribeConfirmation"
    verify(goodbye.fields, CONFIRMED)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    counts = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsDeleted"]) == ("0", "1")
    urllib.request.urlopen(goodbye.fields["SubscribeURL"], timeout=10).read()
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1


def test_a_link_needs_no_key_where_all_else_does(tmp_path: pathlib.Path, subscriber: Subscriber) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[AKIDEXAMPLE]\nsecret = "test"\naccount = "123456789012"\n')
    with running.serving(f"sqlite:///{tmp_path}/oncue.db", tmp_path, flags=("--auth", str(keys))) as server:
        sns = server.client("sns", "AKIDEXAMPLE")
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
        assert "<SubscriptionArn>" in subscriber.confirm()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.endpoint}/?Action=ListTopics&Version=2010-03-31", timeout=10)


def test_retries_then_the_dead_letter_queue(sns: Any, topic: str, subscriber: Subscriber, queue: Any) -> None:
    dead = queue("dead")
    sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=subscriber.url,
        Attributes={
            "RawMessageDelivery": "true",
            "DeliveryPolicy": policy(numRetries=3, numNoDelayRetries=2),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn}),
        },
    )
    subscriber.confirm()
    subscriber.statuses = [503, 429, 200]
    sns.publish(TopicArn=topic, Message="succeeds at last")
    got = subscriber.wait(4)[1:]
    assert [entry.body for entry in got] == ["succeeds at last"] * 3
    assert {entry.headers["x-amz-sns-rawdelivery"] for entry in got} == {"true"}
    assert len({entry.headers["x-amz-sns-message-id"] for entry in got}) == 1
    subscriber.statuses = [500]
    sent = sns.publish(TopicArn=topic, Message="never")
    (letter,) = dead.take(1)
    assert letter["Body"] == "never"
    assert {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()} == {
        "RequestID": sent["MessageId"],
        "ErrorCode": "500",
        "ErrorMessage": "HTTP status 500",
    }
    assert len(subscriber.got) == 4 + 4
    for status in (404, 302):
        subscriber.statuses = [status]
        sns.publish(TopicArn=topic, Message="permanent")
        (letter,) = dead.take(1)
        assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == str(status)
    assert len(subscriber.got) == 4 + 4 + 2


def test_one_that_does_not_answer_delays_nobody(sns: Any, topic: str, subscriber: Subscriber) -> None:
    silent = Subscriber()
    try:
        for one in (silent, subscriber):
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=one.url)
            one.confirm()
        silent.released.clear()
        entries = [{"Id": str(number), "Message": str(number)} for number in range(10)]
        for _ in range(3):
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        assert len(subscriber.wait(31)) == 31
        assert len(silent.got) <= 9  # one that it confirmed, and eight at once
    finally:
        silent.close()


def test_a_content_type_and_a_closed_port(sns: Any, topic: str, queue: Any) -> None:
    dead, subscriber = queue("dead"), Subscriber()
    own = json.loads(policy(numRetries=0)) | {"requestPolicy": {"headerContentType": "application/json"}}
    sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=subscriber.url,
        Attributes={
            "DeliveryPolicy": json.dumps(own),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn}),
        },
    )
    subscriber.confirm()
    sns.publish(TopicArn=topic, Message="m")
    assert subscriber.wait(2)[1].headers["content-type"] == "application/json"
    subscriber.close()
    sns.publish(TopicArn=topic, Message="lost")
    (letter,) = dead.take(1)
    assert json.loads(letter["Body"])["Message"] == "lost"
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "0"
