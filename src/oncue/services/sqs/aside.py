"""Messages set aside: taken out of a queue's order by a consumer that decides itself which one is next.

Not operations of AWS (nothing outside can call them): they are for other rooms, in the caller's transaction.
A message that is set aside keeps its id, its place and its retention; nobody receives it, no timeout brings
it back, and it counts as not visible. It ends by `finish_aside`, `dead_letter_aside` or `put_back`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from oncue.services import Call
from oncue.services.sqs import messages, queues, receiving
from oncue.services.sqs.queues import Queue
from oncue.services.sqs.receiving import Catch, Wish
from oncue.store import backlog

SET_ASIDE_MAX = 1_000  # in one call
CLAIM_S = 60.0  # within one transaction: of no effect
EVERYTHING = Wish("", 1, None, None, receiving.SYSTEM_ATTRIBUTES, frozenset(("All",)), None)
Reply = dict[str, Any]


class Aside:
    def set_aside(self, call: Call, *, QueueUrl: str, Limit: int) -> Reply:
        """Up to `Limit` messages that are due: `Messages` as ReceiveMessage shows them, each with `Item`, its
        id here. `DueInSeconds` says when more will be due, `Topic` which bell rings for new ones; then the
        attributes that a consumer has to obey. A message received too often goes to the dead-letter queue
        instead, as in any receive."""
        queue = queues.by_url(call, QueueUrl)
        limit = min(Limit, SET_ASIDE_MAX)
        items = receiving.claim_living(call, queue, limit, call.now + CLAIM_S)
        for item in items:
            backlog.set_aside(call.tx, item, queue.aside, now=call.now)
            if queue.fair:
                backlog.forget_tenant(call.tx, queue.lane, messages.unpack(item.body).group_id)
        due_at = None if items else backlog.next_due(call.tx, queue.lane, call.now)
        settings = queue.settings
        target = settings.dead_letter_arn and queues.by_arn(call, settings.dead_letter_arn)
        return {
            "Messages": [_shown(call, queue, item) for item in items],
            "DueInSeconds": None if due_at is None else due_at - call.now,
            "Topic": queue.lane,
            "VisibilityTimeout": settings.visibility_s,
            "MessageRetentionPeriod": settings.retention_s,
            "MaxReceiveCount": settings.receives_max if target else None,
            "DeadLetterRetentionPeriod": target.settings.retention_s if target else None,
        }

    def look_aside(self, call: Call, *, QueueUrl: str, Items: Sequence[int]) -> Reply:
        """Those of the items that are still there, by id."""
        queue = queues.by_url(call, QueueUrl)
        found = (backlog.peek(call.tx, queue.aside, item_id) for item_id in Items)
        return {"Messages": {item.id: _shown(call, queue, item) for item in found if item is not None}}

    def finish_aside(self, call: Call, *, QueueUrl: str, Items: Sequence[int]) -> None:
        """Deletes them; what is gone already is fine."""
        queue = queues.by_url(call, QueueUrl)
        for item_id in Items:
            backlog.finish(call.tx, queue.aside, item_id)

    def dead_letter_aside(
        self, call: Call, *, QueueUrl: str, Item: int, Attributes: Mapping[str, str] | None = None
    ) -> Reply:
        """Move the message to the dead-letter queue, with further (text) attributes where there is room for
        them. `Moved` is False, and nothing happened, where there is no such queue or no such message."""
        queue = queues.by_url(call, QueueUrl)
        arn = queue.settings.dead_letter_arn
        target = queues.by_arn(call, arn) if arn else None
        item = backlog.peek(call.tx, queue.aside, Item)
        if target is None or item is None:
            return {"Moved": False}
        more = {name: ("String", text) for name, text in (Attributes or {}).items()}
        receiving.move_to_dead_letters(call, queue, item, target, more)
        return {"Moved": True}

    def put_back(self, call: Call, *, QueueUrl: str) -> None:
        """All messages that were set aside are in the queue again, in their old places, due at once. Those
        of a fair queue's tenants have lost their precedence."""
        queue = queues.by_url(call, QueueUrl)
        backlog.put_back(call.tx, queue.aside, queue.lane, now=call.now)


def _shown(call: Call, queue: Queue, item: backlog.Item) -> Reply:
    seen = dataclasses.replace(item, first_claimed_at=item.first_claimed_at or call.now)
    catch = Catch(queue, [seen], int(call.now * 1000))
    return receiving.shown(catch, EVERYTHING)[0] | {"Item": item.id}
