"""Every error shape of every model, as botocore's parser reads it; and the ways in which services differ."""

import json
import zlib
from typing import Any

import botocore.parsers
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import Shape

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Reply, Request, Route
from oncue.protocol.faults import SQS_ERRORS
from oncue.protocol.model import catalog
from tests.protocol.shape_samples import Samples, botocore_model, parsed, plain

NO_REQUEST = Request("POST", "/", "", {}, b"")
MESSAGE = "It went wrong: <&> é"


def a_route(service: str, name: str | None = None) -> Route:
    operations = protocol.service_model(service).operations
    return Route(
        service, operations[name] if name else next(iter(operations.values())), catalog()[service]["protocol"]
    )


def fields_of(shape: Shape) -> dict[str, Any]:
    told = Samples(f"error {shape.name}", filled=True).of(shape)
    return {name: value for name, value in told.items() if name.lower() != "message" and name != "Type"}


def modeled(service: str, shape: Shape, reply: Reply) -> dict[str, Any]:
    parser = botocore.parsers.create_parser(catalog()[service]["protocol"])
    response = {"status_code": reply.status, "headers": HeadersDict(reply.headers), "body": reply.body}
    return parser.parse(response, shape)


@pytest.mark.parametrize("service", list(catalog()))
def test_every_error_shape(service: str) -> None:
    model = botocore_model(service)
    operation = model.operation_model(model.operation_names[0])
    assert model.error_shapes
    for shape in model.error_shapes:
        fields = fields_of(shape)
        error = ServiceError(shape.name, MESSAGE, **fields)
        reply = protocol.encode_error(a_route(service), NO_REQUEST, error, "id-1")
        told = shape.metadata.get("error", {})
        assert reply.status == told.get("httpStatusCode", reply.status)
        read = parsed(operation, reply, error=True)
        code = told.get("code", shape.name)
        if service == "sqs" and shape.name in SQS_ERRORS:
            code = SQS_ERRORS[shape.name].code
            assert read["Error"]["QueryErrorCode"] == shape.name
        assert (read["Error"]["Code"], read["Error"]["Message"]) == (code, MESSAGE)
        assert read["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"] == "id-1"
        again = plain(modeled(service, shape, reply))
        assert {name: again[name] for name in fields} == plain(fields)


def answer(route: Route, error: ServiceError) -> tuple[Reply, dict[str, Any]]:
    reply = protocol.encode_error(route, NO_REQUEST, error, "id-1")
    return reply, json.loads(reply.body)


@pytest.mark.parametrize(
    ("service", "code", "type_"),
    [
        ("sqs", "QueueDoesNotExist", "com.amazonaws.sqs#QueueDoesNotExist"),
        ("sqs", "InvalidParameterValueException", "com.amazonaws.sqs#InvalidParameterValueException"),
        ("sqs", "InvalidParameterValue", "com.amazonaws.sqs#InvalidParameterValueException"),
        ("sqs", "SerializationException", "com.amazon.coral.service#SerializationException"),
        *[
            (
                service,
                "ResourceNotFoundException",
                "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
            )
            for service in ("dynamodb", "dynamodbstreams")
        ],
        ("dynamodb", "ValidationException", "com.amazon.coral.validate#ValidationException"),
        ("stepfunctions", "InvalidArn", "com.amazonaws.swf.service.v2.model#InvalidArn"),
        ("events", "ResourceNotFoundException", "ResourceNotFoundException"),
    ],
)
def test_namespaces(service: str, code: str, type_: str) -> None:
    _, body = answer(a_route(service), ServiceError(code, "no"))
    assert body["__type"] == type_


def test_sqs_says_the_older_code_too() -> None:
    reply, _ = answer(
        a_route("sqs"), ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
    )
    assert reply.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    reply, _ = answer(a_route("sqs"), ServiceError("ResourceNotFoundException", "no"))
    assert (reply.status, reply.headers["x-amzn-query-error"]) == (404, "ResourceNotFoundException;Sender")
    reply, _ = answer(a_route("sqs"), ServiceError("InternalFailure", "no", 500))
    assert (reply.status, reply.headers["x-amzn-query-error"]) == (500, "InternalFailure;Receiver")


def test_dynamodb_has_a_checksum() -> None:
    reply, body = answer(a_route("dynamodb"), ServiceError("InternalServerError", "no"))
    assert reply.status == 500
    assert reply.headers["x-amz-crc32"] == str(zlib.crc32(reply.body))
    error = ServiceError("ConditionalCheckFailedException", "no", Item={"k": {"B": b"\0"}})
    reply, body = answer(a_route("dynamodb"), error)
    assert (reply.status, body["Item"]) == (400, {"k": {"B": "AA=="}})
    reply = protocol.encode(a_route("dynamodb", "DescribeLimits"), {}, "id-1")
    assert reply.headers["x-amz-crc32"] == str(zlib.crc32(b"{}"))


def test_lambda_spells_message_as_its_shapes_do() -> None:
    route = a_route("lambda")
    reply, body = answer(route, ServiceError("ResourceNotFoundException", "no"))
    assert (reply.status, body) == (404, {"Type": "User", "Message": "no"})
    assert reply.headers["x-amzn-errortype"] == "ResourceNotFoundException"
    _, body = answer(route, ServiceError("ResourceConflictException", "no"))
    assert body == {"Type": "User", "message": "no"}
    _, body = answer(route, ServiceError("ServiceException", "no"))
    assert body == {"Type": "Service", "Message": "no"}
    error = ServiceError(
        "TooManyRequestsException", "Rate Exceeded.", Reason="CallerRateLimitExceeded", retryAfterSeconds="1"
    )
    reply, body = answer(route, error)
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert body == {"Type": "User", "message": "Rate Exceeded.", "Reason": "CallerRateLimitExceeded"}


def test_apigatewayv2_says_message() -> None:
    reply, body = answer(a_route("apigatewayv2"), ServiceError("NotFoundException", "no"))
    assert (reply.status, body) == (404, {"message": "no"})


def test_a_code_that_no_model_has_keeps_its_status() -> None:
    for service in catalog():
        error = ServiceError("NotImplemented", "Oncue does not offer it.", 501)
        reply = protocol.encode_error(a_route(service), NO_REQUEST, error, "id-1")
        operation = botocore_model(service).operation_model(botocore_model(service).operation_names[0])
        assert reply.status == 501
        assert parsed(operation, reply, error=True)["Error"]["Code"] == "NotImplemented"


def test_an_error_can_not_smuggle_headers() -> None:
    error = ServiceError("Bad\r\nSet-Cookie: a", "no\r\n")
    reply = protocol.encode_error(a_route("lambda"), NO_REQUEST, error, "id-1")
    assert not any("\n" in value or "\r" in value for value in reply.headers.values())
