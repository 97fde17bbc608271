"""How subscribers see a message: the notification that is signed, and its forms for queues and functions.
Pure.

Source: "Parsing Amazon SNS message formats" and "Verifying the signatures of Amazon SNS messages" in the
SNS Developer Guide.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from oncue.services.sns.messages import Attributes

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"
CONFIRM = (
    "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message."
)
RESTORE = (
    "You have chosen to deactivate subscription {subscription}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
)

NO_LINK = '\n  "UnsubscribeURL" : ""'

Sign = Callable[[str], Mapping[str, str]]  # the text to sign -> SignatureVersion, Signature, SigningCertURL


def signed_text(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """The names and values that a signature covers, a line each, in the order of the alphabet."""
    return "".join(f"{name}\n{fields[name]}\n" for name in sorted(names) if fields.get(name) is not None)


def notification(
    *,
    topic_arn: str,
    message_id: str,
    subject: str | None,
    text: str,
    timestamp: str,
    sequence_number: str | None,
    attributes: Attributes,
    sign: Sign | None,
) -> dict[str, Any]:
    """The envelope, its members in AWS's order; unsigned (FIFO) without `sign`. Only its UnsubscribeURL is
    not the same for all subscribers; see `with_link`."""
    fields: dict[str, Any] = {"Type": NOTIFICATION, "MessageId": message_id}
    if sequence_number is not None:
        fields["SequenceNumber"] = sequence_number
    fields["TopicArn"] = topic_arn
    if subject is not None:
        fields["Subject"] = subject
    fields |= {"Message": text, "Timestamp": timestamp}
    if sign is not None:
        names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
        fields |= sign(signed_text(fields, names))
    fields["UnsubscribeURL"] = ""
    if attributes:
        fields["MessageAttributes"] = {
            name: {"Type": kind, "Value": _shown(value)} for name, (kind, value) in attributes.items()
        }
    return fields


def confirmation(
    kind: str,
    *,
    topic_arn: str,
    message_id: str,
    message: str,
    token: str,
    subscribe_url: str,
    timestamp: str,
    sign: Sign,
) -> dict[str, Any]:
    """Asks an HTTP endpoint to confirm, or tells it how to come back."""
    fields = {
        "Type": kind,
        "MessageId": message_id,
        "Token": token,
        "TopicArn": topic_arn,
        "Message": message,
        "SubscribeURL": subscribe_url,
        "Timestamp": timestamp,
    }
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    return {**fields, **sign(signed_text(fields, names))}


def written(fields: Mapping[str, Any]) -> str:
    """The JSON text of an envelope, laid out as AWS does."""
    lines = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            inner = ",\n".join(f"    {_json(key)} : {_json(item)}" for key, item in value.items())
            lines.append(f"  {_json(name)} : {{\n{inner}\n  }}")
        else:
            lines.append(f"  {_json(name)} : {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def with_link(text: str, url: str) -> str:
    """A written notification with its UnsubscribeURL. No line break stands inside of a JSON string."""
    before, line, after = text.partition(NO_LINK)
    assert line, "every notification has the line"
    return f"{before}{line[:-2]}{_json(url)}{after}"


def lambda_event(fields: Mapping[str, Any], subscription_arn: str) -> bytes:
    """The event of a function: the same fields, some of them spelled in another way."""
    spelled = {"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"}
    inner: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "Message":
            inner["Subject"] = fields.get("Subject")
        if name != "Subject":
            inner[spelled.get(name, name)] = value
    inner.setdefault("MessageAttributes", {})
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "Sns": inner,
    }
    return msgspec.json.encode({"Records": [record]})


def action_url(base_url: str, action: str, **parameters: str) -> str:
    """A link that performs an operation when it is visited."""
    query = urlencode({"Action": action} | parameters, safe=":")
    return f"{base_url}/?{query}"


def _shown(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
