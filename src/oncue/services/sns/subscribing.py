"""Subscribing, confirming, leaving and coming back."""

from collections.abc import Mapping

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sns import due, envelopes, publishing, replays, subscriptions, topics
from oncue.services.sns.refusals import invalid
from oncue.services.sns.subscriptions import CONFIRMED, DELETED, PENDING, TOKEN_S, WEB, Subscription
from oncue.services.sns.topics import Topic
from oncue.store import backlog

TOKEN_BYTES = 128


def subscribe(
    call: Call, topic: Topic, protocol: str, endpoint: str | None, given: Mapping[str, str]
) -> Subscription:
    """A new subscription, or the one of the same endpoint when it has the same attributes."""
    address = subscriptions.check_endpoint(topic, protocol, endpoint)
    try:
        attributes = subscriptions.changed(topic, protocol, {}, given)
    except ServiceError as refusal:
        raise subscriptions.in_subscribe(refusal) from None
    _sweep(call, topic)
    present = _present(call, topic, protocol, address)
    if present is not None:
        if not subscriptions.same_attributes(present.stored, given):
            raise invalid("Attributes", "Subscription already exists with different attributes")
    else:
        _check_room(call, topic)
        if "FilterPolicy" in attributes:
            subscriptions.check_quota(call, topic)
        present = _insert(call, topic, protocol, address, attributes)
        if "ReplayPolicy" in attributes:
            replays.begin(call, topic, present, attributes["ReplayPolicy"])
    if present.state == PENDING:
        publishing.ask(call, topic, present, envelopes.CONFIRMATION)
    return present


def _present(call: Call, topic: Topic, protocol: str, endpoint: str) -> Subscription | None:
    """The live subscription of an endpoint. A pending one gets a new token; a deleted one makes room."""
    row = call.tx.one(
        f"""
        {subscriptions.SELECT}
        WHERE topic_id = :topic AND protocol = :protocol AND endpoint = :endpoint FOR UPDATE
        """,
        topic=topic.id,
        protocol=protocol,
        endpoint=endpoint,
    )
    if row is None:
        return None
    found = subscriptions.of_row(row)
    if found.state == DELETED:
        forget(call, found)
        return None
    if found.state == PENDING:
        return _with_token(call, found, PENDING)
    return found


def _insert(
    call: Call, topic: Topic, protocol: str, endpoint: str, attributes: Mapping[str, str]
) -> Subscription:
    asks = protocol in WEB
    row = call.tx.one(
        """
        INSERT INTO sns_subscriptions
            (topic_id, topic_arn, arn, account, region, protocol, endpoint, attributes, filtered, state,
             authenticated, token, token_until)
        VALUES (:topic, :topic_arn, :arn, :account, :region, :protocol, :endpoint, :attributes, :filtered,
                :state, :authenticated, :token, :token_until)
        ON CONFLICT (topic_id, protocol, endpoint) DO UPDATE SET state = sns_subscriptions.state
        RETURNING id
        """,
        topic=topic.id,
        topic_arn=topic.arn,
        arn=f"{topic.arn}:{clock.new_id()}",
        account=call.account,
        region=topic.region,
        protocol=protocol,
        endpoint=endpoint,
        attributes=topics.text_of(attributes),
        filtered=int("FilterPolicy" in attributes),
        state=PENDING if asks else CONFIRMED,
        authenticated=int(not asks),
        token=clock.token(TOKEN_BYTES) if asks else None,
        token_until=call.now + TOKEN_S if asks else None,
    )
    assert row is not None
    inserted = subscriptions.by_id(call, row["id"])
    assert inserted is not None
    return inserted


def _with_token(call: Call, subscription: Subscription, state: str) -> Subscription:
    call.tx.run(
        """
        UPDATE sns_subscriptions SET state = :state, token = :token, token_until = :until WHERE id = :id
        """,
        state=state,
        token=clock.token(TOKEN_BYTES),
        until=call.now + TOKEN_S,
        id=subscription.id,
    )
    changed = subscriptions.by_id(call, subscription.id)
    assert changed is not None
    return changed


def confirm(call: Call, arn: arns.Arn, token: str, *, authenticated: bool) -> str:
    """The ARN of the subscription that the token confirms, or brings back. Visited without a signature, so
    the topic says whose it is."""
    topic = topics.find(call, arn)
    row = None
    if topic is not None and token.isprintable():
        row = call.tx.one(
            f"{subscriptions.SELECT} WHERE topic_id = :topic AND token = :token FOR UPDATE",
            topic=topic.id,
            token=token,
        )
    if row is None or row["token_until"] < call.now:
        raise invalid("Token")
    call.tx.run(
        "UPDATE sns_subscriptions SET state = :state, authenticated = :authenticated WHERE id = :id",
        state=CONFIRMED,
        authenticated=int(authenticated),
        id=row["id"],
    )
    return str(row["arn"])


def unsubscribe(call: Call, subscription: Subscription) -> None:
    """An HTTP endpoint is told, and can come back for as long as its token lives."""
    topic = topics.by_id(call, subscription.topic_id)
    if topic is None or subscription.protocol not in WEB or subscription.state == PENDING:
        forget(call, subscription)
        return
    gone = _with_token(call, subscription, DELETED)
    _count_deleted(call, topic.id)
    publishing.ask(call, topic, gone, envelopes.UNSUBSCRIPTION)


def forget(call: Call, subscription: Subscription) -> None:
    """Without a trace, what is still to be delivered included."""
    call.tx.run("DELETE FROM sns_subscriptions WHERE id = :id", id=subscription.id)
    backlog.clear(call.tx, subscription.lane)
    due.forget(call, subscription.id)
    if subscription.state == CONFIRMED:
        _count_deleted(call, subscription.topic_id)


def _count_deleted(call: Call, topic_id: int) -> None:
    call.tx.run("UPDATE sns_topics SET deleted = deleted + 1 WHERE id = :id", id=topic_id)


def _sweep(call: Call, topic: Topic) -> None:
    """Those who never confirmed, or left and did not come back, are forgotten with their tokens."""
    rows = call.tx.all(
        f"{subscriptions.SELECT} WHERE topic_id = :topic AND token_until < :now AND state <> :confirmed",
        topic=topic.id,
        now=call.now,
        confirmed=CONFIRMED,
    )
    for row in rows:
        forget(call, subscriptions.of_row(row))


def _check_room(call: Call, topic: Topic) -> None:
    limit = subscriptions.PER_FIFO_TOPIC_MAX if topic.settings.fifo else subscriptions.PER_TOPIC_MAX
    row = call.tx.one(
        "SELECT COUNT(*) AS count FROM sns_subscriptions WHERE topic_id = :topic", topic=topic.id
    )
    if row is not None and row["count"] >= limit:
        raise ServiceError("SubscriptionLimitExceeded", "Subscription limit exceeded", 403)


def delete_topic(call: Call, topic: Topic) -> None:
    """With its subscriptions and what they had still to get. InvalidState while it has an archive."""
    if topic.settings.archive_days:
        raise ServiceError(
            "InvalidState", "Invalid state: a topic with an ArchivePolicy cannot be deleted; remove it first."
        )
    rows = call.tx.all(f"{subscriptions.SELECT} WHERE topic_id = :topic ORDER BY id", topic=topic.id)
    for row in rows:
        forget(call, subscriptions.of_row(row))
    call.tx.run("DELETE FROM sns_deduplications WHERE topic_id = :topic", topic=topic.id)
    call.tx.run("DELETE FROM sns_topics WHERE id = :id", id=topic.id)
