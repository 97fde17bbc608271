"""What could not be delivered at once: tried, tried again by the subscription's policy, and buried at last.

One per node. It looks for subscriptions that are due and serves each in a round of its own, with a bounded
number of requests at a time, so that an endpoint which does not answer delays nobody else.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import (
    delivery_policies,
    due,
    envelopes,
    handing,
    posting,
    replays,
    retries,
    subscriptions,
    topics,
)
from oncue.services.sns.delivery_policies import Plan
from oncue.services.sns.handing import Delivery
from oncue.services.sns.posting import Post, Unreachable
from oncue.services.sns.subscriptions import CONFIRMED, DELETED, PENDING, WEB, Subscription
from oncue.store import backlog

ROUNDS_MAX = 512  # subscriptions served at once
POSTS_MAX = 8  # at once, to one endpoint, from one node
HAND_MAX = 20  # deliveries to a queue or function in one transaction
CLAIM_S = 30.0  # longer than a request can take
TURN_S = 20.0  # then another subscription may have the place
POLL_S = 30.0
PAUSE_S = 1.0
PATIENCE_S = 1.0
GIVE_BACK_AFTER_S = 5.0
AGENT = "Amazon Simple Notification Service Agent"
WHEN = {  # which messages a subscription gets in which state
    envelopes.NOTIFICATION: CONFIRMED,
    envelopes.CONFIRMATION: PENDING,
    envelopes.UNSUBSCRIPTION: DELETED,
}
log = logging.getLogger("oncue.sns")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a node has claimed of one subscription's lane. No `plan`: it is no HTTP endpoint."""

    subscription: Subscription
    plan: Plan | None
    items: list[backlog.Item]


class Deliveries:
    def __init__(self, post: Post = posting.post) -> None:
        self._post = post
        self._rounds: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._posts: dict[asyncio.Task[None], tuple[int, backlog.Item]] = {}
        self._slot = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._call: Call | None = None

    def start(self, call: Call) -> None:
        self._call = call
        self._task = asyncio.create_task(self._look(call), name="sns deliveries")

    async def stop(self) -> None:
        """What does not end soon is given back, for another node or the next start."""
        if self._call is None or self._task is None:
            return
        await _ended([self._task])
        if self._posts:
            await asyncio.wait(self._posts, timeout=GIVE_BACK_AFTER_S)
        left, ids = list(self._posts.values()), sorted(self._rounds)
        await _ended([task for task, _ in self._rounds.values()] + list(self._posts))
        if ids:
            await self._call.transact(lambda call: _give_back(call, left, ids))

    async def _look(self, call: Call) -> None:
        with call.store.listen(due.BELL) as bell:
            while True:
                self._slot.clear()
                if len(self._rounds) >= ROUNDS_MAX:
                    await self._slot.wait()
                    continue
                try:
                    ids, wait_s = await call.transact(_taken, durable=False)
                except Exception:
                    log.exception("deliveries could not be looked for; trying again")
                    await asyncio.sleep(PAUSE_S)
                    continue
                for number in ids:
                    self._begin(call, number)
                if not ids:
                    await bell.wait(wait_s)

    def _begin(self, call: Call, id: int) -> None:
        if id in self._rounds:
            self._rounds[id][1].set()
            return
        more = asyncio.Event()
        task = asyncio.create_task(self._round(call, id, more), name=f"deliveries of {id}")
        self._rounds[id] = task, more

        def ended(task: asyncio.Task[None]) -> None:
            del self._rounds[id]
            self._slot.set()
            if task.cancelled():
                return
            if task.exception() is not None:
                log.error("deliveries of subscription %d: tried again", id, exc_info=task.exception())
            elif more.is_set():  # it came when the round had just looked for the last time
                self._begin(call, id)

        task.add_done_callback(ended)

    async def _round(self, call: Call, id: int, more: asyncio.Event) -> None:
        """Everything of one lane that is due, for so long; what then is left waits for its next turn."""
        ends, next_at = clock.monotonic() + TURN_S, 0.0
        running: set[asyncio.Task[None]] = set()
        while True:
            more.clear()
            now = clock.monotonic()
            over, free = now >= ends, POSTS_MAX - len(running)
            if not over and free and now >= next_at:
                batch, told = await self._claimed(call, id, free)
                for sentence in told:
                    log.warning("%s", sentence)
                if batch is not None and batch.plan is None:
                    continue  # handed over inside of the transaction
                if batch is not None:
                    running |= {self._send(call, batch, item) for item in batch.items}
                    if rate := batch.plan and batch.plan.per_second_max:
                        next_at = now + len(batch.items) / rate
                    continue
            if not running and not more.is_set() and (over or next_at <= now):
                break
            running = await _something(running, more, max(next_at - now, 0) or None)
        if over:
            await call.transact(lambda inner: due.note(inner, id, inner.now))

    async def _claimed(self, call: Call, id: int, limit: int) -> tuple[Batch | None, list[str]]:
        """A transaction cannot be called back: what it takes while this node stops is given back."""
        taking = asyncio.ensure_future(call.transact(lambda inner: _served(inner, id, limit)))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            batch, _ = await taking
            if batch is not None and batch.plan is not None:
                left = [(id, item) for item in batch.items]
                await call.transact(lambda inner: _give_back(inner, left, [id]))
            raise

    def _send(self, call: Call, batch: Batch, item: backlog.Item) -> asyncio.Task[None]:
        task = asyncio.create_task(self._perform(call, batch, item), name=f"delivery {item.id}")
        self._posts[task] = batch.subscription.id, item

        def ended(task: asyncio.Task[None]) -> None:
            del self._posts[task]
            if not task.cancelled() and task.exception() is not None:
                log.error("delivery %d: its claim lapses, tried again", item.id, exc_info=task.exception())

        task.add_done_callback(ended)
        return task

    async def _perform(self, call: Call, batch: Batch, item: backlog.Item) -> None:
        subscription, delivery = batch.subscription, handing.unpack(item.body)
        assert batch.plan is not None
        if WHEN[delivery.kind] != subscription.state:
            await call.transact(lambda inner: backlog.finish(inner.tx, item.lane, item.id, item.claim))
            return
        status, why = 0, ""
        headers = headers_of(subscription, delivery, batch.plan.content_type)
        try:
            status = await self._post(subscription.endpoint, headers, delivery.body.encode())
        except Unreachable as error:
            why = str(error)
        told = await call.transact(_posted(batch, item, delivery, status, why or f"HTTP status {status}"))
        if told:
            log.warning("%s", told)


def headers_of(subscription: Subscription, delivery: Delivery, content_type: str) -> dict[str, str]:
    headers = {
        "x-amz-sns-message-type": delivery.kind,
        "x-amz-sns-message-id": delivery.message_id,
        "x-amz-sns-topic-arn": subscription.topic_arn,
    }
    if delivery.kind != envelopes.CONFIRMATION:
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    if delivery.raw:
        headers["x-amz-sns-rawdelivery"] = "true"
    kind = content_type if delivery.kind == envelopes.NOTIFICATION else delivery_policies.CONTENT_TYPE
    return headers | {"Content-Type": kind, "User-Agent": AGENT, "Accept-Encoding": "gzip,deflate"}


def _taken(call: Call) -> tuple[list[int], float]:
    ids, at = due.take(call, call.now + CLAIM_S)
    return ids, POLL_S if at is None else min(POLL_S, at - call.now)


def _served(call: Call, id: int, limit: int) -> tuple[Batch | None, list[str]]:
    """The next deliveries of a lane, claimed (HTTP) or already handed over; None when nothing is due."""
    subscription = subscriptions.by_id(call, id)
    replaying = subscription is not None and subscription.replaying
    if replaying and subscription is not None:  # in the order in which publishing locks the rows
        topics.hold(call, subscription.topic_id)
    if not due.hold(call, id):
        return None, []
    subscription = subscriptions.by_id(call, id)
    if subscription is not None and subscription.replaying and not replaying:  # since a moment ago
        return Batch(subscription, None, []), []
    if subscription is None:
        backlog.clear(call.tx, subscriptions.lane_of(id))
        due.forget(call, id)
        return None, []
    web, told = subscription.protocol in WEB, list[str]()
    claim = backlog.claim_groups if subscription.ordered else backlog.claim
    items = claim(
        call.tx,
        subscription.lane,
        now=call.now,
        until=call.now + CLAIM_S,
        limit=limit if web else HAND_MAX,
    )
    if not items:
        if replaying and _replayed(call, subscription):
            return Batch(subscription, None, []), []
        due.settle(call, id, patience_s=PATIENCE_S)
        return None, []
    if not web:
        _hand_all(call, subscription, items, told)
        return Batch(subscription, None, items), told
    topic = topics.by_id(call, subscription.topic_id)
    policy = topic.settings.delivery_policy if topic else None
    return Batch(
        subscription, delivery_policies.plan(policy, subscription.settings.delivery_policy), items
    ), []


def _replayed(call: Call, subscription: Subscription) -> bool:
    """The next part of a replay, once everything before it has been delivered."""
    counts = backlog.counts(call.tx, subscription.lane, call.now)
    if not subscription.replaying or counts.ready or counts.claimed or counts.delayed:
        return False
    topic = topics.by_id(call, subscription.topic_id)
    assert topic is not None, "a topic takes its subscriptions with it"
    replays.serve(call, topic, subscription)
    return True


def _hand_all(call: Call, subscription: Subscription, items: list[backlog.Item], told: list[str]) -> None:
    """In order; after one that has to wait, the rest of its group waits too."""
    blocked: set[str] = set()
    for item in items:
        if item.group is not None and item.group in blocked:
            backlog.give_back(call.tx, item, now=call.now)
            continue
        delivery = handing.unpack(item.body)
        try:
            if subscription.state == CONFIRMED:
                handing.hand_over(call, subscription, delivery)
        except ServiceError as refusal:
            delay_s = retries.INTERNAL.delay_s(item.attempts) if _may_pass(refusal) else None
            if delay_s is not None:
                backlog.extend(
                    call.tx, item.lane, item.id, item.claim, now=call.now, until=call.now + delay_s
                )
                blocked |= {item.group} if item.group is not None else set()
                continue
            told.append(_buried(call, subscription, delivery, str(refusal.status), str(refusal)))
        backlog.finish(call.tx, item.lane, item.id, item.claim)


def _may_pass(refusal: ServiceError) -> bool:
    """A fault of the server's side is tried again; a target that does not exist or does not want it, not."""
    return refusal.status >= 500 or refusal.status == 429


def _posted(
    batch: Batch, item: backlog.Item, delivery: Delivery, status: int, why: str
) -> Callable[[Call], str | None]:
    """Ends an attempt in one transaction; says what the log should know."""

    def settle(call: Call) -> str | None:
        assert batch.plan is not None
        if not 200 <= status < 300:
            permanent = 300 <= status < 500 and status != 429
            delay_s = None if permanent else batch.plan.schedule.delay_s(item.attempts)
            if delay_s is not None:
                at = call.now + delay_s
                if backlog.extend(call.tx, item.lane, item.id, item.claim, now=call.now, until=at):
                    due.note(call, batch.subscription.id, at)
                return None
        if not backlog.finish(call.tx, item.lane, item.id, item.claim) or 200 <= status < 300:
            return None
        return _buried(call, batch.subscription, delivery, str(status), why)

    return settle


def _buried(call: Call, subscription: Subscription, delivery: Delivery, code: str, why: str) -> str:
    """Into the dead-letter queue, if the subscription has one; the answer is for the log."""
    what = f"{delivery.kind} {delivery.message_id} for {subscription.arn} is given up: {why}"
    queue = subscription.settings.dead_letter_arn
    if queue is None or delivery.kind != envelopes.NOTIFICATION:
        return what
    try:
        handing.bury(call, queue, delivery, code, why)
    except ServiceError as refusal:
        return f"{what}; it could not become a dead letter: {refusal}"
    return f"{what}; it is now in {queue}"


def _give_back(call: Call, left: list[tuple[int, backlog.Item]], ids: list[int]) -> None:
    for _, item in sorted(left, key=lambda pair: pair[1].id):
        backlog.give_back(call.tx, item, now=call.now)
    for number in ids:
        due.note(call, number, call.now)


async def _something(
    running: set[asyncio.Task[None]], more: asyncio.Event, timeout_s: float | None
) -> set[asyncio.Task[None]]:
    """Until a request has ended, there is more to do, or the time is over; the answer is what still runs."""
    hearing = asyncio.ensure_future(more.wait())
    try:
        await asyncio.wait({*running, hearing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
    return {task for task in running if not task.done()}


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
