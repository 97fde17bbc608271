"""Topics, subscriptions and their attributes, as boto3 sees them: what is shown, and how it is refused."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
TAGS = [{"Key": "a", "Value": "1"}]


def refusal(method: Any, **parameters: Any) -> tuple[str, str]:
    """(code, sentence)"""
    with pytest.raises(ClientError) as refused:
        method(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def invalid(sentence: str) -> tuple[str, str]:
    return "InvalidParameter", f"Invalid parameter: {sentence}"


def test_a_topic_as_it_is_shown(sns: Any, account: str) -> None:
    arn = sns.create_topic(Name="t", Attributes={"DisplayName": "T"}, Tags=TAGS)["TopicArn"]
    assert arn == f"arn:aws:sns:us-east-1:{account}:t"
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    policy, effective = json.loads(attributes.pop("Policy")), attributes.pop("EffectiveDeliveryPolicy")
    assert attributes == {
        "TopicArn": arn,
        "Owner": account,
        "DisplayName": "T",
        "MaximumMessageSize": "262144",
        "SubscriptionsPending": "0",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsDeleted": "0",
    }
    assert policy["Id"] == "__default_policy_ID"
    assert policy["Statement"][0]["Condition"] == {"StringEquals": {"AWS:SourceOwner": account}}
    assert json.loads(effective)["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == TAGS


def test_creating_again(sns: Any) -> None:
    first = sns.create_topic(Name="t", Attributes={"DisplayName": "T"}, Tags=TAGS)["TopicArn"]
    assert sns.create_topic(Name="t")["TopicArn"] == first
    assert sns.create_topic(Name="t", Attributes={"DisplayName": "T"}, Tags=TAGS)["TopicArn"] == first
    assert refusal(sns.create_topic, Name="t", Attributes={"DisplayName": "other"}) == invalid(
        "Attributes Reason: Topic already exists with different attributes"
    )
    assert refusal(sns.create_topic, Name="t", Tags=[{"Key": "a", "Value": "2"}]) == invalid(
        "Tags Reason: Topic already exists with different tags"
    )


@pytest.mark.parametrize("name", ["", "a b", "x" * 257, "t.fifo"])
def test_a_bad_name(sns: Any, name: str) -> None:
    assert refusal(sns.create_topic, Name=name) == invalid("Topic Name")


def test_bad_arns(sns: Any, topic: str) -> None:
    publish = {"Message": "m"}
    assert refusal(sns.publish, TopicArn="arn:aws:sns:x", **publish) == invalid(
        "TopicArn Reason: An ARN must have at least 6 elements, not 4"
    )
    assert refusal(sns.publish, TopicArn=f"{topic}x", **publish) == ("NotFound", "Topic does not exist")
    elsewhere = topic.replace("us-east-1", "eu-west-1")
    assert refusal(sns.publish, TopicArn=elsewhere, **publish) == invalid("TopicArn")
    assert refusal(sns.publish, **publish) == invalid(
        "TopicArn or TargetArn Reason: no value for required parameter"
    )
    assert refusal(sns.get_topic_attributes, TopicArn=f"{topic}x")[0] == "NotFound"
    assert refusal(sns.list_tags_for_resource, ResourceArn=f"{topic}x") == (
        "ResourceNotFound",
        "Resource does not exist",
    )
    sns.delete_topic(TopicArn=f"{topic}x")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"Message": ""}, "Empty message"),
        ({"Subject": ""}, "Subject"),
        ({"Subject": "x" * 100}, "Subject"),
        ({"Subject": "a\nb"}, "Subject"),
        (
            {"MessageStructure": "json", "Message": "{"},
            "Message Structure - JSON message body failed to parse",
        ),
        (
            {"MessageStructure": "json", "Message": "{}"},
            "Message Structure - No default entry in JSON message body",
        ),
        ({"MessageStructure": "xml"}, "MessageStructure"),
        (
            {"MessageDeduplicationId": "d"},
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is "
            "not valid for this topic type",
        ),
    ],
)
def test_a_message_that_is_refused(sns: Any, topic: str, parameters: dict[str, Any], sentence: str) -> None:
    assert refusal(sns.publish, TopicArn=topic, **{"Message": "m", **parameters}) == invalid(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "a",
            {"DataType": "Text", "StringValue": "x"},
            "The message attribute 'a' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String.",
        ),
        (
            "a",
            {"DataType": "Binary", "StringValue": "x"},
            "The message attribute 'a' with type 'Binary' must use field 'Binary'.",
        ),
        (
            "a",
            {"DataType": "String", "StringValue": ""},
            "The message attribute 'a' must contain non-empty message attribute value for message attribute "
            "type 'String'.",
        ),
        (
            "a",
            {"DataType": "Number", "StringValue": "x"},
            "Could not cast message attribute 'a' value to number.",
        ),
        (
            ".a",
            {"DataType": "String", "StringValue": "x"},
            "Invalid message attribute name starting with character '.' was found.",
        ),
        (
            "a.",
            {"DataType": "String", "StringValue": "x"},
            "Invalid message attribute name ending with character '.' was found.",
        ),
        (
            "a..b",
            {"DataType": "String", "StringValue": "x"},
            "Message attribute name can not have successive '.' character.",
        ),
        (
            "a:b",
            {"DataType": "String", "StringValue": "x"},
            "Invalid non-alphanumeric character '#x3A' was found in the message attribute name. Can only "
            "include alphanumeric characters, hyphens, underscores, or dots.",
        ),
        (
            "a" * 257,
            {"DataType": "String", "StringValue": "x"},
            "Length of message attribute name must be less than 256 bytes.",
        ),
    ],
)
def test_an_attribute_that_is_refused(
    sns: Any, topic: str, name: str, value: dict[str, Any], sentence: str
) -> None:
    found = refusal(sns.publish, TopicArn=topic, Message="m", MessageAttributes={name: value})
    assert found == ("ParameterValueInvalid", sentence)


def test_what_a_fifo_topic_demands(sns: Any, account: str) -> None:
    topic = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    assert refusal(sns.publish, TopicArn=topic, Message="m", MessageDeduplicationId="d") == invalid(
        "The MessageGroupId parameter is required for FIFO topics"
    )
    assert refusal(sns.publish, TopicArn=topic, Message="m", MessageGroupId="g") == invalid(
        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
        "explicitly"
    )
    first, second = (
        sns.publish(TopicArn=topic, Message="m", MessageGroupId=group, MessageDeduplicationId="d")
        for group in ("g", "h")
    )
    assert first["MessageId"] == second["MessageId"]
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="FifoThroughputScope", AttributeValue="MessageGroup"
    )
    third, fourth = (
        sns.publish(TopicArn=topic, Message="m", MessageGroupId=group, MessageDeduplicationId="e")
        for group in ("g", "h")
    )
    assert third["MessageId"] != fourth["MessageId"]
    subscribe = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": f"{QUEUE}.fifo"}
    dead = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{account}:dead"})}
    assert refusal(sns.subscribe, **subscribe, Attributes=dead) == invalid(
        "Attributes Reason: RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO "
        "Topic."
    )
    assert refusal(sns.subscribe, TopicArn=topic, Protocol="lambda", Endpoint=FUNCTION) == invalid(
        "Invalid parameter: Endpoint Reason: Please use FIFO SQS queue"
    )


@pytest.mark.parametrize(
    ("protocol", "endpoint", "sentence"),
    [
        ("fax", "x", "Amazon SNS does not support this protocol string: fax"),
        (
            "email",
            "a@b.c",
            "Protocol Reason: Oncue does not deliver by email; it does by sqs, lambda, http, https.",
        ),
        ("sqs", "http://queue", "SQS endpoint ARN"),
        ("lambda", "f", "Lambda endpoint ARN"),
        ("http", "https://a/", "Endpoint must match the specified protocol"),
        ("https", "https://", "Endpoint must match the specified protocol"),
        (
            "sqs",
            f"{QUEUE}.fifo",
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS "
            "topics",
        ),
    ],
)
def test_an_endpoint_that_is_refused(
    sns: Any, topic: str, protocol: str, endpoint: str, sentence: str
) -> None:
    assert refusal(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint) == invalid(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("RawMessageDelivery", "yes", "RawMessageDelivery: Invalid value [yes]. Must be true or false."),
        (
            "FilterPolicyScope",
            "Body",
            "FilterPolicyScope: Invalid value [Body]. Please use either MessageBody or MessageAttributes",
        ),
        ("FilterPolicy", '{"a": "x"}', 'FilterPolicy: "a" must be an object or an array'),
        ("FilterPolicy", '{"a": []}', "FilterPolicy: Empty arrays are not allowed"),
        (
            "RedrivePolicy",
            '{"deadLetterTargetArn": "x"}',
            "RedrivePolicy: deadLetterTargetArn is an invalid arn",
        ),
        ("RedrivePolicy", "{", "RedrivePolicy: failed to parse JSON."),
    ],
)
def test_an_attribute_of_a_subscription_that_is_refused(
    sns: Any, topic: str, name: str, value: str, sentence: str
) -> None:
    subscribe = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    assert refusal(sns.subscribe, **subscribe, Attributes={name: value}) == invalid(
        f"Attributes Reason: {sentence}"
    )
    arn = sns.subscribe(**subscribe)["SubscriptionArn"]
    before = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert refusal(
        sns.set_subscription_attributes, SubscriptionArn=arn, AttributeName=name, AttributeValue=value
    ) == invalid(sentence)
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"] == before


def test_a_subscription_as_it_is_shown(sns: Any, topic: str, account: str) -> None:
    subscribe = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    arn = sns.subscribe(**subscribe, Attributes={"FilterPolicy": '{"a":["x"]}'})["SubscriptionArn"]
    assert sns.subscribe(**subscribe)["SubscriptionArn"] == arn
    again = sns.subscribe(**subscribe, Attributes={"FilterPolicy": '{"a": ["x"]}'})
    assert again["SubscriptionArn"] == arn
    assert refusal(sns.subscribe, **subscribe, Attributes={"RawMessageDelivery": "true"}) == invalid(
        "Attributes Reason: Subscription already exists with different attributes"
    )
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"] == {
        "SubscriptionArn": arn,
        "TopicArn": topic,
        "Protocol": "sqs",
        "Endpoint": QUEUE,
        "Owner": account,
        "RawMessageDelivery": "false",
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
        "SubscriptionPrincipal": f"arn:aws:iam::{account}:root",
        "FilterPolicy": '{"a":["x"]}',
        "FilterPolicyScope": "MessageAttributes",
    }
    shown = {"SubscriptionArn": arn, "Owner": account, "TopicArn": topic}
    shown |= {"Protocol": "sqs", "Endpoint": QUEUE}
    assert sns.list_subscriptions()["Subscriptions"] == [shown]
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == [shown]
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}")
    assert "FilterPolicy" not in sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    sns.unsubscribe(SubscriptionArn=arn)
    sns.unsubscribe(SubscriptionArn=arn)
    assert refusal(sns.get_subscription_attributes, SubscriptionArn=arn) == (
        "NotFound",
        "Subscription does not exist",
    )
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsDeleted"] == "1"


def test_lists_have_pages_of_a_hundred(sns: Any, topic: str) -> None:
    for number in range(101):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}{number}")
    page = sns.list_subscriptions_by_topic(TopicArn=topic)
    assert len(page["Subscriptions"]) == 100
    rest = sns.list_subscriptions_by_topic(TopicArn=topic, NextToken=page["NextToken"])
    assert len(rest["Subscriptions"]) == 1
    assert "NextToken" not in rest
    assert refusal(sns.list_topics, NextToken="?") == invalid("NextToken")
    assert sns.list_topics()["Topics"] == [{"TopicArn": topic}]


def test_topic_attributes_are_set_and_refused(sns: Any, topic: str) -> None:
    def set_attribute(name: str, value: str) -> None:
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)

    policy = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}}}
    set_attribute("DeliveryPolicy", json.dumps(policy))
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert json.loads(attributes["DeliveryPolicy"]) == policy
    effective = json.loads(attributes["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]
    assert (effective["numRetries"], effective["minDelayTarget"]) == (7, 20)
    for name, value in (
        ("SignatureVersion", "3"),
        ("TracingConfig", "On"),
        ("MaximumMessageSize", "1048577"),
        ("MaximumMessageSize", "many"),
        ("DeliveryPolicy", "{"),
        ("Policy", "[]"),
        ("FifoTopic", "true"),
        ("ContentBasedDeduplication", "true"),
        ("HTTPSuccessFeedbackSampleRate", "101"),
    ):
        code, sentence = refusal(
            sns.set_topic_attributes, TopicArn=topic, AttributeName=name, AttributeValue=value
        )
        assert code == "InvalidParameter"
        assert sentence.startswith("Invalid parameter: ")


def test_permissions_are_data(sns: Any, topic: str, account: str) -> None:
    sns.add_permission(TopicArn=topic, Label="l", AWSAccountId=[account], ActionName=["Publish"])
    statements = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    assert statements[1] == {
        "Sid": "l",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "SNS:Publish",
        "Resource": topic,
    }
    assert refusal(
        sns.add_permission, TopicArn=topic, Label="l", AWSAccountId=[account], ActionName=["Publish"]
    ) == invalid("Statement already exists")
    assert refusal(
        sns.add_permission, TopicArn=topic, Label="m", AWSAccountId=[account], ActionName=["Fly"]
    ) == invalid("Policy statement action out of service scope!")
    sns.remove_permission(TopicArn=topic, Label="l")
    statements = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    assert len(statements) == 1


def test_tags(sns: Any, topic: str) -> None:
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}])
    assert len(sns.list_tags_for_resource(ResourceArn=topic)["Tags"]) == 2
    sns.untag_resource(ResourceArn=topic, TagKeys=["b", "c"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == TAGS
    assert refusal(sns.tag_resource, ResourceArn=topic, Tags=[*TAGS, *TAGS]) == invalid(
        "Duplicated keys are not allowed."
    )
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refusal(sns.tag_resource, ResourceArn=topic, Tags=many)[0] == "TagLimitExceeded"


def test_what_is_not_there(sns: Any, topic: str) -> None:
    assert "DataProtectionPolicy" not in sns.get_data_protection_policy(ResourceArn=topic)
    assert refusal(sns.publish, PhoneNumber="+1", Message="m") == (
        "InvalidParameter",
        "Oncue does not support the parameter PhoneNumber of this operation.",
    )
    assert refusal(sns.get_sms_attributes)[0] == "NotImplemented"


def test_a_topic_has_room_for_200_filter_policies(sns: Any, topic: str) -> None:
    policy = {"FilterPolicy": '{"a": ["x"]}'}
    for number in range(200):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}{number}", Attributes=policy)
    more = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    code, _ = refusal(
        sns.set_subscription_attributes,
        SubscriptionArn=more["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue='{"a": ["x"]}',
    )
    assert code == "FilterPolicyLimitExceeded"


def hostile(topic: str, queue: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """Every operation, with a text where it takes one."""
    surrogate = '{"default": "\\ud800"}'
    return [
        ("create_topic", {"Name": text}),
        (
            "create_topic",
            {"Name": "u", "Attributes": {"DisplayName": text}, "Tags": [{"Key": "k", "Value": text}]},
        ),
        ("get_topic_attributes", {"TopicArn": topic + text}),
        ("list_tags_for_resource", {"ResourceArn": topic + text}),
        ("subscribe", {"TopicArn": topic, "Protocol": text, "Endpoint": text}),
        ("subscribe", {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE + text}),
        ("subscribe", {"TopicArn": topic, "Protocol": "lambda", "Endpoint": FUNCTION + text}),
        ("subscribe", {"TopicArn": topic, "Protocol": "http", "Endpoint": f"http://a/{text}"}),
        ("get_subscription_attributes", {"SubscriptionArn": queue + text}),
        ("unsubscribe", {"SubscriptionArn": queue + text}),
        ("confirm_subscription", {"TopicArn": topic, "Token": text}),
        ("add_permission", {"TopicArn": topic, "Label": text, "AWSAccountId": [text], "ActionName": [text]}),
        ("set_topic_attributes", {"TopicArn": topic, "AttributeName": text, "AttributeValue": text}),
        (
            "set_subscription_attributes",
            {"SubscriptionArn": queue, "AttributeName": text, "AttributeValue": text},
        ),
        (
            "set_subscription_attributes",
            {
                "SubscriptionArn": queue,
                "AttributeName": "RedrivePolicy",
                "AttributeValue": json.dumps({"deadLetterTargetArn": QUEUE + text}),
            },
        ),
        (
            "set_subscription_attributes",
            {
                "SubscriptionArn": queue,
                "AttributeName": "FilterPolicy",
                "AttributeValue": json.dumps({text: [text]}),
            },
        ),
        (
            "publish",
            {
                "TopicArn": topic,
                "Message": text,
                "MessageAttributes": {"a": {"DataType": f"String.{text}", "StringValue": text}},
            },
        ),
        ("publish", {"TopicArn": topic, "Message": "m", "Subject": text[:50], "MessageGroupId": text}),
        ("publish", {"TopicArn": topic, "Message": surrogate, "MessageStructure": "json"}),
        ("list_topics", {"NextToken": text}),
    ]


@pytest.mark.parametrize(
    "text", ["\0", "\x01 \ufffe", "x\ud7ff\U0001f600", "'; DROP TABLE sns_topics; --", "%", "é" * 300]
)
def test_hostile_texts_are_the_callers_fault(sns: Any, topic: str, text: str) -> None:
    """Refused or kept, on both stores, but never an InternalFailure."""
    queue = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    faults = []
    for operation, parameters in hostile(topic, queue, text):
        try:
            getattr(sns, operation)(**parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                faults.append((operation, str(error)))
    assert faults == []
    assert sns.list_topics()["Topics"]


def test_sample_rates_of_a_logging_without_role_are_kept(sns: Any, topic: str) -> None:
    """Terraform sets all five on every topic."""
    for name in ("HTTP", "Firehose", "Lambda", "Application", "SQS"):
        rate = f"{name}SuccessFeedbackSampleRate"
        sns.set_topic_attributes(TopicArn=topic, AttributeName=rate, AttributeValue="0")
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][rate] == "0"
        for value in ("101", "-1", "x", "1000", "\u0663"):
            with pytest.raises(ClientError, match="from 0 to 100"):
                sns.set_topic_attributes(TopicArn=topic, AttributeName=rate, AttributeValue=value)
    role = "HTTPSuccessFeedbackRoleArn"
    with pytest.raises(ClientError, match="does not support the attribute"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=role, AttributeValue="arn:aws:iam::1:role/r")
