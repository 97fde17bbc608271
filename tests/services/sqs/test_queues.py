"""Queues by boto3: making, finding, listing, describing, changing, deleting them; tags and permissions."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.running import Running
from tests.services.sqs.refusals import NO_QUEUE, invalid, invalid_value, plain, refusal_of

Client = Callable[..., Any]
NAME_RULE = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


@pytest.fixture
def sqs(client: Client) -> Any:
    return client("sqs")


def made(sqs: Any, name: str = "q", **attributes: str) -> str:
    return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def all_of(sqs: Any, url: str) -> dict[str, str]:
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def test_defaults_of_a_standard_queue(sqs: Any, account: str) -> None:
    got = all_of(sqs, made(sqs))
    assert abs(int(got.pop("CreatedTimestamp")) - int(got.pop("LastModifiedTimestamp"))) == 0
    assert got == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"arn:aws:sqs:us-east-1:{account}:q",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }


def test_defaults_of_a_fifo_queue(sqs: Any) -> None:
    got = all_of(sqs, made(sqs, "q.fifo", FifoQueue="true"))
    assert (
        got.items()
        >= {
            "FifoQueue": "true",
            "ContentBasedDeduplication": "false",
            "DeduplicationScope": "queue",
            "FifoThroughputLimit": "perQueue",
        }.items()
    )


def test_only_the_attributes_asked_for(sqs: Any) -> None:
    url = made(sqs)
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "Policy"])
    assert got["Attributes"] == {"DelaySeconds": "0"}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


@pytest.mark.parametrize("name", ["", "a b", "a.b", "é", "x" * 81, "a.fifo"])
def test_names_that_are_refused(sqs: Any, name: str) -> None:
    assert refusal_of(sqs.create_queue, QueueName=name) == invalid(NAME_RULE)


def test_names_at_the_limit(sqs: Any) -> None:
    made(sqs, "-_aZ9" + "x" * 75)
    made(sqs, "x" * 75 + ".fifo", FifoQueue="true")


def test_names_are_case_sensitive(sqs: Any) -> None:
    assert made(sqs, "Queue") != made(sqs, "queue")


def test_fifo_names(sqs: Any) -> None:
    rule = (
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
        "must end with .fifo suffix and be 1 to 80 in length."
    )
    for name in ("q", ".fifo", "x" * 76 + ".fifo"):
        got = refusal_of(sqs.create_queue, QueueName=name, Attributes={"FifoQueue": "true"})
        assert got == invalid(rule)


def test_fifo_attributes_of_a_standard_queue(sqs: Any) -> None:
    only = "You can specify the {} only when FifoQueue is set to true."
    for name, value, message in (
        ("FifoQueue", "false", "Unknown Attribute FifoQueue."),
        ("ContentBasedDeduplication", "true", "Unknown Attribute ContentBasedDeduplication."),
        ("DeduplicationScope", "queue", only.format("DeduplicationScope")),
        ("FifoThroughputLimit", "perQueue", only.format("FifoThroughputLimit")),
    ):
        got = refusal_of(sqs.create_queue, QueueName="q", Attributes={name: value})
        assert got == plain("InvalidAttributeName", message)
    url = made(sqs)
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "true"})
    assert got == plain("InvalidAttributeName", "Unknown Attribute FifoQueue.")


def test_a_queue_keeps_its_type(sqs: Any) -> None:
    url = made(sqs, "q.fifo", FifoQueue="true")
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "false"})
    reason = "Reason: Modifying queue type is not supported."
    assert got == plain("InvalidAttributeValue", f"Invalid value for the parameter FifoQueue. {reason}")


def test_high_throughput_needs_the_scope(sqs: Any) -> None:
    url = made(sqs, "q.fifo", FifoQueue="true")
    limit = {"FifoThroughputLimit": "perMessageGroupId"}
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes=limit)
    assert got.shape == "InvalidAttributeValue"
    assert "the DeduplicationScope must be messageGroup" in got.message
    sqs.set_queue_attributes(QueueUrl=url, Attributes=limit | {"DeduplicationScope": "messageGroup"})
    assert all_of(sqs, url).items() >= limit.items()


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("DelaySeconds", 0, 900),
        ("MaximumMessageSize", 1_024, 1_048_576),
        ("MessageRetentionPeriod", 60, 1_209_600),
        ("ReceiveMessageWaitTimeSeconds", 0, 20),
        ("VisibilityTimeout", 0, 43_200),
        ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
    ],
)
def test_ranges(sqs: Any, name: str, low: int, high: int) -> None:
    url = made(sqs)
    for value in (low, high):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(value)})
        assert all_of(sqs, url)[name] == str(value)
    bad = plain("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
    for wrong in (str(low - 1), str(high + 1), "", " 60", "60.0", "x", "1e2"):
        assert refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={name: wrong}) == bad
        assert refusal_of(sqs.create_queue, QueueName="other", Attributes={name: wrong}) == bad
    assert all_of(sqs, url)[name] == str(high)


def test_unknown_attributes(sqs: Any) -> None:
    url = made(sqs)
    unknown = plain("InvalidAttributeName", "Unknown Attribute Colour.")
    assert refusal_of(sqs.create_queue, QueueName="p", Attributes={"Colour": "red"}) == unknown
    assert refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"}) == unknown
    assert refusal_of(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"]) == unknown
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={"QueueArn": "x"})
    assert got == plain("InvalidAttributeName", "Unknown Attribute QueueArn.")


def test_setting_moves_the_time_of_modification_and_keeps_the_rest(sqs: Any) -> None:
    url = made(sqs, VisibilityTimeout="7")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "9"})
    got = all_of(sqs, url)
    assert (got["VisibilityTimeout"], got["DelaySeconds"]) == ("7", "9")


def test_creating_again(sqs: Any) -> None:
    url = made(sqs, VisibilityTimeout="7", DelaySeconds="3")
    assert made(sqs) == url
    assert made(sqs, DelaySeconds="3") == url
    assert made(sqs, DelaySeconds="03", MaximumMessageSize="1048576") == url
    text = "A queue already exists with the same name and a different value for attribute DelaySeconds"
    got = refusal_of(
        sqs.create_queue, QueueName="q", Attributes={"VisibilityTimeout": "7", "DelaySeconds": "4"}
    )
    assert (got.code, got.shape, got.message, got.status) == (
        "QueueAlreadyExists", "QueueNameExists", text, 400,
    )  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "4"})
    assert made(sqs, DelaySeconds="4") == url


def test_creating_again_with_documents(sqs: Any, account: str) -> None:
    made(sqs, "dead")
    arn = f"arn:aws:sqs:us-east-1:{account}:dead"
    url = made(sqs, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2}))
    assert url == made(
        sqs, RedrivePolicy=json.dumps({"maxReceiveCount": 2, "deadLetterTargetArn": arn}, indent=1)
    )
    other = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})}
    assert refusal_of(sqs.create_queue, QueueName="q", Attributes=other).shape == "QueueNameExists"


def test_urls(sqs: Any, server: Running, account: str) -> None:
    url = made(sqs)
    assert url == f"{server.endpoint}/{account}/q"
    assert sqs.get_queue_url(QueueName="q")["QueueUrl"] == url
    assert sqs.get_queue_url(QueueName="q", QueueOwnerAWSAccountId=account)["QueueUrl"] == url
    assert refusal_of(sqs.get_queue_url, QueueName="nope") == NO_QUEUE
    got = refusal_of(sqs.get_queue_url, QueueName="q", QueueOwnerAWSAccountId="000000000009")
    assert got == NO_QUEUE


def test_a_url_echoes_the_host_and_any_host_is_taken(sqs: Any, server: Running, account: str) -> None:
    made(sqs)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    credential = f"Credential={account}/20261123/us-east-1/sqs/aws4_request"
    connection.request(
        "POST",
        "/",
        json.dumps({"QueueName": "q"}),
        {
            "Host": "queues.example.org:8443",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.GetQueueUrl",
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature={'0' * 64}",
        },
    )
    response = connection.getresponse()
    url = json.loads(response.read())["QueueUrl"]
    connection.close()
    assert url == f"http://queues.example.org:8443/{account}/q"
    sqs.send_message(QueueUrl=url, MessageBody="through the proxy")
    assert len(sqs.receive_message(QueueUrl=f"https://any.where/{account}/q")["Messages"]) == 1


def test_regions_and_accounts_are_apart(client: Client, server: Running) -> None:
    here, there = client("sqs"), client("sqs", region="eu-west-1")
    url = made(here)
    assert refusal_of(there.get_queue_attributes, QueueUrl=url) == NO_QUEUE
    assert "QueueUrls" not in there.list_queues()
    assert refusal_of(server.client("sqs", "000000000008").get_queue_url, QueueName="q") == NO_QUEUE


def test_every_operation_needs_the_queue(sqs: Any, server: Running, account: str) -> None:
    url = f"{server.endpoint}/{account}/nope"
    handle = {"ReceiptHandle": "x"}
    for operation, parameters in (
        ("delete_queue", {}),
        ("get_queue_attributes", {}),
        ("set_queue_attributes", {"Attributes": {"DelaySeconds": "1"}}),
        ("send_message", {"MessageBody": "x"}),
        ("send_message_batch", {"Entries": [{"Id": "1", "MessageBody": "x"}]}),
        ("receive_message", {}),
        ("delete_message", handle),
        ("delete_message_batch", {"Entries": [{"Id": "1"} | handle]}),
        ("change_message_visibility", handle | {"VisibilityTimeout": 1}),
        ("change_message_visibility_batch", {"Entries": [{"Id": "1", "VisibilityTimeout": 1} | handle]}),
        ("purge_queue", {}),
        ("tag_queue", {"Tags": {"a": "b"}}),
        ("untag_queue", {"TagKeys": ["a"]}),
        ("list_queue_tags", {}),
        ("list_dead_letter_source_queues", {}),
        ("add_permission", {"Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["*"]}),
        ("remove_permission", {"Label": "l"}),
    ):
        assert refusal_of(getattr(sqs, operation), QueueUrl=url, **parameters) == NO_QUEUE, operation


def test_a_deleted_queue_is_gone_with_its_messages(sqs: Any) -> None:
    url = made(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.delete_queue(QueueUrl=url)
    assert refusal_of(sqs.get_queue_attributes, QueueUrl=url) == NO_QUEUE
    made(sqs)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_listing(sqs: Any) -> None:
    assert "QueueUrls" not in sqs.list_queues()
    urls = [made(sqs, name) for name in ("a1", "a2", "a3", "b1")]
    assert sqs.list_queues()["QueueUrls"] == urls
    assert sqs.list_queues(QueueNamePrefix="a")["QueueUrls"] == urls[:3]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="A")
    first = sqs.list_queues(QueueNamePrefix="a", MaxResults=2)
    assert first["QueueUrls"] == urls[:2]
    second = sqs.list_queues(QueueNamePrefix="a", MaxResults=2, NextToken=first["NextToken"])
    assert second["QueueUrls"] == urls[2:3]
    assert "NextToken" not in second
    assert "NextToken" not in sqs.list_queues(MaxResults=4)
    for wrong in (0, 1001):
        assert refusal_of(sqs.list_queues, MaxResults=wrong).shape == "InvalidParameterValueException"
    assert refusal_of(sqs.list_queues, MaxResults=1, NextToken="?").shape == "InvalidParameterValueException"


def test_tags(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q", tags={"tag1": "value1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"tag2": "value2", "tag3": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"tag1": "value1", "tag2": "value2", "tag3": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["tag1", "tag3", "nope"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"tag2": "value2"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["tag2"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)


def test_fifty_tags(sqs: Any) -> None:
    url = made(sqs)
    sqs.tag_queue(QueueUrl=url, Tags={str(number): "" for number in range(50)})
    sqs.tag_queue(QueueUrl=url, Tags={"7": "again"})
    assert refusal_of(sqs.tag_queue, QueueUrl=url, Tags={"one": "more"}).message == (
        "Too many tags added for queue q."
    )
    for tags in ({"k" * 129: ""}, {"k": "v" * 257}):
        assert refusal_of(sqs.tag_queue, QueueUrl=url, Tags=tags).shape == "InvalidParameterValueException"


def policy_of(sqs: Any, url: str) -> Any:
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return json.loads(got["Attributes"]["Policy"]) if "Attributes" in got else None


def test_permissions(sqs: Any, account: str) -> None:
    url = made(sqs)
    arn = f"arn:aws:sqs:us-east-1:{account}:q"
    sqs.add_permission(
        QueueUrl=url,
        Label="one",
        AWSAccountIds=["668614515564", "111111111111"],
        Actions=["ReceiveMessage"],
    )
    assert policy_of(sqs, url) == {
        "Version": "2008-10-17",
        "Id": f"{arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "one",
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::668614515564:root", "arn:aws:iam::111111111111:root"]},
                "Action": "SQS:ReceiveMessage",
                "Resource": arn,
            }
        ],
    }
    more = {"AWSAccountIds": ["111111111111"], "Actions": ["*"]}
    taken = refusal_of(sqs.add_permission, QueueUrl=url, Label="one", **more)
    assert taken == invalid_value("Label", "one", "Already exists.")
    sqs.add_permission(QueueUrl=url, Label="two", **more)
    sqs.remove_permission(QueueUrl=url, Label="one")
    assert [statement["Sid"] for statement in policy_of(sqs, url)["Statement"]] == ["two"]
    absent = refusal_of(sqs.remove_permission, QueueUrl=url, Label="one")
    assert absent == invalid_value("Label", "one", "can't find label.")
    sqs.remove_permission(QueueUrl=url, Label="two")
    assert policy_of(sqs, url) is None


def test_permissions_that_are_refused(sqs: Any) -> None:
    url = made(sqs)
    good = {"Label": "l", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]}
    for wrong in ({"Label": "a b"}, {"AWSAccountIds": ["1"]}, {"Actions": ["Fly"]}):
        got = refusal_of(sqs.add_permission, QueueUrl=url, **(good | wrong))
        assert got.shape == "InvalidParameterValueException"


def test_policies(sqs: Any) -> None:
    url = made(sqs)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    assert all_of(sqs, url)["Policy"] == policy
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in all_of(sqs, url)
    for wrong in ("x", "[]", "{}", json.dumps({"Statement": [{"Effect": "Maybe"}]})):
        got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": wrong})
        assert got == plain("InvalidAttributeValue", "Invalid value for the parameter Policy.")
    many = {"Policy": json.dumps({"Statement": [statement] * 22})}
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes=many)
    text = "22 statements were found in the submitted policy, max allowed is 20"
    assert got == plain("OverLimit", text, 403)


def test_encryption_is_of_one_kind(sqs: Any) -> None:
    url = made(sqs)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": "key"})
    got = all_of(sqs, url)
    assert (got["SqsManagedSseEnabled"], got["KmsMasterKeyId"]) == ("false", "key")
    assert got["KmsDataKeyReusePeriodSeconds"] == "300"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    got = all_of(sqs, url)
    assert got["SqsManagedSseEnabled"] == "true"
    assert not {"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"} & got.keys()
    both = {"KmsMasterKeyId": "key", "SqsManagedSseEnabled": "true"}
    text = (
        "You can use one type of server-side encryption (SSE) at one time. "
        "You can either enable KMS SSE or SQS SSE."
    )
    got = refusal_of(sqs.set_queue_attributes, QueueUrl=url, Attributes=both)
    assert got == plain("InvalidAttributeName", text)
