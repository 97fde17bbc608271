"""kill -9 while clients send, receive and delete: what was acknowledged is there, what was deleted stays
deleted."""

import http.client
import pathlib
import random
import threading
from dataclasses import dataclass, field

import pytest

from tests import running
from tests.wire import Refused, Wire

SENDERS = 3
RECEIVERS = 2
KILL_AFTER_S = (0.2, 1.2)
DRAIN_EMPTY_MAX = 3
UNKNOWN = (OSError, http.client.HTTPException)


@dataclass
class History:
    """What clients know. An outcome that nobody heard of is unknown, never failed."""

    acknowledged: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    maybe_deleted: set[str] = field(default_factory=set)


def send_until_killed(port: int, url: str, prefix: str, history: History) -> None:
    wire = Wire(port)
    number = 0
    while True:
        number += 1
        body = f"{prefix}-{number}"
        try:
            wire.call("SendMessage", QueueUrl=url, MessageBody=body)
        except UNKNOWN:
            history.unknown.add(body)
            return
        history.acknowledged.add(body)


def receive_until_killed(port: int, url: str, history: History) -> None:
    wire = Wire(port)
    while True:
        bodies: list[str] = []
        try:
            taken = wire.call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in taken.get("Messages", []):
                history.received.add(message["Body"])
                bodies = [message["Body"]]
                wire.call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                history.deleted.add(message["Body"])
                bodies = []
        except UNKNOWN:
            history.maybe_deleted.update(bodies)
            return


def drain(port: int, url: str) -> list[str]:
    """Everything that is left, in flight or not: it all becomes visible within the queue's second."""
    wire, left, empty = Wire(port), [], 0
    while empty < DRAIN_EMPTY_MAX:
        taken = wire.call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        empty = 0 if taken.get("Messages") else empty + 1
        for message in taken.get("Messages", []):
            left.append(message["Body"])
            wire.call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return left


@pytest.mark.crash
def test_nothing_acknowledged_is_missing(store_url: str, tmp_path: pathlib.Path, rounds: int) -> None:
    history = History()
    server = running.start(store_url, tmp_path)
    create = Wire(server.port)
    url = create.call("CreateQueue", QueueName="burst", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    try:
        for number in range(rounds):
            threads = [
                threading.Thread(
                    target=send_until_killed, args=(server.port, url, f"{number}-{sender}", history)
                )
                for sender in range(SENDERS)
            ]
            threads += [
                threading.Thread(target=receive_until_killed, args=(server.port, url, history))
                for _ in range(RECEIVERS)
            ]
            for thread in threads:
                thread.start()
            threads[0].join(random.SystemRandom().uniform(*KILL_AFTER_S))
            server.kill()
            for thread in threads:
                thread.join(running.STOP_S)
            assert not any(thread.is_alive() for thread in threads)
            server = running.start(store_url, tmp_path, port=server.port)
        left = drain(server.port, url)
    finally:
        server.kill()
    assert len(history.acknowledged) > 10 * rounds, "the test did too little to mean anything"
    assert history.deleted, "nothing was deleted while it ran"
    missing = history.acknowledged - history.received - set(left)
    assert missing == set(), f"{len(missing)} acknowledged messages are missing"
    assert set(left) & history.deleted == set(), "an acknowledged deletion was undone"
    assert set(left) <= history.acknowledged | history.unknown, "a message that nobody sent"
    assert len(left) == len(set(left)), "a message stands twice"


@pytest.mark.crash
def test_a_stopped_server_loses_nothing_either(store_url: str, tmp_path: pathlib.Path) -> None:
    server = running.start(store_url, tmp_path)
    wire = Wire(server.port)
    url = wire.call("CreateQueue", QueueName="calm")["QueueUrl"]
    for number in range(20):
        wire.call("SendMessage", QueueUrl=url, MessageBody=str(number))
    assert server.stop() == 0
    server = running.start(store_url, tmp_path, port=server.port)
    try:
        assert sorted(drain(server.port, url), key=int) == [str(number) for number in range(20)]
        with pytest.raises(Refused, match="QueueDoesNotExist"):
            Wire(server.port).call("SendMessage", QueueUrl=f"{url}-other", MessageBody="x")
    finally:
        server.kill()
