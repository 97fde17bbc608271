"""Numbers as DynamoDB has them: 38 digits, exact, one spelling each, and bytes that sort as they do."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from oncue.services.dynamodb.refusals import invalid

DIGITS_MAX = 38
EXPONENT_MAX = 125  # of the first significant digit: 9.99…E+125
EXPONENT_MIN = -130
PLAIN = re.compile(
    r"0|-?[1-9][0-9]{0,36}"
)  # already in its one spelling, unless it ends in nothing but digits
SPELLING = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?")
EXPONENT_DIGITS_MAX = 6  # beyond that, it is out of range whatever the digits are

# Wide enough that a sum of two numbers in range is exact: 126 digits before the point, 168 after it.
EXACT = Context(prec=320, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999)

NEGATIVE, ZERO, POSITIVE = b"\x40", b"\x80", b"\xc0"


def spell(text: str) -> str:
    """The one spelling of a number (`1.0`, `1e0` and `+1` are `1`), or AWS's refusal.

    Source: developer guide, "Data types: Number"; the sentences are AWS's.
    """
    if PLAIN.fullmatch(text):
        return text
    if not text:
        raise invalid("The parameter cannot be converted to a numeric value")
    match = SPELLING.fullmatch(text)
    if match is None:
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}")
    exponent = (match[1] or "").lstrip("+-").lstrip("0")
    if len(exponent) > EXPONENT_DIGITS_MAX:
        if not re.search("[1-9]", re.split("[eE]", text)[0]):
            return "0"
        raise _out_of_range(big=not (match[1] or "").startswith("-"))
    return spell_decimal(Decimal(text))


def spell_decimal(number: Decimal) -> str:
    """The same for a Decimal: plain notation without useless zeros."""
    _, digits, _ = number.as_tuple()
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return "0"
    if number.adjusted() > EXPONENT_MAX:
        raise _out_of_range(big=True)
    if number.adjusted() < EXPONENT_MIN:
        raise _out_of_range(big=False)
    if len(significant) > DIGITS_MAX:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _out_of_range(*, big: bool) -> Exception:
    if big:
        return invalid(
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        )
    return invalid(
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    )


def add(left: str, right: str) -> str:
    return _spell_sum(EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    return _spell_sum(EXACT.subtract(Decimal(left), Decimal(right)))


def _spell_sum(number: Decimal) -> str:
    """AWS calls a sum of too many digits an overflow."""
    if len("".join(map(str, number.as_tuple().digits)).strip("0")) > DIGITS_MAX:
        raise _out_of_range(big=True)
    return spell_decimal(number)


def size(spelled: str) -> int:
    """Bytes that AWS counts: one per two significant digits and one more, and one for the sign."""
    significant = len(spelled.lstrip("-").replace(".", "").strip("0"))
    return (significant + 1) // 2 + 1 + (spelled[0] == "-")


def encode(spelled: str) -> bytes:
    """Bytes that compare as the numbers do: sign, exponent, digits two by two; complemented below zero."""
    number = Decimal(spelled)
    if not number:
        return ZERO
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits)).strip("0")
    pairs = bytes(int(text[i : i + 2].ljust(2, "0")) + 1 for i in range(0, len(text), 2))
    magnitude = bytes((number.adjusted() - EXPONENT_MIN,)) + pairs
    if not sign:
        return POSITIVE + magnitude
    # The closing 0xff lets the shorter of two sort after the longer, as its magnitude is the smaller.
    return NEGATIVE + bytes(0xFF - byte for byte in magnitude) + b"\xff"
