"""The operations of SNS, as boto3 names them."""

from typing import Any

from oncue import clock
from oncue.services import Call, Service, reads_only, unsigned
from oncue.services.sns import (
    messages,
    pages,
    permissions,
    posting,
    refusals,
    replay_policies,
    replays,
    signing,
    subscribing,
    subscriptions,
    topics,
)
from oncue.services.sns.deliveries import Deliveries
from oncue.services.sns.posting import Post
from oncue.services.sns.publishing import Fanout
from oncue.services.sns.refusals import invalid

Reply = dict[str, Any]


class Sns(Service):
    """Topics; a publish is committed together with everything that follows from it."""

    name = "sns"
    refusal = "InvalidParameter"

    def __init__(self, post: Post = posting.post) -> None:
        self._deliveries = Deliveries(post)

    async def start(self, call: Call) -> None:
        await signing.prepare(call)
        self._deliveries.start(call)

    async def stop(self) -> None:
        await self._deliveries.stop()

    async def certificate(self, call: Call, name: str) -> bytes | None:
        """The PEM text that SigningCertURL names; None for any other name. No operation of AWS: the door
        serves it at `/SimpleNotificationService-<hex>.pem`, to anybody."""
        pair = await call.transact(signing.stored, reads_only=True)
        return pair[1] if pair is not None and signing.name_of(pair[1]) == name else None

    # Topics

    def create_topic(
        self,
        call: Call,
        *,
        Name: str,
        Attributes: dict[str, str] | None = None,
        Tags: list[dict[str, str]] | None = None,
    ) -> Reply:
        tags = topics.checked_tags(Tags or [])
        return {"TopicArn": topics.create(call, Name, Attributes or {}, tags).arn}

    def delete_topic(self, call: Call, *, TopicArn: str) -> None:
        """A topic that is not there is deleted already."""
        arn = topics.read_arn(TopicArn)
        if arn.region != call.region:
            raise invalid("TopicArn")
        topic = topics.find(call, arn, lock=True)
        if topic is not None:
            subscribing.delete_topic(call, topic)

    @reads_only
    def list_topics(self, call: Call, *, NextToken: str | None = None) -> Reply:
        return pages.of_topics(call, NextToken)

    @reads_only
    def get_topic_attributes(self, call: Call, *, TopicArn: str) -> Reply:
        topic = topics.load(call, TopicArn)
        rows = call.tx.all(
            """
            SELECT state, COUNT(*) AS count FROM sns_subscriptions WHERE topic_id = :topic GROUP BY state
            """,
            topic=topic.id,
        )
        counts = {row["state"]: row["count"] for row in rows}
        archive = {}
        if topic.settings.archive_days:
            archive["BeginningArchiveTime"] = clock.iso_ms(replays.beginning(call, topic))
        return {
            "Attributes": topics.described(topic)
            | archive
            | {
                "SubscriptionsPending": str(counts.get(subscriptions.PENDING, 0)),
                "SubscriptionsConfirmed": str(counts.get(subscriptions.CONFIRMED, 0)),
                "SubscriptionsDeleted": str(topic.deleted),
            }
        }

    def set_topic_attributes(
        self, call: Call, *, TopicArn: str, AttributeName: str, AttributeValue: str = ""
    ) -> None:
        """An empty value takes the attribute away."""
        topic = topics.load(call, TopicArn, lock=True)
        topics.check_attribute(AttributeName, AttributeValue, fifo=topic.settings.fifo)
        if AttributeName == "ArchivePolicy" and not replay_policies.archive_days(AttributeValue):
            if replays.running(call, topic):
                raise invalid("ArchivePolicy", "a replay is in progress")
            replays.clear(call, topic)
            AttributeValue = ""
        stored = {**topic.stored, AttributeName: AttributeValue}
        topics.write(call, topic, {name: value for name, value in stored.items() if value != ""})

    def add_permission(
        self, call: Call, *, TopicArn: str, Label: str, AWSAccountId: list[str], ActionName: list[str]
    ) -> None:
        """The policy is kept as data; Oncue does not enforce it."""
        topic = topics.load(call, TopicArn, lock=True)
        stored = topic.stored
        policy = stored.get("Policy") or topics.default_policy(topic)
        stored["Policy"] = permissions.with_permission(policy, topic.arn, Label, AWSAccountId, ActionName)
        topics.write(call, topic, stored)

    def remove_permission(self, call: Call, *, TopicArn: str, Label: str) -> None:
        topic = topics.load(call, TopicArn, lock=True)
        stored = topic.stored
        policy = stored.get("Policy") or topics.default_policy(topic)
        stored["Policy"] = permissions.without_permission(policy, Label)
        topics.write(call, topic, stored)

    @reads_only
    def get_data_protection_policy(self, call: Call, *, ResourceArn: str) -> Reply:
        """Always none: Oncue has no data protection policies."""
        topics.load(call, ResourceArn, parameter="ResourceArn")
        return {}

    # Tags

    def tag_resource(self, call: Call, *, ResourceArn: str, Tags: list[dict[str, str]]) -> None:
        topic = self._tagged(call, ResourceArn, lock=True)
        topics.write_tags(call, topic, topics.texts_of(topic.tags) | topics.checked_tags(Tags))

    def untag_resource(self, call: Call, *, ResourceArn: str, TagKeys: list[str]) -> None:
        topic = self._tagged(call, ResourceArn, lock=True)
        tags = topics.texts_of(topic.tags)
        topics.write_tags(call, topic, {key: value for key, value in tags.items() if key not in TagKeys})

    @reads_only
    def list_tags_for_resource(self, call: Call, *, ResourceArn: str) -> Reply:
        tags = topics.texts_of(self._tagged(call, ResourceArn).tags)
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _tagged(self, call: Call, arn: str, *, lock: bool = False) -> topics.Topic:
        topic = topics.find(call, topics.read_arn(arn, "ResourceArn"), lock=lock)
        if topic is None:
            raise refusals.no_resource()
        return topic

    # Subscriptions

    def subscribe(
        self,
        call: Call,
        *,
        TopicArn: str,
        Protocol: str,
        Endpoint: str | None = None,
        Attributes: dict[str, str] | None = None,
        ReturnSubscriptionArn: bool = False,
    ) -> Reply:
        """Queues and functions are subscribed at once; an HTTP endpoint is asked first."""
        topic = topics.load(call, TopicArn, lock=True)
        made = subscribing.subscribe(call, topic, Protocol, Endpoint, Attributes or {})
        shown = made.state != subscriptions.PENDING or ReturnSubscriptionArn
        return {"SubscriptionArn": made.arn if shown else "pending confirmation"}

    @unsigned
    def confirm_subscription(
        self, call: Call, *, TopicArn: str, Token: str, AuthenticateOnUnsubscribe: str | None = None
    ) -> Reply:
        if AuthenticateOnUnsubscribe not in (None, "true", "false"):
            raise invalid("AuthenticateOnUnsubscribe")
        arn = subscribing.confirm(
            call, topics.read_arn(TopicArn), Token, authenticated=AuthenticateOnUnsubscribe == "true"
        )
        return {"SubscriptionArn": arn}

    @unsigned
    def unsubscribe(self, call: Call, *, SubscriptionArn: str) -> None:
        """A subscription that is not there is left already."""
        found = subscriptions.find(call, SubscriptionArn, lock=True)
        if found is not None:
            subscribing.unsubscribe(call, found)

    @reads_only
    def get_subscription_attributes(self, call: Call, *, SubscriptionArn: str) -> Reply:
        found = subscriptions.load(call, SubscriptionArn)
        topic = topics.by_id(call, found.topic_id)
        assert topic is not None, "a topic takes its subscriptions with it"
        return {"Attributes": subscriptions.described(topic, found)}

    def set_subscription_attributes(
        self, call: Call, *, SubscriptionArn: str, AttributeName: str, AttributeValue: str = ""
    ) -> None:
        found = subscriptions.load(call, SubscriptionArn)
        topic = topics.hold(call, found.topic_id)
        found = subscriptions.load(call, SubscriptionArn, lock=True)
        assert topic is not None, "a topic takes its subscriptions with it"
        stored = subscriptions.changed(topic, found.protocol, found.stored, {AttributeName: AttributeValue})
        if "FilterPolicy" in stored and "FilterPolicy" not in found.stored:
            subscriptions.check_quota(call, topic)
        call.tx.run(
            "UPDATE sns_subscriptions SET attributes = :attributes, filtered = :filtered WHERE id = :id",
            attributes=topics.text_of(stored),
            filtered=int("FilterPolicy" in stored),
            id=found.id,
        )
        if AttributeName == "ReplayPolicy":
            replays.begin(call, topic, found, stored.get("ReplayPolicy"))

    @reads_only
    def list_subscriptions(self, call: Call, *, NextToken: str | None = None) -> Reply:
        return pages.of_subscriptions(call, NextToken)

    @reads_only
    def list_subscriptions_by_topic(
        self, call: Call, *, TopicArn: str, NextToken: str | None = None
    ) -> Reply:
        return pages.of_subscriptions(call, NextToken, topics.load(call, TopicArn))

    # Messages

    def publish(
        self,
        call: Call,
        *,
        Message: str,
        TopicArn: str | None = None,
        TargetArn: str | None = None,
        Subject: str | None = None,
        MessageStructure: str | None = None,
        MessageAttributes: dict[str, Any] | None = None,
        MessageDeduplicationId: str | None = None,
        MessageGroupId: str | None = None,
    ) -> Reply:
        """To queues, functions and the lanes of HTTP endpoints, all in this transaction."""
        parameter = "TopicArn" if TopicArn else "TargetArn"
        topic = self._target(call, TopicArn or TargetArn, parameter)
        message = self._checked(
            topic,
            {
                "Message": Message,
                "Subject": Subject,
                "MessageStructure": MessageStructure,
                "MessageAttributes": MessageAttributes,
                "MessageDeduplicationId": MessageDeduplicationId,
                "MessageGroupId": MessageGroupId,
            },
        )
        if message.size_bytes > topic.settings.message_bytes_max:
            raise messages.too_long()
        fanout = Fanout(call, topic)
        message_id, sequence_number = fanout.publish(message)
        fanout.finish()
        return {"MessageId": message_id, "SequenceNumber": sequence_number}

    def publish_batch(
        self, call: Call, *, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]
    ) -> Reply:
        """All of them or, when one is refused, none."""
        topic = self._target(call, TopicArn, "TopicArn")
        messages.check_batch(PublishBatchRequestEntries)
        checked = [self._checked(topic, entry) for entry in PublishBatchRequestEntries]
        if sum(message.size_bytes for message in checked) > topic.settings.message_bytes_max:
            raise messages.batch_too_long()
        fanout = Fanout(call, topic)
        receipts = [fanout.publish(message) for message in checked]
        fanout.finish()
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": message_id, "SequenceNumber": sequence_number}
                for entry, (message_id, sequence_number) in zip(
                    PublishBatchRequestEntries, receipts, strict=True
                )
            ],
            "Failed": [],
        }

    def _target(self, call: Call, arn: str | None, parameter: str) -> topics.Topic:
        """The topic to publish to; a FIFO one is held, so that its messages are accepted one by one."""
        if not arn:
            raise invalid("TopicArn or TargetArn", "no value for required parameter")
        return topics.load(call, arn, lock=arn.endswith(".fifo"), parameter=parameter)

    def _checked(self, topic: topics.Topic, entry: dict[str, Any]) -> messages.Message:
        message = messages.of_entry(entry)
        settings = topic.settings
        messages.check_kind(message, fifo=settings.fifo, content_deduplication=settings.content_deduplication)
        return message
