"""Delivery policies of HTTP endpoints: a topic's for all, a subscription's for itself. Pure.

Source: "Creating an HTTP/S delivery policy" in the SNS Developer Guide.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from oncue.services.sns.retries import FUNCTIONS, Schedule

RETRIES_MAX = 100
DELAY_S_MAX = 3_600
TOTAL_S_MAX = 3_600
POLICIES_CACHED = 4_096
CONTENT_TYPE = "text/plain; charset=UTF-8"
DEFAULT_RETRY: Mapping[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
CONTENT_TYPES = frozenset(
    (
        "application/json",
        "application/xml",
        "application/octet-stream",
        "application/soap+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "application/atom+xml",
        "multipart/form-data",
        "text/css",
        "text/csv",
        "text/html",
        "text/plain",
        "text/xml",
    )
)
TOPIC_FIELDS = frozenset(
    (
        "defaultHealthyRetryPolicy",
        "disableSubscriptionOverrides",
        "defaultThrottlePolicy",
        "defaultRequestPolicy",
    )
)
SUBSCRIPTION_FIELDS = frozenset(
    ("healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy", "guaranteed")
)


class PolicyError(ValueError):
    """Why a delivery policy is not one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the worker reads of the effective policy."""

    schedule: Schedule
    per_second_max: float | None
    content_type: str


def of_topic(text: str) -> dict[str, Any]:
    """A topic's DeliveryPolicy, checked. Raises PolicyError."""
    policy = _object(text)
    http = policy.get("http", {})
    if not isinstance(http, dict) or set(policy) - {"http"}:
        raise PolicyError("must be an object with the key http")
    _only(http, TOPIC_FIELDS)
    _check(http, "default")
    if not isinstance(http.get("disableSubscriptionOverrides", False), bool):
        raise PolicyError("disableSubscriptionOverrides must be a boolean")
    return policy


def of_subscription(text: str) -> dict[str, Any]:
    """A subscription's DeliveryPolicy, checked. Raises PolicyError."""
    policy = _object(text)
    _only(policy, SUBSCRIPTION_FIELDS)
    _check(policy, "")
    return policy


def effective_of_topic(text: str | None) -> dict[str, Any]:
    """EffectiveDeliveryPolicy of a topic, with the defaults filled in."""
    http = json.loads(text or "{}").get("http", {})
    effective = {
        "defaultHealthyRetryPolicy": _filled(http.get("defaultHealthyRetryPolicy")),
        "disableSubscriptionOverrides": http.get("disableSubscriptionOverrides", False),
    }
    if throttle := http.get("defaultThrottlePolicy"):
        effective["defaultThrottlePolicy"] = throttle
    effective["defaultRequestPolicy"] = http.get("defaultRequestPolicy") or {
        "headerContentType": CONTENT_TYPE
    }
    return {"http": effective}


def effective_of_subscription(topic: str | None, own: str | None) -> dict[str, Any]:
    """EffectiveDeliveryPolicy of an HTTP subscription: each of its own parts as a whole, else its topic's."""
    http = effective_of_topic(topic)["http"]
    given = {} if http["disableSubscriptionOverrides"] else json.loads(own or "{}")
    own_retry = given.get("healthyRetryPolicy")
    return {
        "healthyRetryPolicy": _filled(own_retry) if own_retry else http["defaultHealthyRetryPolicy"],
        "sicklyRetryPolicy": None,
        "throttlePolicy": given.get("throttlePolicy") or http.get("defaultThrottlePolicy"),
        "requestPolicy": given.get("requestPolicy") or http["defaultRequestPolicy"],
        "guaranteed": False,
    }


@lru_cache(POLICIES_CACHED)
def plan(topic: str | None, own: str | None) -> Plan:
    """The effective policy as the worker needs it; both texts have been checked."""
    policy = effective_of_subscription(topic, own)
    throttle = policy["throttlePolicy"] or {}
    return Plan(
        _schedule(policy["healthyRetryPolicy"]),
        throttle.get("maxReceivesPerSecond"),
        policy["requestPolicy"].get("headerContentType") or CONTENT_TYPE,
    )


def _filled(retry: Mapping[str, Any] | None) -> dict[str, Any]:
    """With the defaults for what is not said, or null (as in AWS's own examples)."""
    return {**DEFAULT_RETRY, **{name: value for name, value in (retry or {}).items() if value is not None}}


def _schedule(retry: Mapping[str, Any]) -> Schedule:
    immediate, pre, post = (
        retry["numNoDelayRetries"],
        retry["numMinDelayRetries"],
        retry["numMaxDelayRetries"],
    )
    return Schedule(
        immediate,
        pre,
        retry["numRetries"] - immediate - pre - post,
        post,
        float(retry["minDelayTarget"]),
        float(retry["maxDelayTarget"]),
        retry["backoffFunction"],
    )


def _object(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise PolicyError("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise PolicyError("must be a JSON object")
    return policy


def _only(policy: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in policy:
        if name not in known:
            raise PolicyError(f"Unexpected JSON member: {name}")


def _check(policy: Mapping[str, Any], prefix: str) -> None:
    def part(name: str) -> Mapping[str, Any]:
        full = f"{prefix}{name[0].upper()}{name[1:]}" if prefix else name
        value = policy.get(full)
        if value is not None and not isinstance(value, dict):
            raise PolicyError(f"{full} must be an object")
        return value or {}

    if retry := part("healthyRetryPolicy"):
        _check_retry(retry)
    if throttle := part("throttlePolicy"):
        _only(throttle, frozenset(("maxReceivesPerSecond",)))
        rate = throttle.get("maxReceivesPerSecond")
        if rate is not None and not _whole(rate, 1):
            raise PolicyError("maxReceivesPerSecond must be an integer of at least 1")
    if request := part("requestPolicy"):
        _only(request, frozenset(("headerContentType",)))
        kind = request.get("headerContentType")
        if not isinstance(kind, str) or kind.partition(";")[0].strip().lower() not in CONTENT_TYPES:
            raise PolicyError("headerContentType is not a content type that can be delivered")
        if not (kind.isascii() and kind.isprintable()):
            raise PolicyError("headerContentType is not a content type that can be delivered")


def _check_retry(given: Mapping[str, Any]) -> None:
    _only(given, frozenset(DEFAULT_RETRY))
    retry = _filled(given)
    for name in DEFAULT_RETRY:
        if name.startswith("num") and not _whole(retry[name], 0, RETRIES_MAX):
            raise PolicyError(f"{name} must be an integer between 0 and {RETRIES_MAX}")
    for name in ("minDelayTarget", "maxDelayTarget"):
        if not _whole(retry[name], 1, DELAY_S_MAX):
            raise PolicyError(f"{name} must be an integer between 1 and {DELAY_S_MAX}")
    if retry["minDelayTarget"] > retry["maxDelayTarget"]:
        raise PolicyError("minDelayTarget must not be greater than maxDelayTarget")
    if retry["backoffFunction"] not in FUNCTIONS:
        raise PolicyError(f"backoffFunction must be one of {', '.join(FUNCTIONS)}")
    schedule = _schedule(retry)
    if schedule.backoff < 0:
        raise PolicyError("numRetries must not be less than the retries of its phases together")
    if schedule.seconds() > TOTAL_S_MAX:
        raise PolicyError(f"The retries must not take longer than {TOTAL_S_MAX} seconds together")


def _whole(value: Any, low: int, high: int | None = None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return value >= low and (high is None or value <= high)
