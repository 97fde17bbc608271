"""Token buckets: what passes in how much time, alone and divided among nodes."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncue.services.apigatewayv2.buckets import Bucket, Limit, retry_after_s, share_of


def passed(bucket: Bucket, at: list[float]) -> int:
    return sum(bucket.take(now) for now in at)


def test_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(Limit(10.0, 5), 100.0)
    assert [bucket.take(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert bucket.wait_s() == pytest.approx(0.1)
    assert bucket.take(100.11)
    assert not bucket.take(100.11)
    assert passed(bucket, [200.0] * 20) == 5, "a rest fills the bucket and no more"
    assert (bucket.asked, bucket.refused) == (29, 18)


def test_nothing_passes_a_limit_of_nothing() -> None:
    for limit in (Limit(10.0, 0), Limit(0.0, 5)):
        bucket = Bucket(limit, 0.0)
        passed(bucket, [0.0] * 5)
        assert not bucket.take(1_000.0)
        assert bucket.wait_s() is None


def test_a_limit_changes_and_is_divided() -> None:
    bucket = Bucket(Limit(10.0, 10), 0.0)
    bucket.change(Limit(10.0, 2))
    assert passed(bucket, [0.0] * 9) == 2
    bucket.change(Limit(10.0, 4))
    assert passed(bucket, [0.0] * 9) == 2
    bucket.divide(0.25)
    assert passed(bucket, [10.0 + 0.01 * step for step in range(100)]) == pytest.approx(3, abs=1)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.5, 500.0),
    st.integers(1, 200),
    st.lists(st.floats(0.0, 0.5), min_size=1, max_size=300),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, gaps: list[float]) -> None:
    bucket, now, count = Bucket(Limit(rate, burst), 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        count += bucket.take(now)
    assert count <= burst + rate * now + 1e-6
    assert count >= min(len(gaps), burst), "what a burst allows passes"


def test_shares_follow_demand() -> None:
    assert share_of("a", {"a": 0.0}) == 1.0
    shares = {name: share_of(name, {"a": 299.0, "b": 99.0, "c": 0.0}) for name in "abc"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["a"] == pytest.approx(3 * shares["b"])
    assert shares["c"] > 0.0


def test_what_a_client_is_told() -> None:
    assert [retry_after_s(wait) for wait in (0.0, 0.01, 1.0, 1.2)] == [1, 1, 1, 2]


def test_a_decision_costs_less_than_5_microseconds() -> None:
    bucket = Bucket(Limit(1e9, 1_000_000), 0.0)
    rounds = 2_000

    def cost_s() -> float:
        start = time.perf_counter()
        for _ in range(rounds):
            bucket.take(time.monotonic())
        return (time.perf_counter() - start) / rounds

    assert min(cost_s() for _ in range(20)) < 5e-6
