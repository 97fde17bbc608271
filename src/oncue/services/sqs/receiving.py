"""Receiving: one claim on a queue's messages, what is too often received moved away, and how it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from oncue.services import Call
from oncue.services.sqs import attributes, messages, queues, receipts, refusals, sending
from oncue.services.sqs.messages import Message
from oncue.services.sqs.noise import Noise
from oncue.services.sqs.queues import Queue
from oncue.services.sqs.receipts import Receipt
from oncue.store import backlog, tenants

MESSAGES_MAX = 10
DEAD_LETTERS_MAX = 1_000  # moved in one receive; the next one goes on
ATTEMPT_S = 300
HELD_S_MIN = 1.0
SYSTEM_ATTRIBUTES = frozenset(
    (
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    )
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A receiver's checked parameters; None where the queue's own attribute holds."""

    url: str
    limit: int
    visibility_s: int | None
    wait_s: int | None
    system_names: frozenset[str]
    attribute_names: frozenset[str]
    attempt_id: str | None


@dataclass(frozen=True, slots=True)
class Catch:
    """What one transaction claimed. `due_in_s` says when more will be due (infinite: nothing is known)."""

    queue: Queue
    items: list[backlog.Item]
    received_ms: int
    due_in_s: float = float("inf")
    held: int | None = None  # live claims on the queue, where they were counted
    full: bool = False  # nothing was claimed because of them


@dataclass(frozen=True, slots=True)
class Room:
    """How many messages of a queue may be in flight. `known` says, by lane, how many this process may claim
    before it has to count again: counting on every receive would cost more than the receive. Several nodes
    may therefore go over the limit by what they have claimed since they counted. `noise` is that of the fair
    queues, by lane."""

    in_flight_max: int
    known: Mapping[str, int]
    noise: Mapping[str, Noise]


def wish(
    url: str,
    *,
    limit: int | None,
    visibility_s: int | None,
    wait_s: int | None,
    system_names: list[str],
    attribute_names: list[str],
    attempt_id: str | None,
) -> Wish:
    """Refuses what is out of range, in AWS's words."""
    limit = 1 if limit is None else limit
    if not 1 <= limit <= MESSAGES_MAX:
        reason = f"Must be between 1 and {MESSAGES_MAX}, if provided."
        raise refusals.invalid_value("MaxNumberOfMessages", limit, reason)
    if wait_s is not None and not 0 <= wait_s <= attributes.WAIT_S_MAX:
        reason = f"Must be >= 0 and <= {attributes.WAIT_S_MAX}, if provided."
        raise refusals.invalid_value("WaitTimeSeconds", wait_s, reason)
    if visibility_s is not None:
        check_visibility(visibility_s)
    for name in system_names:
        if name not in SYSTEM_ATTRIBUTES and name not in attributes.KNOWN:
            raise refusals.unknown_attribute(name)
    if attempt_id is not None:
        messages.check_group("ReceiveRequestAttemptId", attempt_id)
    system = SYSTEM_ATTRIBUTES if "All" in system_names else SYSTEM_ATTRIBUTES & frozenset(system_names)
    return Wish(url, limit, visibility_s, wait_s, system, frozenset(attribute_names), attempt_id)


def check_visibility(visibility_s: int) -> None:
    if not 0 <= visibility_s <= attributes.VISIBILITY_S_MAX:
        reason = f"Must be between 0 and {attributes.VISIBILITY_S_MAX}, if provided."
        raise refusals.invalid_value("VisibilityTimeout", visibility_s, reason)


def take(call: Call, wish: Wish, room: Room) -> Catch:
    """Claim up to `wish.limit` messages that are due, as far as there is room for them in flight.

    Nothing in here needs to be on disk before it is answered: a crash that forgets it forgets a visibility
    timeout and a receive count, and a dead letter that is forgotten is still in its queue, to be moved by
    the next receive.
    """
    queue = queues.by_url(call, wish.url)
    limit, held = wish.limit, None
    if room.known.get(queue.lane, 0) < limit:
        held = backlog.claimed(call.tx, queue.lane, call.now, at_most=room.in_flight_max)
        limit = min(limit, room.in_flight_max - held)
    received_ms = int(call.now * 1000)
    visibility_s = queue.settings.visibility_s if wish.visibility_s is None else wish.visibility_s
    until = call.now + visibility_s
    if wish.attempt_id is not None:
        if not queue.settings.fifo:
            raise refusals.invalid_value("ReceiveRequestAttemptId", wish.attempt_id, refusals.WRONG_TYPE)
        again = _repeated(call, queue, wish.attempt_id, until)
        if again is not None:
            return Catch(queue, again[0], again[1], held=held)
    if limit <= 0:
        return Catch(queue, [], received_ms, held=held, full=True)
    noise = room.noise.get(queue.lane) if queue.fair else None
    items = claim_living(call, queue, limit, until, noise.noisy if noise else ())
    if items:
        if wish.attempt_id is not None:
            _remember(call, queue, wish.attempt_id, items, received_ms)
        return Catch(queue, items, received_ms, held=held)
    due_at = backlog.next_due(call.tx, queue.lane, call.now)
    due_in_s = float("inf") if due_at is None else due_at - call.now
    return Catch(queue, items, received_ms, due_in_s, held)


def shown(catch: Catch, wish: Wish) -> list[dict[str, Any]]:
    """The messages of a catch, as the receiver wished to see them."""
    return [_shown(catch, item, wish) for item in catch.items]


def claim_living(
    call: Call, queue: Queue, limit: int, until: float, noisy: tuple[str, ...] = ()
) -> list[backlog.Item]:
    claim = backlog.claim_groups if queue.settings.fifo else backlog.claim
    if queue.fair:
        claim = partial(tenants.claim, noisy=noisy)
    living: list[backlog.Item] = []
    dead = 0
    held_until = max(until, call.now + HELD_S_MIN)  # or a second claim would find what the first one took
    while len(living) < limit and dead < DEAD_LETTERS_MAX:
        found = claim(call.tx, queue.lane, now=call.now, until=held_until, limit=limit - len(living))
        kept = [item for item in found if not _dead_lettered(call, queue, item)]
        living += kept
        dead += len(found) - len(kept)
        if len(kept) == len(found):
            break
    if until < held_until:
        for item in living:
            backlog.extend(call.tx, queue.lane, item.id, item.claim, now=call.now, until=until)
            if queue.fair:
                tenants.returned(call.tx, queue.lane, item.id)
    return living


def _dead_lettered(call: Call, queue: Queue, item: backlog.Item) -> bool:
    """Move a message whose receives are used up to the dead-letter queue, where that is still there. In a
    standard queue its retention goes on from the first send; a FIFO one starts anew."""
    settings = queue.settings
    if settings.dead_letter_arn is None or item.attempts <= settings.receives_max:
        return False
    target = queues.by_arn(call, settings.dead_letter_arn)
    if target is None:
        return False
    move_to_dead_letters(call, queue, item, target)
    return True


def move_to_dead_letters(
    call: Call,
    queue: Queue,
    item: backlog.Item,
    target: Queue,
    more: Mapping[str, tuple[str, str | bytes]] | None = None,
) -> None:
    """`more` message attributes are added where there is room for them."""
    message = messages.unpack(item.body)
    moved = msgspec.structs.replace(message, dead_letter_source=queue.arn)
    if more and len(message.attributes | dict(more)) <= messages.ATTRIBUTES_MAX:
        together = message.attributes | dict(more)
        digest = messages.md5_of_attributes(together)
        moved = msgspec.structs.replace(moved, attributes=together, attributes_md5=digest)
    since = call.now if queue.settings.fifo else message.sent_ms / 1000
    backlog.move(
        call.tx,
        item,
        target.lane,
        now=call.now,
        body=moved.pack(),
        expires_at=since + target.settings.retention_s,
    )
    if queue.fair:
        backlog.forget_tenant(call.tx, queue.lane, message.group_id)


def _shown(catch: Catch, item: backlog.Item, wish: Wish) -> dict[str, Any]:
    message = messages.unpack(item.body)
    receipt = Receipt(catch.queue.id, item.id, item.claim, catch.received_ms)
    shown: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": receipts.encode(receipt),
        "MD5OfBody": message.body_md5,
        "Body": message.body,
    }
    if wish.system_names:
        shown["Attributes"] = _system_attributes(catch.queue, item, message, wish.system_names) or None
    if wish.attribute_names and message.attributes:
        chosen = messages.selected_attributes(message.attributes, wish.attribute_names)
        whole = len(chosen) == len(message.attributes)
        md5 = message.attributes_md5 if whole else messages.md5_of_attributes(chosen)
        shown["MD5OfMessageAttributes"] = md5 or None
        shown["MessageAttributes"] = messages.as_model(chosen)
    return shown


def _system_attributes(
    queue: Queue, item: backlog.Item, message: Message, names: frozenset[str]
) -> dict[str, str]:
    every = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(item.attempts),
        "ApproximateFirstReceiveTimestamp": str(int(item.first_claimed_at * 1000)),
        "SequenceNumber": sending.sequence_number(item.id) if queue.settings.fifo else "",
        "MessageDeduplicationId": message.deduplication_id,
        "MessageGroupId": message.group_id,
        "AWSTraceHeader": message.trace_header,
        "DeadLetterQueueSourceArn": message.dead_letter_source,
    }
    return {name: text for name, text in every.items() if text and name in names}


def _remember(call: Call, queue: Queue, attempt_id: str, items: list[backlog.Item], received_ms: int) -> None:
    receipts = [(item.id, item.claim, item.due_at) for item in items]
    call.tx.run("DELETE FROM sqs_attempts WHERE queue_id = :id AND until <= :now", id=queue.id, now=call.now)
    call.tx.run(
        """
        INSERT INTO sqs_attempts (queue_id, attempt_id, receipts, until)
        VALUES (:id, :attempt, :receipts, :until)
        ON CONFLICT (queue_id, attempt_id) DO UPDATE SET receipts = :receipts, until = :until
        """,
        id=queue.id,
        attempt=attempt_id,
        receipts=msgspec.json.encode((received_ms, receipts)).decode(),
        until=call.now + ATTEMPT_S,
    )


def _repeated(
    call: Call, queue: Queue, attempt_id: str, until: float
) -> tuple[list[backlog.Item], int] | None:
    """The messages that this attempt was answered with before, hidden anew, if nothing happened to them."""
    row = call.tx.one(
        "SELECT receipts FROM sqs_attempts WHERE queue_id = :id AND attempt_id = :attempt AND until > :now",
        id=queue.id,
        attempt=attempt_id,
        now=call.now,
    )
    if row is None:
        return None
    received_ms, known = msgspec.json.decode(row["receipts"], type=tuple[int, list[tuple[int, str, float]]])
    items = []
    for item_id, claim, due_at in known:
        item = backlog.peek(call.tx, queue.lane, item_id)
        if item is None or item.claim != claim or item.due_at != due_at or item.due_at <= call.now:
            return None
        items.append(item)
    for item in items:
        backlog.extend(call.tx, queue.lane, item.id, item.claim, now=call.now, until=until)
    renewed = [(item.id, item.claim, until) for item in items]
    call.tx.run(
        "UPDATE sqs_attempts SET receipts = :receipts WHERE queue_id = :id AND attempt_id = :attempt",
        receipts=msgspec.json.encode((received_ms, renewed)).decode(),
        id=queue.id,
        attempt=attempt_id,
    )
    return items, received_ms
