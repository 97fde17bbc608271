"""Functions deployed and invoked by boto3, on a real server with real workers."""

import base64
import hashlib
import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.lambda_.deployments import ROLE, deployed, zipped


@pytest.fixture
def functions(client: Callable[..., Any]) -> Any:
    return client("lambda")


def refused(call: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        call()
    reply = error.value.response
    text = reply["Error"].get("Message") or reply.get("Message", "")
    return reply["Error"]["Code"], reply["ResponseMetadata"]["HTTPStatusCode"], text


def test_a_function_is_made_described_and_deleted(functions: Any, account: str) -> None:
    archive = zipped("def handler(event, context): return 1")
    made = deployed(functions, "f", archive, Environment={"Variables": {"KEY": "b"}}, Tags={"team": "x"})
    sha256 = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert (made["State"], made["StateReasonCode"], made["Version"]) == ("Pending", "Creating", "$LATEST")
    assert (made["CodeSha256"], made["CodeSize"]) == (sha256, len(archive))
    assert (made["Timeout"], made["MemorySize"], made["PackageType"]) == (3, 128, "Zip")
    assert made["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    assert made["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    for waiter in ("function_exists", "function_active_v2", "function_updated_v2"):
        functions.get_waiter(waiter).wait(FunctionName="f", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    got = functions.get_function(FunctionName=made["FunctionArn"])
    assert got["Configuration"]["State"] == "Active"
    assert got["Tags"] == {"team": "x"}
    with urllib.request.urlopen(got["Code"]["Location"]) as reply:
        assert reply.read() == archive
    assert [entry["FunctionName"] for entry in functions.list_functions()["Functions"]] == ["f"]
    assert functions.delete_function(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(lambda: functions.get_function(FunctionName="f")) == (
        "ResourceNotFoundException",
        404,
        f"Function not found: arn:aws:lambda:us-east-1:{account}:function:f",
    )


def test_what_create_refuses(functions: Any) -> None:
    deployed(functions, "taken")
    assert refused(lambda: deployed(functions, "taken")) == (
        "ResourceConflictException",
        409,
        "Function already exist: taken",
    )
    code, status, text = refused(lambda: deployed(functions, "f", b"no zip"))
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert "Could not unzip uploaded file" in text
    assert (
        "Runtime and Handler are mandatory"
        in refused(
            lambda: functions.create_function(FunctionName="f", Role=ROLE, Code={"ZipFile": zipped("")})
        )[2]
    )
    assert (
        "Please provide a source"
        in refused(
            lambda: functions.create_function(
                FunctionName="f", Role=ROLE, Runtime="python3.11", Handler="a.b", Code={}
            )
        )[2]
    )
    assert (
        "Oncue has no Amazon S3"
        in refused(
            lambda: functions.create_function(
                FunctionName="f",
                Role=ROLE,
                Runtime="python3.11",
                Handler="a.b",
                Code={"S3Bucket": "mine", "S3Key": "k"},
            )
        )[2]
    )
    assert "nodejs22.x" in refused(lambda: deployed(functions, "f", Runtime="nodejs22.x"))[2]
    assert (
        "Layers"
        in refused(
            lambda: deployed(functions, "f", Layers=["arn:aws:lambda:us-east-1:123456789012:layer:l:1"])
        )[2]
    )
    assert [entry["FunctionName"] for entry in functions.list_functions()["Functions"]] == ["taken"]


def test_code_that_the_command_line_has_put_is_found(functions: Any, server: Any) -> None:
    archive = zipped("def handler(event, context): return 'artifact'")
    sha256 = hashlib.sha256(archive).hexdigest()
    address = f"{server.endpoint}/_oncue/artifacts/{sha256}"
    urllib.request.urlopen(urllib.request.Request(address, data=archive, method="PUT")).read()
    functions.create_function(
        FunctionName="f",
        Role=ROLE,
        Runtime="python3.11",
        Handler="app.handler",
        Code={"S3Bucket": "oncue-artifacts", "S3Key": f"{sha256}.zip"},
    )
    assert json.load(functions.invoke(FunctionName="f")["Payload"]) == "artifact"
    code = {"S3Bucket": "oncue-artifacts", "S3Key": "0" * 64}
    assert "NoSuchKey" in refused(lambda: functions.update_function_code(FunctionName="f", **code))[2]


def test_an_invocation_answers(functions: Any) -> None:
    source = (
        "def handler(event, context):\n"
        "    print('said', event)\n"
        "    return {'event': event, 'id': context.aws_request_id, 'arn': context.invoked_function_arn}\n"
    )
    deployed(functions, "f", zipped(source))
    reply = functions.invoke(FunctionName="f", Payload=b'{"n": 1}', LogType="Tail")
    answer = json.load(reply["Payload"])
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in reply
    assert answer["event"] == {"n": 1}
    assert answer["id"] == reply["ResponseMetadata"]["RequestId"]
    assert answer["arn"].endswith(":function:f")
    tail = base64.b64decode(reply["LogResult"]).decode()
    assert "said {'n': 1}" in tail
    assert f"REPORT RequestId: {answer['id']}" in tail
    assert json.load(functions.invoke(FunctionName="f")["Payload"])["event"] == {}
    qualified = functions.invoke(FunctionName="f", Qualifier="$LATEST")
    assert json.load(qualified["Payload"])["arn"].endswith(":function:f:$LATEST")


def test_a_functions_error_is_an_answer(functions: Any) -> None:
    deployed(functions, "f", zipped("def handler(event, context):\n    raise ValueError('no')\n"))
    reply = functions.invoke(FunctionName="f")
    assert (reply["StatusCode"], reply["FunctionError"]) == (200, "Unhandled")
    answer = json.load(reply["Payload"])
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no")


def test_a_timeout_ends_an_invocation(functions: Any) -> None:
    source = "import threading\ndef handler(event, context):\n    threading.Event().wait()\n"
    deployed(functions, "f", zipped(source), Timeout=1)
    reply = functions.invoke(FunctionName="f")
    assert reply["FunctionError"] == "Unhandled"
    assert "Task timed out after 1.00 seconds" in json.load(reply["Payload"])["errorMessage"]


def test_what_invoke_refuses(functions: Any, account: str) -> None:
    deployed(functions, "f")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:missing"
    assert refused(lambda: functions.invoke(FunctionName="missing")) == (
        "ResourceNotFoundException",
        404,
        f"Function not found: {arn}",
    )
    assert refused(lambda: functions.invoke(FunctionName="missing", InvocationType="Event"))[1] == 404
    assert refused(lambda: functions.invoke(FunctionName="f", Qualifier="9"))[1] == 404
    code, status, text = refused(lambda: functions.invoke(FunctionName="f", Payload=b"{nope"))
    assert (code, status) == ("InvalidRequestContentException", 400)
    assert text.startswith("Could not parse request body into json: ")
    large = b'"' + b"x" * 1_048_576 + b'"'
    asynchronous = {"FunctionName": "f", "InvocationType": "Event"}
    assert refused(lambda: functions.invoke(**asynchronous, Payload=large)) == (
        "RequestTooLargeException",
        413,
        "1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
    )
    larger = b'"' + b"x" * 6_291_456 + b'"'
    assert refused(lambda: functions.invoke(FunctionName="f", Payload=larger))[:2] == (
        "RequestTooLargeException",
        413,
    )
    dry = functions.invoke(FunctionName="f", InvocationType="DryRun")
    assert (dry["StatusCode"], dry["Payload"].read()) == (204, b"")


def test_an_update_is_seen_by_the_next_invocation(functions: Any) -> None:
    made = deployed(functions, "f", zipped("def handler(event, context): return 1"))
    assert json.load(functions.invoke(FunctionName="f")["Payload"]) == 1
    updated = functions.update_function_code(
        FunctionName="f", ZipFile=zipped("import os\ndef handler(event, context): return os.environ['KEY']")
    )
    assert updated["LastUpdateStatus"] == "InProgress"
    assert updated["RevisionId"] != made["RevisionId"]
    stale = {"FunctionName": "f", "RevisionId": made["RevisionId"], "Timeout": 5}
    assert refused(lambda: functions.update_function_configuration(**stale))[:2] == (
        "PreconditionFailedException",
        412,
    )
    for value in ("one", "two"):
        functions.update_function_configuration(FunctionName="f", Environment={"Variables": {"KEY": value}})
        assert json.load(functions.invoke(FunctionName="f")["Payload"]) == value
    before = functions.get_function_configuration(FunctionName="f")
    with pytest.raises(ClientError):
        functions.update_function_code(FunctionName="f", ZipFile=b"broken")
    after = functions.get_function_configuration(FunctionName="f")
    assert (before["CodeSha256"], before["RevisionId"]) == (after["CodeSha256"], after["RevisionId"])
    functions.update_function_code(FunctionName="f", ZipFile=zipped("x"), DryRun=True)
    assert functions.get_function_configuration(FunctionName="f")["RevisionId"] == before["RevisionId"]


def test_versions_do_not_change(functions: Any) -> None:
    deployed(functions, "f", zipped("def handler(event, context): return 'old'"))
    first = functions.publish_version(FunctionName="f")
    assert first["Version"] == "1"
    assert functions.publish_version(FunctionName="f")["Version"] == "1"
    functions.update_function_code(
        FunctionName="f", ZipFile=zipped("def handler(event, context): return 'new'"), Publish=True
    )
    assert json.load(functions.invoke(FunctionName="f", Qualifier="1")["Payload"]) == "old"
    reply = functions.invoke(FunctionName=f"{first['FunctionArn'][:-2]}:2")
    assert (json.load(reply["Payload"]), reply["ExecutedVersion"]) == ("new", "2")
    versions = functions.list_versions_by_function(FunctionName="f")["Versions"]
    assert [entry["Version"] for entry in versions] == ["$LATEST", "1", "2"]
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert refused(lambda: functions.invoke(FunctionName="f", Qualifier="1"))[1] == 404


def test_a_policy_is_kept(functions: Any) -> None:
    made = deployed(functions, "f")
    assert refused(lambda: functions.get_policy(FunctionName="f"))[:2] == ("ResourceNotFoundException", 404)
    grant = {
        "FunctionName": "f",
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
        "SourceArn": "arn:aws:sns:us-east-1:123456789012:t",
    }
    statement = json.loads(functions.add_permission(**grant)["Statement"])
    assert statement == {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": made["FunctionArn"],
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:sns:us-east-1:123456789012:t"}},
    }
    assert refused(lambda: functions.add_permission(**grant))[1] == 409
    assert json.loads(functions.get_policy(FunctionName="f")["Policy"])["Statement"] == [statement]
    functions.remove_permission(FunctionName="f", StatementId="s")
    assert refused(lambda: functions.remove_permission(FunctionName="f", StatementId="s"))[2] == (
        "Statement s is not found in resource policy."
    )


def test_tags_concurrency_and_code_signing(functions: Any) -> None:
    arn = deployed(functions, "f")["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    functions.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="f")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert functions.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    with pytest.raises(functions.exceptions.TooManyRequestsException) as throttled:
        functions.invoke(FunctionName="f")
    assert throttled.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    functions.delete_function_concurrency(FunctionName="f")
    assert functions.invoke(FunctionName="f")["StatusCode"] == 200
    assert functions.get_function_code_signing_config(FunctionName="f")["FunctionName"] == "f"


def test_functions_are_listed_in_pages(functions: Any) -> None:
    for name in ("a", "b", "c"):
        deployed(functions, name)
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    assert [[entry["FunctionName"] for entry in page["Functions"]] for page in pages] == [["a", "b"], ["c"]]
