"""The line that sets sequencing (`latest key=/post version=/version type=semver`), read and checked. Pure."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services.lambda_.sequencing import versions

TAG = "oncue:sequencing"
MODES = ("serial", "latest", "in-order")
LINE_CHARS_MAX = 256  # of a tag's value
POINTERS_MAX = 4
POINTER = re.compile(r"(?:@attr|@msgattr|@sns)?(?:/(?:[^~/+\s]|~[01])*)+")
DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
DURATION_S_MAX = 28 * 86_400.0
FOREVER_S = 1e11
GROUP = "@attr/MessageGroupId"
MAX_WAIT_SETTLES = 10
GAP_S = 30.0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checked line. Durations are seconds; None where the mode has no use for it or the queue decides."""

    mode: str
    key: str
    version: tuple[str, ...] = ()
    type: str = "auto"
    settle_s: float = 0.0
    max_wait_s: float | None = None
    gap_s: float = GAP_S
    on_gap: str = "skip"
    lateness_s: float | None = None
    late: str = "dlq"
    first: int | None = 1  # None: any
    supersede: str = "success"
    on_equal: str = "drop"
    on_invalid: str = "dlq"
    on_poison: str = "next"
    ttl_s: float | None = None

    @property
    def identity(self) -> str:
        """What the rows of a key depend on: it cannot change while there are any."""
        counted = "" if self.mode == "serial" else f" {'+'.join(self.version)} {self.type}"
        return f"{self.key}{counted}"

    @property
    def waits_s(self) -> float:
        """How long the first of a burst waits at most for the burst to settle."""
        return self.settle_s * MAX_WAIT_SETTLES if self.max_wait_s is None else self.max_wait_s


def refused(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", f"{TAG}: {sentence}", Type="User")


def _one_of(*allowed: str) -> Callable[[str, str], str]:
    def read(word: str, text: str) -> str:
        if text not in allowed:
            raise refused(f"'{text}' is not a value of {word}. It takes {', '.join(allowed)}.")
        return text

    return read


def _duration(word: str, text: str) -> float:
    match = DURATION.fullmatch(text)
    if match is None or int(match[1]) * UNITS_S[match[2]] > DURATION_S_MAX:
        raise refused(f"'{text}' is not a duration for {word}. Write 500ms, 30s, 5m, 2h or 7d, at most 28d.")
    return int(match[1]) * UNITS_S[match[2]]


def _ttl(word: str, text: str) -> float:
    return FOREVER_S if text == "forever" else _duration(word, text)


def _pointer(word: str, text: str) -> str:
    if not POINTER.fullmatch(text):
        raise refused(
            f"'{text}' is not a pointer for {word}. Write /name/of/member, or begin it with @attr, @msgattr "
            "or @sns."
        )
    return text


def _pointers(word: str, text: str) -> tuple[str, ...]:
    found = tuple(_pointer(word, part) for part in text.split("+"))
    if len(found) > POINTERS_MAX:
        raise refused(f"'{text}' has more than {POINTERS_MAX} parts for {word}.")
    return found


def _type(word: str, text: str) -> str:
    for part in text.split("+"):
        _one_of(*versions.TYPES)(word, part)
    return text


def _first(word: str, text: str) -> int | None:
    if text == "any":
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise refused(f"'{text}' is not a value of {word}. It takes an integer or any.")
    return int(text)


POLICY = _one_of("dlq", "run", "drop")
WORDS: dict[str, tuple[str, Callable[[str, str], Any], tuple[str, ...]]] = {
    "key": ("key", _pointer, MODES),
    "version": ("version", _pointers, ("latest", "in-order")),
    "type": ("type", _type, ("latest", "in-order")),
    "settle": ("settle_s", _duration, ("latest",)),
    "max-wait": ("max_wait_s", _duration, ("latest",)),
    "gap": ("gap_s", _duration, ("in-order",)),
    "on-gap": ("on_gap", _one_of("skip", "stop"), ("in-order",)),
    "lateness": ("lateness_s", _duration, ("in-order",)),
    "late": ("late", POLICY, ("in-order",)),
    "first": ("first", _first, ("in-order",)),
    "supersede": ("supersede", _one_of("success", "arrival"), ("latest",)),
    "on-equal": ("on_equal", _one_of("drop", "run"), ("latest", "in-order")),
    "on-invalid": ("on_invalid", POLICY, MODES),
    "on-poison": ("on_poison", _one_of("next", "stop"), MODES),
    "ttl": ("ttl_s", _ttl, ("latest", "in-order")),
}


def read(line: str) -> Rule:
    """The rule of a line. InvalidParameterValueException names the word that is wrong."""
    if len(line) > LINE_CHARS_MAX:
        raise refused(f"the line has more than {LINE_CHARS_MAX} characters.")
    mode, *words = line.split() or [""]
    if mode not in MODES:
        raise refused(f"'{mode}' is not a mode. It begins with {', '.join(MODES)}.")
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if name not in WORDS or not equals:
            raise refused(
                f"'{word}' is not known. The words are {', '.join(WORDS)}, each with = and a value."
            )
        field, reader, modes = WORDS[name]
        if mode not in modes:
            raise refused(f"'{name}' has no meaning with {mode}.")
        if field in given:
            raise refused(f"'{name}' is there twice.")
        given[field] = reader(name, text)
    return _checked(Rule(**({"mode": mode, "key": GROUP} | given)), given)


def _checked(rule: Rule, given: dict[str, Any]) -> Rule:
    if rule.mode != "serial" and not rule.version:
        raise refused(f"'{rule.mode}' needs a version: version=/name/of/member.")
    types = rule.type.split("+")
    if len(types) not in (1, max(1, len(rule.version))):
        raise refused(f"'{rule.type}' has {len(types)} types, version has {len(rule.version)} parts.")
    if rule.mode == "in-order" and rule.lateness_s is None:
        return _dense(rule)
    if rule.lateness_s is not None:
        for field, word in (("gap_s", "gap"), ("on_gap", "on-gap"), ("first", "first")):
            if field in given:
                raise refused(f"'{word}' has no meaning with lateness: what is not counted has no gaps.")
    if "max_wait_s" in given and not rule.settle_s:
        raise refused("'max-wait' needs settle.")
    return rule


def _dense(rule: Rule) -> Rule:
    if rule.type not in ("int", "auto") or len(rule.version) != 1:
        raise refused(
            f"'{rule.type}' of {len(rule.version)} part(s) cannot be counted: in-order needs type=int, or "
            "lateness= to order by time of arrival."
        )
    return msgspec.structs.replace(rule, type="int")


def check_key(rule: Rule, line: str, fifo: bool) -> None:
    """A standard queue has no groups to fall back on."""
    if not fifo and not re.search(r"(^|\s)key=", line):
        raise refused("'key' is missing: a standard queue needs key=/name/of/member.")
