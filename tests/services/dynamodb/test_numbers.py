"""Numbers: one spelling each, exact sums, and bytes that sort as the numbers do."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncue.errors import ServiceError
from oncue.services.dynamodb import numbers


@st.composite
def spellings(draw: st.DrawFn) -> str:
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    point = draw(st.integers(0, len(digits)))
    sign = draw(st.sampled_from(["", "-", "+"]))
    text = f"{sign}{digits[:point] or '0'}.{digits[point:] or '0'}"
    return f"{text}{draw(st.sampled_from(['e', 'E']))}{draw(st.integers(-80, 80))}"


@given(spellings())
def test_a_spelling_keeps_the_value_and_is_its_own_spelling(text: str) -> None:
    spelled = numbers.spell(text)
    assert Decimal(spelled) == Decimal(text)
    assert numbers.spell(spelled) == spelled
    assert "e" not in spelled.lower()


@given(spellings(), spellings())
def test_equal_numbers_have_one_spelling(left: str, right: str) -> None:
    same = Decimal(left) == Decimal(right)
    assert (numbers.spell(left) == numbers.spell(right)) is same


@given(spellings(), spellings())
def test_bytes_compare_as_numbers_do(left: str, right: str) -> None:
    a, b = numbers.encode(numbers.spell(left)), numbers.encode(numbers.spell(right))
    assert (a < b) is (Decimal(left) < Decimal(right))
    assert (a == b) is (Decimal(left) == Decimal(right))


@given(st.lists(st.integers(-1000, 1000)))
def test_small_integers_sort(given_numbers: list[int]) -> None:
    encoded = sorted(given_numbers, key=lambda n: numbers.encode(str(n)))
    assert encoded == sorted(given_numbers)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("1.0", "1"),
        ("1.50", "1.5"),
        ("-0", "0"),
        ("0e500", "0"),
        ("0e99999999999", "0"),
        ("1E5", "100000"),
        (".5", "0.5"),
        ("007", "7"),
        ("-1e-3", "-0.001"),
        ("9" * 38, "9" * 38),
        ("9." + "9" * 37 + "E125", "9" * 38 + "0" * 88),
    ],
)
def test_spellings(text: str, spelled: str) -> None:
    assert numbers.spell(text) == spelled


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("b", "The parameter cannot be converted to a numeric value: b"),
        ("1 ", "The parameter cannot be converted to a numeric value: 1 "),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
        (
            "1e126",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (
            "1e99999999999",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (
            "1e-131",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
    ],
)
def test_refused(text: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        numbers.spell(text)
    assert caught.value.message == sentence


def test_sums_are_exact() -> None:
    assert numbers.add("0.1", "0.2") == "0.3"
    assert numbers.subtract("1", "1e-30") == "0." + "9" * 30
    with pytest.raises(ServiceError, match="Number overflow"):
        numbers.add("1" + "0" * 40, "1")


@pytest.mark.parametrize(
    ("text", "size"), [("0", 1), ("1", 2), ("12", 2), ("123", 3), ("-12", 3), ("1200", 2)]
)
def test_sizes(text: str, size: int) -> None:
    assert numbers.size(text) == size
