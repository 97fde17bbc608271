"""Receiving, deleting, hiding and purging by boto3."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.services.sqs.refusals import Refusal, invalid_value, plain, refusal_of

Client = Callable[..., Any]
JOIN_S = 15


@pytest.fixture
def sqs(client: Client) -> Any:
    return client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="q")["QueueUrl"])


def receive(sqs: Any, url: str, **parameters: Any) -> list[dict[str, Any]]:
    return list(sqs.receive_message(QueueUrl=url, **parameters).get("Messages", []))


def counts(sqs: Any, url: str) -> tuple[int, int, int]:
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return (
        int(got["ApproximateNumberOfMessages"]),
        int(got["ApproximateNumberOfMessagesNotVisible"]),
        int(got["ApproximateNumberOfMessagesDelayed"]),
    )


def test_an_empty_queue_answers_without_messages(sqs: Any, url: str) -> None:
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_message_is_bare_unless_asked(sqs: Any, url: str) -> None:
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="b", MessageAttributes={"a": {"DataType": "String", "StringValue": "v"}}
    )
    (message,) = receive(sqs, url)
    handle = message.pop("ReceiptHandle")
    assert 0 < len(handle) <= 1024
    assert message == {"MessageId": sent["MessageId"], "MD5OfBody": sent["MD5OfMessageBody"], "Body": "b"}


def test_system_attributes(sqs: Any, url: str, account: str) -> None:
    before = int(time.time() * 1000)
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
    sqs.send_message(QueueUrl=url, MessageBody="b", MessageSystemAttributes=trace)
    first = receive(sqs, url, AttributeNames=["All"], VisibilityTimeout=0)[0]["Attributes"]
    assert before - 1000 <= int(first["SentTimestamp"]) <= int(first["ApproximateFirstReceiveTimestamp"])
    assert first.keys() == {
        "SenderId", "SentTimestamp", "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp", "AWSTraceHeader",
    }  # fmt: skip
    assert (first["SenderId"], first["AWSTraceHeader"]) == (account, "Root=1")
    again = receive(sqs, url, MessageSystemAttributeNames=["All"], VisibilityTimeout=0)[0]["Attributes"]
    assert again == first | {"ApproximateReceiveCount": "2"}
    some = receive(sqs, url, MessageSystemAttributeNames=["SenderId", "SequenceNumber"], VisibilityTimeout=0)
    assert some[0]["Attributes"] == {"SenderId": account}
    assert "Attributes" not in receive(sqs, url, AttributeNames=["SequenceNumber"])[0]


def test_message_attributes_by_name(sqs: Any, url: str) -> None:
    values = {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    sqs.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=attributes)
    for names, left, digest in (
        (["All"], values, "4c360f3fdafd970e05fae2f149d997f5"),
        ([".*"], values, "4c360f3fdafd970e05fae2f149d997f5"),
        (["Hel.*"], {"Hello", "Help.Me"}, "83fee93c1bcd8b9a5a923ffacdc636c7"),
        (["Hello", "General"], {"Hello", "General"}, "fca026605781cb4126a1e9044df24232"),
        (["Hello", "Foo"], {"Hello"}, "a311262e065454b75da111d535b8dacd"),
    ):
        (message,) = receive(sqs, url, MessageAttributeNames=names, VisibilityTimeout=0)
        assert message["MessageAttributes"].keys() == set(left)
        assert message["MD5OfMessageAttributes"] == digest
    (message,) = receive(sqs, url, MessageAttributeNames=["Foo"], VisibilityTimeout=0)
    assert "MD5OfMessageAttributes" not in message
    assert not message.get("MessageAttributes")


def test_ranges(sqs: Any, url: str) -> None:
    for name, wrong, reason in (
        ("MaxNumberOfMessages", (0, 11), "Must be between 1 and 10, if provided."),
        ("WaitTimeSeconds", (-1, 21), "Must be >= 0 and <= 20, if provided."),
        ("VisibilityTimeout", (-1, 43_201), "Must be between 0 and 43200, if provided."),
    ):
        for value in wrong:
            got = refusal_of(sqs.receive_message, QueueUrl=url, **{name: value})
            assert got == invalid_value(name, value, reason)


def test_as_many_as_wanted(sqs: Any, url: str) -> None:
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(10)]
    for _ in range(2):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert len(receive(sqs, url)) == 1
    assert len(receive(sqs, url, MaxNumberOfMessages=3)) == 3
    assert len(receive(sqs, url, MaxNumberOfMessages=10)) == 10
    assert len(receive(sqs, url, MaxNumberOfMessages=10)) == 6
    assert counts(sqs, url) == (0, 20, 0)


def test_a_handle_is_new_each_time_and_an_old_one_still_deletes(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (first,) = receive(sqs, url, VisibilityTimeout=0)
    (second,) = receive(sqs, url)
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])


def test_handles_that_are_none(sqs: Any, url: str) -> None:
    bad = plain("ReceiptHandleIsInvalid", 'The input receipt handle "x" is not a valid receipt handle.')
    other = sqs.create_queue(QueueName="other")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (message,) = receive(sqs, url)
    foreign = message["ReceiptHandle"]
    for operation, more in (
        (sqs.delete_message, {}),
        (sqs.change_message_visibility, {"VisibilityTimeout": 1}),
    ):
        assert refusal_of(operation, QueueUrl=url, ReceiptHandle="x", **more) == bad
        got = refusal_of(operation, QueueUrl=other, ReceiptHandle=foreign, **more)
        assert got.code == "ReceiptHandleIsInvalid"
        got = refusal_of(operation, QueueUrl=url, ReceiptHandle="", **more)
        sentence = "The request must contain the parameter ReceiptHandle."
        assert got == Refusal("MissingParameter", "MissingRequiredParameterException", sentence, 400)
    assert counts(sqs, url) == (0, 1, 0)


def test_deleting_in_a_batch(sqs: Any, url: str) -> None:
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="b")
    handles = [message["ReceiptHandle"] for message in receive(sqs, url, MaxNumberOfMessages=10)]
    got = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[{"Id": str(number), "ReceiptHandle": h} for number, h in enumerate([*handles, "x"])],
    )
    assert got["Successful"] == [{"Id": "0"}, {"Id": "1"}, {"Id": "2"}]
    assert got["Failed"] == [
        {
            "Id": "3",
            "Code": "ReceiptHandleIsInvalid",
            "Message": 'The input receipt handle "x" is not a valid receipt handle.',
            "SenderFault": True,
        }
    ]
    assert counts(sqs, url) == (0, 0, 0)


def test_batches_of_handles_that_are_refused(sqs: Any, url: str) -> None:
    for operation, more in (
        (sqs.delete_message_batch, {}),
        (sqs.change_message_visibility_batch, {"VisibilityTimeout": 1}),
    ):
        entry = {"ReceiptHandle": "x"} | more
        many = [{"Id": str(number)} | entry for number in range(20)]
        got = refusal_of(operation, QueueUrl=url, Entries=many)
        assert got.shape == "TooManyEntriesInBatchRequest"
        assert got.message == "Maximum number of entries per request are 10. You have sent 20."
        assert refusal_of(operation, QueueUrl=url, Entries=[]).shape == "EmptyBatchRequest"
        twice = [{"Id": "1"} | entry] * 2
        assert refusal_of(operation, QueueUrl=url, Entries=twice).shape == "BatchEntryIdsNotDistinct"
        odd = [{"Id": "a:b"} | entry]
        assert refusal_of(operation, QueueUrl=url, Entries=odd).shape == "InvalidBatchEntryId"


def test_hiding(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (message,) = receive(sqs, url)
    handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**handle, VisibilityTimeout=600)
    assert counts(sqs, url) == (0, 1, 0)
    sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    assert counts(sqs, url) == (1, 0, 0)
    for wrong in (-1, 43_201):
        got = refusal_of(sqs.change_message_visibility, **handle, VisibilityTimeout=wrong)
        assert got == invalid_value("VisibilityTimeout", wrong, "Must be between 0 and 43200.")
    (again,) = receive(sqs, url, VisibilityTimeout=0)
    got = refusal_of(sqs.change_message_visibility, **handle, VisibilityTimeout=1)
    assert got.shape == "MessageNotInflight"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    gone = "Message does not exist or is not available for visibility timeout change."
    got = refusal_of(sqs.change_message_visibility, **handle, VisibilityTimeout=1)
    assert got == invalid_value("ReceiptHandle", message["ReceiptHandle"], gone)


def test_hiding_in_a_batch(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (message,) = receive(sqs, url)
    good = {"Id": "good", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
    far = good | {"Id": "far", "VisibilityTimeout": 43_201}
    got = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[far, good])
    assert got["Successful"] == [{"Id": "good"}]
    assert [(entry["Id"], entry["Code"]) for entry in got["Failed"]] == [("far", "InvalidParameterValue")]
    assert counts(sqs, url) == (1, 0, 0)


def test_purging(sqs: Any, url: str) -> None:
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="b")
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    (message,) = receive(sqs, url)
    assert counts(sqs, url) == (2, 1, 1)
    sqs.purge_queue(QueueUrl=url)
    assert counts(sqs, url) == (0, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.purge_queue(QueueUrl=url)


def test_a_long_poll_is_woken_by_another_client(sqs: Any, url: str, client: Client) -> None:
    got: list[Any] = []
    done = threading.Event()

    def poll() -> None:
        got.extend(receive(client("sqs"), url, WaitTimeSeconds=20))
        done.set()

    thread = threading.Thread(target=poll)
    thread.start()
    assert not done.wait(0.5)
    sent = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="now")
    assert done.wait(JOIN_S)
    assert time.monotonic() - sent < 5
    thread.join(JOIN_S)
    assert [message["Body"] for message in got] == ["now"]


def test_a_client_that_goes_takes_nothing_with_it(sqs: Any, url: str, client: Client) -> None:
    impatient = client("sqs", read_timeout=1)
    with pytest.raises(Exception, match="Read timeout"):
        receive(impatient, url, WaitTimeSeconds=20)
    impatient.close()
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (message,) = receive(sqs, url, WaitTimeSeconds=2, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_an_attempt_id_is_for_fifo_queues(sqs: Any, url: str) -> None:
    got = refusal_of(sqs.receive_message, QueueUrl=url, ReceiveRequestAttemptId="a")
    reason = "The request include parameter that is not valid for this queue type."
    assert got == invalid_value("ReceiveRequestAttemptId", "a", reason)


def test_an_empty_url(sqs: Any) -> None:
    sentence = "The request must contain the parameter QueueUrl."
    missing = Refusal("MissingParameter", "MissingRequiredParameterException", sentence, 400)
    assert refusal_of(sqs.receive_message, QueueUrl="") == missing


def test_names_that_nobody_knows(sqs: Any, url: str) -> None:
    unknown = plain("InvalidAttributeName", "Unknown Attribute Colour.")
    assert refusal_of(sqs.receive_message, QueueUrl=url, AttributeNames=["Colour"]) == unknown
