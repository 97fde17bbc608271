"""What scripts rely on: flags, environment and file, keys, and refusals that say what to do."""

import gzip
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import running
from tests.crash.test_events import archive

CALL_BACK = """
import boto3, os

def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Account"]
"""
KEYS = """
[AKIDALICE]
secret = "alices-secret"
account = "111111111111"

[AKIDBOB]
secret = "bobs-secret"
"""


def told(*arguments: str, cwd: pathlib.Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "oncue", "serve", *arguments],
        cwd=cwd,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=running.READY_S,
    )


def test_health_is_what_tools_wait_for(server: running.Running) -> None:
    for path in ("/health", "/_localstack/health"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["services"]["sqs"] == "running"
    assert "Ready.\n" in server.output.read_text()


def test_settings_come_from_environment_and_file_too(tmp_path: pathlib.Path) -> None:
    port = running.free_port()
    file = tmp_path / "oncue.toml"
    file.write_text(f'port = {port}\nstore = "sqlite:///{tmp_path}/of-file.db"\n')
    environment = dict(os.environ) | {"ONCUE_STORE": f"sqlite:///{tmp_path}/of-environment.db"}
    process = subprocess.Popen(
        [sys.executable, "-m", "oncue", "serve", "--config", str(file), "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(running.STOP_S) == 0
    process.stdout.close()
    assert f":{port} " in lines[0]
    assert lines[1] == "Ready.\n"
    assert (tmp_path / "of-environment.db").exists()
    assert not (tmp_path / "of-file.db").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (("--store", "mysql://x"), {}, "--store takes sqlite:///PATH or postgresql://"),
        (("--store", "postgresql://127.0.0.1:1/x"), {}, "PostgreSQL does not answer"),
        ((), {"ONCUE_PORT": "many"}, "The setting port cannot be 'many'"),
        ((), {"ONCUE_CONFIG": "absent.toml"}, "absent.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    tmp_path: pathlib.Path, arguments: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    result = told("--data", str(tmp_path), *arguments, cwd=tmp_path, **environment)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def client(server: running.Running, service: str, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def test_with_keys_every_signature_is_checked(tmp_path: pathlib.Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(KEYS)
    with running.serving(f"sqlite:///{tmp_path}/x.db", tmp_path, flags=("--auth", str(keys))) as server:
        alice = client(server, "sts", "AKIDALICE", "alices-secret").get_caller_identity()
        assert alice["Account"] == "111111111111"
        for key, secret, code in (
            ("AKIDALICE", "wrong", "InvalidSignatureException"),
            ("AKIDEVE", "any", "UnrecognizedClientException"),
        ):
            with pytest.raises(ClientError) as caught:
                client(server, "sqs", key, secret).create_queue(QueueName="stolen")
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert "QueueUrls" not in client(server, "sqs", "AKIDALICE", "alices-secret").list_queues()
        functions = client(server, "lambda", "AKIDALICE", "alices-secret")
        functions.create_function(
            FunctionName="who",
            Runtime="python3.11",
            Handler="app.handler",
            Role="arn:aws:iam::111111111111:role/any",
            Code={"ZipFile": archive(CALL_BACK)},
        )
        functions.get_waiter("function_active_v2").wait(FunctionName="who")
        assert json.load(functions.invoke(FunctionName="who")["Payload"]) == "111111111111"


def raw(server: running.Running, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    target = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
    connection.request(
        "POST", "/", body, target | {name.replace("_", "-"): text for name, text in headers.items()}
    )
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_bodies_that_are_not_what_they_say_are_refused(server: running.Running) -> None:
    assert raw(server, gzip.compress(b"{}"), Content_Encoding="gzip")[0] == 200
    assert raw(server, b"{}", Content_Encoding="gzip")[0] == 400
    assert raw(server, gzip.compress(b" " * 80_000_000), Content_Encoding="gzip")[0] == 413
    status, text = raw(server, b"{")
    assert (status, b"SerializationException" in text) == (400, True)
    status, text = raw(server, b"{}", X_Amz_Target="AmazonSQS.Conjure")
    assert (status, b"Conjure" in text) == (501, True)
    status, text = raw(server, b'{"Nonsense": 1}')
    assert (status, b"Nonsense" in text) == (400, True)
