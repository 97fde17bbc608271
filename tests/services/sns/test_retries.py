"""Retry schedules and delivery policies."""

import json
from typing import Any

import pytest

from oncue.services.sns import delivery_policies, retries
from oncue.services.sns.delivery_policies import PolicyError
from oncue.services.sns.retries import Schedule


def delays(schedule: Schedule) -> list[float]:
    found = [schedule.delay_s(failures) for failures in range(1, schedule.total + 1)]
    assert schedule.delay_s(schedule.total + 1) is None
    return [delay for delay in found if delay is not None]


def test_the_phases_follow_each_other() -> None:
    schedule = Schedule(2, 2, 3, 1, 1.0, 5.0)
    assert delays(schedule) == [0, 0, 1, 1, 1, 3, 5, 5]


@pytest.mark.parametrize("function", ["linear", "arithmetic", "geometric", "exponential"])
def test_each_function_goes_from_the_least_to_the_greatest(function: str) -> None:
    found = delays(Schedule(0, 0, 10, 0, 1.0, 60.0, function))
    assert found == sorted(found)
    assert found[0] == pytest.approx(1)
    assert found[-1] == pytest.approx(60)


def test_the_steeper_the_later() -> None:
    middle = [
        delays(Schedule(0, 0, 11, 0, 1.0, 60.0, function))[5]
        for function in ("linear", "arithmetic", "geometric", "exponential")
    ]
    assert middle == sorted(middle, reverse=True)


def test_queues_and_functions_are_tried_for_23_days() -> None:
    assert retries.INTERNAL.total == 100_015
    assert [retries.INTERNAL.delay_s(number) for number in (1, 3, 4, 5, 6, 15, 16)] == [0, 0, 1, 1, 1, 20, 20]
    assert 23 <= retries.INTERNAL.seconds() / 86_400 < 23.2


def test_the_default_is_three_retries_after_20_seconds() -> None:
    plan = delivery_policies.plan(None, None)
    assert delays(plan.schedule) == [20, 20, 20]
    assert plan.content_type == "text/plain; charset=UTF-8"
    assert plan.per_second_max is None


def test_a_subscription_overrides_its_topic_unless_that_forbids_it() -> None:
    topic: dict[str, Any] = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}
    own = {
        "healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": None},
        "throttlePolicy": {"maxReceivesPerSecond": 10},
    }
    plan = delivery_policies.plan(json.dumps(topic), json.dumps(own))
    assert plan.schedule.total == 1
    assert plan.per_second_max == 10
    topic["http"]["disableSubscriptionOverrides"] = True
    plan = delivery_policies.plan(json.dumps(topic), json.dumps(own))
    assert plan.schedule.total == 5
    assert plan.per_second_max is None


@pytest.mark.parametrize(
    "retry",
    [
        {"numRetries": 101},
        {"numRetries": True},
        {"minDelayTarget": 0},
        {"maxDelayTarget": 3_601},
        {"minDelayTarget": 30},
        {"numRetries": 2, "numNoDelayRetries": 2, "numMinDelayRetries": 1},
        {"backoffFunction": "random"},
        {"numRetries": 100, "maxDelayTarget": 60, "minDelayTarget": 60},
        {"other": 1},
    ],
)
def test_what_is_refused(retry: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        delivery_policies.of_subscription(json.dumps({"healthyRetryPolicy": retry}))
    with pytest.raises(PolicyError):
        delivery_policies.of_topic(json.dumps({"http": {"defaultHealthyRetryPolicy": retry}}))


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        '{"requestPolicy": {"headerContentType": "text/plain\\r\\nX: y"}}',
        '{"requestPolicy": {}}x',
        '{"throttlePolicy": {"maxReceivesPerSecond": 0}}',
        '{"healthyRetryPolicy": 5}',
        '{"http": {}}',
    ],
)
def test_what_is_no_policy(policy: str) -> None:
    with pytest.raises(PolicyError):
        delivery_policies.of_subscription(policy)
