"""Sending: from what the caller wrote to an item of the backlog, deduplicated in FIFO queues."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sqs import messages, refusals
from oncue.services.sqs.messages import Message
from oncue.services.sqs.queues import Queue
from oncue.store import backlog, tenants

DEDUPLICATION_S = 300
SEQUENCE_START = 10**19  # so that a sequence number has twenty digits
BATCH_BYTES_MAX = 1_048_576


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may be sent as far as it alone can tell."""

    message: Message
    delay_s: int
    size_bytes: int


def draft(call: Call, queue: Queue, entry: Mapping[str, Any], *, body_name: str = "MessageBody") -> Draft:
    """`entry` has SendMessage's parameters, or is an entry of a batch, whose members have the same names.

    `body_name` is the path that a refusal of an empty body names.
    """
    fifo = queue.settings.fifo
    body = entry.get("MessageBody") or ""
    messages.check_body(body, body_name)
    packed = messages.packed_attributes(entry.get("MessageAttributes"))
    trace = messages.trace_header(entry.get("MessageSystemAttributes"))
    group = entry.get("MessageGroupId")
    deduplication = entry.get("MessageDeduplicationId")
    delay_s = entry.get("DelaySeconds")
    if group is not None:
        messages.check_group("MessageGroupId", group)
    if deduplication is not None:
        if not fifo:
            raise refusals.invalid_value("MessageDeduplicationId", deduplication, refusals.WRONG_TYPE)
        messages.check_group("MessageDeduplicationId", deduplication)
    if delay_s is not None:
        if fifo and delay_s != 0:
            raise refusals.invalid_value("DelaySeconds", delay_s, refusals.WRONG_TYPE)
        messages.check_delay(delay_s)
    if fifo:
        deduplication = _fifo_ids(queue, group, deduplication, body)
    message = Message(
        message_id=clock.new_id(),
        body=body,
        body_md5=messages.md5_of_body(body),
        sender=call.account,
        sent_ms=int(call.now * 1000),
        attributes=packed,
        attributes_md5=messages.md5_of_attributes(packed),
        trace_header=trace,
        group_id=group or "",
        deduplication_id=deduplication or "",
    )
    delay_s = queue.settings.delay_s if delay_s is None or fifo else delay_s
    return Draft(message, delay_s, messages.bytes_of(body, packed))


def check_size(queue: Queue, draft: Draft) -> None:
    limit = queue.settings.message_bytes_max
    if draft.size_bytes > limit:
        raise refusals.invalid(
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )


def check_batch_size(sizes_bytes: int) -> None:
    if sizes_bytes > BATCH_BYTES_MAX:
        raise ServiceError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. "
            f"You have sent {sizes_bytes} bytes.",
        )


def post(call: Call, queue: Queue, draft: Draft) -> dict[str, Any]:
    """Put the message into the queue's lane; the answer is SendMessage's reply. In a FIFO queue the caller
    holds the queue's row, which makes the look for a duplicate and the order of sequence numbers exact."""
    message = draft.message
    message_id, item_id = message.message_id, None
    fifo = queue.settings.fifo
    earlier = _earlier(call, queue, message) if fifo else None
    if earlier is not None:
        message_id, item_id = earlier
    else:
        item_id = put(call, queue, message, due_at=call.now + draft.delay_s)
        if fifo:
            _remember(call, queue, message, item_id)
    trace = {messages.TRACE_HEADER: ("String", message.trace_header)} if message.trace_header else {}
    return {
        "MessageId": message_id,
        "MD5OfMessageBody": message.body_md5,
        "MD5OfMessageAttributes": message.attributes_md5 or None,
        "MD5OfMessageSystemAttributes": messages.md5_of_attributes(trace) or None,
        "SequenceNumber": sequence_number(item_id) if fifo else None,
    }


def put(call: Call, queue: Queue, message: Message, *, due_at: float) -> int:
    """One more item in the queue's lane, kept as long as the queue keeps messages; its id. The first message
    with a group makes a standard queue a fair one."""
    if not queue.settings.fifo and (message.group_id or queue.fair):
        if not queue.fair:
            call.tx.run("UPDATE sqs_queues SET fair = 1 WHERE id = :id AND fair = 0", id=queue.id)
        return tenants.put(
            call.tx,
            queue.lane,
            message.pack(),
            tenant=message.group_id,
            now=call.now,
            due_at=due_at,
            expires_at=call.now + queue.settings.retention_s,
        )
    return backlog.put(
        call.tx,
        queue.lane,
        message.pack(),
        now=call.now,
        due_at=due_at,
        group=message.group_id if queue.settings.fifo else None,
        expires_at=call.now + queue.settings.retention_s,
    )


def sequence_number(item_id: int) -> str:
    """Ids grow within a lane, so they are the order that SequenceNumber promises."""
    return str(SEQUENCE_START + item_id)


def _fifo_ids(queue: Queue, group: str | None, deduplication: str | None, body: str) -> str:
    if group is None:
        raise refusals.missing("MessageGroupId")
    if deduplication is not None:
        return deduplication
    if not queue.settings.content_deduplication:
        raise refusals.invalid(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
            "provided explicitly"
        )
    return hashlib.sha256(body.encode()).hexdigest()


def _scope(queue: Queue, message: Message) -> str:
    return f"/{message.group_id}" if queue.settings.group_scope else ""


def _earlier(call: Call, queue: Queue, message: Message) -> tuple[str, int] | None:
    """(message id, item id) of what was accepted under the same deduplication id within five minutes."""
    call.tx.run(
        "DELETE FROM sqs_deduplications WHERE queue_id = :queue AND until <= :now",
        queue=queue.id,
        now=call.now,
    )
    row = call.tx.one(
        """
        SELECT message_id, item_id FROM sqs_deduplications
        WHERE queue_id = :queue AND scope = :scope AND deduplication_id = :id
        """,
        queue=queue.id,
        scope=_scope(queue, message),
        id=message.deduplication_id,
    )
    return None if row is None else (row["message_id"], row["item_id"])


def _remember(call: Call, queue: Queue, message: Message, item_id: int) -> None:
    call.tx.run(
        """
        INSERT INTO sqs_deduplications (queue_id, scope, deduplication_id, message_id, item_id, until)
        VALUES (:queue, :scope, :id, :message, :item, :until)
        """,
        queue=queue.id,
        scope=_scope(queue, message),
        id=message.deduplication_id,
        message=message.message_id,
        item=item_id,
        until=call.now + DEDUPLICATION_S,
    )
