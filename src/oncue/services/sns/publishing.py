"""Publishing: one message to every subscription that wants it, all in the caller's transaction."""

import hashlib
from collections.abc import Mapping

import msgspec

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import due, envelopes, handing, signing, subscriptions
from oncue.services.sns.envelopes import Sign
from oncue.services.sns.handing import Delivery
from oncue.services.sns.messages import Message
from oncue.services.sns.subscriptions import WEB, Subscription
from oncue.services.sns.topics import Topic
from oncue.store import backlog

DEDUPLICATION_S = 300
SEQUENCE_START = 10**19  # so that a sequence number has twenty digits
EXPIRE_MAX = 100  # archived messages deleted with one that is published

Receipt = tuple[str, str | None]  # message id, and the sequence number of a FIFO topic


class Published(msgspec.Struct, frozen=True, array_like=True):
    """A message that has been accepted, as the archive of a FIFO topic keeps it."""

    message: Message
    message_id: str
    at: float
    deduplication_id: str | None = None
    sequence: int | None = None
    replayed: bool = False

    @property
    def sequence_number(self) -> str | None:
        return None if self.sequence is None else str(SEQUENCE_START + self.sequence)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Published)


class Writer:
    """Writes what subscriptions get of the messages of one topic; each message is signed once for all."""

    def __init__(self, call: Call, topic: Topic) -> None:
        self._call = call
        self._topic = topic
        self._signer: Sign | None = None
        self._written: dict[tuple[str, str], str] = {}  # by message id and text

    def delivery(self, subscription: Subscription, published: Published) -> Delivery | None:
        """None when the subscription's filter does not let the message pass."""
        message, raw = published.message, subscription.settings.raw
        text = message.text_for(subscription.protocol)
        wanted = subscription.settings.filter
        if wanted is not None and not wanted.accepts(text, message.attributes):
            return None
        return Delivery(
            envelopes.NOTIFICATION,
            published.message_id,
            text if raw else self._letter(subscription, published, text),
            raw,
            message.attributes if raw else {},
            message.group_id if subscription.protocol == "sqs" else None,
            published.deduplication_id,
            self._call.trace,
        )

    def _letter(self, subscription: Subscription, published: Published, text: str) -> str:
        link = unsubscribe_url(self._call, subscription)
        return envelopes.with_link(self._envelope(published, text), link)

    def _envelope(self, published: Published, text: str) -> str:
        """Without the link that each subscription has of its own."""
        key = published.message_id, text
        if key not in self._written:
            fields = envelopes.notification(
                topic_arn=self._topic.arn,
                message_id=published.message_id,
                subject=published.message.subject,
                text=text,
                timestamp=clock.iso_ms(published.at),
                sequence_number=published.sequence_number,
                attributes=published.message.attributes,
                sign=None if self._topic.settings.fifo else self._sign,
            )
            if published.replayed:
                fields["Replayed"] = True
            self._written[key] = envelopes.written(fields)
        return self._written[key]

    def _sign(self, text: str) -> Mapping[str, str]:
        if self._signer is None:
            self._signer = signing.signer(self._call, self._topic.settings.signature_version)
        return self._signer(text)


class Fanout:
    """The publishing of one request, to one topic; a FIFO topic's row is held by the caller."""

    def __init__(self, call: Call, topic: Topic) -> None:
        self._call = call
        self._topic = topic
        live = [item for item in subscriptions.of_topic(call, topic) if not item.replaying]
        self._subscriptions = live  # who replays finds it in the archive
        self._waiting: set[int] = set()  # subscriptions with deliveries that come before the next one
        self._noted: set[int] = set()
        self._writer = Writer(call, topic)
        if topic.settings.fifo:
            self._waiting = {item.id for item in live if due.hold(call, item.id)}

    def publish(self, message: Message) -> Receipt:
        """ServiceErrors of subscribers stay inside: such a delivery becomes a row, to be tried again."""
        published = Published(message, clock.new_id(), self._call.now)
        if self._topic.settings.fifo:
            key = message.deduplication_id or hashlib.sha256(message.text.encode()).hexdigest()
            earlier = self._earlier(message, key)
            if earlier is not None:
                return earlier
            published = self._accepted(published, key)
        for subscription in self._subscriptions:
            delivery = self._writer.delivery(subscription, published)
            if delivery is not None:
                self._deliver(subscription, delivery)
        return published.message_id, published.sequence_number

    def finish(self) -> None:
        """Say which lanes have work; the rows are locked in one order, whoever publishes."""
        for number in sorted(self._noted):
            due.note(self._call, number, self._call.now)

    def _deliver(self, subscription: Subscription, delivery: Delivery) -> None:
        if subscription.protocol not in WEB and subscription.id not in self._waiting:
            try:
                handing.hand_over(self._call, subscription, delivery)
                return
            except ServiceError:
                pass  # the worker meets it again, and decides whether to retry or to bury it
        put(self._call, subscription, delivery)
        self._noted.add(subscription.id)
        if subscription.ordered:
            self._waiting.add(subscription.id)

    def _scope(self, message: Message) -> str:
        return f"/{message.group_id}" if self._topic.settings.group_scope else ""

    def _earlier(self, message: Message, deduplication_id: str) -> Receipt | None:
        """The receipt of what was accepted under the same deduplication id within five minutes."""
        call = self._call
        call.tx.run(
            "DELETE FROM sns_deduplications WHERE topic_id = :topic AND until <= :now",
            topic=self._topic.id,
            now=call.now,
        )
        row = call.tx.one(
            """
            SELECT message_id, sequence FROM sns_deduplications
            WHERE topic_id = :topic AND scope = :scope AND deduplication_id = :id
            """,
            topic=self._topic.id,
            scope=self._scope(message),
            id=deduplication_id,
        )
        return None if row is None else (row["message_id"], str(SEQUENCE_START + row["sequence"]))

    def _accepted(self, published: Published, deduplication_id: str) -> Published:
        """With its place in the topic's order; kept in its archive, if it has one."""
        call = self._call
        row = call.tx.one(
            "UPDATE sns_topics SET sequence = sequence + 1 WHERE id = :id RETURNING sequence",
            id=self._topic.id,
        )
        assert row is not None, "the caller holds the topic's row"
        call.tx.run(
            """
            INSERT INTO sns_deduplications (topic_id, scope, deduplication_id, message_id, sequence, until)
            VALUES (:topic, :scope, :id, :message, :sequence, :until)
            """,
            topic=self._topic.id,
            scope=self._scope(published.message),
            id=deduplication_id,
            message=published.message_id,
            sequence=row["sequence"],
            until=call.now + DEDUPLICATION_S,
        )
        accepted = msgspec.structs.replace(
            published, deduplication_id=deduplication_id, sequence=row["sequence"]
        )
        if self._topic.settings.archive_days:
            _archive(call, self._topic, accepted)
        return accepted


def unpack(body: bytes, *, replayed: bool) -> Published:
    return msgspec.structs.replace(_decoder.decode(body), replayed=replayed)


def _archive(call: Call, topic: Topic, published: Published) -> None:
    call.tx.run(
        "INSERT INTO sns_archive (topic_id, sequence, at, body) VALUES (:topic, :sequence, :at, :body)",
        topic=topic.id,
        sequence=published.sequence,
        at=published.at,
        body=_encoder.encode(published),
    )
    call.tx.run(
        """
        DELETE FROM sns_archive WHERE topic_id = :topic AND sequence IN (
            SELECT sequence FROM sns_archive WHERE topic_id = :topic AND at < :before ORDER BY at LIMIT :limit
        )
        """,
        topic=topic.id,
        before=call.now - topic.settings.archive_days * 86_400,
        limit=EXPIRE_MAX,
    )


def put(call: Call, subscription: Subscription, delivery: Delivery) -> None:
    """A row in the subscription's lane; in its group, where order counts."""
    group = delivery.group_id if subscription.ordered else None
    backlog.put(call.tx, subscription.lane, delivery.pack(), now=call.now, group=group)


def unsubscribe_url(call: Call, subscription: Subscription) -> str:
    return f"{call.base_url}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"


def ask(call: Call, topic: Topic, subscription: Subscription, kind: str) -> None:
    """Send an HTTP endpoint the question whether it wants to be subscribed (or to come back)."""
    assert subscription.token is not None
    sentence = envelopes.CONFIRM if kind == envelopes.CONFIRMATION else envelopes.RESTORE
    message_id = clock.new_id()
    fields = envelopes.confirmation(
        kind,
        topic_arn=topic.arn,
        message_id=message_id,
        message=sentence.format(topic=topic.arn, subscription=subscription.arn),
        token=subscription.token,
        subscribe_url=envelopes.action_url(
            call.base_url, "ConfirmSubscription", TopicArn=topic.arn, Token=subscription.token
        ),
        timestamp=clock.iso_ms(call.now),
        sign=signing.signer(call, topic.settings.signature_version),
    )
    put(call, subscription, Delivery(kind, message_id, envelopes.written(fields), False, {}))
    due.note(call, subscription.id, call.now)
