"""Random texts that fit a regular expression, so that samples pass the patterns of the models."""

import random
import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

ATTEMPTS_MAX = 200
LETTERS = "abcXYZ019-_./: "
CATEGORIES = {
    codes.CATEGORY_DIGIT: "0123456789",
    codes.CATEGORY_WORD: "abcXYZ019_",
    codes.CATEGORY_SPACE: " \t",
    codes.CATEGORY_NOT_SPACE: "abcXYZ019-_./:",
    codes.CATEGORY_NOT_WORD: " -./:",
    codes.CATEGORY_NOT_DIGIT: "abcXYZ-_./:",
}


def fitting(pattern: str, dice: random.Random, low: int, high: int, *, header: bool = False) -> str | None:
    """A text of `low` to `high` characters that the whole pattern fits, or None when none was found."""
    expression = re.compile(pattern, re.ASCII)
    tree = parser.parse(pattern, re.ASCII)
    for attempt in range(ATTEMPTS_MAX):
        text = draw(tree, dice, 2 ** (attempt % 8))
        clean = not header or (text.isascii() and text.isprintable() and text == text.strip())
        if clean and low <= len(text) <= high and expression.fullmatch(text):
            return text
    return None


def draw(tree: Any, dice: random.Random, more: int) -> str:
    """`more` is how often something is repeated at most beyond what it must be."""
    return "".join(one(op, value, dice, more) for op, value in tree)


def one(op: Any, value: Any, dice: random.Random, more: int) -> str:
    if op is codes.LITERAL:
        return chr(value)
    if op is codes.ANY:
        return dice.choice(LETTERS)
    if op is codes.NOT_LITERAL:
        return dice.choice(LETTERS.replace(chr(value), ""))
    if op is codes.IN:
        return member(value, dice)
    if op is codes.BRANCH:
        return draw(dice.choice(value[1]), dice, more)
    if op is codes.SUBPATTERN:
        return draw(value[3], dice, more)
    if op is codes.ATOMIC_GROUP:
        return draw(value, dice, more)
    if op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        low, high, inner = value
        count = dice.randint(low, min(high, low + more))
        return "".join(draw(inner, dice, max(1, more // 4)) for _ in range(count))
    return ""  # an anchor or a look-around: the whole text is tried afterwards


def member(items: Any, dice: random.Random) -> str:
    if items[0][0] is codes.NEGATE:
        excluded = re.compile(r"[\s\S]") if len(items) == 1 else None
        assert excluded is None
        return dice.choice([letter for letter in LETTERS if not any(has(i, letter) for i in items[1:])])
    op, value = dice.choice(items)
    if op is codes.RANGE:
        return chr(dice.randint(value[0], min(value[1], value[0] + 90)))
    return dice.choice(CATEGORIES[value]) if op is codes.CATEGORY else chr(value)


def has(item: Any, letter: str) -> bool:
    op, value = item
    if op is codes.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    return letter in CATEGORIES[value] if op is codes.CATEGORY else ord(letter) == value
