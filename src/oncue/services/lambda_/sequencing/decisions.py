"""What becomes of the messages of one key: which runs, which are settled, when to look again. Pure.

Guarantees of `latest`: the versions of successes strictly increase; nothing runs whose version is not higher
than the last success; nothing is superseded before a higher version has succeeded (supersede=success).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from oncue.services.lambda_.sequencing.rules import Rule

DONE, SUPERSEDED, DUPLICATE, DLQ = "done", "superseded", "duplicate", "dlq"
LATE, INVALID, EXPIRED = "late", "invalid", "expired"
OUTCOMES = (DONE, SUPERSEDED, DUPLICATE, DLQ, LATE, INVALID, EXPIRED)
GAPS_MAX = 100  # remembered of a key; the oldest are forgotten, and what is late then counts as a duplicate
STOPPED_LOOK_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that has no outcome yet. `order` is None where it declares no usable version."""

    item: int
    message_id: str
    order: bytes | None
    text: str
    arrived_at: float
    attempts: int  # invocations that began
    visible_at: float  # not to be run before
    body_sum: int
    invalid: str = ""  # why it cannot be sequenced and runs for itself


@dataclass(frozen=True, slots=True)
class Key:
    """What is remembered of a key. `applied` is the version of the last success; `gaps` the counted versions
    that were given up, as (first, last)."""

    applied: bytes | None = None
    applied_text: str = ""
    applied_item: int = 0
    applied_sum: int = 0
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """`window`: the first of the pending ones in the mode's order (see `window_order`); the times are those
    of all pending ones."""

    window: Sequence[Pending]
    first_arrival: float
    last_arrival: float


@dataclass(frozen=True, slots=True)
class Settled:
    pending: Pending
    outcome: str
    by_item: int = 0
    by_text: str = ""
    detail: str = ""
    dead_letter: bool = False


@dataclass(slots=True)
class Verdict:
    """`head` runs now; `advances` says whether its success becomes the applied version, `outcome` what a
    success is called. Without a head, `due_at` says when to look again (None: when something arrives)."""

    settled: list[Settled] = field(default_factory=list)
    head: Pending | None = None
    advances: bool = True
    outcome: str = DONE
    due_at: float | None = None
    poisoned: Pending | None = None  # dead-lettered: counts as a gap of an in-order key
    stopped: bool = False


def window_order(mode: str) -> str:
    """The ORDER BY of a window; of one version the first to arrive comes first."""
    return {"serial": "item", "latest": "version DESC, item", "in-order": "version, item"}[mode]


def judge(
    rule: Rule, key: Key, facts: Facts, now: float, *, receives_max: int | None, dead_letters: bool
) -> Verdict:
    """`receives_max` invocations make a message poison (None: no limit); `dead_letters` says whether the
    queue has where to put it."""
    verdict = Verdict()
    for pending in facts.window:
        if receives_max is not None and dead_letters and pending.attempts >= receives_max:
            verdict.settled.append(Settled(pending, DLQ, dead_letter=True))
            verdict.poisoned = pending
            verdict.stopped = rule.on_poison == "stop"
            verdict.due_at = now  # what it means for the key is written first
            return verdict
        if pending.order is not None and rule.mode != "serial":
            settled = _behind(rule, key, pending, dead_letters)
            if settled is not None:
                verdict.settled.append(settled)
                continue
        _schedule(rule, key, facts, pending, now, verdict)
        return verdict
    if facts.window:
        verdict.due_at = now  # there may be more behind this window
    return verdict


def gap_before(rule: Rule, key: Key, version_text: str) -> tuple[int, int] | None:
    """The counted versions that are given up once this one counts as applied; None for none."""
    if rule.mode != "in-order" or rule.lateness_s is not None:
        return None
    expected = _expected(rule, key)
    if expected is None:
        return None
    number = int(version_text)
    return (expected, number - 1) if number > expected else None


def behind(key: Key, pending: Pending) -> bool:
    """Whether it declares no higher version than the last success."""
    return pending.order is not None and key.applied is not None and pending.order <= key.applied


def stale(rule: Rule, key: Key, pending: Pending) -> Settled | None:
    """The outcome of a parked message of `latest` after a success; None for what may still run."""
    return _behind(rule, key, pending, dead_letters=False)


def _expected(rule: Rule, key: Key) -> int | None:
    return rule.first if key.applied is None else int(key.applied_text) + 1


def _behind(rule: Rule, key: Key, pending: Pending, dead_letters: bool) -> Settled | None:
    """The outcome of what is not newer than the last success; None for what may run."""
    if not behind(key, pending):
        return None
    late = _is_gap(key, pending)
    if pending.order == key.applied and not late:
        if rule.on_equal == "run":
            return None
        conflict = "conflict: another body" if pending.body_sum != key.applied_sum else ""
        return Settled(pending, DUPLICATE, key.applied_item, key.applied_text, conflict)
    if rule.mode == "latest":
        return Settled(pending, SUPERSEDED, key.applied_item, key.applied_text)
    if rule.lateness_s is None and not late:
        return Settled(pending, DUPLICATE, key.applied_item, key.applied_text)
    if rule.late == "drop":
        return Settled(pending, LATE, key.applied_item, key.applied_text, "dropped")
    if rule.late == "dlq" and dead_letters:
        return Settled(pending, LATE, key.applied_item, key.applied_text, "dead letter", True)
    return None


def _is_gap(key: Key, pending: Pending) -> bool:
    if not key.gaps:
        return False
    number = int(pending.text)
    return any(first <= number <= last for first, last in key.gaps)


def _schedule(rule: Rule, key: Key, facts: Facts, head: Pending, now: float, verdict: Verdict) -> None:
    """Run the head, or say when."""
    again = behind(key, head)
    due_at = head.visible_at
    if rule.mode == "latest" and rule.settle_s and head.attempts == 0:
        quiet_at = facts.last_arrival + rule.settle_s
        due_at = max(due_at, min(quiet_at, facts.first_arrival + rule.waits_s))
    elif rule.mode == "in-order" and head.order is not None and not again:
        ready_at = _ready_at(rule, key, facts, head)
        due_at = max(due_at, now + STOPPED_LOOK_S if ready_at is None else ready_at)
    if due_at > now:
        verdict.due_at = due_at
        return
    verdict.head = head
    verdict.advances = head.order is not None and not again
    if head.invalid:
        verdict.outcome = INVALID
    elif again and rule.mode == "in-order" and (rule.lateness_s is None or head.order != key.applied):
        verdict.outcome = LATE if head.order != key.applied or _is_gap(key, head) else DONE


def _ready_at(rule: Rule, key: Key, facts: Facts, head: Pending) -> float | None:
    """From when on the head of an in-order key may run: at once if it is next, else when the time for what
    is missing is over; None when only its predecessor or an operator lets it."""
    if rule.lateness_s is not None:
        return facts.first_arrival + rule.lateness_s
    expected = _expected(rule, key)
    if expected is not None and int(head.text) <= expected:
        return facts.first_arrival
    if rule.on_gap == "stop" and expected is not None:
        return None
    return facts.first_arrival + rule.gap_s
