"""Errors as each service writes them: codes, namespaces, statuses, and which code a refusal from here has."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from oncue.errors import ServiceError
from oncue.protocol import json_rpc, json_shapes, query, rest_json
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import NOTHING, Model, Shape, catalog
from oncue.protocol.xml_shapes import Writer, escape


class QueryError(NamedTuple):
    """How an error of SQS is called in the query protocol (and in x-amzn-query-error)."""

    code: str
    status: int = 400


OLD = "AWS.SimpleQueueService."
SQS_ERRORS = {
    "QueueDoesNotExist": QueryError(OLD + "NonExistentQueue"),
    "QueueNameExists": QueryError("QueueAlreadyExists"),
    "QueueDeletedRecently": QueryError(OLD + "QueueDeletedRecently"),
    "OverLimit": QueryError("OverLimit", 403),
    "PurgeQueueInProgress": QueryError(OLD + "PurgeQueueInProgress", 403),
    "MessageNotInflight": QueryError(OLD + "MessageNotInflight"),
    "BatchEntryIdsNotDistinct": QueryError(OLD + "BatchEntryIdsNotDistinct"),
    "BatchRequestTooLong": QueryError(OLD + "BatchRequestTooLong"),
    "EmptyBatchRequest": QueryError(OLD + "EmptyBatchRequest"),
    "InvalidBatchEntryId": QueryError(OLD + "InvalidBatchEntryId"),
    "TooManyEntriesInBatchRequest": QueryError(OLD + "TooManyEntriesInBatchRequest"),
    "UnsupportedOperation": QueryError(OLD + "UnsupportedOperation"),
    "InvalidParameterValueException": QueryError("InvalidParameterValue"),
    "MissingRequiredParameterException": QueryError("MissingParameter"),
    "ResourceNotFoundException": QueryError("ResourceNotFoundException", 404),
}
SQS_CODES = {error.code: name for name, error in SQS_ERRORS.items()}
NO_QUEUE = "The specified queue does not exist."
NO_QUEUE_IN_QUERY = "The specified queue does not exist for this wsdl version."

NAMESPACES = {
    "sqs": "com.amazonaws.sqs",
    "dynamodb": "com.amazonaws.dynamodb.v20120810",
    "dynamodbstreams": "com.amazonaws.dynamodb.v20120810",
    "stepfunctions": "com.amazonaws.swf.service.v2.model",
}
CORAL = {"ValidationException": "com.amazon.coral.validate"}
CORAL_DEFAULT = "com.amazon.coral.service"

CONSTRAINT_CODES = {
    "sqs": "InvalidParameterValueException",
    "sns": "ValidationError",
    "iam": "ValidationError",
    "sts": "ValidationError",
    "cloudformation": "ValidationError",
    "apigatewayv2": "BadRequestException",
    "logs": "InvalidParameterException",
}
NOT_FOR_HEADERS = re.compile(r"[^\x20-\x7e]")


def constraint_code(service: str) -> str:
    return CONSTRAINT_CODES.get(service, "ValidationException")


def malformed(protocol: str, text: str) -> ServiceError:
    """The refusal of a request whose bytes or types are wrong."""
    return ServiceError("MalformedInput" if protocol == "query" else "SerializationException", text)


def encode(route: Route | None, request: Request, error: ServiceError, request_id: str) -> Reply:
    """An error as the client's protocol has it; without a route, as the request looks."""
    if route is None:
        return _unrouted(request, error, request_id)
    if route.protocol == "query":
        return _query(route, error, request_id)
    if route.protocol == "json":
        return _json(route, error, request_id)
    return _rest_json(route, error, request_id)


def status_of(error: ServiceError, shape: Shape | None) -> int:
    """The model knows best; a server's fault that it gives no status is a 500."""
    if shape is None:
        return error.status
    if status := shape.get("error", {}).get("httpStatusCode"):
        return int(status)
    return 500 if shape.get("fault") and error.status < 500 else error.status


@cache
def _writer(model: Model) -> json_shapes.Writer:
    return json_shapes.Writer(model)


def _members(model: Model, shape: Shape | None, error: ServiceError) -> dict[str, Any]:
    """The JSON members of an error: its message as its shape spells it, and what else it tells."""
    if shape is None:
        return {"message": error.message} | error.fields
    spelled = [name for name in shape["members"] if name.lower() == "message"]
    told = dict.fromkeys(spelled[:1], error.message) | error.fields
    written: dict[str, Any] = _writer(model).of(shape)(told)
    return written if spelled else {"message": error.message} | written


def _json(route: Route, error: ServiceError, request_id: str) -> Reply:
    model = route.operation.model
    code, status = error.code, None
    headers: dict[str, str] = {}
    if route.service == "sqs":
        code = SQS_CODES.get(code, code)
        known = SQS_ERRORS.get(code)
        query_code = known.code if known else code
        status = known.status if known and error.status < 500 else None
    shape = model.errors.get(code)
    status = status or status_of(error, shape)
    if route.service == "sqs":
        headers["x-amzn-query-error"] = f"{query_code};{_side(status)}"
    body = {"__type": _type(route.service, shape, code)} | _members(model, shape, error)
    reply = json_rpc.reply(
        status, msgspec.json.encode(body), request_id, model.metadata["jsonVersion"], route.service
    )
    reply.headers.update(headers)
    return reply


def _type(service: str, shape: Shape | None, code: str) -> str:
    """The error's full name: with its model's namespace, or the framework's if that has no such error."""
    namespace = NAMESPACES.get(service)
    if namespace is None:
        return code if shape is None else str(shape["name"])
    if shape is not None:
        return f"{namespace}#{shape['name']}"
    if code in SQS_ERRORS:
        return f"{namespace}#{code}"
    return f"{CORAL.get(code, CORAL_DEFAULT)}#{code}"


def _rest_json(route: Route, error: ServiceError, request_id: str) -> Reply:
    model = route.operation.model
    shape = model.errors.get(error.code)
    status = status_of(error, shape)
    headers = _rest_headers(error.code if shape is None else shape["name"], request_id)
    if shape is None:
        body: dict[str, Any] = {"message": error.message} | error.fields
    else:
        in_header = rest_json.at(shape, model, "header")
        headers |= rest_json.headers_writer(in_header)(error.fields)
        fields = {name: value for name, value in error.fields.items() if name not in in_header}
        body = _members(model, shape, ServiceError(error.code, error.message, status, **fields))
    if route.service == "lambda" and (shape is None or "Type" in shape["members"]):
        body = {"Type": "User" if status < 500 else "Service"} | body
    return Reply(status, headers, msgspec.json.encode(body))


def _rest_headers(code: str, request_id: str) -> dict[str, str]:
    return {
        "content-type": rest_json.CONTENT_TYPE,
        "x-amzn-requestid": request_id,
        "x-amzn-errortype": NOT_FOR_HEADERS.sub("?", code),
    }


def _query(route: Route, error: ServiceError, request_id: str) -> Reply:
    model = route.operation.model
    code, text = error.code, error.message
    if route.service == "sqs":
        code = SQS_CODES.get(code, code)
        text = NO_QUEUE_IN_QUERY if (code, text) == ("QueueDoesNotExist", NO_QUEUE) else text
    shape = model.errors.get(code)
    status = status_of(error, shape)
    if route.service == "sqs" and (known := SQS_ERRORS.get(code)):
        code, status = known.code, known.status if status < 500 else status
    elif shape is not None:
        code = shape.get("error", {}).get("code", shape["name"])
    pieces: list[str] = []
    write = Writer(model).members(NOTHING if shape is None else shape)
    write(error.fields, pieces)
    return _xml(model.metadata, code, text, status, request_id, "".join(pieces))


def _xml(
    metadata: Mapping[str, str], code: str, text: str, status: int, request_id: str, fields: str = ""
) -> Reply:
    namespace = f' xmlns="{metadata["xmlNamespace"]}"' if "xmlNamespace" in metadata else ""
    body = (
        f'<?xml version="1.0"?>\n<ErrorResponse{namespace}><Error><Type>{_side(status)}</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(text)}</Message>{fields}</Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    headers = {"content-type": query.CONTENT_TYPE, "x-amzn-requestid": request_id}
    return Reply(status, headers, body.encode())


def _side(status: int) -> str:
    return "Sender" if status < 500 else "Receiver"


def _unrouted(request: Request, error: ServiceError, request_id: str) -> Reply:
    if "x-amz-target" in request.headers:
        version = "1.1" if "json-1.1" in request.headers.get("content-type", "") else "1.0"
        body = msgspec.json.encode({"__type": error.code, "message": error.message} | error.fields)
        return json_rpc.reply(error.status, body, request_id, version, "")
    if query.names_an_action(request) or query.says_form(request):
        found = re.search(rb"Version=([0-9-]+)", request.query.encode() + b"&" + request.body)
        version = found[1].decode() if found else ""
        speakers = (m for m in catalog().values() if m["apiVersion"] == version and "xmlNamespace" in m)
        return _xml(next(speakers, {}), error.code, error.message, error.status, request_id)
    body = msgspec.json.encode({"message": error.message} | error.fields)
    return Reply(error.status, _rest_headers(error.code, request_id), body)
