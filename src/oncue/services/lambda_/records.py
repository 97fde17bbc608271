"""What a function gets from a queue, and what its answer says about each message. Pure.

Rules: the Lambda Developer Guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event
source".
"""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from oncue import arns

EVENT_BYTES_MAX = 6_000_000  # of records in one event: a larger batch is cut (the request may have 6 MB)
NOTHING_FAILED: tuple[Any, ...] = (None, "", [], {})
Message = dict[str, Any]  # a member of ReceiveMessage's Messages


def record(message: Message, queue_arn: str) -> dict[str, Any]:
    """One entry of `Records`."""
    entry = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes") or {},
        "messageAttributes": {
            name: _attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": arns.parse(queue_arn).region,
    }
    if message.get("MD5OfMessageAttributes"):
        entry["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return entry


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if value.get("StringValue") is not None:
        shown["stringValue"] = value["StringValue"]
    if value.get("BinaryValue") is not None:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shown | {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}


def batches(
    messages: Sequence[Message], queue_arn: str, batch_size: int
) -> list[tuple[list[Message], bytes]]:
    """The messages, in order, as batches of at most `batch_size` that fit into an event, with the event."""
    cut: list[tuple[list[Message], list[bytes]]] = []
    size = 0
    for message in messages:
        entry = msgspec.json.encode(record(message, queue_arn))
        if not cut or len(cut[-1][0]) == batch_size or size + len(entry) > EVENT_BYTES_MAX:
            cut.append(([], []))
            size = 0
        cut[-1][0].append(message)
        cut[-1][1].append(entry)
        size += len(entry) + 1
    return [(batch, b'{"Records":[' + b",".join(entries) + b"]}") for batch, entries in cut]


def failed(answer: bytes, message_ids: Sequence[str]) -> set[str]:
    """The messages that a ReportBatchItemFailures answer calls failed; all of them when it cannot be read.

    A success: nothing, null, an empty string, list or object, an empty or null `batchItemFailures`. A failure
    of the whole batch: not JSON, an empty, missing or unknown `itemIdentifier`. Whoever reads a FIFO queue
    stops at the first failure and reports the rest: that is the function's part on AWS, and here.
    """
    everything = set(message_ids)
    if not answer.strip():
        return set()
    try:
        read = msgspec.json.decode(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return everything
    if read in NOTHING_FAILED:
        return set()
    listed = read.get("batchItemFailures") if isinstance(read, dict) else answer
    if listed is None or listed == []:
        return set()
    if not isinstance(listed, list):
        return everything
    named = [entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in listed]
    if not all(isinstance(name, str) and name in everything for name in named):
        return everything
    return {str(name) for name in named}
