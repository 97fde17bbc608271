"""Programs written for SQS, unchanged: kombu and Celery in Python, sqs-consumer in Node."""

import json
import subprocess

from tests import running
from tests.ecosystem.conftest import HERE, PYTHON

DONE_S = 90


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=DONE_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_kombu_and_celery(server: running.Running) -> None:
    out = output_of(str(PYTHON), str(HERE / "kombu_driver.py"), str(server.port))
    assert out.splitlines()[-1] == "all is well"


def test_sqs_consumer(server: running.Running) -> None:
    told = json.loads(output_of("node", str(HERE / "node" / "consumer.mjs"), str(server.port)))
    assert told["handled"] == [str(number) for number in range(8)]
    assert told["failed"], "one message failed once, and came again"
    assert set(told["left"].values()) == {"0"}
