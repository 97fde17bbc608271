"""The SQS-SendMessage integration: parameters out of a request, SQS's reply back to the client.

The reply is SQS's XML, as AWS gives it to clients of HTTP APIs (re:Post, "HTTP API Gateway -> SQS Response
Mapping").
"""

from functools import cache
from typing import Any

import msgspec

from oncue import protocol
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import mapping
from oncue.services.apigatewayv2.web import WebReply

ASKED = protocol.Request("POST", "/", "Action=SendMessage&Version=2012-11-05", {}, b"")
IN_JSON = ("MessageAttributes", "MessageSystemAttributes")


class Attribute(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One message attribute as a mapping writes it: SQS's own members, BinaryValue in base64."""

    DataType: str
    StringValue: str | None = None
    BinaryValue: bytes | None = None


async def perform(call: Call, members: dict[str, Any], sources: mapping.Sources, request_id: str) -> WebReply:
    """Send the message; it is committed before this returns. `members` are the integration's."""
    try:
        values = resolved(members["RequestParameters"], sources)
        region = values.pop("Region", call.region)
        parameters = typed(values)
    except ServiceError as refused:
        body = msgspec.json.encode({"message": refused.message})
        return WebReply(refused.status, [("content-type", "application/json")], body)
    sender = call.on_behalf(call.account, region)
    try:
        sent = await sender.transact(lambda inner: dict(inner.sqs.send_message(**parameters)))
        reply = protocol.encode(_route(), sent, request_id)
    except ServiceError as refused:
        reply = protocol.encode_error(_route(), ASKED, refused, request_id)
    return WebReply(reply.status, [("content-type", reply.headers["content-type"])], reply.body)


@cache
def _route() -> protocol.Route:
    return protocol.route(ASKED, "sqs")


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
    """The parameters of SendMessage with their types: mapping yields only text."""
    parameters: dict[str, Any] = dict(values)
    if "DelaySeconds" in values:
        if not values["DelaySeconds"].isdecimal():
            raise _invalid("DelaySeconds", values["DelaySeconds"])
        parameters["DelaySeconds"] = int(values["DelaySeconds"])
    for name in IN_JSON:
        if name in values:
            parameters[name] = _attributes(name, values[name])
    return parameters


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
