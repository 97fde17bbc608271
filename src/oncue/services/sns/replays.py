"""Replays: a subscription of a FIFO topic gets again what the topic's archive has, then what has come since.

While it replays, nothing is delivered to it at once: it reads on in the archive until it has reached the
end, and the topic's row, held then, says that nothing is being published. So order and completeness last.
"""

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import due, handing, publishing, replay_policies
from oncue.services.sns.publishing import Writer
from oncue.services.sns.replay_policies import COMPLETED, PENDING, RUNNING
from oncue.services.sns.subscriptions import Subscription
from oncue.services.sns.topics import Topic

BATCH = 20
FIRST = """
SELECT COALESCE(MIN(sequence), :none) AS sequence FROM sns_archive WHERE topic_id = :topic AND at >= :at
"""
LAST = "SELECT COALESCE(MAX(sequence), 0) AS sequence FROM sns_archive WHERE topic_id = :topic AND at <= :at"


def begin(call: Call, topic: Topic, subscription: Subscription, policy: str | None) -> None:
    """Start over with the policy's window, or stop. The caller holds the topic's row."""
    window = replay_policies.checked(policy) if policy else None
    if window is None:
        _write(call, subscription, None, None, None, None)
        return
    row = call.tx.one(FIRST, topic=topic.id, at=window.start, none=topic.sequence + 1)
    assert row is not None
    end = topic.sequence
    if window.end is not None:
        last = call.tx.one(LAST, topic=topic.id, at=window.end)
        assert last is not None
        end = last["sequence"]
    _write(call, subscription, PENDING, row["sequence"], end, topic.sequence)
    due.note(call, subscription.id, call.now)


def serve(call: Call, topic: Topic, subscription: Subscription) -> None:
    """Hand over the next part. What is not taken goes into the lane, and the rest waits behind it. The
    caller holds the topic's row."""
    assert subscription.replay_next is not None
    assert subscription.replay_resume is not None
    rows = call.tx.all(
        """
        SELECT sequence, body FROM sns_archive
        WHERE topic_id = :topic AND sequence >= :next AND (sequence <= :end OR sequence > :resume)
        ORDER BY sequence LIMIT :limit
        """,
        topic=topic.id,
        next=subscription.replay_next,
        end=subscription.replay_end,
        resume=subscription.replay_resume,
        limit=BATCH,
    )
    writer, position = Writer(call, topic), subscription.replay_next
    for row in rows:
        position = row["sequence"] + 1
        again = row["sequence"] <= subscription.replay_resume
        published = publishing.unpack(bytes(row["body"]), replayed=again)
        delivery = writer.delivery(subscription, published)
        if delivery is None:
            continue
        try:
            handing.hand_over(call, subscription, delivery)
        except ServiceError:
            publishing.put(call, subscription, delivery)
            break
    if rows:
        end, resume = subscription.replay_end, subscription.replay_resume
        _write(call, subscription, RUNNING, position, end, resume)
    else:
        _write(call, subscription, COMPLETED, None, None, None)


def running(call: Call, topic: Topic) -> bool:
    row = call.tx.one(
        "SELECT id FROM sns_subscriptions WHERE topic_id = :topic AND replay_next IS NOT NULL LIMIT :limit",
        topic=topic.id,
        limit=1,
    )
    return row is not None


def beginning(call: Call, topic: Topic) -> float:
    """BeginningArchiveTime: of the earliest message that can be replayed."""
    row = call.tx.one(
        "SELECT COALESCE(MIN(at), :now) AS at FROM sns_archive WHERE topic_id = :topic AND at >= :since",
        topic=topic.id,
        now=call.now,
        since=call.now - topic.settings.archive_days * 86_400,
    )
    assert row is not None
    return float(row["at"])


def clear(call: Call, topic: Topic) -> None:
    call.tx.run("DELETE FROM sns_archive WHERE topic_id = :topic", topic=topic.id)


def _write(
    call: Call,
    subscription: Subscription,
    status: str | None,
    position: int | None,
    end: int | None,
    resume: int | None,
) -> None:
    call.tx.run(
        """
        UPDATE sns_subscriptions
        SET replay_status = :status, replay_next = :next, replay_end = :end, replay_resume = :resume
        WHERE id = :id
        """,
        status=status,
        next=position,
        end=end,
        resume=resume,
        id=subscription.id,
    )
