"""What became of messages: written once for each, kept for a day, then only counted."""

from typing import Any

from oncue.services import Call
from oncue.services.lambda_.sequencing.decisions import Settled
from oncue.store import Row

KEPT_S = 86_400.0
KEPT_ROWS_MAX = 1_000_000
PRUNE_ROWS_MAX = 1_000
TIMELINE_ROWS_MAX = 500
DETAIL_CHARS_MAX = 300


def write(
    call: Call, sequence: int, name: str, settled: Settled, *, fence: int = 0, started_at: float | None = None
) -> None:
    pending = settled.pending
    call.tx.run(
        """
        INSERT INTO lambda_sequence_outcomes (sequence, name, item, message_id, version_text, arrived_at,
            started_at, ended_at, attempts, fence, outcome, by_item, by_text, detail)
        VALUES (:sequence, :name, :item, :message_id, :version_text, :arrived_at,
            :started_at, :now, :attempts, :fence, :outcome, :by_item, :by_text, :detail)
        """,
        sequence=sequence,
        name=name,
        item=pending.item,
        message_id=pending.message_id,
        version_text=pending.text,
        arrived_at=pending.arrived_at,
        started_at=started_at,
        now=call.now,
        attempts=pending.attempts,
        fence=fence,
        outcome=settled.outcome,
        by_item=settled.by_item,
        by_text=settled.by_text,
        detail=settled.detail[:DETAIL_CHARS_MAX],
    )


def prune(call: Call, *, kept_s: float = KEPT_S, kept_rows: int = KEPT_ROWS_MAX) -> int:
    """Fold some of the oldest into the counts; the answer is how many (call again while it is not 0)."""
    rows = call.tx.all(
        """
        DELETE FROM lambda_sequence_outcomes WHERE id IN (
            SELECT id FROM lambda_sequence_outcomes
            WHERE ended_at <= :before OR id <= (SELECT MAX(id) FROM lambda_sequence_outcomes) - :kept
            ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
        ) RETURNING sequence, outcome
        """,
        before=call.now - kept_s,
        kept=kept_rows,
        limit=PRUNE_ROWS_MAX,
    )
    folded: dict[tuple[int, str], int] = {}
    for row in rows:
        of = (row["sequence"], row["outcome"])
        folded[of] = folded.get(of, 0) + 1
    for (sequence, outcome), count in sorted(folded.items()):
        call.tx.run(
            """
            INSERT INTO lambda_sequence_counts (sequence, outcome, count) VALUES (:sequence, :outcome, :count)
            ON CONFLICT (sequence, outcome)
            DO UPDATE SET count = lambda_sequence_counts.count + :count
            """,
            sequence=sequence,
            outcome=outcome,
            count=count,
        )
    return len(rows)


def counts(call: Call, sequence: int) -> dict[str, int]:
    """How many messages had which outcome, ever; and those without one yet."""
    found: dict[str, int] = {}
    for sql in (
        "SELECT outcome, count FROM lambda_sequence_counts WHERE sequence = :s",
        """
        SELECT outcome, COUNT(*) AS count FROM lambda_sequence_outcomes WHERE sequence = :s GROUP BY outcome
        """,
        "SELECT 'pending' AS outcome, COUNT(*) AS count FROM lambda_sequence_messages WHERE sequence = :s",
        """
        SELECT 'conflict' AS outcome, COUNT(*) AS count FROM lambda_sequence_outcomes
        WHERE sequence = :s AND detail LIKE 'conflict%'
        """,
    ):
        for row in call.tx.all(sql, s=sequence):
            found[row["outcome"]] = found.get(row["outcome"], 0) + int(row["count"])
    return found


def timeline(call: Call, sequence: int, name: str) -> list[dict[str, Any]]:
    """The newest messages of a key in the order of their arrival; `outcome` is running or parked for those
    without one."""
    ended = call.tx.all(
        """
        SELECT * FROM lambda_sequence_outcomes WHERE sequence = :s AND name = :name
        ORDER BY id DESC LIMIT :limit
        """,
        s=sequence,
        name=name,
        limit=TIMELINE_ROWS_MAX,
    )
    parked = call.tx.all(
        """
        SELECT m.*, k.item AS running, k.fence FROM lambda_sequence_messages m
        JOIN lambda_sequence_keys k ON k.sequence = m.sequence AND k.name = m.name
        WHERE m.sequence = :s AND m.name = :name ORDER BY m.item LIMIT :limit
        """,
        s=sequence,
        name=name,
        limit=TIMELINE_ROWS_MAX,
    )
    shown = [_ended(row) for row in ended] + [_parked(row) for row in parked]
    return sorted(shown, key=lambda one: (one["ArrivedAt"], one["Item"]))


def of_message(call: Call, message_id: str) -> list[dict[str, Any]]:
    """Every arrival of a message (it may come again out of a dead-letter queue), in any sequence of the
    caller."""
    owner = {"id": message_id, "a": call.account, "r": call.region, "limit": TIMELINE_ROWS_MAX}
    ended = call.tx.all(
        """
        SELECT o.*, s.mapping, s.rule FROM lambda_sequence_outcomes o
        JOIN lambda_sequences s ON s.id = o.sequence
        WHERE o.message_id = :id AND s.account = :a AND s.region = :r ORDER BY o.id LIMIT :limit
        """,
        **owner,
    )
    parked = call.tx.all(
        """
        SELECT m.*, k.item AS running, k.fence, s.mapping, s.rule FROM lambda_sequence_messages m
        JOIN lambda_sequence_keys k ON k.sequence = m.sequence AND k.name = m.name
        JOIN lambda_sequences s ON s.id = m.sequence
        WHERE m.message_id = :id AND s.account = :a AND s.region = :r ORDER BY m.item LIMIT :limit
        """,
        **owner,
    )
    found = [(row, _ended(row)) for row in ended] + [(row, _parked(row)) for row in parked]
    return [one | {"Mapping": row["mapping"], "Rule": row["rule"], "Key": row["name"]} for row, one in found]


def _ended(row: Row) -> dict[str, Any]:
    return _arrival(row) | {
        "EndedAt": row["ended_at"],
        "Outcome": row["outcome"],
        "Fence": row["fence"],
        "ByVersion": row["by_text"],
        "ByItem": row["by_item"],
        "Detail": row["detail"],
    }


def _parked(row: Row) -> dict[str, Any]:
    running = row["running"] == row["item"]
    return _arrival(row) | {
        "Outcome": "running" if running else "parked",
        "Fence": row["fence"] if running else 0,
        "Detail": row["invalid"],
    }


def _arrival(row: Row) -> dict[str, Any]:
    return {
        "MessageId": row["message_id"],
        "Item": row["item"],
        "Version": row["version_text"],
        "ArrivedAt": row["arrived_at"],
        "StartedAt": row["started_at"],
        "Attempts": row["attempts"],
    }
