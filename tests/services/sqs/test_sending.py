"""Sending by boto3: digests, limits and refusals, one message or a batch."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.services.sqs.refusals import Refusal, invalid, invalid_value, legacy, refusal_of

Client = Callable[..., Any]
TOO_LONG = "One or more parameters are invalid. Reason: Message must be shorter than {} bytes."
WRONG_TYPE = "The request include parameter that is not valid for this queue type."


@pytest.fixture
def sqs(client: Client) -> Any:
    return client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="q")["QueueUrl"])


def text(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


def test_what_a_send_answers(sqs: Any, url: str) -> None:
    got = sqs.send_message(QueueUrl=url, MessageBody="hé")
    assert got["MD5OfMessageBody"] == hashlib.md5("hé".encode()).hexdigest()
    assert len(got["MessageId"]) == 36
    assert {"MD5OfMessageAttributes", "MD5OfMessageSystemAttributes", "SequenceNumber"}.isdisjoint(got)


def test_digests_of_attributes(sqs: Any, url: str) -> None:
    """boto3 recomputes them too, and raises when they differ."""
    got = sqs.send_message(
        QueueUrl=url,
        MessageBody="b",
        MessageAttributes={"attr1": text("99.12", "Number")},
        MessageSystemAttributes={"AWSTraceHeader": text("some-trace-id")},
    )
    assert got["MD5OfMessageAttributes"] == "d302007e9aa062660afc85fd0a482472"
    assert got["MD5OfMessageSystemAttributes"] == "fdce4f2818803f2f73becc09a54792c0"


def test_an_empty_body(sqs: Any, url: str) -> None:
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="")
    sentence = "The request must contain the parameter MessageBody."
    assert got == Refusal("MissingParameter", "MissingRequiredParameterException", sentence, 400)


def test_characters(sqs: Any, url: str) -> None:
    body = "\t\n\r \ud7ff\ue000\ufffd\U00010000\U0010ffff"
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == body
    for bad in ("\x00", "a\x1f", "\ufffe"):
        assert refusal_of(sqs.send_message, QueueUrl=url, MessageBody=bad).code == "InvalidMessageContents"
    bad_attribute = {"a": text("\x01")}
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageAttributes=bad_attribute)
    assert got.code == "InvalidMessageContents"


def test_the_size_of_a_message(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="é" * 524_288)
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="é" * 524_288 + "x")
    assert got == invalid(TOO_LONG.format(1_048_576))


def test_attributes_count_and_the_trace_header_does_not(sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    attributes = {"name": text("value")}
    overhead = len("name") + len("String") + len("value")
    trace = {"AWSTraceHeader": text("t" * 500)}
    fits = "x" * (1024 - overhead)
    sqs.send_message(
        QueueUrl=url, MessageBody=fits, MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody=f"{fits}x", MessageAttributes=attributes)
    assert got == invalid(TOO_LONG.format(1024))


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"X": text("")}, "Message (user) attribute 'X' must contain a non-empty value of type 'String'."),
        (
            {"X": {"DataType": "Binary", "BinaryValue": b""}},
            "Message (user) attribute 'X' must contain a non-empty value of type 'Binary'.",
        ),
        (
            {"X": text("a", "Binary")},
            "Message (user) attribute 'X' must contain a non-empty value of type 'Binary'.",
        ),
        ({"X": text("a", "Number")}, "Can't cast the value of message (user) attribute 'X' to a number."),
        (
            {"X": text("a", "Thing")},
            "The type of message (user) attribute 'X' is invalid. You must use only the following supported "
            "type prefixes: Binary, Number, String.",
        ),
        (
            {"X": text("a", "")},
            "The message (user) attribute 'X' must contain a non-empty message attribute value.",
        ),
        (
            {"X": {"DataType": "String", "StringListValues": ["a"]}},
            "Message attribute list values in SendMessage operation are not supported.",
        ),
        ({"": text("a")}, "The request must contain non-empty message (user) attribute names."),
        ({"n" * 257: text("a")}, "Message (user) attribute name must be shorter than 256 bytes."),
        (
            {"X": text("a", "String." + "t" * 250)},
            "Message (user) attribute type must be shorter than 256 bytes.",
        ),
        (
            {str(number): text("a") for number in range(11)},
            "Number of message attributes [11] exceeds the allowed maximum [10].",
        ),
    ],
)
def test_attributes_that_are_refused(sqs: Any, url: str, attributes: dict[str, Any], sentence: str) -> None:
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
    assert got == invalid(sentence)


@pytest.mark.parametrize("name", ["AWS.x", "aws.x", "Amazon.x", "AMAZON.x", ".a", "a.", "a..b", "a b", "é"])
def test_names_of_attributes_that_are_refused(sqs: Any, url: str, name: str) -> None:
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageAttributes={name: text("a")})
    assert got.code == "InvalidParameterValue"


def test_names_and_types_of_attributes_that_are_fine(sqs: Any, url: str) -> None:
    attributes = {
        "awsome": text("a"),
        "a-b_c.D9": text("a", "String.custom"),
        "n" * 256: text("-1.5E+10", "Number.float"),
        "binary": {"DataType": "Binary.jpg", "BinaryValue": b"\x00\xff"},
    }
    sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
    got = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"][0]
    assert got["MessageAttributes"] == attributes


def test_only_the_trace_header_is_a_system_attribute(sqs: Any, url: str) -> None:
    got = refusal_of(
        sqs.send_message, QueueUrl=url, MessageBody="b", MessageSystemAttributes={"Hello": text("World")}
    )
    assert got == invalid("Message system attribute name 'Hello' is invalid.")
    number = {"AWSTraceHeader": text("1", "Number")}
    got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageSystemAttributes=number)
    assert got.code == "InvalidParameterValue"


def test_delays(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="b", DelaySeconds=900)
    for wrong in (-1, 901):
        got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", DelaySeconds=wrong)
        assert got == invalid_value("DelaySeconds", wrong, "DelaySeconds must be >= 0 and <= 900.")


def test_a_standard_queue_takes_groups_and_no_deduplication(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="b", MessageGroupId="tenant")
    got = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"][0]
    assert got["Attributes"]["MessageGroupId"] == "tenant"
    wrong = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageDeduplicationId="d")
    assert wrong == invalid_value("MessageDeduplicationId", "d", WRONG_TYPE)
    rule = "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."
    for group in ("a b", "é", "x" * 129):
        got = refusal_of(sqs.send_message, QueueUrl=url, MessageBody="b", MessageGroupId=group)
        assert got == invalid_value("MessageGroupId", group, rule)


def entries(count: int, body: str = "b") -> list[dict[str, Any]]:
    return [{"Id": str(number), "MessageBody": body} for number in range(count)]


def test_a_batch(sqs: Any, url: str) -> None:
    batch = entries(3)
    batch[1] |= {"MessageAttributes": {"attr1": text("99.12", "Number")}, "DelaySeconds": 0}
    got = sqs.send_message_batch(QueueUrl=url, Entries=batch)
    assert "Failed" not in got
    assert [entry["Id"] for entry in got["Successful"]] == ["0", "1", "2"]
    assert got["Successful"][1]["MD5OfMessageAttributes"] == "d302007e9aa062660afc85fd0a482472"
    taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {message["MessageId"] for message in taken} == {e["MessageId"] for e in got["Successful"]}


def test_entries_fail_one_by_one(sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    batch = entries(5)
    batch[1]["MessageBody"] = ""
    batch[2]["MessageBody"] = "\x01"
    batch[3]["MessageBody"] = "x" * 1025
    got = sqs.send_message_batch(QueueUrl=url, Entries=batch)
    assert [entry["Id"] for entry in got["Successful"]] == ["0", "4"]
    failed = {entry["Id"]: (entry["Code"], entry["Message"], entry["SenderFault"]) for entry in got["Failed"]}
    missing = "The request must contain the parameter SendMessageBatchRequestEntry.2.MessageBody."
    assert failed["1"] == ("MissingParameter", missing, True)
    assert failed["2"][0] == "InvalidMessageContents"
    assert failed["3"] == ("InvalidParameterValue", TOO_LONG.format(1024), True)
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 2


def test_batches_that_are_refused_as_a_whole(sqs: Any, url: str) -> None:
    def refused(batch: list[dict[str, Any]]) -> Refusal:
        return refusal_of(sqs.send_message_batch, QueueUrl=url, Entries=batch)

    assert refused([]) == legacy(
        "EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request."
    )
    assert refused(entries(11)) == legacy(
        "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent 11."
    )
    rule = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
        "It can be at most 80 letters long."
    )
    for bad in ("", "invalid:id", "é", "x" * 81):
        batch = [{"Id": bad, "MessageBody": "b"}]
        assert refused(batch) == legacy("InvalidBatchEntryId", rule)
    assert refused([*entries(1), *entries(1)]) == legacy("BatchEntryIdsNotDistinct", "Id 0 repeated.")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_the_size_of_a_batch(sqs: Any, url: str) -> None:
    batch = entries(2, "x" * 524_288)
    sqs.send_message_batch(QueueUrl=url, Entries=batch)
    batch[0]["MessageAttributes"] = {"n": text("v")}
    got = refusal_of(sqs.send_message_batch, QueueUrl=url, Entries=batch)
    sentence = "Batch requests cannot be longer than 1048576 bytes. You have sent 1048584 bytes."
    assert got == legacy("BatchRequestTooLong", sentence)


def test_a_full_batch_has_ids_at_the_limit(sqs: Any, url: str) -> None:
    batch = [{"Id": f"{number}" + "x" * 79, "MessageBody": "b"} for number in range(10)]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) == 10
