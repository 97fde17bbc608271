"""Integrations with SQS: parameters out of a request, SQS's reply back to the client.

The reply is SQS's XML, as AWS gives it to clients of HTTP APIs (re:Post, "HTTP API Gateway -> SQS Response
Mapping"). Parameters: "Integration subtype reference" in the developer guide.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from oncue import protocol
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import mapping
from oncue.services.apigatewayv2.web import WebReply, said

IN_JSON = frozenset({"MessageAttributes", "MessageSystemAttributes"})
LISTS = frozenset({"AttributeNames", "MessageAttributeNames"})
NUMBERS = frozenset({"DelaySeconds", "MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds"})


@dataclass(frozen=True, slots=True)
class Subtype:
    """One operation of SQS as an integration; every one takes `Region`, too."""

    operation: str
    required: frozenset[str]
    optional: frozenset[str] = frozenset()


SUBTYPES = {
    "SQS-SendMessage": Subtype(
        "SendMessage",
        frozenset({"QueueUrl", "MessageBody"}),
        frozenset({"DelaySeconds", "MessageDeduplicationId", "MessageGroupId"}) | IN_JSON,
    ),
    "SQS-ReceiveMessage": Subtype(
        "ReceiveMessage",
        frozenset({"QueueUrl"}),
        LISTS | {"MaxNumberOfMessages", "ReceiveRequestAttemptId", "VisibilityTimeout", "WaitTimeSeconds"},
    ),
    "SQS-DeleteMessage": Subtype("DeleteMessage", frozenset({"QueueUrl", "ReceiptHandle"})),
    "SQS-PurgeQueue": Subtype("PurgeQueue", frozenset({"QueueUrl"})),
}


class Attribute(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One message attribute as a mapping writes it: SQS's own members, BinaryValue in base64."""

    DataType: str
    StringValue: str | None = None
    BinaryValue: bytes | None = None


async def perform(call: Call, members: dict[str, Any], sources: mapping.Sources, request_id: str) -> WebReply:
    """Perform the operation; it is committed before this returns. `members` are the integration's."""
    subtype = SUBTYPES[members["IntegrationSubtype"]]
    try:
        values = resolved(members["RequestParameters"], sources)
        region = values.pop("Region", call.region)
        parameters = typed(values)
    except ServiceError as refused:
        return said(refused.status, refused.message)
    asker = call.on_behalf(call.account, region)
    asked = _asked(subtype.operation)
    route = protocol.route(asked, "sqs")
    try:
        method = call.services["sqs"].operation(subtype.operation)
        assert method is not None, "SQS offers what its integrations need"
        reply = protocol.encode(route, await asker.perform(method, parameters), request_id)
    except ServiceError as refused:
        reply = protocol.encode_error(route, asked, refused, request_id)
    return WebReply(reply.status, [("content-type", reply.headers["content-type"])], reply.body)


@cache
def _asked(operation: str) -> protocol.Request:
    return protocol.Request("POST", "/", f"Action={operation}&Version=2012-11-05", {}, b"")


def resolved(parameters: dict[str, str], sources: mapping.Sources) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, source in parameters.items():
        try:
            found[name] = mapping.resolve(source, sources)
        except mapping.UnresolvedError:
            raise ServiceError(
                "BadRequestException",
                f"Unable to resolve property {name} from source {source}. Please make sure that the request "
                "to API Gateway contains all the necessary fields specified in request parameters.",
            ) from None
    return found


def typed(values: dict[str, str]) -> dict[str, Any]:
    """The operation's parameters with their types: mapping yields only text."""
    parameters: dict[str, Any] = dict(values)
    for name, value in values.items():
        if name in NUMBERS:
            if not value.isdecimal():
                raise _invalid(name, value)
            parameters[name] = int(value)
        elif name in LISTS:
            parameters[name] = _names(name, value)
        elif name in IN_JSON:
            parameters[name] = _attributes(name, value)
    return parameters


def _names(name: str, text: str) -> list[str]:
    """`["All"]`, or names with commas between them."""
    if not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        raise _invalid(name, text) from None


def _attributes(name: str, text: str) -> dict[str, dict[str, Any]]:
    """`{"name": {"DataType": "String", "StringValue": "x"}}`."""
    try:
        found = msgspec.json.decode(text, type=dict[str, Attribute])
    except msgspec.DecodeError:
        raise _invalid(name, text) from None
    given = {key: msgspec.structs.asdict(attribute) for key, attribute in found.items()}
    return {key: {k: v for k, v in members.items() if v is not None} for key, members in given.items()}


def _invalid(name: str, value: str) -> ServiceError:
    return ServiceError("BadRequestException", f"Invalid value for the parameter {name}: {value}")
