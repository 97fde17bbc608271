"""Filter patterns of CloudWatch Logs: terms, "phrases", ?optional and -excluded terms, or JSON. Pure.

Rules: the page "Filter pattern syntax" of the CloudWatch Logs User Guide. Matching is case sensitive and
looks anywhere in the message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from oncue.errors import ServiceError
from oncue.services.logs.json_patterns import compile_json

Predicate = Callable[[str], bool]
TOKEN = re.compile(r'\s*(?P<sign>[?-]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<term>[^\s"]+))(?=\s|$)')
PLAIN = re.compile(r"\w+")
ESCAPE = re.compile(r"\\(.)")
UNSUPPORTED = {
    "[": "a space-delimited filter pattern",
    "%": "a regular expression in a filter pattern",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A message matches when it has all of `required`, none of `excluded`, and (only if there is nothing
    else) any of `optional`."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    excluded: tuple[str, ...]

    def __call__(self, message: str) -> bool:
        if any(term in message for term in self.excluded):
            return False
        if self.required or self.excluded or not self.optional:
            return all(term in message for term in self.required)
        return any(term in message for term in self.optional)


def compile_pattern(pattern: str) -> Predicate:
    """The predicate of a pattern; an empty one accepts everything. ServiceError InvalidParameterException."""
    text = pattern.strip()
    if text.startswith("{"):
        return compile_json(text)
    kind = UNSUPPORTED.get(text[:1])
    if kind:
        raise ServiceError("InvalidParameterException", f"Oncue does not support {kind} yet.")
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ServiceError("InvalidParameterException", "Invalid filter pattern")
        found[match["sign"]].append(_term(match))
        position = match.end()
    return Terms(tuple(found[""]), tuple(found["?"]), tuple(found["-"]))


def _term(match: re.Match[str]) -> str:
    if match["phrase"] is not None:
        return ESCAPE.sub(r"\1", match["phrase"])
    if not PLAIN.fullmatch(match["term"]):
        raise ServiceError("InvalidParameterException", f"Invalid character(s) in term '{match['term']}'")
    return match["term"]
