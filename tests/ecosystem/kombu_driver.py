"""Runs in the ecosystem's own environment: kombu and Celery against the server on the port given."""

import sys
import threading
import uuid

import kombu
from celery import Celery
from celery.contrib.testing.worker import start_worker

WAIT_S = 30
URL = f"sqs://test:test@127.0.0.1:{sys.argv[1]}//"
OPTIONS = {"region": "us-east-1", "is_secure": False, "wait_time_seconds": 1, "visibility_timeout": 30}


def use_kombu() -> None:
    name = f"kombu-{uuid.uuid4()}"
    with kombu.Connection(URL, transport_options=OPTIONS) as connection:
        queue = connection.SimpleQueue(name)
        for number in range(5):
            queue.put({"number": number, "text": "grüße"})
        got = []
        for _ in range(5):
            message = queue.get(timeout=WAIT_S)
            got.append(message.payload["number"])
            assert message.payload["text"] == "grüße"
            message.ack()
        assert sorted(got) == list(range(5)), got
        assert queue.qsize() == 0
        queue.put({"number": 5})
        message = queue.get(timeout=WAIT_S)
        message.requeue()
        again = queue.get(timeout=WAIT_S)
        assert again.payload == {"number": 5}
        again.ack()
        queue.close()


def use_celery() -> None:
    app = Celery("ecosystem", broker=URL)
    app.conf.update(
        broker_transport_options=OPTIONS,
        task_default_queue=f"celery-{uuid.uuid4()}",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        task_acks_late=True,
    )
    lock, done, all_done = threading.Lock(), [], threading.Event()

    @app.task(name="add", bind=True, max_retries=3)
    def add(self, x: int, y: int) -> None:
        if x == 3 and self.request.retries == 0:
            raise self.retry(countdown=0)
        with lock:
            done.append(x + y)
            if len(done) == 5:
                all_done.set()

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=WAIT_S):
        for number in range(5):
            add.delay(number, 10)
        assert all_done.wait(WAIT_S), f"done: {done}"
    assert sorted(done) == [10, 11, 12, 13, 14], done


use_kombu()
use_celery()
print("all is well")
