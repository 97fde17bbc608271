"""Handing a message over to a queue or a function, and to the dead-letter queue of a subscription: operations
of other services in the caller's transaction."""

from typing import Any

import msgspec

from oncue import arns
from oncue.services import Call
from oncue.services.sns import envelopes
from oncue.services.sns.messages import Attributes
from oncue.services.sns.subscriptions import Subscription

SQS_ATTRIBUTES_MAX = 10
ERROR_CHARACTERS_MAX = 1_024


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """What one subscriber is to get; the body of a row in its subscription's lane. `body` is the message
    itself when it is raw, else the envelope; `attributes` are those of a raw message."""

    kind: str
    message_id: str
    body: str
    raw: bool
    attributes: dict[str, tuple[str, Any]]
    group_id: str | None = None
    deduplication_id: str | None = None
    trace: str = ""

    def pack(self) -> bytes:
        return _encoder.encode(self)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Delivery)


def unpack(body: bytes) -> Delivery:
    return _decoder.decode(body)


def speaking_for(call: Call, account: str, region: str) -> Call:
    """A call of another owner in the same transaction."""
    other = call.on_behalf(account, region)
    other.tx, other.now = call.tx, call.now
    return other


def hand_over(call: Call, subscription: Subscription, delivery: Delivery) -> None:
    """Into the queue, or into the backlog of the function. ServiceError when it does not take it."""
    if subscription.protocol == "sqs":
        _send(call, subscription.endpoint, delivery, delivery.attributes if delivery.raw else {})
        return
    assert subscription.protocol == "lambda"
    target = arns.parse(subscription.endpoint)
    owner = speaking_for(call, target.account, target.region)
    event = envelopes.lambda_event(msgspec.json.decode(delivery.body), subscription.arn)
    owner.lambda_.invoke_async(FunctionName=subscription.endpoint, InvokeArgs=event)


def bury(call: Call, queue_arn: str, delivery: Delivery, code: str, why: str) -> None:
    """Into a dead-letter queue, with what went wrong. ServiceError when it does not take it either."""
    errors: Attributes = {
        "RequestID": ("String", delivery.message_id),
        "ErrorCode": ("Number", code),
        "ErrorMessage": ("String", why[:ERROR_CHARACTERS_MAX]),
    }
    own = delivery.attributes if delivery.raw else {}
    kept = dict(list(own.items())[: SQS_ATTRIBUTES_MAX - len(errors)])
    _send(call, queue_arn, delivery, kept | errors)


def _send(call: Call, queue_arn: str, delivery: Delivery, attributes: Attributes) -> None:
    target = arns.parse(queue_arn)
    fifo = target.resource.endswith(".fifo")
    more: dict[str, Any] = {}
    if delivery.group_id is not None:
        more["MessageGroupId"] = delivery.group_id
    if fifo and delivery.deduplication_id is not None:
        more["MessageDeduplicationId"] = delivery.deduplication_id
    if delivery.trace:
        header = {"DataType": "String", "StringValue": delivery.trace}
        more["MessageSystemAttributes"] = {"AWSTraceHeader": header}
    speaking_for(call, target.account, target.region).sqs.send_message(
        QueueUrl=arns.queue_url(call.base_url, target.account, target.resource),
        MessageBody=delivery.body,
        MessageAttributes={
            name: {"DataType": kind, "BinaryValue" if isinstance(value, bytes) else "StringValue": value}
            for name, (kind, value) in attributes.items()
        },
        **more,
    )
