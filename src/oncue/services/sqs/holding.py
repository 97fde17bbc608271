"""What a receiver may do with a message it holds: delete it, or change how long it stays hidden."""

from oncue.services import Call
from oncue.services.sqs import attributes, receipts, refusals
from oncue.services.sqs.queues import Queue
from oncue.services.sqs.receipts import Receipt
from oncue.store import backlog, tenants

EXPIRED = "The receipt handle has expired."
GONE = "Message does not exist or is not available for visibility timeout change."
ANY_TIME = 0.0


def delete(call: Call, queue: Queue, handle: str) -> None:
    """A standard queue deletes the message by any handle it ever gave for it, and answers success for one
    that is gone. A FIFO queue wants the latest handle within its visibility timeout."""
    receipt = _decoded(handle, queue)
    if not queue.settings.fifo:
        finish = tenants.finish if queue.fair else backlog.finish
        finish(call.tx, queue.lane, receipt.item_id)
        return
    item = backlog.peek(call.tx, queue.lane, receipt.item_id)
    if item is None:
        return
    live = item.claim == receipt.claim and item.due_at > call.now
    if not live or not backlog.finish(call.tx, queue.lane, receipt.item_id, receipt.claim):
        raise refusals.invalid_value("ReceiptHandle", handle, EXPIRED)


def hide(call: Call, queue: Queue, handle: str, visibility_s: int) -> None:
    """Let the message come back so many seconds from now; 0 gives it back at once. A message of a standard
    queue whose timeout is over, but which nobody else has received, may still be hidden again."""
    if not 0 <= visibility_s <= attributes.VISIBILITY_S_MAX:
        reason = f"Must be between 0 and {attributes.VISIBILITY_S_MAX}."
        raise refusals.invalid_value("VisibilityTimeout", visibility_s, reason)
    receipt = _decoded(handle, queue)
    until = call.now + visibility_s
    if until - receipt.received_ms / 1000 > attributes.VISIBILITY_S_MAX + 1:
        reason = (
            "Total VisibilityTimeout for the message is beyond the limit "
            f"[{attributes.VISIBILITY_S_MAX} seconds]."
        )
        raise refusals.invalid_value("VisibilityTimeout", visibility_s, reason)
    fifo = queue.settings.fifo
    now = call.now if fifo else ANY_TIME
    if not backlog.extend(call.tx, queue.lane, receipt.item_id, receipt.claim, now=now, until=until):
        raise _refusal(call, queue, handle, receipt)
    if queue.fair:
        tenants.returned(call.tx, queue.lane, receipt.item_id)


def _decoded(handle: str, queue: Queue) -> Receipt:
    if not handle:
        raise refusals.missing("ReceiptHandle")
    return receipts.decode(handle, queue.id)


def _refusal(call: Call, queue: Queue, handle: str, receipt: Receipt) -> Exception:
    item = backlog.peek(call.tx, queue.lane, receipt.item_id)
    if item is None:
        return refusals.invalid_value("ReceiptHandle", handle, GONE)
    if queue.settings.fifo:
        return refusals.invalid_value("ReceiptHandle", handle, EXPIRED)
    if item.due_at <= call.now:
        return refusals.not_in_flight()
    return refusals.invalid_value("ReceiptHandle", handle, GONE)
