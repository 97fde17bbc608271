"""The rows of keys and of parked messages.

Whoever changes a key holds its row: admission and completion lock it, claiming skips what others hold.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.lambda_.sequencing import decisions, outcomes, versions
from oncue.services.lambda_.sequencing.decisions import Facts, Key, Pending, Settled
from oncue.services.lambda_.sequencing.rules import Rule
from oncue.store import Row

WINDOW = 100  # messages of a key that are judged at a time
FORGET_KEYS_MAX = 1_000
INVALID_KEY = "@invalid "  # and the message id: what has no key runs under its own
Message = dict[str, Any]  # a member of ReceiveMessage's Messages, with `Item`


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequenced mapping, as its row says it now. `queue` are the attributes that set_aside tells."""

    id: int
    url: str
    rule: Rule
    pinned: str
    queue: dict[str, Any]

    @property
    def type(self) -> str:
        return self.pinned or self.rule.type

    @property
    def receives_max(self) -> int | None:
        """None also where there is no dead-letter queue."""
        limit: int | None = self.queue["MaxReceiveCount"]
        return limit


def touch(call: Call, sequence: Sequence, name: str) -> None:
    """The key's row, locked; a key that nobody runs is judged anew."""
    call.tx.run(
        """
        INSERT INTO lambda_sequence_keys (sequence, name, applied, applied_text, applied_item, applied_sum,
            gaps, fence, item, due_at, stopped, touched_at)
        VALUES (:s, :name, NULL, '', 0, 0, '', 0, NULL, :now, 0, :now)
        ON CONFLICT (sequence, name) DO UPDATE SET touched_at = :now, due_at = CASE
            WHEN lambda_sequence_keys.item IS NOT NULL OR lambda_sequence_keys.stopped = 1
            THEN lambda_sequence_keys.due_at ELSE :now END
        """,
        s=sequence.id,
        name=name,
        now=call.now,
    )


def insert(call: Call, sequence: Sequence, name: str, pending: Pending) -> None:
    call.tx.run(
        """
        INSERT INTO lambda_sequence_messages (sequence, item, name, message_id, version, version_text,
            body_sum, arrived_at, visible_at, attempts, started_at, invalid)
        VALUES (:s, :item, :name, :message_id, :version, :text, :body_sum, :now, :now, 0, NULL, :wrong)
        """,
        s=sequence.id,
        item=pending.item,
        name=name,
        message_id=pending.message_id,
        version=pending.order,
        text=pending.text,
        body_sum=pending.body_sum,
        now=call.now,
        wrong=pending.invalid[: outcomes.DETAIL_CHARS_MAX],
    )


def locked(call: Call, sequence: int, name: str) -> Row | None:
    return call.tx.one(
        "SELECT * FROM lambda_sequence_keys WHERE sequence = :s AND name = :name FOR UPDATE",
        s=sequence,
        name=name,
    )


def key_of(row: Row) -> Key:
    return Key(
        applied=None if row["applied"] is None else bytes(row["applied"]),
        applied_text=row["applied_text"],
        applied_item=row["applied_item"],
        applied_sum=row["applied_sum"],
        gaps=_gaps(row["gaps"]),
    )


def with_gap(key: Key, first: int, last: int) -> Key:
    gaps = (*key.gaps, (first, last))[-decisions.GAPS_MAX :]
    return dataclasses.replace(key, gaps=gaps)


def facts(call: Call, sequence: Sequence, name: str) -> Facts:
    """What there is to judge of a key."""
    rows = call.tx.all(
        f"""
        SELECT * FROM lambda_sequence_messages WHERE sequence = :s AND name = :name
        ORDER BY {decisions.window_order(sequence.rule.mode)} LIMIT :limit
        """,
        s=sequence.id,
        name=name,
        limit=WINDOW,
    )
    times = [row["arrived_at"] for row in rows]
    if len(rows) == WINDOW:
        ends = call.tx.one(
            """
            SELECT MIN(arrived_at) AS first, MAX(arrived_at) AS last FROM lambda_sequence_messages
            WHERE sequence = :s AND name = :name
            """,
            s=sequence.id,
            name=name,
        )
        assert ends is not None
        times = [ends["first"], ends["last"]]
    return Facts([pending_of(row) for row in rows], min(times, default=0.0), max(times, default=0.0))


def pending_of(row: Row) -> Pending:
    return Pending(
        item=row["item"],
        message_id=row["message_id"],
        order=None if row["version"] is None else bytes(row["version"]),
        text=row["version_text"],
        arrived_at=row["arrived_at"],
        attempts=row["attempts"],
        visible_at=row["visible_at"],
        body_sum=row["body_sum"],
        invalid=row["invalid"],
    )


def write(call: Call, sequence: Sequence, name: str, key: Key, *, due_at: float | None) -> None:
    """What the key knows now; nobody runs it, and it is judged again at `due_at`. An invalid message's own
    key is forgotten with it."""
    if due_at is None and name.startswith(INVALID_KEY):
        call.tx.run(
            "DELETE FROM lambda_sequence_keys WHERE sequence = :s AND name = :name", s=sequence.id, name=name
        )
        return
    call.tx.run(
        """
        UPDATE lambda_sequence_keys SET applied = :applied, applied_text = :text, applied_item = :by,
            applied_sum = :sum, gaps = :gaps, item = NULL, due_at = :due_at, touched_at = :now
        WHERE sequence = :s AND name = :name
        """,
        due_at=due_at,
        now=call.now,
        s=sequence.id,
        name=name,
        **known(key),
    )


def known(key: Key) -> dict[str, Any]:
    return {
        "applied": key.applied,
        "text": key.applied_text,
        "by": key.applied_item,
        "sum": key.applied_sum,
        "gaps": ",".join(f"{first}:{last}" for first, last in key.gaps),
    }


def settle(
    call: Call,
    sequence: Sequence,
    name: str,
    settled: Settled,
    *,
    fence: int = 0,
    started_at: float | None = None,
    attributes: dict[str, str] | None = None,
) -> None:
    """Give a message its one outcome, and take it out of its queue."""
    item = settled.pending.item
    call.tx.run(
        "DELETE FROM lambda_sequence_messages WHERE sequence = :s AND item = :i", s=sequence.id, i=item
    )
    if settled.dead_letter:
        reply = call.sqs.dead_letter_aside(QueueUrl=sequence.url, Item=item, Attributes=attributes)
        if not reply["Moved"]:  # its retention is over, or the queue was purged
            settled = Settled(settled.pending, decisions.EXPIRED)
    else:
        call.sqs.finish_aside(QueueUrl=sequence.url, Items=[item])
    outcomes.write(call, sequence.id, name, settled, fence=fence, started_at=started_at)


def message(call: Call, sequence: Sequence, item: int) -> Message | None:
    """The message itself; None when its queue has it no longer."""
    reply = call.sqs.look_aside(QueueUrl=sequence.url, Items=[item])
    found: Message | None = reply["Messages"].get(item)
    return found


def next_due(call: Call, sequence: Sequence) -> float | None:
    """When a key will be due, epoch seconds."""
    row = call.tx.one(
        """
        SELECT due_at FROM lambda_sequence_keys WHERE sequence = :s AND due_at IS NOT NULL
        ORDER BY due_at LIMIT 1
        """,
        s=sequence.id,
    )
    return float(row["due_at"]) if row else None


def release(call: Call, sequence: int, url: str) -> None:
    """Every parked message is the queue's again (if there is one), and results of what still runs will not
    count."""
    call.tx.run("DELETE FROM lambda_sequence_messages WHERE sequence = :s", s=sequence)
    call.tx.run(
        """
        UPDATE lambda_sequence_keys SET item = NULL, due_at = NULL, fence = fence + 1
        WHERE sequence = :s AND due_at IS NOT NULL
        """,
        s=sequence,
    )
    try:
        call.sqs.put_back(QueueUrl=url)
    except ServiceError as error:
        if error.code != "QueueDoesNotExist":
            raise


def reset(call: Call, sequence: Sequence, name: str, to: versions.Version | None) -> bool:
    """Forget what a key knows, or pretend that `to` was its last success, and let it go on. False when the
    key is unknown."""
    return bool(
        call.tx.run(
            """
            UPDATE lambda_sequence_keys SET applied = :applied, applied_text = :text, applied_item = 0,
                applied_sum = 0, gaps = '', fence = fence + 1, item = NULL, due_at = :now, stopped = 0,
                touched_at = :now
            WHERE sequence = :s AND name = :name
            """,
            applied=to.order if to else None,
            text=to.text if to else "",
            now=call.now,
            s=sequence.id,
            name=name,
        )
    )


def forget(call: Call, sequence: Sequence) -> int:
    """Delete some keys for which nothing can come any more; the answer is how many."""
    queue = sequence.queue
    ttl_s = sequence.rule.ttl_s
    if ttl_s is None:
        ttl_s = queue["MessageRetentionPeriod"] + (queue["DeadLetterRetentionPeriod"] or 0)
    return call.tx.run(
        """
        DELETE FROM lambda_sequence_keys WHERE sequence = :s AND name IN (
            SELECT name FROM lambda_sequence_keys
            WHERE sequence = :s AND due_at IS NULL AND item IS NULL AND stopped = 0 AND touched_at <= :before
            LIMIT :limit FOR UPDATE SKIP LOCKED
        )
        """,
        s=sequence.id,
        before=call.now - ttl_s,
        limit=FORGET_KEYS_MAX,
    )


def _gaps(text: str) -> tuple[tuple[int, int], ...]:
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return tuple((int(first), int(last)) for first, last in pairs)
