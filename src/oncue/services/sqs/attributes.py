"""Queue attributes: names, ranges, defaults and how they go together. Pure.

Source: the model of CreateQueue and SetQueueAttributes; sentences as AWS answers them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services.sqs import refusals

MESSAGE_BYTES_MAX = 1_048_576
VISIBILITY_S_MAX = 43_200
WAIT_S_MAX = 20
RECEIVES_MAX = 1_000
SOURCE_QUEUES_MAX = 10
STATEMENTS_MAX = 20
POLICY_BYTES_MAX = 8_192
SETTINGS_CACHED = 4_096


@dataclass(frozen=True, slots=True)
class Span:
    low: int
    high: int
    default: int


NUMBERS = {
    "DelaySeconds": Span(0, 900, 0),
    "MaximumMessageSize": Span(1_024, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX),
    "MessageRetentionPeriod": Span(60, 1_209_600, 345_600),
    "ReceiveMessageWaitTimeSeconds": Span(0, WAIT_S_MAX, 0),
    "VisibilityTimeout": Span(0, VISIBILITY_S_MAX, 30),
}
KEY_REUSE = Span(60, 86_400, 300)
FIFO_ONLY = {
    "ContentBasedDeduplication": ("false", ("true", "false")),
    "DeduplicationScope": ("queue", ("queue", "messageGroup")),
    "FifoThroughputLimit": ("perQueue", ("perQueue", "perMessageGroupId")),
}
DOCUMENTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy")
COMPUTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
)
ENCRYPTION = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")
SETTABLE = frozenset((*NUMBERS, *FIFO_ONLY, *DOCUMENTS, *ENCRYPTION))
KNOWN = SETTABLE | frozenset((*COMPUTED, "FifoQueue", "All"))
DIGITS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the hot paths read of a queue's attributes."""

    fifo: bool
    delay_s: int
    message_bytes_max: int
    retention_s: int
    wait_s: int
    visibility_s: int
    content_deduplication: bool
    group_scope: bool
    dead_letter_arn: str | None
    receives_max: int


@lru_cache(SETTINGS_CACHED)
def settings(text: str) -> Settings:
    """The parsed form of a queue's stored attributes."""
    stored = stored_attributes(text)
    redrive = json.loads(stored.get("RedrivePolicy") or "{}")
    return Settings(
        fifo=stored.get("FifoQueue") == "true",
        delay_s=int(stored["DelaySeconds"]),
        message_bytes_max=int(stored["MaximumMessageSize"]),
        retention_s=int(stored["MessageRetentionPeriod"]),
        wait_s=int(stored["ReceiveMessageWaitTimeSeconds"]),
        visibility_s=int(stored["VisibilityTimeout"]),
        content_deduplication=stored.get("ContentBasedDeduplication") == "true",
        group_scope=stored.get("DeduplicationScope") == "messageGroup",
        dead_letter_arn=redrive.get("deadLetterTargetArn"),
        receives_max=int(redrive.get("maxReceiveCount", RECEIVES_MAX)),
    )


def stored_attributes(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def text_of(stored: Mapping[str, str]) -> str:
    return msgspec.json.encode(stored, order="sorted").decode()


def of_new_queue(given: Mapping[str, str], fifo: bool) -> dict[str, str]:
    """All attributes of a queue made with the `given` ones."""
    stored = {name: str(span.default) for name, span in NUMBERS.items()}
    stored["SqsManagedSseEnabled"] = "true"
    if fifo:
        stored["FifoQueue"] = "true"
        stored.update({name: default for name, (default, _) in FIFO_ONLY.items()})
    return changed(stored, given)


def changed(stored: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The attributes after `given` has been applied: each checked alone, then all together. An empty
    document (or key) takes the attribute away."""
    fifo = stored.get("FifoQueue") == "true"
    merged = dict(stored)
    for name, value in given.items():
        merged[name] = _checked(name, value, fifo)
    _encrypt(merged, given)
    if merged.get("FifoThroughputLimit") == "perMessageGroupId" and merged["DeduplicationScope"] == "queue":
        raise refusals.bad_attribute(
            "FifoThroughputLimit",
            "To set FifoThroughputLimit to perMessageGroupId, the DeduplicationScope must be messageGroup.",
        )
    return {name: value for name, value in merged.items() if value != ""}


def first_difference(stored: Mapping[str, str], given: Mapping[str, str]) -> str | None:
    """The first of the `given` attributes that would change the queue: CreateQueue may not do that."""
    fifo = stored.get("FifoQueue") == "true"
    for name, value in given.items():
        was, wanted = stored.get(name, ""), _checked(name, value, fifo)
        if was != wanted and not (name in DOCUMENTS and was and wanted and _same_document(was, wanted)):
            return name
    return None


def check_names(names: list[str] | None) -> list[str]:
    """The attribute names of a question. InvalidAttributeName for one that AWS does not know."""
    for name in names or ():
        if name not in KNOWN:
            raise refusals.unknown_attribute(name)
    return names or []


def dead_letter_target(redrive_policy: str) -> str:
    return str(json.loads(redrive_policy)["deadLetterTargetArn"])


def allows_source(redrive_allow_policy: str | None, source_arn: str) -> bool:
    """Whether a dead-letter queue with this RedriveAllowPolicy takes messages from the source."""
    policy = json.loads(redrive_allow_policy or "{}")
    permission = policy.get("redrivePermission", "allowAll")
    if permission == "byQueue":
        return source_arn in policy.get("sourceQueueArns", ())
    return bool(permission == "allowAll")


def _checked(name: str, value: str, fifo: bool) -> str:
    if name in NUMBERS:
        return _number(name, value, NUMBERS[name])
    if name == "FifoQueue":
        if not fifo:
            raise refusals.unknown_attribute(name)
        if value != "true":
            raise refusals.bad_attribute(name, "Modifying queue type is not supported.")
        return value
    if name in FIFO_ONLY:
        return _of_fifo(name, value, fifo)
    if name == "Policy":
        return _policy(value)
    if name == "RedrivePolicy":
        return _redrive_policy(value)
    if name == "RedriveAllowPolicy":
        return _redrive_allow_policy(value)
    if name == "KmsMasterKeyId":
        return value
    if name == "KmsDataKeyReusePeriodSeconds":
        return _number(name, value, KEY_REUSE)
    if name == "SqsManagedSseEnabled":
        if value not in ("true", "false"):
            raise refusals.bad_attribute(name)
        return value
    raise refusals.unknown_attribute(name)


def _number(name: str, value: str, span: Span) -> str:
    if not DIGITS.fullmatch(value) or not span.low <= int(value) <= span.high:
        raise refusals.bad_attribute(name)
    return str(int(value))


def _of_fifo(name: str, value: str, fifo: bool) -> str:
    if not fifo:
        if name == "ContentBasedDeduplication":
            raise refusals.unknown_attribute(name)
        raise ServiceError(
            "InvalidAttributeName", f"You can specify the {name} only when FifoQueue is set to true."
        )
    if value not in FIFO_ONLY[name][1]:
        raise refusals.bad_attribute(name)
    return value


def _encrypt(merged: dict[str, str], given: Mapping[str, str]) -> None:
    """One kind of encryption at a time: a key turns SQS's own off, SQS's own takes the key away. Both are
    kept as data; what protects the messages at rest is the disk under the store."""
    if given.get("SqsManagedSseEnabled") == "true":
        if given.get("KmsMasterKeyId"):
            raise ServiceError(
                "InvalidAttributeName",
                "You can use one type of server-side encryption (SSE) at one time. "
                "You can either enable KMS SSE or SQS SSE.",
            )
        merged["KmsMasterKeyId"] = merged["KmsDataKeyReusePeriodSeconds"] = ""
    elif given.get("KmsMasterKeyId"):
        merged["SqsManagedSseEnabled"] = "false"
        merged.setdefault("KmsDataKeyReusePeriodSeconds", "")
        merged["KmsDataKeyReusePeriodSeconds"] = merged["KmsDataKeyReusePeriodSeconds"] or str(
            KEY_REUSE.default
        )
    elif given.get("KmsMasterKeyId") == "":
        merged["KmsDataKeyReusePeriodSeconds"] = ""


def _policy(value: str) -> str:
    if value == "":
        return value
    policy = _document(value)
    statements = policy.get("Statement") if policy else None
    if isinstance(statements, dict):
        statements = [statements]
    if policy is None or not isinstance(statements, list) or len(value.encode()) > POLICY_BYTES_MAX:
        raise refusals.bad_attribute("Policy")
    if len(statements) > STATEMENTS_MAX:
        raise refusals.over_limit(
            f"{len(statements)} statements were found in the submitted policy, "
            f"max allowed is {STATEMENTS_MAX}"
        )
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise refusals.bad_attribute("Policy")
    return value


def _redrive_policy(value: str) -> str:
    if value == "":
        return value
    policy = _document(value)
    if policy is None:
        raise refusals.invalid(
            "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map."
        )
    for name in ("deadLetterTargetArn", "maxReceiveCount"):
        if name not in policy:
            reason = f"Redrive policy does not contain mandatory attribute: {name}."
            raise refusals.invalid_value("RedrivePolicy", value, reason)
    if len(policy) > 2:
        reason = "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]."
        raise refusals.invalid_value("RedrivePolicy", value, reason)
    count = str(policy["maxReceiveCount"])
    if not DIGITS.fullmatch(count) or not 1 <= int(count) <= RECEIVES_MAX:
        reason = (
            f"Invalid value for maxReceiveCount: {count}, "
            f"valid values are from 1 to {RECEIVES_MAX} both inclusive."
        )
        raise refusals.invalid_value("RedrivePolicy", value, reason)
    try:
        is_queue = arns.parse(str(policy["deadLetterTargetArn"])).service == "sqs"
    except ValueError:
        is_queue = False
    if not is_queue:
        raise refusals.invalid_value("RedrivePolicy", value, "Invalid value for deadLetterTargetArn.")
    return value


def _redrive_allow_policy(value: str) -> str:
    if value == "":
        return value
    policy = _document(value)
    permission = policy.get("redrivePermission") if policy else None
    sources: Any = policy.get("sourceQueueArns") if policy else None
    wrong = (
        policy is None
        or permission not in ("allowAll", "denyAll", "byQueue")
        or not policy.keys() <= {"redrivePermission", "sourceQueueArns"}
        or not (sources is None or (isinstance(sources, list) and all(isinstance(s, str) for s in sources)))
    )
    if wrong:
        raise refusals.invalid(
            "Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS can't create the redrive "
            "allow policy, as it’s in an unsupported format."
        )
    reason = ""
    if sources and permission != "byQueue":
        reason = "To specify one or more source queue ARNs, you must set redrivePermission to byQueue."
    elif permission == "byQueue" and not sources:
        reason = (
            "When you specify the byQueue permission type, you must also specify one or more "
            "sourceQueueArns values."
        )
    elif sources and len(sources) > SOURCE_QUEUES_MAX:
        reason = f"The maximum number of source queue ARNs you can specify is {SOURCE_QUEUES_MAX}."
    if reason:
        reason = f"Amazon SQS can't create the redrive allow policy. {reason}"
        raise refusals.invalid_value("RedriveAllowPolicy", value, reason)
    return value


def _document(value: str) -> dict[str, object] | None:
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _same_document(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))
