"""Keys on their way to a function and back: claimed by a lease with a fence, renewed, completed.

A result counts only while fence and current message are still the ones that it was begun with.
"""

import dataclasses
import logging
from dataclasses import dataclass

from oncue.services import Call
from oncue.services.lambda_.sequencing import decisions, ledger
from oncue.services.lambda_.sequencing.decisions import Key, Pending, Settled, Verdict
from oncue.services.lambda_.sequencing.ledger import Message, Sequence
from oncue.store import Row

SWEEP_MAX = 1_000  # settled by one success; the rest by the next claims
JUDGEMENTS_MAX = 20  # of one key in one claim; then the others have their turn
COALESCED_MAX = 10_000  # counted no further
LEASE_S = 15.0  # renewed while the function runs
log = logging.getLogger("oncue.lambda")


@dataclass(frozen=True, slots=True)
class Run:
    """One claimed message: the key is this run's until `until`, as long as its fence is the key's."""

    name: str
    fence: int
    pending: Pending
    message: Message
    advances: bool
    outcome: str
    started_at: float
    until: float


def claim(call: Call, sequence: Sequence, *, limit: int) -> list[Run]:
    """Begin up to `limit` runs, each of another key, longest due first."""
    keys = call.tx.all(
        """
        SELECT * FROM lambda_sequence_keys WHERE sequence = :s AND due_at <= :now
        ORDER BY due_at, name LIMIT :limit FOR UPDATE SKIP LOCKED
        """,
        s=sequence.id,
        now=call.now,
        limit=limit,
    )
    runs = (_begin(call, sequence, row, call.now + LEASE_S) for row in keys)
    return [run for run in runs if run is not None]


def renew(call: Call, sequence: Sequence, runs: list[Run]) -> bool:
    """Hold the keys longer; False when one of them is no longer its run's."""
    held = [
        call.tx.run(
            """
            UPDATE lambda_sequence_keys SET due_at = :until
            WHERE sequence = :s AND name = :name AND fence = :fence AND item = :item
            """,
            until=call.now + LEASE_S,
            s=sequence.id,
            name=run.name,
            fence=run.fence,
            item=run.pending.item,
        )
        for run in sorted(runs, key=lambda run: run.name)
    ]
    return all(held)


def complete(call: Call, sequence: Sequence, runs: list[tuple[Run, bool]]) -> list[Run]:
    """End runs, each with whether it succeeded; the answer is those whose result came too late to count."""
    lost = []
    for run, succeeded in sorted(runs, key=lambda one: one[0].name):
        row = _held(call, sequence, run)
        if row is None:
            lost.append(run)
            continue
        key = ledger.key_of(row)
        if succeeded:
            key = _succeeded(call, sequence, run, key)
        else:
            call.tx.run(
                "UPDATE lambda_sequence_messages SET visible_at = :at WHERE sequence = :s AND item = :item",
                at=run.started_at + sequence.queue["VisibilityTimeout"],
                s=sequence.id,
                item=run.pending.item,
            )
        _free(call, sequence, run.name, key)
    return lost


def give_back(call: Call, sequence: Sequence, runs: list[Run]) -> None:
    """Undo claims that reached no function: the attempts do not count."""
    for run in sorted(runs, key=lambda run: run.name):
        row = _held(call, sequence, run)
        if row is None:
            continue
        call.tx.run(
            """
            UPDATE lambda_sequence_messages SET attempts = attempts - 1
            WHERE sequence = :s AND item = :item
            """,
            s=sequence.id,
            item=run.pending.item,
        )
        _free(call, sequence, run.name, ledger.key_of(row))


def _held(call: Call, sequence: Sequence, run: Run) -> Row | None:
    """The key's row, locked, if it is still this run's."""
    row = ledger.locked(call, sequence.id, run.name)
    if row is None or row["fence"] != run.fence or row["item"] != run.pending.item:
        return None
    return row


def _begin(call: Call, sequence: Sequence, row: Row, until: float) -> Run | None:
    """Judge a key whose row is held, until there is a message to run or none."""
    key, name = ledger.key_of(row), row["name"]
    due_at: float | None = call.now
    for _ in range(JUDGEMENTS_MAX):
        facts = ledger.facts(call, sequence, name)
        if not facts.window:
            due_at = None
            break
        verdict = decisions.judge(
            sequence.rule,
            key,
            facts,
            call.now,
            receives_max=sequence.receives_max,
            dead_letters=sequence.receives_max is not None,
        )
        key = _carry_out(call, sequence, name, key, verdict)
        due_at = verdict.due_at
        if verdict.stopped:
            _stop(call, sequence, name)
            due_at = None
            break
        if verdict.head is None and due_at is not None and due_at <= call.now:
            continue
        settled = {one.pending.item for one in verdict.settled}
        first = next(pending for pending in facts.window if pending.item not in settled)
        message = ledger.message(call, sequence, first.item)
        if message is None:
            ledger.settle(call, sequence, name, Settled(first, decisions.EXPIRED))
            due_at = call.now
        elif verdict.head is not None:
            return _start(call, sequence, row, key, verdict, message, until)
        else:
            break
    ledger.write(call, sequence, name, key, due_at=due_at)
    return None


def _carry_out(call: Call, sequence: Sequence, name: str, key: Key, verdict: Verdict) -> Key:
    """Write the outcomes of a verdict; the answer is what the key knows then."""
    for settled in verdict.settled:
        ledger.settle(call, sequence, name, settled)
    poison, rule = verdict.poisoned, sequence.rule
    if poison is None or poison.order is None or verdict.stopped or decisions.behind(key, poison):
        return key
    if rule.mode != "in-order" or rule.lateness_s is not None:
        return key
    if gap := decisions.gap_before(rule, key, poison.text):
        key = ledger.with_gap(key, *gap)
    key = ledger.with_gap(key, int(poison.text), int(poison.text))
    return dataclasses.replace(
        key, applied=poison.order, applied_text=poison.text, applied_item=0, applied_sum=0
    )


def _stop(call: Call, sequence: Sequence, name: str) -> None:
    log.warning("sequence %d: key %s is stopped until it is reset: its message is poison", sequence.id, name)
    call.tx.run(
        "UPDATE lambda_sequence_keys SET stopped = 1 WHERE sequence = :s AND name = :name",
        s=sequence.id,
        name=name,
    )


def _start(
    call: Call, sequence: Sequence, row: Row, key: Key, verdict: Verdict, message: Message, until: float
) -> Run:
    """Bump the fence, count the attempt, and show the function where it stands."""
    head, name, fence = verdict.head, row["name"], row["fence"] + 1
    assert head is not None
    coalesced = 0
    if sequence.rule.mode == "latest" and head.order is not None:
        coalesced = _older(call, sequence, name, head)
    head = dataclasses.replace(head, attempts=head.attempts + 1)
    call.tx.run(
        """
        UPDATE lambda_sequence_messages SET attempts = attempts + 1, started_at = :now
        WHERE sequence = :s AND item = :item
        """,
        now=call.now,
        s=sequence.id,
        item=head.item,
    )
    call.tx.run(
        """
        UPDATE lambda_sequence_keys SET fence = :fence, item = :item, due_at = :until, touched_at = :now,
            applied = :applied, applied_text = :text, applied_item = :by, applied_sum = :sum, gaps = :gaps
        WHERE sequence = :s AND name = :name
        """,
        fence=fence,
        item=head.item,
        until=until,
        now=call.now,
        s=sequence.id,
        name=name,
        **ledger.known(key),
    )
    shown = {
        "ApproximateReceiveCount": str(head.attempts),
        "SequencingKey": name,
        "SequencingFence": str(fence),
        "SequencingCoalesced": str(coalesced),
        "SequencingAttempt": str(head.attempts),
    }
    if head.order is not None:
        shown["SequencingVersion"] = head.text
    if key.applied is not None:
        shown["SequencingPrevious"] = key.applied_text
    message = message | {"Attributes": (message.get("Attributes") or {}) | shown}
    return Run(name, fence, head, message, verdict.advances, verdict.outcome, call.now, until)


def _older(call: Call, sequence: Sequence, name: str, head: Pending) -> int:
    """How many parked messages the head stands for; with supersede=arrival they end here."""
    if sequence.rule.supersede == "arrival":
        older = _not_newer(call, sequence, name, head, "<", SWEEP_MAX)
        for pending in older:
            settled = Settled(pending, decisions.SUPERSEDED, head.item, head.text)
            ledger.settle(call, sequence, name, settled)
        return len(older)
    row = call.tx.one(
        """
        SELECT COUNT(*) AS older FROM (
            SELECT item FROM lambda_sequence_messages
            WHERE sequence = :s AND name = :name AND version < :version LIMIT :limit
        ) AS parked
        """,
        s=sequence.id,
        name=name,
        version=head.order,
        limit=COALESCED_MAX,
    )
    assert row is not None
    return int(row["older"])


def _not_newer(
    call: Call, sequence: Sequence, name: str, head: Pending, than: str, limit: int
) -> list[Pending]:
    rows = call.tx.all(
        f"""
        SELECT * FROM lambda_sequence_messages
        WHERE sequence = :s AND name = :name AND version {than} :version ORDER BY version, item LIMIT :limit
        """,
        s=sequence.id,
        name=name,
        version=head.order,
        limit=limit,
    )
    return [ledger.pending_of(row) for row in rows]


def _succeeded(call: Call, sequence: Sequence, run: Run, key: Key) -> Key:
    """The run's outcome, and that of every parked message that is now not newer than the last success."""
    head, name = run.pending, run.name
    settled = Settled(
        head, run.outcome, detail=head.invalid or ("ran" if run.outcome != decisions.DONE else "")
    )
    ledger.settle(call, sequence, name, settled, fence=run.fence, started_at=run.started_at)
    if not run.advances:
        return key
    if gap := decisions.gap_before(sequence.rule, key, head.text):
        key = ledger.with_gap(key, *gap)
    key = dataclasses.replace(
        key,
        applied=head.order,
        applied_text=head.text,
        applied_item=head.item,
        applied_sum=head.body_sum,
    )
    if sequence.rule.mode == "latest":
        for pending in _not_newer(call, sequence, name, head, "<=", SWEEP_MAX):
            swept = decisions.stale(sequence.rule, key, pending)
            if swept is not None:
                ledger.settle(call, sequence, name, swept)
    return key


def _free(call: Call, sequence: Sequence, name: str, key: Key) -> None:
    """Nobody runs the key any more; if something is parked it is judged at once."""
    parked = call.tx.one(
        "SELECT item FROM lambda_sequence_messages WHERE sequence = :s AND name = :name LIMIT 1",
        s=sequence.id,
        name=name,
    )
    ledger.write(call, sequence, name, key, due_at=call.now if parked else None)
    if parked:
        call.tx.wake(sequence.queue["Topic"])
