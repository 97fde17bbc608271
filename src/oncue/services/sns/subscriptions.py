"""Subscriptions: their rows, their attributes, and how a call finds one by its ARN."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import delivery_policies, filter_policies, filters, refusals, replay_policies
from oncue.services.sns.filters import Filter
from oncue.services.sns.refusals import invalid
from oncue.services.sns.topics import Topic, texts_of
from oncue.store import Row

PROTOCOLS = frozenset(
    ("http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose")
)
OFFERED = ("sqs", "lambda", "http", "https")
WEB = ("http", "https")
PENDING, CONFIRMED, DELETED = "pending", "confirmed", "deleted"
FILTER_POLICIES_MAX = 200  # of one topic
FILTER_POLICIES_OF_ACCOUNT_MAX = 10_000
PER_TOPIC_MAX = 12_500_000  # AWS's quota for a standard topic
PER_FIFO_TOPIC_MAX = 100
TOKEN_S = 172_800
ENDPOINT_CHARS_MAX = 2_048
ARN_PARTS = 7
QUEUE_ARN = re.compile(r"arn:aws:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?")
FUNCTION_ARN = re.compile(r"arn:aws:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?")
SETTINGS_CACHED = 16_384
SETTABLE = frozenset(
    (
        "RawMessageDelivery",
        "FilterPolicy",
        "FilterPolicyScope",
        "RedrivePolicy",
        "DeliveryPolicy",
        "ReplayPolicy",
    )
)
SELECT = """
SELECT id, topic_id, topic_arn, arn, account, region, protocol, endpoint, attributes, state, authenticated,
       token, token_until, replay_status, replay_next, replay_end, replay_resume
FROM sns_subscriptions
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What publishing and delivering read of a subscription's attributes."""

    raw: bool
    filter: Filter | None
    dead_letter_arn: str | None
    delivery_policy: str | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One row of sns_subscriptions; `attributes` is a JSON object of texts."""

    id: int
    topic_id: int
    topic_arn: str
    arn: str
    account: str
    region: str
    protocol: str
    endpoint: str
    attributes: str
    state: str
    authenticated: int
    token: str | None
    token_until: float | None
    replay_status: str | None
    replay_next: int | None
    replay_end: int | None
    replay_resume: int | None

    @property
    def replaying(self) -> bool:
        """Whether it gets what is published from the archive, in order, and not at once."""
        return self.replay_next is not None

    @property
    def lane(self) -> str:
        return lane_of(self.id)

    @property
    def settings(self) -> Settings:
        return settings(self.attributes)

    @property
    def stored(self) -> dict[str, str]:
        return texts_of(self.attributes)

    @property
    def ordered(self) -> bool:
        """Whether what is delivered keeps its order: a FIFO topic's subscription."""
        return self.topic_arn.endswith(".fifo")


def lane_of(id: int) -> str:
    return f"sns/deliveries/{id}"


@lru_cache(SETTINGS_CACHED)
def settings(text: str) -> Settings:
    stored = texts_of(text)
    policy = stored.get("FilterPolicy")
    return Settings(
        raw=stored.get("RawMessageDelivery") == "true",
        filter=filters.compiled(policy, scope_of(stored)) if policy else None,
        dead_letter_arn=dead_letter_arn(stored.get("RedrivePolicy")),
        delivery_policy=stored.get("DeliveryPolicy"),
    )


def scope_of(stored: Mapping[str, str]) -> str:
    return stored.get("FilterPolicyScope", filter_policies.ATTRIBUTES)


def dead_letter_arn(policy: str | None) -> str | None:
    return str(json.loads(policy)["deadLetterTargetArn"]) if policy else None


def of_row(row: Row) -> Subscription:
    return Subscription(**row)


def of_topic(call: Call, topic: Topic) -> list[Subscription]:
    """The confirmed ones, oldest first."""
    rows = call.tx.all(
        f"{SELECT} WHERE topic_id = :topic AND state = :state ORDER BY id", topic=topic.id, state=CONFIRMED
    )
    return [of_row(row) for row in rows]


def by_id(call: Call, id: int) -> Subscription | None:
    row = call.tx.one(f"{SELECT} WHERE id = :id", id=id)
    return None if row is None else of_row(row)


def find(call: Call, arn: str, *, lock: bool = False) -> Subscription | None:
    """A live subscription. InvalidParameter for what is no subscription's ARN."""
    parts = arn.split(":")
    if len(parts) < ARN_PARTS - 1:
        raise invalid("SubscriptionArn", f"An ARN must have at least 6 elements, not {len(parts)}")
    if len(parts) != ARN_PARTS or parts[2] != "sns" or not arn.isprintable():
        raise invalid("SubscriptionId" if parts[2] == "sns" else "SubscriptionArn")
    ending = " FOR UPDATE" if lock else ""
    row = call.tx.one(f"{SELECT} WHERE arn = :arn AND state <> :deleted{ending}", arn=arn, deleted=DELETED)
    return None if row is None else of_row(row)


def load(call: Call, arn: str, *, lock: bool = False) -> Subscription:
    subscription = find(call, arn, lock=lock)
    if subscription is None:
        raise refusals.no_subscription()
    return subscription


def check_endpoint(topic: Topic, protocol: str, endpoint: str | None) -> str:
    """The endpoint, fit for the protocol and the kind of topic."""
    if protocol not in PROTOCOLS:
        raise invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if protocol not in OFFERED:
        raise invalid("Protocol", f"Oncue does not deliver by {protocol}; it does by {', '.join(OFFERED)}.")
    if not endpoint:
        raise invalid("Endpoint")
    if protocol in WEB:
        if not _is_address(protocol, endpoint):
            raise invalid("Endpoint must match the specified protocol")
    else:
        _check_target(protocol, endpoint)
    fifo = topic.settings.fifo
    if fifo and protocol != "sqs":
        raise invalid("Invalid parameter: Endpoint", "Please use FIFO SQS queue")
    if not fifo and protocol == "sqs" and endpoint.endswith(".fifo"):
        raise invalid(
            "Invalid parameter: Endpoint",
            "FIFO SQS Queues can not be subscribed to standard SNS topics",
        )
    return endpoint


def _is_address(protocol: str, endpoint: str) -> bool:
    if len(endpoint) > ENDPOINT_CHARS_MAX or not endpoint.isascii() or not endpoint.isprintable():
        return False
    try:
        parts = urlsplit(endpoint)
        return parts.scheme == protocol and bool(parts.hostname) and parts.port != 0 and " " not in endpoint
    except ValueError:
        return False


def _check_target(protocol: str, endpoint: str) -> None:
    parts = endpoint.split(":")
    wanted = "SQS" if protocol == "sqs" else "Lambda"
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != protocol or not all(parts[3:6]):
        raise invalid(f"{wanted} endpoint ARN")
    if protocol == "sqs" and not QUEUE_ARN.fullmatch(endpoint):
        raise invalid("SQS endpoint ARN")
    if protocol == "lambda" and not FUNCTION_ARN.fullmatch(endpoint):
        raise invalid("Lambda endpoint ARN")


def changed(
    topic: Topic, protocol: str, stored: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """The attributes after `given` was applied, checked together. PolicyError-like sentences come as
    ServiceError without the words of the operation; see `refused`."""
    merged = {name: value for name, value in {**stored, **given}.items() if value != ""}
    for name, value in given.items():
        if name not in SETTABLE:
            raise refusals.unsupported_attribute(name)
        if value != "":
            _check_attribute(topic, protocol, name, value)
    if "ReplayPolicy" in given and not topic.settings.archive_days:
        raise invalid("ReplayPolicy: the topic has no ArchivePolicy")
    if replay_policies.is_none(merged.get("ReplayPolicy")):
        merged.pop("ReplayPolicy", None)
    scope = scope_of(merged)
    if policy := merged.get("FilterPolicy"):
        try:
            if not filter_policies.checked(policy, scope):
                merged.pop("FilterPolicy")
        except filter_policies.PolicyError as error:
            raise invalid(f"FilterPolicy: {error}") from None
    return merged


def _check_attribute(topic: Topic, protocol: str, name: str, value: str) -> None:
    if name == "RawMessageDelivery":
        if value not in ("true", "false"):
            raise invalid(f"{name}: Invalid value [{value}]. Must be true or false.")
        if protocol == "lambda" and value == "true":
            raise invalid(f"{name}: Delivery protocol [lambda] does not support raw message delivery.")
    elif name == "FilterPolicyScope":
        if value not in filter_policies.SCOPES:
            raise invalid(
                f"{name}: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
            )
    elif name == "RedrivePolicy":
        _check_redrive(topic, value)
    elif name == "ReplayPolicy":
        replay_policies.checked(value)
    elif name == "DeliveryPolicy":
        if protocol not in WEB:
            raise invalid(f"{name}: Delivery policies are for the protocols http and https")
        try:
            delivery_policies.of_subscription(value)
        except delivery_policies.PolicyError as error:
            raise invalid(f"{name}: {error}") from None


def _check_redrive(topic: Topic, text: str) -> None:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("RedrivePolicy: failed to parse JSON.") from None
    target = policy.get("deadLetterTargetArn") if isinstance(policy, dict) else None
    if not isinstance(target, str) or set(policy) != {"deadLetterTargetArn"}:
        raise invalid("RedrivePolicy: must be an object with the key deadLetterTargetArn")
    parts = target.split(":")
    if not QUEUE_ARN.fullmatch(target):
        raise invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if (parts[4], parts[3]) != (topic.account, topic.region):
        raise invalid("RedrivePolicy: deadLetterTargetArn must be in the same account and region")
    fifo = target.endswith(".fifo")
    if topic.settings.fifo and not fifo:
        raise invalid("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
    if fifo and not topic.settings.fifo:
        raise invalid(
            "RedrivePolicy: must use a standard queue as DLQ for a subscription to a standard topic."
        )


def in_subscribe(refusal: ServiceError) -> ServiceError:
    """Subscribe says of an attribute's fault that it is the reason against its Attributes."""
    sentence = refusal.message.removeprefix("Invalid parameter: ")
    if sentence.startswith("AttributeName"):
        return refusal
    return invalid("Attributes", sentence)


def check_quota(call: Call, topic: Topic) -> None:
    """FilterPolicyLimitExceeded when the topic or the account has as many filter policies as it may."""
    for condition, limit in (
        ("topic_id = :topic", FILTER_POLICIES_MAX),
        ("account = :account AND region = :region", FILTER_POLICIES_OF_ACCOUNT_MAX),
    ):
        rows = call.tx.all(
            f"SELECT id FROM sns_subscriptions WHERE {condition} AND filtered = 1 LIMIT :limit",
            limit=limit,
            **(
                {"topic": topic.id}
                if "topic" in condition
                else {"account": call.account, "region": call.region}
            ),
        )
        if len(rows) >= limit:
            raise ServiceError(
                "FilterPolicyLimitExceeded",
                "Filter policy limit exceeded: the topic or the account has too many filter policies",
                403,
            )


def same_attributes(present: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether a subscription that exists has what was given: texts, or the same JSON."""
    for name, value in given.items():
        was = present.get(name, "")
        if was != value and not (
            name.endswith("Policy") and was and value and json.loads(was) == json.loads(value)
        ):
            return False
    return True


def described(topic: Topic, subscription: Subscription) -> dict[str, str]:
    """GetSubscriptionAttributes' reply."""
    stored = subscription.stored
    if "FilterPolicy" in stored:
        stored.setdefault("FilterPolicyScope", filter_policies.ATTRIBUTES)
    told = {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "Owner": subscription.account,
        "RawMessageDelivery": "false",
        "PendingConfirmation": "true" if subscription.state == PENDING else "false",
        "ConfirmationWasAuthenticated": "true" if subscription.authenticated else "false",
        "SubscriptionPrincipal": f"arn:aws:iam::{subscription.account}:root",
    }
    if subscription.protocol in WEB:
        effective = delivery_policies.effective_of_subscription(
            topic.settings.delivery_policy, stored.get("DeliveryPolicy")
        )
        told["EffectiveDeliveryPolicy"] = json.dumps(effective, separators=(",", ":"))
    if subscription.replay_status is not None:
        told["ReplayStatus"] = subscription.replay_status
    return told | stored


def target_of(endpoint: str) -> arns.Arn:
    """The queue or function that an endpoint names."""
    return arns.parse(endpoint)
