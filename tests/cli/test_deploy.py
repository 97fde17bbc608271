"""`oncue deploy`, `logs` and `aws` against a running server."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oncue.cli.deploy import deploy, overrides
from oncue.cli.logs import group_of, logs, seconds
from oncue.errors import SetupError
from tests import running

DRAFTS = pathlib.Path(__file__).parents[2] / "examples" / "drafts" / "template.yaml"
Run = Callable[..., Result]
SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Seconds: {Type: Number, Default: 3}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: hello.handler
      CodeUri: src/
      Timeout: !Ref Seconds
  Jobs:
    Type: AWS::SQS::Queue
Outputs:
  Function: {Value: !Ref Hello}
  Queue: {Value: !Ref Jobs, Description: Where jobs go}
"""


@pytest.fixture
def run(server: running.Running, account: str) -> Run:
    """Runs a command as the test's own account."""

    def invoke(command: Any, *words: str) -> Result:
        environment = {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        return CliRunner().invoke(command, list(words), env=environment)

    return invoke


@pytest.fixture
def app(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small application; its folder's name gives the stack's."""
    folder = tmp_path / "my_app"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "hello.py").write_text(
        "def handler(event, context):\n    print('hi', event['n'])\n    return event\n"
    )
    (folder / "template.yaml").write_text(SAM)
    return folder / "template.yaml"


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_deploy_twice_change_and_delete(run: Run, app: pathlib.Path, client: Any) -> None:
    first = run(deploy, str(app))
    assert first.exit_code == 0, first.output
    assert "+ Hello AWS::Lambda::Function" in first.output
    assert "my-app: CREATE_COMPLETE" in first.output
    again = answer(run(deploy, str(app), "--json"))
    assert (again["stack"], again["changed"]) == ("my-app", False)
    assert {row["action"] for row in again["changes"]} == {"unchanged"}
    name = again["outputs"]["Function"]
    reply = client("lambda").invoke(FunctionName=name, Payload=b'{"n": 1}')
    assert json.loads(reply["Payload"].read()) == {"n": 1}

    (app.parent / "src" / "hello.py").write_text("def handler(event, context):\n    return 'changed'\n")
    changed = answer(run(deploy, str(app), "--json", "--parameter-overrides", "Seconds=5"))
    rows = {row["resource"]: row for row in changed["changes"]}
    assert rows["Hello"]["properties"] == ["Code", "Timeout"]
    assert rows["Jobs"]["action"] == "unchanged"
    reply = client("lambda").invoke(FunctionName=name, Payload=b'{"n": 1}')
    assert json.loads(reply["Payload"].read()) == "changed"
    assert client("lambda").get_function_configuration(FunctionName=name)["Timeout"] == 5
    kept = answer(run(deploy, str(app), "--json"))
    assert kept["changed"] is False  # a parameter that is not given keeps its value

    assert answer(run(deploy, str(app), "--delete", "--yes", "--json")) == {
        "stack": "my-app",
        "deleted": True,
    }
    assert client("lambda").list_functions()["Functions"] == []
    assert answer(run(deploy, str(app), "--delete", "--yes", "--json"))["deleted"] is False


def test_what_is_deleted_or_replaced_wants_a_yes(run: Run, app: pathlib.Path) -> None:
    assert run(deploy, str(app)).exit_code == 0
    app.write_text(
        SAM.replace("Type: AWS::SQS::Queue", "Type: AWS::SQS::Queue\n    Properties: {FifoQueue: true}")
    )
    refused = run(deploy, str(app))
    assert isinstance(refused.exception, SetupError)
    assert str(refused.exception) == "This deletes or replaces Jobs. Say --yes if that is wanted."
    assert answer(run(deploy, str(app), "--yes", "--json"))["outputs"]["Queue"].endswith(".fifo")


def test_a_failure_is_told_and_the_next_deploy_starts_afresh(run: Run, app: pathlib.Path) -> None:
    app.write_text(
        SAM.replace("Type: AWS::SQS::Queue", "Type: AWS::SQS::Queue\n    Properties: {DelaySeconds: 9999}")
    )
    failed = run(deploy, str(app))
    assert failed.exit_code == 1
    assert "The stack is in ROLLBACK_COMPLETE." in failed.output
    assert "Jobs: Resource handler returned message:" in failed.output
    app.write_text(SAM)
    repaired = run(deploy, str(app))
    assert repaired.exit_code == 0, repaired.output
    assert "deleting what is left of it" in repaired.output


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("CodeUri: src/", "CodeUri: lost/", "template.yaml:11: resource Hello, property CodeUri: "),
        (
            "Type: AWS::SQS::Queue",
            "Type: AWS::S4::Bucket",
            "template.yaml:14: Template format error: Unrecognized",
        ),
        (
            "Type: AWS::SQS::Queue",
            "Type: AWS::SQS::Queue\n    Properties:\n      Colour: red",
            "template.yaml:16: Resource Jobs (AWS::SQS::Queue): Encountered unsupported property Colour",
        ),
        ("Handler: hello.handler", "Handle: hello.handler", "template.yaml:6: "),
        (
            "!Ref Jobs",
            "!Ref Lost",
            "template.yaml:17: output Queue: Template format error: Unresolved resource dependencies [Lost]",
        ),
        ("Resources:", "Resources: [", "template.yaml:7: Template format error: YAML not well-formed."),
    ],
)
def test_template_errors_name_file_and_line(
    run: Run, app: pathlib.Path, old: str, new: str, sentence: str
) -> None:
    app.write_text(SAM.replace(old, new))
    refused = run(deploy, str(app))
    assert isinstance(refused.exception, SetupError), refused.output
    assert sentence in str(refused.exception)


def test_no_server_and_no_template(tmp_path: pathlib.Path, app: pathlib.Path) -> None:
    address = f"http://127.0.0.1:{running.free_port()}"
    silent = CliRunner().invoke(deploy, [str(app), "--endpoint-url", address])
    assert str(silent.exception).startswith(f"No server answers at {address}. Start one with `oncue serve`")
    none = CliRunner().invoke(deploy, [str(tmp_path / "none.yaml")])
    assert str(none.exception).startswith("There is no template")


def test_logs_of_a_function(run: Run, app: pathlib.Path, client: Any) -> None:
    name = answer(run(deploy, str(app), "--json"))["outputs"]["Function"]
    client("lambda").invoke(FunctionName=name, Payload=b'{"n": 42}')
    for _ in range(200):  # what a worker says is written down in the background
        said = run(logs, name)
        if "hi 42" in said.output:
            break
    assert "hi 42" in said.output
    assert "START RequestId: " in said.output
    nothing = run(logs, "nobody")
    assert nothing.exit_code == 1
    assert "Nothing has been logged to /aws/lambda/nobody yet." in nothing.output


def test_words_of_logs() -> None:
    assert [seconds(text) for text in ("90s", "10m", "2h", "1d", "5")] == [90, 600, 7_200, 86_400, 5]
    assert group_of("f") == group_of("arn:aws:lambda:us-east-1:1:function:f:7") == "/aws/lambda/f"
    assert group_of("/my/group") == "/my/group"


def test_parameter_words() -> None:
    assert overrides(("A=1 B=x=y", "C=")) == {"A": "1", "B": "x=y", "C": ""}


def test_the_aws_cli_finds_us(server: running.Running, account: str, client: Any) -> None:
    client("sqs").create_queue(QueueName="seen")
    environment = {**os.environ, "AWS_ENDPOINT_URL": server.endpoint, "AWS_ACCESS_KEY_ID": account}
    command = [sys.executable, "-m", "oncue", "aws", "sqs", "list-queues", "--output", "text"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout.strip().endswith(f"/{account}/seen"), found.stderr


def test_the_drafts_example(run: Run, server: running.Running) -> None:
    outputs = answer(run(deploy, str(DRAFTS), "--stack-name", "drafts", "--json"))["outputs"]
    host = outputs["ApiEndpoint"].split("//")[1]

    def ask(method: str, path: str, body: Any = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Host": host, "content-type": "application/json"}
        address = f"{server.endpoint}{path}"
        request = urllib.request.Request(address, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return str(reply.read().decode())

    def history(way: str) -> Any:
        return json.loads(ask("GET", f"{way}/posts/p1/history"))

    for count, version in enumerate(("v1.9", "v1.10", "v1.2", "v1.10"), 1):
        for way in ("", "/naive"):
            ask("POST", f"{way}/posts/p1/drafts", {"version": version, "text": f"text of {version}"})
            for _ in range(2_000):
                if len(history(way)["arrivals"]) == count:
                    break
    assert [(row["version"], row["outcome"]) for row in history("")["arrivals"]] == [
        ("v1.9", "saved"),
        ("v1.10", "saved"),
        ("v1.2", "ignored as stale"),
        ("v1.10", "duplicate"),
    ]
    assert history("")["versions"] == history("/naive")["versions"] == ["v1.2", "v1.9", "v1.10"]
    assert {row["outcome"] for row in history("/naive")["arrivals"]} == {"saved"}
    assert json.loads(ask("GET", "/posts/p1"))["text"] == "text of v1.10"
    saved = json.loads(ask("PUT", "/posts/p1", {"version": "v2", "text": "by the server way"}))
    assert saved["outcome"] == "saved"
    assert json.loads(ask("GET", "/posts/p1"))["version"] == "v2"
