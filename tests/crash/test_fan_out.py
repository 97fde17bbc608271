"""kill -9 while clients publish: what was acknowledged is in every queue, what was not is in all or none."""

import http.client
import pathlib
import random
import threading
from urllib.parse import urlencode

import pytest

from tests import running
from tests.wire import AUTHORIZATION, Wire

PUBLISHERS = 3
QUEUES = 3
KILL_AFTER_S = (0.2, 0.8)
UNKNOWN = (OSError, http.client.HTTPException)


class Publisher:
    """The query protocol over one connection, no retries."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=running.STOP_S)
        self._headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Amz-Date": "20261123T000000Z",
            "Authorization": AUTHORIZATION.format(account="test", service="sns"),
        }

    def call(self, action: str, **parameters: str) -> str:
        form = urlencode({"Action": action, "Version": "2010-03-31", **parameters})
        self._connection.request("POST", "/", form, self._headers)
        response = self._connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, body
        return body


def publish_until_killed(
    port: int, topic: str, prefix: str, acknowledged: set[str], unknown: set[str]
) -> None:
    publisher, number = Publisher(port), 0
    while True:
        number += 1
        message = f"{prefix}-{number}"
        try:
            publisher.call("Publish", TopicArn=topic, Message=message)
        except UNKNOWN:
            unknown.add(message)
            return
        acknowledged.add(message)


def drain(port: int, url: str) -> list[str]:
    """Everything: nobody else receives, so nothing is in flight."""
    wire, found = Wire(port), list[str]()
    while messages := wire.call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        wire.call("DeleteMessageBatch", QueueUrl=url, Entries=entries)
        found += [message["Body"] for message in messages]
    return found


@pytest.mark.crash
def test_what_is_published_reaches_every_queue(store_url: str, tmp_path: pathlib.Path, rounds: int) -> None:
    server = running.start(store_url, tmp_path)
    wire, publisher = Wire(server.port), Publisher(server.port)
    urls = [wire.call("CreateQueue", QueueName=f"q{number}")["QueueUrl"] for number in range(QUEUES)]
    made = publisher.call("CreateTopic", Name="burst")
    topic = made.partition("<TopicArn>")[2].partition("</TopicArn>")[0]
    raw = {"Attributes.entry.1.key": "RawMessageDelivery", "Attributes.entry.1.value": "true"}
    for url in urls:
        asked = wire.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])
        arn = asked["Attributes"]["QueueArn"]
        publisher.call("Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn, **raw)
    acknowledged, unknown = set[str](), set[str]()
    try:
        for number in range(rounds):
            threads = [
                threading.Thread(
                    target=publish_until_killed,
                    args=(server.port, topic, f"{number}-{one}", acknowledged, unknown),
                )
                for one in range(PUBLISHERS)
            ]
            for thread in threads:
                thread.start()
            threads[0].join(random.SystemRandom().uniform(*KILL_AFTER_S))
            server.kill()
            for thread in threads:
                thread.join(running.STOP_S)
            assert not any(thread.is_alive() for thread in threads)
            server = running.start(store_url, tmp_path, port=server.port)
        found = [drain(server.port, url) for url in urls]
    finally:
        server.kill()
    assert len(acknowledged) > 10 * rounds, "the test did too little to mean anything"
    for messages in found:
        assert acknowledged - set(messages) == set(), "an acknowledged message is missing"
        assert set(messages) <= acknowledged | unknown, "a message that nobody published"
        assert len(messages) == len(set(messages)), "a message stands twice"
    assert set(found[0]) == set(found[1]) == set(found[2]), "a publish went to some queues only"
