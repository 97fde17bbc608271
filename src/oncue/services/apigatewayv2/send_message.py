"""The SQS-SendMessage integration: parameters out of a request, SQS's reply back to the client.

The reply is SQS's XML, as AWS gives it to clients of HTTP APIs (re:Post, "HTTP API Gateway -> SQS Response
Mapping").
"""

import base64
import binascii
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import mapping
from oncue.services.apigatewayv2.web import WebReply

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
QUERY_CODES = {  # where the XML protocol has kept older names than the model
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
}


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
        reply = await sender.transact(lambda inner: dict(inner.sqs.send_message(**parameters)))
    except ServiceError as refused:
        return WebReply(refused.status, [("content-type", "text/xml")], _refused(refused, request_id))
    return WebReply(200, [("content-type", "text/xml")], _sent(reply, request_id))


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
    if "MessageAttributes" in values:
        parameters["MessageAttributes"] = _attributes(values["MessageAttributes"])
    return parameters


def _attributes(text: str) -> dict[str, Any]:
    """`{"name": {"DataType": "String", "StringValue": "x"}}`; BinaryValue is base64."""
    try:
        found = msgspec.json.decode(text, type=dict[str, dict[str, str]])
        return {
            name: {
                key: base64.b64decode(value, validate=True) if key == "BinaryValue" else value
                for key, value in attribute.items()
            }
            for name, attribute in found.items()
        }
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise _invalid("MessageAttributes", text) from None


def _invalid(name: str, value: str) -> ServiceError:
    return ServiceError("BadRequestException", f"Invalid value for the parameter {name}: {value}")


def _sent(reply: dict[str, Any], request_id: str) -> bytes:
    names = (
        "MessageId",
        "MD5OfMessageBody",
        "MD5OfMessageAttributes",
        "MD5OfMessageSystemAttributes",
        "SequenceNumber",
    )
    result = "".join(f"<{name}>{escape(str(reply[name]))}</{name}>" for name in names if reply.get(name))
    return (
        f'<?xml version="1.0"?><SendMessageResponse xmlns="{NAMESPACE}">'
        f"<SendMessageResult>{result}</SendMessageResult>"
        f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata></SendMessageResponse>"
    ).encode()


def _refused(error: ServiceError, request_id: str) -> bytes:
    kind = "Receiver" if error.status >= 500 else "Sender"
    code = QUERY_CODES.get(error.code, error.code)
    return (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(error.message)}</Message><Detail/></Error>"
        f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    ).encode()
