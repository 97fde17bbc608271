"""Events made of messages, and what an answer says about them."""

from typing import Any

import msgspec
import pytest

from oncue.services.lambda_ import records

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:q"


def message(id: str, body: str = "b", **more: Any) -> dict[str, Any]:
    return {"MessageId": id, "ReceiptHandle": f"r{id}", "Body": body, "MD5OfBody": "md5"} | more


def test_a_record() -> None:
    attributes = {
        "text": {"DataType": "String", "StringValue": "v"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    made = records.record(
        message(
            "1",
            Attributes={"SentTimestamp": "5"},
            MessageAttributes=attributes,
            MD5OfMessageAttributes="md5a",
        ),
        QUEUE,
    )
    assert made == {
        "messageId": "1",
        "receiptHandle": "r1",
        "body": "b",
        "attributes": {"SentTimestamp": "5"},
        "messageAttributes": {
            "text": {
                "stringValue": "v",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            },
            "blob": {
                "binaryValue": "AAE=",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Binary",
            },
        },
        "md5OfBody": "md5",
        "md5OfMessageAttributes": "md5a",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "eu-west-1",
    }


def test_a_record_of_a_plain_message_has_empty_attributes() -> None:
    made = records.record(message("1", Attributes=None, MD5OfMessageAttributes=None), QUEUE)
    assert (made["attributes"], made["messageAttributes"]) == ({}, {})
    assert "md5OfMessageAttributes" not in made


def test_batches_keep_order_and_bounds() -> None:
    many = [message(str(index)) for index in range(5)]
    cut = records.batches(many, QUEUE, 2)
    assert [[entry["MessageId"] for entry in batch] for batch, _ in cut] == [["0", "1"], ["2", "3"], ["4"]]
    assert [entry["messageId"] for entry in msgspec.json.decode(cut[1][1])["Records"]] == ["2", "3"]
    assert records.batches([], QUEUE, 2) == []


def test_a_batch_ends_before_the_event_is_too_large() -> None:
    large = [message(str(index), "x" * 2_500_000) for index in range(4)]
    cut = records.batches(large, QUEUE, 10)
    assert [len(batch) for batch, _ in cut] == [2, 2]
    assert all(len(event) < 6_291_556 for _, event in cut)


IDS = ["a", "b", "c"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b'""',
        b"{}",
        b"[]",
        b'{"batchItemFailures": []}',
        b'{"batchItemFailures": null}',
        b'{"other": 1}',
    ],
)
def test_answers_of_success(answer: bytes) -> None:
    assert records.failed(answer, IDS) == set()


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        b'"ok"',
        b"1",
        b'{"batchItemFailures": "a"}',
        b'{"batchItemFailures": {}}',
        b'{"batchItemFailures": ["a"]}',
        b'{"batchItemFailures": [{"itemIdentifier": ""}]}',
        b'{"batchItemFailures": [{"itemIdentifier": null}]}',
        b'{"batchItemFailures": [{"wrong": "a"}]}',
        b'{"batchItemFailures": [{"itemIdentifier": 1}]}',
        b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "unknown"}]}',
    ],
)
def test_answers_that_fail_the_whole_batch(answer: bytes) -> None:
    assert records.failed(answer, IDS) == set(IDS)


def test_an_answer_that_names_the_failed_ones() -> None:
    answer = b'{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}'
    assert records.failed(answer, IDS) == {"b"}


def test_an_answer_nested_without_end_is_a_failure() -> None:
    assert records.failed(b"[" * 50_000 + b"]" * 50_000, ["1", "2"]) == {"1", "2"}
