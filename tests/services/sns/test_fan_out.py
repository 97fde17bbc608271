"""From a topic to queues and functions, over HTTP, as boto3 sees it."""

import base64
import io
import json
import re
import urllib.request
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

ORDER = ["Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion"]
ORDER += ["Signature", "SigningCertURL", "UnsubscribeURL", "MessageAttributes"]
SIGNED = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
CODE = """
import os

import boto3


def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["URL"], MessageBody=__import__("json").dumps(event))
"""


def verify(fields: dict[str, Any], names: list[str] = SIGNED) -> None:
    """As the Developer Guide says: the certificate of SigningCertURL, the lines in order, the digest of the
    version. InvalidSignature."""
    with urllib.request.urlopen(fields["SigningCertURL"], timeout=10) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[fields["SignatureVersion"]]
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(fields["Signature"]), text.encode(), padding.PKCS1v15(), digest)


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_envelope_is_in_order_and_signed(sns: Any, topic: str, inbox: Any, version: str) -> None:
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    queues = [inbox(topic, "one"), inbox(topic, "two")]
    attributes = {
        "kind": {"DataType": "String", "StringValue": "é"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\0\1"},
    }
    sent = sns.publish(TopicArn=topic, Message="body \n é", Subject="hello", MessageAttributes=attributes)
    for queue in queues:
        (message,) = queue.take(1)
        fields = json.loads(message["Body"])
        assert list(fields) == ORDER
        assert fields["MessageId"] == sent["MessageId"]
        assert fields["Message"] == "body \n é"
        assert fields["Type"] == "Notification"
        assert fields["SignatureVersion"] == version
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields["Timestamp"])
        assert fields["MessageAttributes"] == {
            "kind": {"Type": "String", "Value": "é"},
            "blob": {"Type": "Binary", "Value": "AAE="},
        }
        assert re.search(r"/SimpleNotificationService-[0-9a-f]{32}\.pem$", fields["SigningCertURL"])
        verify(fields)
        with pytest.raises(InvalidSignature):
            verify(fields | {"Message": "another"})


def test_raw_delivery_and_filters(sns: Any, topic: str, inbox: Any) -> None:
    raw = inbox(topic, "raw", RawMessageDelivery="true")
    red = inbox(topic, "red", FilterPolicy='{"color": ["red"]}')
    big = inbox(
        topic, "big", FilterPolicy='{"size": [{"numeric": [">", 5]}]}', FilterPolicyScope="MessageBody"
    )
    color = {"color": {"DataType": "String", "StringValue": "red"}}
    sns.publish(TopicArn=topic, Message='{"size": 3}', MessageAttributes=color)
    sns.publish(TopicArn=topic, Message='{"size": 7}')
    messages = raw.take(2)
    by_body = {message["Body"]: message for message in messages}
    assert by_body['{"size": 3}']["MessageAttributes"] == color
    assert by_body.keys() == {'{"size": 3}', '{"size": 7}'}
    assert [json.loads(m["Body"])["Message"] for m in red.take(1)] == ['{"size": 3}']
    assert [json.loads(m["Body"])["Message"] for m in big.take(1)] == ['{"size": 7}']
    assert red.is_empty()
    assert big.is_empty()


def test_a_message_for_each_protocol(sns: Any, topic: str, inbox: Any) -> None:
    queue = inbox(topic, "q", RawMessageDelivery="true")
    texts = {"default": "for all", "sqs": "for queues"}
    sns.publish(TopicArn=topic, Message=json.dumps(texts), MessageStructure="json", MessageGroupId="tenant")
    (message,) = queue.take(1)
    assert message["Body"] == "for queues"
    assert message["Attributes"]["MessageGroupId"] == "tenant"


def test_the_trace_goes_on(sns: Any, topic: str, inbox: Any) -> None:
    queue, trace = inbox(topic, "q"), "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    sns.meta.events.register(
        "before-send.sns.Publish",
        lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", trace),
    )
    sns.publish(TopicArn=topic, Message="m")
    assert queue.take(1)[0]["Attributes"]["AWSTraceHeader"] == trace


def test_a_batch_is_published_or_refused_as_a_whole(sns: Any, topic: str, inbox: Any) -> None:
    queue = inbox(topic, "q", RawMessageDelivery="true")
    entries = [{"Id": str(number), "Message": f"m{number}"} for number in range(10)]
    reply = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [entry["Id"] for entry in reply["Successful"]] == [str(number) for number in range(10)]
    assert sorted(message["Body"] for message in queue.take(10)) == [f"m{number}" for number in range(10)]
    for broken, code in (
        ([], "EmptyBatchRequest"),
        ([{"Id": "a", "Message": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "ä", "Message": "x"}], "InvalidBatchEntryId"),
        ([{"Id": str(n), "Message": "x"} for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": str(n), "Message": "x" * 140_000} for n in range(2)], "BatchRequestTooLong"),
        ([{"Id": "1", "Message": "x"}, {"Id": "2", "Message": ""}], "InvalidParameter"),
    ):
        with pytest.raises(ClientError) as refused:
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=broken)
        assert refused.value.response["Error"]["Code"] == code
    assert queue.is_empty()


def test_a_fifo_topic_keeps_the_order(sns: Any, inbox: Any) -> None:
    made = sns.create_topic(
        Name="t.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    )
    queue = inbox(made["TopicArn"], "q.fifo", RawMessageDelivery="true")
    standard = inbox(made["TopicArn"], "standard")
    replies = [
        sns.publish(TopicArn=made["TopicArn"], Message=f"m{number}", MessageGroupId="g")
        for number in range(5)
    ]
    again = sns.publish(TopicArn=made["TopicArn"], Message="m0", MessageGroupId="g")
    assert again["MessageId"] == replies[0]["MessageId"]
    assert again["SequenceNumber"] == replies[0]["SequenceNumber"]
    numbers = [reply["SequenceNumber"] for reply in replies]
    assert numbers == sorted(numbers)
    assert all(re.fullmatch(r"\d{20}", number) for number in numbers)
    messages = queue.take(5)
    assert [message["Body"] for message in messages] == [f"m{number}" for number in range(5)]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}
    first = next(json.loads(m["Body"]) for m in standard.take(5) if json.loads(m["Body"])["Message"] == "m0")
    unsigned = ["Type", "MessageId", "SequenceNumber", "TopicArn", "Message", "Timestamp", "UnsubscribeURL"]
    assert list(first) == unsigned
    assert first["SequenceNumber"] == numbers[0]


def test_a_function_is_invoked(client: Any, sns: Any, topic: str, queue: Any, account: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", CODE)
    seen, dead = queue("seen"), queue("dead")
    function = client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{account}:role/r",
        Handler="app.handler",
        Code={"ZipFile": file.getvalue()},
        Environment={"Variables": {"URL": seen.url}},
    )
    made = sns.subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=function["FunctionArn"],
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn})},
    )
    sns.publish(TopicArn=topic, Message="m", Subject="s")
    (message,) = seen.take(1)
    (record,) = json.loads(message["Body"])["Records"]
    assert list(record) == ["EventSource", "EventVersion", "EventSubscriptionArn", "Sns"]
    assert record["EventSource"] == "aws:sns"
    assert record["EventSubscriptionArn"] == made["SubscriptionArn"]
    assert record["Sns"]["Message"] == "m"
    assert record["Sns"]["Subject"] == "s"
    assert record["Sns"]["SigningCertUrl"].endswith(".pem")
    assert record["Sns"]["MessageAttributes"] == {}
    client("lambda").delete_function(FunctionName="f")
    sns.publish(TopicArn=topic, Message="too late")
    (letter,) = dead.take(1)
    assert json.loads(letter["Body"])["Message"] == "too late"
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "404"
    assert "Function not found" in letter["MessageAttributes"]["ErrorMessage"]["StringValue"]


def test_a_queue_that_is_gone_harms_nobody(client: Any, sns: Any, topic: str, inbox: Any, queue: Any) -> None:
    dead = queue("dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn})
    gone = inbox(topic, "gone", RedrivePolicy=policy, RawMessageDelivery="true")
    there = inbox(topic, "there", RawMessageDelivery="true")
    client("sqs").delete_queue(QueueUrl=gone.url)
    sent = sns.publish(
        TopicArn=topic, Message="m", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}}
    )
    assert [message["Body"] for message in there.take(1)] == ["m"]
    (letter,) = dead.take(1)
    assert letter["Body"] == "m"
    attributes = letter["MessageAttributes"]
    assert attributes.keys() == {"a", "RequestID", "ErrorCode", "ErrorMessage"}
    assert attributes["RequestID"]["StringValue"] == sent["MessageId"]
    assert attributes["ErrorCode"] == {"DataType": "Number", "StringValue": "400"}


def test_too_many_attributes_for_a_raw_message(sns: Any, topic: str, inbox: Any, queue: Any) -> None:
    dead = queue("dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn})
    raw = inbox(topic, "raw", RedrivePolicy=policy, RawMessageDelivery="true")
    wrapped = inbox(topic, "wrapped")
    attributes = {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(11)}
    sns.publish(TopicArn=topic, Message="m", MessageAttributes=attributes)
    (message,) = wrapped.take(1)
    assert len(json.loads(message["Body"])["MessageAttributes"]) == 11
    assert [letter["Body"] for letter in dead.take(1)] == ["m"]
    assert raw.is_empty()


def test_sizes(sns: Any, topic: str) -> None:
    sns.publish(TopicArn=topic, Message="x" * 262_144)
    with pytest.raises(ClientError, match="Invalid parameter: Message too long"):
        sns.publish(TopicArn=topic, Message="x" * 262_145)
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}
    with pytest.raises(ClientError, match="Invalid parameter: Message too long"):
        sns.publish(TopicArn=topic, Message="x" * 262_140, MessageAttributes=attribute)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="MaximumMessageSize", AttributeValue="1048576")
    sns.publish(TopicArn=topic, Message="x" * 1_048_576)
