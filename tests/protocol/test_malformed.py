"""Requests that are not what they must be: refused in AWS's words, and nothing is ignored."""

import pytest

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Request


def refusal(request: Request) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        protocol.decode(protocol.route(request, None), request)
    assert refused.value.status == 400
    return refused.value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"QueueUrl": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"QueueUrl": 1.5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"QueueUrl": false}', "FALSE_VALUE can not be converted to a String"),
        (b'{"QueueUrl": []}', "Start of list found where not expected"),
        (b'{"QueueUrl": {}}', "Start of structure or map found where not expected."),
        (b'{"MessageAttributes": "x"}', "Expected null"),
        (b'{"DelaySeconds": "1"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds": 1.5}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds": true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"DelaySeconds": 2147483648}', "2147483648 is out of the range of an Integer"),
        (b'{"MessageAttributes": {"a": null}}', "Unexpected null: a list or map must not contain it."),
        (b'{"MessageAttributes": {"a": {"BinaryValue": "AAE"}}}', "Base64 encoded length is expected"),
        (b'{"MessageAttributes": {"a": {"BinaryValue": "A=E="}}}', "Invalid base64"),
        (b"[]", "Start of list found where not expected"),
        (b"null", "Unexpected null"),
        (b"{", "Could not parse the request body as JSON"),
        (b'{"QueueUrl": "\xff"}', "Could not parse the request body as JSON"),
        (b'{"QueueUrl": "\\ud800 and more"}', "Could not parse the request body as JSON"),
        (b'{"DelaySeconds": 1e999}', "Could not parse the request body as JSON"),
        (b'{"MessageAttributes": ' + b"[" * 100_000, "The request body is nested too deeply."),
    ],
)
def test_json(body: bytes, text: str) -> None:
    error = refusal(Request("POST", "/", "", {"x-amz-target": "AmazonSQS.SendMessage"}, body))
    assert error.code == "SerializationException"
    assert error.message.startswith(text)


def test_values_nested_deeper_than_any_service_takes() -> None:
    depth = 400
    item = b'{"L": [' * depth + b'{"S": "x"}' + b"]}" * depth
    body = b'{"TableName": "t", "Item": {"k": ' + item + b"}}"
    error = refusal(Request("POST", "/", "", {"x-amz-target": "DynamoDB_20120810.PutItem"}, body))
    assert error.code == "SerializationException"
    assert error.message.endswith("nested too deeply.")


@pytest.mark.parametrize(
    ("target", "body", "code", "text"),
    [
        (
            *("AmazonSQS.SendMessage", b'{"Colour": 1}', "InvalidParameterValueException"),
            "Unknown parameter Colour in SendMessageRequest.",
        ),
        (
            *("DynamoDB_20120810.Query", b'{"tableName": "t"}', "ValidationException"),
            "Unknown parameter tableName in QueryInput.",
        ),
        (
            *("Logs_20140328.CreateLogGroup", b'{"logGroupname": "t"}', "InvalidParameterException"),
            "Unknown parameter logGroupname in CreateLogGroupRequest.",
        ),
    ],
)
def test_unknown_members_are_refused(target: str, body: bytes, code: str, text: str) -> None:
    error = refusal(Request("POST", "/", "", {"x-amz-target": target}, body))
    assert (error.code, error.message) == (code, text)


def test_nulls_and_type_notes_count_as_absent() -> None:
    body = b'{"__type": "x", "QueueUrl": "q", "MessageBody": "b", "DelaySeconds": null}'
    request = Request("POST", "/", "", {"x-amz-target": "AmazonSQS.SendMessage"}, body)
    decoded = protocol.decode(protocol.route(request, None), request)
    assert decoded == {"QueueUrl": "q", "MessageBody": "b"}


def test_numbers_keep_their_digits() -> None:
    body = b'{"logGroupName": "g", "startTime": 9007199254740993, "limit": 5.0}'
    request = Request("POST", "/", "", {"x-amz-target": "Logs_20140328.FilterLogEvents"}, body)
    decoded = protocol.decode(protocol.route(request, None), request)
    assert decoded == {"logGroupName": "g", "startTime": 9007199254740993, "limit": 5}
    assert decoded["limit"].__class__ is int


def test_a_union_has_one_member() -> None:
    body = b'{"resourceConfig": {"openSearchResourceConfig": {}, "x": 1}}'
    target = {"x-amz-target": "Logs_20140328.PutIntegration"}
    assert "Unknown parameter" in refusal(Request("POST", "/", "", target, body)).message
    error = refusal(Request("POST", "/", "", target, b'{"resourceConfig": {}}'))
    assert error.message == "Exactly one member of the union ResourceConfig must be set."


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            Request("POST", "/2015-03-31/functions", "", {}, b"not json"),
            *("SerializationException", "Could not parse the request body as JSON"),
        ),
        (
            Request("GET", "/2015-03-31/functions", "MaxItems=many", {}, b""),
            *("SerializationException", "STRING_VALUE can not be converted to an Integer"),
        ),
        (
            Request("GET", "/2015-03-31/functions", "MaxItems=1&MaxItems=2", {}, b""),
            *("SerializationException", "A parameter of the query string is given twice."),
        ),
        (
            Request("GET", "/2015-03-31/functions", "Colour=red", {}, b""),
            *("ValidationException", "Unknown parameter Colour in the query string of ListFunctions."),
        ),
        (
            Request("GET", "/2015-03-31/functions/%ff", "", {}, b""),
            *("SerializationException", "The path is not percent-encoded UTF-8."),
        ),
        (
            Request("GET", "/v2/apis", "", {}, b'{"colour": 1}'),
            *("BadRequestException", "Unknown parameter colour in GetApisRequest."),
        ),
    ],
)
def test_rest(request_: Request, code: str, text: str) -> None:
    error = refusal(request_)
    assert error.code == code
    assert error.message.startswith(text)


def test_the_payload_of_an_invocation_is_not_looked_at() -> None:
    request = Request("POST", "/2015-03-31/functions/f/invocations", "", {}, b"\xff not json")
    decoded = protocol.decode(protocol.route(request, None), request)
    assert decoded == {"FunctionName": "f", "Payload": b"\xff not json"}


def test_signatures_in_the_query_are_no_parameters() -> None:
    signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b"
    request = Request("GET", "/", f"Action=GetCallerIdentity&Version=2011-06-15&{signed}", {}, b"")
    assert protocol.decode(protocol.route(request, "sts"), request) == {}
    request = Request("GET", "/2015-03-31/functions", signed, {}, b"")
    assert protocol.decode(protocol.route(request, None), request) == {}
