"""SQS as its older clients speak it: form fields in, XML out. Requests and replies are made by hand."""

from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Request, Route
from oncue.protocol.model import query_model, service_model

URL = "http://127.0.0.1:1/000000000000/q"
NAMESPACE = {"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}


def routed(action: str, fields: dict[str, str], path: str = "/") -> tuple[Route, Request]:
    body = urlencode({"Action": action, "Version": "2012-11-05"} | fields).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "host": "queue.test:81"}
    request = Request("POST", path, "", headers, body)
    return protocol.route(request, "sqs"), request


ATTRIBUTE = {"DataType": "String", "StringValue": "v&"}
CASES: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    (
        "AddPermission",
        {"QueueUrl": URL, "Label": "l", "AWSAccountId.1": "1", "AWSAccountId.2": "2", "ActionName.1": "*"},
        {"QueueUrl": URL, "Label": "l", "AWSAccountIds": ["1", "2"], "Actions": ["*"]},
    ),
    ("CancelMessageMoveTask", {"TaskHandle": "t"}, {"TaskHandle": "t"}),
    (
        "ChangeMessageVisibility",
        {"QueueUrl": URL, "ReceiptHandle": "r", "VisibilityTimeout": "30"},
        {"QueueUrl": URL, "ReceiptHandle": "r", "VisibilityTimeout": 30},
    ),
    (
        "ChangeMessageVisibilityBatch",
        {
            "QueueUrl": URL,
            "ChangeMessageVisibilityBatchRequestEntry.1.Id": "a",
            "ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle": "r",
            "ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout": "0",
        },
        {"QueueUrl": URL, "Entries": [{"Id": "a", "ReceiptHandle": "r", "VisibilityTimeout": 0}]},
    ),
    (
        "CreateQueue",
        {
            "QueueName": "q",
            "Attribute.1.Name": "DelaySeconds",
            "Attribute.1.Value": "5",
            "Attribute.2.Name": "FifoQueue",
            "Attribute.2.Value": "true",
            "Tag.1.Key": "k",
            "Tag.1.Value": "",
        },
        {"QueueName": "q", "Attributes": {"DelaySeconds": "5", "FifoQueue": "true"}, "tags": {"k": ""}},
    ),
    ("DeleteMessage", {"QueueUrl": URL, "ReceiptHandle": "r"}, {"QueueUrl": URL, "ReceiptHandle": "r"}),
    (
        "DeleteMessageBatch",
        {
            "QueueUrl": URL,
            "DeleteMessageBatchRequestEntry.2.Id": "b",
            "DeleteMessageBatchRequestEntry.2.ReceiptHandle": "y",
            "DeleteMessageBatchRequestEntry.1.Id": "a",
            "DeleteMessageBatchRequestEntry.1.ReceiptHandle": "x",
        },
        {"QueueUrl": URL, "Entries": [{"Id": "a", "ReceiptHandle": "x"}, {"Id": "b", "ReceiptHandle": "y"}]},
    ),
    ("DeleteQueue", {"QueueUrl": URL}, {"QueueUrl": URL}),
    (
        "GetQueueAttributes",
        {"QueueUrl": URL, "AttributeName.1": "All"},
        {"QueueUrl": URL, "AttributeNames": ["All"]},
    ),
    (
        "GetQueueAttributes",
        {"QueueUrl": URL, "AttributeName": "All"},
        {"QueueUrl": URL, "AttributeNames": ["All"]},
    ),
    (
        "GetQueueUrl",
        {"QueueName": "q", "QueueOwnerAWSAccountId": "1"},
        {"QueueName": "q", "QueueOwnerAWSAccountId": "1"},
    ),
    ("ListDeadLetterSourceQueues", {"QueueUrl": URL, "MaxResults": "3"}, {"QueueUrl": URL, "MaxResults": 3}),
    ("ListMessageMoveTasks", {"SourceArn": "a"}, {"SourceArn": "a"}),
    ("ListQueueTags", {"QueueUrl": URL}, {"QueueUrl": URL}),
    ("ListQueues", {"QueueNamePrefix": "p"}, {"QueueNamePrefix": "p"}),
    ("PurgeQueue", {"QueueUrl": URL}, {"QueueUrl": URL}),
    (
        "ReceiveMessage",
        {
            "QueueUrl": URL,
            "MaxNumberOfMessages": "10",
            "WaitTimeSeconds": "1",
            "AttributeName.1": "All",
            "MessageSystemAttributeName.1": "SentTimestamp",
            "MessageAttributeName.1": "a.*",
            "MessageAttributeName.10": "c",
            "MessageAttributeName.2": "b",
        },
        {
            "QueueUrl": URL,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 1,
            "AttributeNames": ["All"],
            "MessageSystemAttributeNames": ["SentTimestamp"],
            "MessageAttributeNames": ["a.*", "b", "c"],
        },
    ),
    ("RemovePermission", {"QueueUrl": URL, "Label": "l"}, {"QueueUrl": URL, "Label": "l"}),
    (
        "SendMessage",
        {
            "QueueUrl": URL,
            "MessageBody": "b",
            "DelaySeconds": "1",
            "MessageAttribute.1.Name": "s",
            "MessageAttribute.1.Value.DataType": "String",
            "MessageAttribute.1.Value.StringValue": "v&",
            "MessageAttribute.2.Name": "b",
            "MessageAttribute.2.Value.DataType": "Binary",
            "MessageAttribute.2.Value.BinaryValue": "AAE=",
            "MessageSystemAttribute.1.Name": "AWSTraceHeader",
            "MessageSystemAttribute.1.Value.DataType": "String",
            "MessageSystemAttribute.1.Value.StringValue": "v&",
        },
        {
            "QueueUrl": URL,
            "MessageBody": "b",
            "DelaySeconds": 1,
            "MessageAttributes": {"s": ATTRIBUTE, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}},
            "MessageSystemAttributes": {"AWSTraceHeader": ATTRIBUTE},
        },
    ),
    (
        "SendMessageBatch",
        {
            "QueueUrl": URL,
            "SendMessageBatchRequestEntry.1.Id": "a",
            "SendMessageBatchRequestEntry.1.MessageBody": "b",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Name": "s",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType": "String",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue": "v&",
        },
        {
            "QueueUrl": URL,
            "Entries": [{"Id": "a", "MessageBody": "b", "MessageAttributes": {"s": ATTRIBUTE}}],
        },
    ),
    (
        "SetQueueAttributes",
        {"QueueUrl": URL, "Attribute.1.Name": "DelaySeconds", "Attribute.1.Value": "5"},
        {"QueueUrl": URL, "Attributes": {"DelaySeconds": "5"}},
    ),
    ("StartMessageMoveTask", {"SourceArn": "a"}, {"SourceArn": "a"}),
    (
        "TagQueue",
        {"QueueUrl": URL, "Tag.1.Key": "k", "Tag.1.Value": "v"},
        {"QueueUrl": URL, "Tags": {"k": "v"}},
    ),
    ("UntagQueue", {"QueueUrl": URL, "TagKey.1": "k"}, {"QueueUrl": URL, "TagKeys": ["k"]}),
]


@pytest.mark.parametrize(("action", "fields", "parameters"), CASES)
def test_requests(action: str, fields: dict[str, str], parameters: dict[str, Any]) -> None:
    route, request = routed(action, fields)
    assert route.protocol == "query"
    assert protocol.decode(route, request) == parameters


def test_every_operation_was_tried() -> None:
    assert {action for action, _, _ in CASES} == service_model("sqs").operations.keys()
    assert query_model("sqs").operations.keys() == service_model("sqs").operations.keys()


def test_the_path_names_the_queue() -> None:
    route, request = routed("PurgeQueue", {}, path="/000000000000/q")
    assert protocol.decode(route, request) == {"QueueUrl": "http://queue.test:81/000000000000/q"}
    route, request = routed("PurgeQueue", {"QueueUrl": URL}, path="/000000000000/other")
    assert protocol.decode(route, request) == {"QueueUrl": URL}


def result(action: str, output: dict[str, Any]) -> ElementTree.Element:
    route, _ = routed(action, {})
    reply = protocol.encode(route, output, "id-1")
    assert reply.headers["content-type"] == "text/xml"
    root = ElementTree.fromstring(reply.body)
    assert root.tag == f"{{{NAMESPACE['sqs']}}}{action}Response"
    assert root.findtext("sqs:ResponseMetadata/sqs:RequestId", namespaces=NAMESPACE) == "id-1"
    return root


def texts(root: ElementTree.Element, path: str) -> list[str | None]:
    return [
        element.text for element in root.iterfind("/".join(f"sqs:{p}" for p in path.split("/")), NAMESPACE)
    ]


def test_messages() -> None:
    message = {
        "MessageId": "m",
        "Body": "a\r\n<b>&\x00",
        "Attributes": {"SentTimestamp": "1", "SenderId": "s"},
        "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"\0\1"}},
    }
    root = result("ReceiveMessage", {"Messages": [message, {"MessageId": "n"}]})
    at = "ReceiveMessageResult/Message"
    assert texts(root, f"{at}/MessageId") == ["m", "n"]
    assert texts(root, f"{at}/Body") == ["a\r\n<b>&\ufffd"]
    assert texts(root, f"{at}/Attribute/Name") == ["SentTimestamp", "SenderId"]
    assert texts(root, f"{at}/Attribute/Value") == ["1", "s"]
    assert texts(root, f"{at}/MessageAttribute/Name") == ["n"]
    assert texts(root, f"{at}/MessageAttribute/Value/BinaryValue") == ["AAE="]


def test_lists_and_maps_are_flat() -> None:
    assert texts(result("ListQueues", {"QueueUrls": ["a", "b"]}), "ListQueuesResult/QueueUrl") == ["a", "b"]
    root = result("ListDeadLetterSourceQueues", {"queueUrls": ["a"], "NextToken": "t"})
    assert texts(root, "ListDeadLetterSourceQueuesResult/QueueUrl") == ["a"]
    root = result("GetQueueAttributes", {"Attributes": {"DelaySeconds": "0"}})
    assert texts(root, "GetQueueAttributesResult/Attribute/Value") == ["0"]
    root = result("ListQueueTags", {"Tags": {"k": "v"}})
    assert texts(root, "ListQueueTagsResult/Tag/Key") == ["k"]
    root = result("ListMessageMoveTasks", {"Results": [{"Status": "RUNNING"}]})
    assert texts(root, "ListMessageMoveTasksResult/ListMessageMoveTasksResultEntry/Status") == ["RUNNING"]


@pytest.mark.parametrize("kind", ["SendMessage", "DeleteMessage", "ChangeMessageVisibility"])
def test_batches(kind: str) -> None:
    good = {"Id": "a"} | ({"MessageId": "m", "MD5OfMessageBody": "x"} if kind == "SendMessage" else {})
    bad = {"Id": "b", "SenderFault": True, "Code": "C"}
    root = result(f"{kind}Batch", {"Successful": [good], "Failed": [bad]})
    assert texts(root, f"{kind}BatchResult/{kind}BatchResultEntry/Id") == ["a"]
    assert texts(root, f"{kind}BatchResult/BatchResultErrorEntry/SenderFault") == ["true"]


def test_no_result_where_there_is_nothing_to_tell() -> None:
    root = result("DeleteMessage", {})
    assert [element.tag.partition("}")[2] for element in root] == ["ResponseMetadata"]


def test_errors_have_the_older_codes_and_words() -> None:
    route, request = routed("PurgeQueue", {"QueueUrl": URL})
    error = ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
    reply = protocol.encode_error(route, request, error, "id-1")
    assert reply.status == 400
    root = ElementTree.fromstring(reply.body)
    assert texts(root, "Error/Type") == ["Sender"]
    assert texts(root, "Error/Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    assert texts(root, "Error/Message") == ["The specified queue does not exist for this wsdl version."]
    assert texts(root, "RequestId") == ["id-1"]
    reply = protocol.encode_error(route, request, ServiceError("OverLimit", "Too many"), "id-1")
    assert reply.status == 403


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"VisibilityTimeout": "x"}, "MalformedInput"),
        ({"VisibilityTimeout": "9999999999"}, "MalformedInput"),
        ({"VisibilityTimeout.1": "1"}, "MalformedInput"),
        ({"AttributeName.x": "All"}, "MalformedInput"),
        ({"AttributeName.1": "All", "AttributeName.1.a": "b"}, "MalformedInput"),
        ({"AttributeName.1.a": "All", "AttributeName.1": "b"}, "MalformedInput"),
        ({"Colour": "red"}, "InvalidParameterValueException"),
    ],
)
def test_malformed_fields(fields: dict[str, str], code: str) -> None:
    route, request = routed("ReceiveMessage", {"QueueUrl": URL} | fields)
    with pytest.raises(ServiceError) as refused:
        protocol.decode(route, request)
    assert refused.value.code == code
