"""kill -9 while FIFO messages are sent, and sent again under the same id: each is there once, in order."""

import http.client
import pathlib
import random
import threading

import pytest

from tests import running
from tests.wire import Wire

MESSAGES = 150
SENDERS = 2
KILL_AFTER_S = (0.02, 0.08)
TRIES_MAX = 20
UNKNOWN = (OSError, http.client.HTTPException)


def send_all(port: int, url: str, group: str, sent: dict[str, str]) -> None:
    """Sends the group's messages one by one, from the first whose outcome is not known; ends when the server
    is gone."""
    wire = Wire(port)
    for number in range(len(sent), MESSAGES):
        name = f"{group}-{number}"
        try:
            reply = wire.call(
                "SendMessage",
                QueueUrl=url,
                MessageBody=name,
                MessageGroupId=group,
                MessageDeduplicationId=name,
            )
        except UNKNOWN:
            return
        sent[name] = reply["SequenceNumber"]


@pytest.mark.crash
def test_a_message_sent_again_is_there_once(store_url: str, tmp_path: pathlib.Path) -> None:
    server = running.start(store_url, tmp_path)
    attributes = {"FifoQueue": "true", "VisibilityTimeout": "600"}
    url = Wire(server.port).call("CreateQueue", QueueName="q.fifo", Attributes=attributes)["QueueUrl"]
    groups: dict[str, dict[str, str]] = {f"g{number}": {} for number in range(SENDERS)}
    chance = random.SystemRandom()
    killed = 0
    try:
        for _ in range(TRIES_MAX):
            threads = [
                threading.Thread(target=send_all, args=(server.port, url, group, sent))
                for group, sent in groups.items()
            ]
            for thread in threads:
                thread.start()
            threads[0].join(chance.uniform(*KILL_AFTER_S) if killed < 2 else None)
            if any(thread.is_alive() for thread in threads) and killed < 2:
                server.kill()
                killed += 1
                server = running.start(store_url, tmp_path, port=server.port)
            for thread in threads:
                thread.join(running.STOP_S)
            if all(len(sent) == MESSAGES for sent in groups.values()):
                break
        found: dict[str, list[tuple[str, str]]] = {group: [] for group in groups}
        wire = Wire(server.port)
        while got := wire.call(
            "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages"):
            for message in got:
                about = message["Attributes"]
                found[about["MessageGroupId"]].append((message["Body"], about["SequenceNumber"]))
                wire.call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    finally:
        server.kill()
    assert killed, "it was over before the first kill"
    for group, sent in groups.items():
        assert found[group] == list(sent.items()), "each once, in order, under the number that was told"
        numbers = list(sent.values())
        assert numbers == sorted(numbers)
