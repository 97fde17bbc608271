"""`oncue sequencing` and `oncue why` against a running server, with the example's third way."""

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oncue.cli.deploy import deploy
from oncue.cli.sequencing import sequencing, why
from oncue.errors import SetupError
from tests import running
from tests.services.lambda_.deployments import deployed

DRAFTS = pathlib.Path(__file__).parents[2] / "examples" / "drafts" / "template.yaml"
DEADLINE_S = 30
Run = Callable[..., Result]


@pytest.fixture
def run(server: running.Running, account: str) -> Run:
    """Runs a command as the test's own account."""

    def invoke(command: Any, *words: str) -> Result:
        environment = {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "COLUMNS": "200",
        }
        return CliRunner().invoke(command, list(words), env=environment)

    return invoke


def test_the_naive_handler_and_one_tag(client: Callable[..., Any], run: Run) -> None:
    assert run(deploy, str(DRAFTS), "--stack-name", "drafts", "--yes").exit_code == 0
    outputs = client("cloudformation").describe_stacks(StackName="drafts")["Stacks"][0]["Outputs"]
    known = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    sqs, url = client("sqs"), known["SequencedQueueUrl"]
    sent = {}
    for version in ("v1.2", "v1.0", "v1.1"):
        reply = sqs.send_message(
            QueueUrl=url,
            MessageBody=json.dumps({"version": version}),
            MessageAttributes={"post": {"DataType": "String", "StringValue": "p1"}},
        )
        sent[version] = reply["MessageId"]
        settled(sqs, url)
    shown = run(sequencing, "show", "p1")
    assert shown.exit_code == 0, shown.output
    assert "p1: applied v1.2, fence 1, idle" in shown.output
    assert shown.output.count("superseded by v1.2") == 2
    assert "superseded by v1.2" in run(why, sent["v1.0"]).output
    assert "done" in run(why, sent["v1.2"]).output
    item = client("dynamodb").get_item(
        TableName=known["SequencedTable"], Key={"post": {"S": "p1"}, "entry": {"S": "latest"}}
    )["Item"]
    assert item["version"]["S"] == "v1.2"
    everything = run(sequencing, "show").output
    assert "1 done" in everything
    assert "2 superseded" in everything


def settled(sqs: Any, url: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while set(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) != {"0"}:
        assert time.monotonic() < deadline


def test_set_reset_and_refusals(client: Callable[..., Any], run: Run) -> None:
    sqs, functions = client("sqs"), client("lambda")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployed(functions, "f")
    uuid = functions.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)["UUID"]
    rule = ["latest", "key=/post", "version=/version", "type=int"]
    assert run(sequencing, "set", "f", *rule).output.strip() == " ".join(rule)
    refused = run(sequencing, "set", uuid, "latest", "key=/post", "version=/version", "tipe=int")
    assert isinstance(refused.exception, SetupError)
    assert "'tipe=int'" in str(refused.exception)
    sqs.send_message(QueueUrl=url, MessageBody='{"post": "p/1", "version": 7}')
    settled(sqs, url)
    assert "applied 7" in run(sequencing, "show", "p/1", "--mapping", "f").output
    assert run(sequencing, "reset", "p/1", "--mapping", "f", "--to", "3").exit_code == 0
    assert "applied 3" in run(sequencing, "show", "p/1").output
    assert run(sequencing, "reset", "--mapping", "f", "--all").exit_code == 0
    assert "No sequenced mapping knows the key" in str(run(sequencing, "show", "p/1").exception)
    assert "Not sequenced any more" in run(sequencing, "set", "f", "off").output
    assert "knows the message" in str(run(why, "nobody").exception)
