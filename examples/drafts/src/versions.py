"""Versions such as v1.2 as text that sorts by number: v1.10 comes after v1.9."""

import re

VERSION = re.compile(r"v?(\d{1,8}(?:\.\d{1,8}){0,3})")
PARTS = 4
DIGITS = 8


def key_of(version: str) -> str:
    """`v1.10` -> `00000001.00000010.00000000.00000000`. ValueError for what is not a version."""
    match = VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise ValueError(f"not a version: {version!r}")
    numbers = match.group(1).split(".")
    numbers += ["0"] * (PARTS - len(numbers))
    return ".".join(number.zfill(DIGITS) for number in numbers)
