"""Versions as bytes: what sorts by bytes sorts as the versions do."""

import functools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from oncue.services.lambda_.sequencing.versions import encode

numbers = st.integers(-(10**40), 10**40) | st.integers(-300, 300)


def sign(a: Any, b: Any) -> int:
    return (a > b) - (a < b)


def agrees(first: Any, second: Any, compared: int, type: str) -> None:
    a, b = encode([first], type).order, encode([second], type).order
    assert sign(a, b) == compared
    if a != b:
        assert a[: len(b)] != b[: len(a)], "prefix-free, or tuples would not sort"


@given(numbers, numbers)
def test_integers(a: int, b: int) -> None:
    agrees(a, b, sign(a, b), "int")
    agrees(str(a), b, sign(a, b), "int")


def test_integers_are_equal_however_they_are_written() -> None:
    assert encode([12], "int") == encode(["12"], "int") == encode([12.0], "int")


@pytest.mark.parametrize(
    "value", [12.5, True, "x", "", None, float("nan"), float("inf"), "1_0", [], "9" * 400]
)
def test_what_is_no_integer(value: Any) -> None:
    with pytest.raises(ValueError):
        encode([value], "int")


identifiers = st.lists(
    st.integers(0, 30).map(str) | st.text("abAB-", min_size=1, max_size=3), min_size=1, max_size=3
)
releases = st.tuples(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.none() | identifiers)


def written(version: tuple[list[int], list[str] | None]) -> str:
    numbers, pre = version
    return ".".join(map(str, numbers)) + ("" if pre is None else "-" + ".".join(pre))


def compare_semver(a: tuple[list[int], list[str] | None], b: tuple[list[int], list[str] | None]) -> int:
    """semver.org, rule 11, with up to four numbers."""
    left, right = (v[0] + [0] * (4 - len(v[0])) for v in (a, b))
    if left != right:
        return sign(left, right)
    if a[1] is None or b[1] is None:
        return (a[1] is None) - (b[1] is None)
    for one, two in zip(a[1], b[1], strict=False):
        if one == two:
            continue
        if one.isdigit() and two.isdigit():
            if int(one) != int(two):
                return sign(int(one), int(two))
            continue
        if one.isdigit() or two.isdigit():
            return -1 if one.isdigit() else 1
        return sign(one, two)
    return sign(len(a[1]), len(b[1]))


@given(releases, releases)
def test_semvers(a: Any, b: Any) -> None:
    agrees(written(a), "v" + written(b) + "+build", compare_semver(a, b), "semver")


def test_semvers_are_numbers_not_text() -> None:
    ordered = ["1.2-alpha", "1.2-alpha.1", "1.2-alpha.beta", "1.2-rc.1", "v1.2", "1.2.1", "1.9", "1.10", "2"]
    shuffled = sorted(ordered, key=functools.cmp_to_key(lambda a, b: sign(a[::-1], b[::-1])))
    assert sorted(shuffled, key=lambda text: encode([text], "semver").order) == ordered
    assert encode(["v1.2"], "semver").order == encode(["1.2.0+7"], "semver").order


moments = st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1))
offsets = st.integers(-14 * 60, 14 * 60)


@given(moments, offsets, moments, offsets)
def test_times(a: datetime, ours: int, b: datetime, theirs: int) -> None:
    one = a.replace(tzinfo=timezone(timedelta(minutes=ours)))
    two = b.replace(tzinfo=timezone(timedelta(minutes=theirs)))
    agrees(one.isoformat(), two.isoformat(), sign(one, two), "time")


def test_times_since_1970_in_every_unit() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    seconds = int(at.timestamp())
    orders = {
        encode([value], "time").order
        for value in (
            seconds,
            str(seconds),
            seconds * 10**3,
            seconds * 10**6,
            seconds * 10**9,
            at.isoformat(),
        )
    }
    assert len(orders) == 1
    assert encode(["2026-01-02T03:04:05.000000001Z"], "time").order > orders.pop()


@pytest.mark.parametrize(
    "value", ["2026-01-02T03:04:05", "2026-13-01T00:00:00Z", "now", True, None, "NaN", {}]
)
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(ValueError):
        encode([value], "time")


clocks = st.tuples(st.integers(0, 10**15), st.integers(0, 99), st.text("ab\0", max_size=3))


@given(clocks, clocks)
def test_hybrid_logical_clocks(a: Any, b: Any) -> None:
    agrees(list(a), list(b), sign(a, b), "hlc")


@given(st.text(max_size=6), st.text(max_size=6))
def test_texts(a: str, b: str) -> None:
    agrees(a, b, sign(a.encode(), b.encode()), "lex")


@given(st.tuples(numbers, st.text(max_size=3)), st.tuples(numbers, st.text(max_size=3)))
@examples(max_examples=60)
def test_tuples(a: tuple[int, str], b: tuple[int, str]) -> None:
    one, two = (encode(list(values), "int+lex").order for values in (a, b))
    assert sign(one, two) == sign((a[0], a[1].encode()), (b[0], b[1].encode()))


def test_auto_takes_the_first_that_fits() -> None:
    kinds = {7: "int", "7": "int", "v1.2": "semver", "1.2": "semver", "2026-01-02T03:04:05Z": "time"}
    assert {value: encode([value], "auto").type for value in kinds} == kinds
    with pytest.raises(ValueError, match="neither"):
        encode(["soon"], "auto")
