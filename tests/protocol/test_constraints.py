"""The sentences for what the models forbid."""

import json
from typing import Any

import pytest

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Request
from tests.protocol.shape_samples import botocore_model, request_of

MUST = "failed to satisfy constraint: Member must"


def refusal(service: str, name: str, parameters: dict[str, Any]) -> ServiceError:
    request = request_of(botocore_model(service).operation_model(name), parameters)
    signing = {"apigatewayv2": "apigateway"}.get(service, service)
    with pytest.raises(ServiceError) as refused:
        protocol.decode(protocol.route(request, signing), request)
    return refused.value


@pytest.mark.parametrize(
    ("service", "name", "parameters", "code", "message"),
    [
        (
            *("dynamodb", "CreateTable", {"TableName": "t" * 1025}, "ValidationException"),
            f"1 validation error detected: Value '{'t' * 1025}' at 'tableName' {MUST} "
            "have length less than or equal to 1024",
        ),
        (
            *("dynamodb", "Query", {}, "ValidationException"),
            f"1 validation error detected: Value null at 'tableName' {MUST} not be null",
        ),
        (
            *("dynamodb", "Query", {"TableName": "t", "Limit": 0, "Select": "SOME"}, "ValidationException"),
            f"2 validation errors detected: Value 'SOME' at 'select' {MUST} satisfy enum value set: "
            "[ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, SPECIFIC_ATTRIBUTES, COUNT]; "
            f"Value '0' at 'limit' {MUST} have value greater than or equal to 1",
        ),
        (
            *("dynamodb", "BatchWriteItem", {"RequestItems": {"t": []}}, "ValidationException"),
            "1 validation error detected: Value '{t=[]}' at 'requestItems' failed to satisfy constraint: Map "
            "value must satisfy constraint: [Member must have length less than or equal to 25, "
            "Member must have length greater than or equal to 1]",
        ),
        (
            *("dynamodb", "BatchWriteItem"),
            {"RequestItems": {"t": [{"PutRequest": {}}]}},
            "ValidationException",
            "1 validation error detected: Value null at 'requestItems.t.member.1.member.putRequest.item' "
            f"{MUST} not be null",
        ),
        (
            *("events", "PutTargets", {"Rule": "r", "Targets": [{"Id": "", "Arn": "a"}]}),
            "ValidationException",
            rf"2 validation errors detected: Value '' at 'targets.1.member.id' {MUST} satisfy regular "
            rf"expression pattern: [\.\-_A-Za-z0-9]+; Value '' at 'targets.1.member.id' {MUST} have length "
            "greater than or equal to 1",
        ),
        (
            *("events", "PutEvents", {"Entries": []}, "ValidationException"),
            f"1 validation error detected: Value '[]' at 'entries' {MUST} "
            "have length greater than or equal to 1",
        ),
        (
            *("lambda", "UpdateFunctionCode", {"FunctionName": "f", "Architectures": ["arm32"]}),
            "ValidationException",
            f"1 validation error detected: Value '[arm32]' at 'architectures' {MUST} satisfy constraint: "
            "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        ),
        (
            *("logs", "CreateLogGroup", {}, "InvalidParameterException"),
            f"1 validation error detected: Value null at 'logGroupName' {MUST} not be null",
        ),
        (
            *("sns", "Publish", {"TopicArn": "arn"}, "ValidationError"),
            f"1 validation error detected: Value null at 'message' {MUST} not be null",
        ),
        (
            *("sts", "AssumeRole", {"RoleArn": "r" * 20, "RoleSessionName": "x"}, "ValidationError"),
            f"1 validation error detected: Value 'x' at 'roleSessionName' {MUST} have length greater than or "
            "equal to 2",
        ),
        (
            *("apigatewayv2", "CreateApi", {"Name": "a", "ProtocolType": "GRPC"}, "BadRequestException"),
            f"1 validation error detected: Value 'GRPC' at 'protocolType' {MUST} satisfy enum value set: "
            "[WEBSOCKET, HTTP]",
        ),
        (
            *("sqs", "SendMessage", {"QueueUrl": "q"}, "MissingRequiredParameterException"),
            "The request must contain the parameter MessageBody.",
        ),
        (
            *("sqs", "SendMessageBatch"),
            {"QueueUrl": "q", "Entries": [{"Id": "1", "MessageBody": "b"}, {"MessageBody": "b"}]},
            "MissingRequiredParameterException",
            "The request must contain the parameter SendMessageBatchRequestEntry.2.Id.",
        ),
    ],
)
def test_sentences(service: str, name: str, parameters: dict[str, Any], code: str, message: str) -> None:
    error = refusal(service, name, parameters)
    assert (error.code, error.status, error.message) == (code, 400, message)


def test_a_secret_is_not_repeated() -> None:
    error = refusal("stepfunctions", "SendTaskFailure", {"taskToken": "t", "error": "hush" * 100})
    assert error.message == (
        f"1 validation error detected: Value at 'error' {MUST} have length less than or equal to 256"
    )


def test_ten_violations_are_listed() -> None:
    entries = [{"Id": "", "Arn": "a"}] * 20
    error = refusal("events", "PutTargets", {"Rule": "r", "Targets": entries})
    assert error.message.startswith("10 validation errors detected: ")
    assert error.message.count("failed to satisfy") == 10


def test_ranges_of_sqs_are_left_to_sqs() -> None:
    body = json.dumps({"QueueUrl": "q", "MaxNumberOfMessages": 11}).encode()
    request = Request("POST", "/", "", {"x-amz-target": "AmazonSQS.ReceiveMessage"}, body)
    assert protocol.decode(protocol.route(request, None), request)["MaxNumberOfMessages"] == 11


def test_a_pattern_must_fit_as_a_whole() -> None:
    error = refusal("lambda", "GetFunction", {"FunctionName": "f\n"})
    assert "Value 'f\n' at 'functionName' failed to satisfy constraint: Member must satisfy regular" in (
        error.message
    )
