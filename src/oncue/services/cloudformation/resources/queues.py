"""AWS::SQS::Queue and AWS::SQS::QueuePolicy."""

from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props, shapes
from oncue.services.cloudformation.parameters import as_text

ATTRIBUTES = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
]
# What a property that was taken away goes back to (AWS's defaults).
DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
}


def attribute_text(value: Any) -> str:
    """Queue attributes are text; the two policies are JSON in text."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else as_text(value)


def tags_of(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: as_text(tag["Value"]) for tag in properties.get("Tags", [])}


def refuse_taken(call: Call, name: str) -> None:
    """CreateQueue answers for a queue that is there already; a stack takes nothing that is not its own."""
    try:
        call.sqs.get_queue_url(QueueName=name)
    except ServiceError as error:
        if not gone(error.code):
            raise
        return
    raise ServiceError(
        "AlreadyExists", f"Resource of type 'AWS::SQS::Queue' with identifier '{name}' already exists."
    )


class Queue(Kind):
    """Ref: the queue's URL. GetAtt: Arn, QueueName, QueueUrl."""

    type = "AWS::SQS::Queue"
    name_property = "QueueName"
    name_length_max = 80
    attributes = frozenset({"Arn", "QueueName", "QueueUrl"})
    properties = shapes(
        props("text", "QueueName", replaces=True),
        props("boolean", "FifoQueue", replaces=True),
        props("boolean", "ContentBasedDeduplication SqsManagedSseEnabled"),
        props("text", "DeduplicationScope FifoThroughputLimit KmsMasterKeyId"),
        props(
            "integer",
            "DelaySeconds KmsDataKeyReusePeriodSeconds MaximumMessageSize MessageRetentionPeriod "
            "ReceiveMessageWaitTimeSeconds VisibilityTimeout",
        ),
        props("any", "RedriveAllowPolicy RedrivePolicy"),
        props("list", "Tags"),
    )

    def name(self, stack_name: str, logical_id: str, properties: Properties) -> str:
        if properties.get("QueueName") or as_text(properties.get("FifoQueue", False)) != "true":
            return super().name(stack_name, logical_id, properties)
        return super().name(stack_name, logical_id, properties)[: self.name_length_max - 5] + ".fifo"

    def create(self, call: Call, subject: Subject) -> Made:
        wanted = {
            key: attribute_text(subject.properties[key]) for key in ATTRIBUTES if key in subject.properties
        }
        if wanted.get("FifoQueue") == "false":
            del wanted["FifoQueue"]  # SQS accepts the attribute only as true
        refuse_taken(call, subject.name)
        answer = call.sqs.create_queue(
            QueueName=subject.name, Attributes=wanted, tags=tags_of(subject.properties)
        )
        return self.made(call, subject.name, answer["QueueUrl"])

    def made(self, call: Call, name: str, url: str) -> Made:
        arn = arns.build("sqs", call.region, call.account, name)
        return Made(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})

    def update(self, call: Call, subject: Subject) -> Made:
        url, before, after = subject.physical_id, subject.before, subject.properties
        changed = {}
        for key in ATTRIBUTES:
            if key in after and attribute_text(after[key]) != attribute_text(before.get(key)):
                changed[key] = attribute_text(after[key])
            elif key in before and key not in after:
                changed[key] = DEFAULTS.get(key, "")
        if changed:
            call.sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
        had, wants = tags_of(before), tags_of(after)
        if had.keys() - wants.keys():
            call.sqs.untag_queue(QueueUrl=url, TagKeys=sorted(had.keys() - wants.keys()))
        if wants and wants != had:
            call.sqs.tag_queue(QueueUrl=url, Tags=wants)
        return Made(url, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.sqs.delete_queue(QueueUrl=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


class QueuePolicy(Kind):
    """Ref: a name of its own. The policy is an attribute of each of its queues."""

    type = "AWS::SQS::QueuePolicy"
    attributes = frozenset({"Id"})
    properties = shapes(props("list", "Queues", required=True), props("any", "PolicyDocument", required=True))

    def create(self, call: Call, subject: Subject) -> Made:
        self.put(call, subject.properties["Queues"], attribute_text(subject.properties["PolicyDocument"]))
        return Made(subject.name, {"Id": subject.name})

    def update(self, call: Call, subject: Subject) -> Made:
        left = [url for url in subject.before["Queues"] if url not in subject.properties["Queues"]]
        self.put(call, left, "")
        self.put(call, subject.properties["Queues"], attribute_text(subject.properties["PolicyDocument"]))
        return Made(subject.physical_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        self.put(call, subject.properties["Queues"], "")

    def put(self, call: Call, urls: list[str], policy: str) -> None:
        for url in urls:
            try:
                call.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
            except ServiceError as error:
                if policy or not gone(error.code):
                    raise


KINDS: tuple[Kind, ...] = (Queue(), QueuePolicy())
