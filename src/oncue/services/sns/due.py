"""Which subscriptions have deliveries in their lanes, and when to look at each again: rows that are looked
through instead of the lanes, so that one subscriber's many deliveries never stand before another's."""

from oncue.services import Call
from oncue.services.sns import subscriptions
from oncue.store import backlog

BELL = "sns/deliveries"
TAKE_MAX = 100


def note(call: Call, subscription_id: int, at: float) -> None:
    """Look at this subscription's lane at `at`, or earlier if that was meant already."""
    call.tx.run(
        """
        INSERT INTO sns_due (subscription_id, due_at) VALUES (:id, :at)
        ON CONFLICT (subscription_id) DO UPDATE
        SET due_at = CASE WHEN sns_due.due_at > :at THEN :at ELSE sns_due.due_at END
        """,
        id=subscription_id,
        at=at,
    )
    call.tx.wake(BELL)


def take(call: Call, until: float) -> tuple[list[int], float | None]:
    """The subscriptions that are due, the longest first, put off until `until`; if there is none, when the
    next one will be."""
    rows = call.tx.all(
        """
        UPDATE sns_due SET due_at = :until WHERE subscription_id IN (
            SELECT subscription_id FROM sns_due WHERE due_at <= :now
            ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
        ) RETURNING subscription_id
        """,
        until=until,
        now=call.now,
        limit=TAKE_MAX,
    )
    if rows:
        return [row["subscription_id"] for row in rows], None
    row = call.tx.one("SELECT MIN(due_at) AS due_at FROM sns_due WHERE due_at > :now", now=call.now)
    return [], row["due_at"] if row else None


def hold(call: Call, subscription_id: int) -> bool:
    """Lock the row until the end of the transaction; False when there is none, so nothing to deliver."""
    row = call.tx.one(
        "SELECT subscription_id FROM sns_due WHERE subscription_id = :id FOR UPDATE", id=subscription_id
    )
    return row is not None


def settle(call: Call, subscription_id: int, *, patience_s: float) -> None:
    """Nothing of the lane can be taken now (the caller holds the row): look again when its next item is due;
    an empty lane needs no row."""
    lane = subscriptions.lane_of(subscription_id)
    at = backlog.next_due(call.tx, lane, call.now)
    if at is None:
        counts = backlog.counts(call.tx, lane, call.now)
        if not (counts.ready or counts.claimed or counts.delayed):
            forget(call, subscription_id)
            return
        at = call.now + patience_s  # what is there is in another transaction's hands
    call.tx.run("UPDATE sns_due SET due_at = :at WHERE subscription_id = :id", at=at, id=subscription_id)


def forget(call: Call, subscription_id: int) -> None:
    call.tx.run("DELETE FROM sns_due WHERE subscription_id = :id", id=subscription_id)
