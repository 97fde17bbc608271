"""Topics: their rows, their attributes, and how a call finds one by its ARN."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import delivery_policies, refusals, replay_policies
from oncue.services.sns.refusals import invalid
from oncue.store import Row

NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo")
SAMPLE_RATE = re.compile(r"[0-9]{1,3}")
ARN_PARTS = 6
TAGS_MAX = 50
DISPLAY_NAME_CHARS_MAX = 100
MESSAGE_BYTES_DEFAULT = 262_144
MESSAGE_BYTES_MIN = 1_024
MESSAGE_BYTES_MAX = 1_048_576
POLICY_BYTES_MAX = 30_720
SETTINGS_CACHED = 4_096
BOOLEANS = ("true", "false")
CHOICES = {
    "SignatureVersion": ("1", "2"),
    "TracingConfig": ("PassThrough", "Active"),
    "FifoTopic": BOOLEANS,
    "ContentBasedDeduplication": BOOLEANS,
    "FifoThroughputScope": ("Topic", "MessageGroup"),
}
FIFO_ONLY = ("ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy")
TEXTS = ("DisplayName", "KmsMasterKeyId")
DOCUMENTS = ("Policy", "DeliveryPolicy", "ArchivePolicy")
FEEDBACK = ("HTTP", "Firehose", "Lambda", "Application", "SQS")  # who may have delivery status logging
SAMPLE_RATES = tuple(f"{name}SuccessFeedbackSampleRate" for name in FEEDBACK)  # percent; moot without a role
SETTABLE = frozenset((*CHOICES, *TEXTS, *DOCUMENTS, *SAMPLE_RATES, "MaximumMessageSize"))
OWNER_ACTIONS = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)
SELECT = "SELECT id, account, region, name, attributes, tags, sequence, deleted FROM sns_topics"
BY_NAME = f"{SELECT} WHERE account = :account AND region = :region AND name = :name"


@dataclass(frozen=True, slots=True)
class Settings:
    """What publishing reads of a topic's attributes."""

    fifo: bool
    content_deduplication: bool
    group_scope: bool
    message_bytes_max: int
    signature_version: str
    delivery_policy: str | None
    archive_days: int


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of sns_topics; `attributes` and `tags` are JSON objects of texts."""

    id: int
    account: str
    region: str
    name: str
    attributes: str
    tags: str
    sequence: int
    deleted: int

    @property
    def arn(self) -> str:
        return arns.build("sns", self.region, self.account, self.name)

    @property
    def settings(self) -> Settings:
        return settings(self.attributes)

    @property
    def stored(self) -> dict[str, str]:
        return texts_of(self.attributes)


@lru_cache(SETTINGS_CACHED)
def settings(text: str) -> Settings:
    stored = texts_of(text)
    return Settings(
        fifo=stored.get("FifoTopic") == "true",
        content_deduplication=stored.get("ContentBasedDeduplication") == "true",
        group_scope=stored.get("FifoThroughputScope") == "MessageGroup",
        message_bytes_max=int(stored.get("MaximumMessageSize", MESSAGE_BYTES_DEFAULT)),
        signature_version=stored.get("SignatureVersion", "1"),
        delivery_policy=stored.get("DeliveryPolicy"),
        archive_days=replay_policies.archive_days(stored.get("ArchivePolicy")),
    )


def texts_of(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def text_of(texts: Mapping[str, str]) -> str:
    return msgspec.json.encode(texts, order="sorted").decode()


def read_arn(text: str, parameter: str = "TopicArn") -> arns.Arn:
    """The parts of a topic's ARN; InvalidParameter for anything else."""
    parts = text.split(":")
    if len(parts) < ARN_PARTS:
        raise invalid(parameter, f"An ARN must have at least {ARN_PARTS} elements, not {len(parts)}")
    if len(parts) != ARN_PARTS or parts[0] != "arn" or parts[2] != "sns" or not parts[5]:
        raise invalid(parameter)
    if not text.isprintable():
        raise invalid(parameter)
    return arns.parse(text)


def of_row(row: Row) -> Topic:
    return Topic(**row)


def find(call: Call, arn: arns.Arn, *, lock: bool = False) -> Topic | None:
    sql = f"{BY_NAME} FOR UPDATE" if lock else BY_NAME
    row = call.tx.one(sql, account=arn.account, region=arn.region, name=arn.resource)
    return None if row is None else of_row(row)


def by_id(call: Call, id: int) -> Topic | None:
    row = call.tx.one(f"{SELECT} WHERE id = :id", id=id)
    return None if row is None else of_row(row)


def hold(call: Call, id: int) -> Topic | None:
    """The topic, its row locked until the end of the transaction."""
    row = call.tx.one(f"{SELECT} WHERE id = :id FOR UPDATE", id=id)
    return None if row is None else of_row(row)


def load(call: Call, text: str, *, lock: bool = False, parameter: str = "TopicArn") -> Topic:
    """The topic of an ARN in the caller's region. InvalidParameter, or NotFound. `lock` holds the row until
    the end of the transaction."""
    arn = read_arn(text, parameter)
    if arn.region != call.region:
        raise invalid(parameter)
    topic = find(call, arn, lock=lock)
    if topic is None:
        raise refusals.no_topic()
    return topic


def check_name(name: str, attributes: Mapping[str, str]) -> None:
    """`FifoTopic` and the suffix `.fifo` need each other."""
    fifo = attributes.get("FifoTopic") == "true"
    if not (FIFO_NAME if fifo else NAME).fullmatch(name):
        raise invalid("Topic Name")


def check_attribute(name: str, value: str, *, fifo: bool, creating: bool = False) -> None:
    """One attribute as CreateTopic or SetTopicAttributes gives it."""
    if name not in SETTABLE:
        raise refusals.unsupported_attribute(name)
    if name == "FifoTopic" and not creating:
        raise invalid("AttributeName")
    if name in FIFO_ONLY and not fifo:
        raise invalid("Attributes", f"{name} is only valid for FIFO topics")
    if value == "":
        return
    if name in CHOICES and value not in CHOICES[name]:
        raise invalid("Attributes", f"{name}: Invalid value [{value}]. Must be {' or '.join(CHOICES[name])}.")
    if name == "MaximumMessageSize" and not _size_is_fit(value):
        raise invalid(
            "Attributes", f"{name}: must be an integer from {MESSAGE_BYTES_MIN} to {MESSAGE_BYTES_MAX}"
        )
    if name in SAMPLE_RATES and not (SAMPLE_RATE.fullmatch(value) and int(value) <= 100):
        raise invalid("Attributes", f"{name}: must be an integer from 0 to 100")
    if name == "DisplayName" and len(value) > DISPLAY_NAME_CHARS_MAX:
        raise invalid("DisplayName")
    if name == "Policy":
        _check_policy(value)
    if name == "ArchivePolicy":
        replay_policies.archive_days(value)
    if name == "DeliveryPolicy":
        try:
            delivery_policies.of_topic(value)
        except delivery_policies.PolicyError as error:
            raise invalid(f"DeliveryPolicy: {error}") from None


def _size_is_fit(value: str) -> bool:
    digits = value.isascii() and value.isdigit() and len(value) < 10
    return digits and MESSAGE_BYTES_MIN <= int(value) <= MESSAGE_BYTES_MAX


def _check_policy(text: str) -> None:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    statements = policy.get("Statement", []) if isinstance(policy, dict) else None
    listed = [statements] if isinstance(statements, dict) else statements
    fit = isinstance(listed, list) and all(isinstance(item, dict) for item in listed)
    if not fit or len(text.encode()) > POLICY_BYTES_MAX:
        raise invalid("Policy", "failed to parse JSON.")


def create(call: Call, name: str, given: dict[str, str], tags: dict[str, str]) -> Topic:
    """A new topic, or the one of this name when it has what was given."""
    check_name(name, given)
    fifo = given.get("FifoTopic") == "true"
    for key, value in given.items():
        check_attribute(key, value, fifo=fifo, creating=True)
    stored = {
        key: value for key, value in given.items() if value != "" and (key, value) != ("FifoTopic", "false")
    }
    if fifo:
        stored.setdefault("ContentBasedDeduplication", "false")
        stored.setdefault("FifoThroughputScope", "Topic")
    call.tx.run(
        """
        INSERT INTO sns_topics (account, region, name, attributes, tags, sequence, deleted)
        VALUES (:account, :region, :name, :attributes, :tags, 0, 0)
        ON CONFLICT (account, region, name) DO NOTHING
        """,
        account=call.account,
        region=call.region,
        name=name,
        attributes=text_of(stored),
        tags=text_of(tags),
    )
    topic = find(call, arns.Arn("sns", call.region, call.account, name))
    assert topic is not None, "inserted, or in the way of the insert"
    present, own_tags = described(topic), texts_of(topic.tags)
    if any(present.get(key, "") != value for key, value in given.items() if key != "FifoTopic"):
        raise invalid("Attributes", "Topic already exists with different attributes")
    if any(own_tags.get(key) != value for key, value in tags.items()):
        raise invalid("Tags", "Topic already exists with different tags")
    return topic


def described(topic: Topic) -> dict[str, str]:
    """The attributes that do not depend on subscriptions."""
    stored = topic.stored
    effective = delivery_policies.effective_of_topic(stored.get("DeliveryPolicy"))
    return {
        "Policy": default_policy(topic),
        "Owner": topic.account,
        "TopicArn": topic.arn,
        "DisplayName": "",
        "EffectiveDeliveryPolicy": json.dumps(effective, separators=(",", ":")),
        "MaximumMessageSize": str(MESSAGE_BYTES_DEFAULT),
        **stored,
    }


def default_policy(topic: Topic) -> str:
    document: dict[str, Any] = {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{action}" for action in OWNER_ACTIONS],
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
            }
        ],
    }
    return json.dumps(document, separators=(",", ":"))


def write(call: Call, topic: Topic, stored: Mapping[str, str]) -> None:
    call.tx.run(
        "UPDATE sns_topics SET attributes = :attributes WHERE id = :id",
        attributes=text_of(stored),
        id=topic.id,
    )


def checked_tags(given: list[dict[str, str]]) -> dict[str, str]:
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) < len(given):
        raise invalid("Duplicated keys are not allowed.")
    return tags


def write_tags(call: Call, topic: Topic, tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise ServiceError(
            "TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded"
        )
    call.tx.run("UPDATE sns_topics SET tags = :tags WHERE id = :id", tags=text_of(tags), id=topic.id)
