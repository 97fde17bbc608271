"""Amazon SQS, operation by operation."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call, Service, reads_only, repeatable, waits
from oncue.services.sqs import (
    attributes,
    batches,
    holding,
    moves,
    policies,
    queues,
    receiving,
    refusals,
    sending,
)
from oncue.services.sqs.aside import Aside
from oncue.services.sqs.mover import Mover
from oncue.services.sqs.polls import IN_FLIGHT_MAX, Polls
from oncue.services.sqs.queues import Queue
from oncue.store import backlog

WAIT_S = 60.0
LIST_MAX = 1_000
TAGS_MAX = 50
TAG_KEY_CHARS_MAX = 128
TAG_VALUE_CHARS_MAX = 256

Reply = dict[str, Any]
Entries = Sequence[Mapping[str, Any]]


class Sqs(Aside, Service):
    """Queues are rows, their messages items of the backlog in the lane `sqs/<queue id>`.

    `waits` brings back AWS's minutes of waiting: a name is free 60 seconds after its queue was deleted, and
    a queue is purged once in 60 seconds.
    """

    name = "sqs"
    refusal = "UnsupportedOperation"

    def __init__(self, *, waits: bool = False, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self._waits = waits
        self._polls = Polls(in_flight_max)
        self._mover = Mover()

    async def start(self, call: Call) -> None:
        self._mover.start(call)

    async def stop(self) -> None:
        await self._mover.stop()
        await self._polls.stop()

    # Queues

    def create_queue(
        self,
        call: Call,
        *,
        QueueName: str,
        Attributes: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Reply:
        """Makes the queue, or answers for the one there is when no attribute given differs from its own."""
        given = Attributes or {}
        fifo = queues.check_name(QueueName, given)
        if "FifoQueue" in given and not fifo:
            raise refusals.unknown_attribute("FifoQueue")
        stored = attributes.of_new_queue(given, fifo)
        _check_tags(QueueName, {}, tags or {})
        existing = queues.find(call, call.account, call.region, QueueName)
        if existing is None:
            existing = self._insert(call, QueueName, stored, given, fifo, tags or {})
        name = attributes.first_difference(existing.stored, given)
        if name is not None:
            raise ServiceError(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attribute " + name,
            )
        return {"QueueUrl": queues.url_of(call, existing)}

    def _insert(
        self,
        call: Call,
        name: str,
        stored: dict[str, str],
        given: dict[str, str],
        fifo: bool,
        tags: dict[str, str],
    ) -> Queue:
        """The new row, or the row of somebody who was faster."""
        owner = {"account": call.account, "region": call.region, "name": name}
        if self._waits and self._deleted_recently(call, owner):
            raise ServiceError(
                "QueueDeletedRecently",
                f"You must wait {WAIT_S:.0f} seconds after deleting a queue before you can create another "
                "with the same name.",
            )
        arn = arns.build("sqs", call.region, call.account, name)
        call.tx.run(
            """
            INSERT INTO sqs_queues
                (account, region, name, attributes, tags, dead_letter_arn, created_at, modified_at)
            VALUES (:account, :region, :name, :attributes, :tags, :dead_letter_arn, :now, :now)
            ON CONFLICT (account, region, name) DO NOTHING
            """,
            attributes=attributes.text_of(stored),
            tags=attributes.text_of(tags),
            dead_letter_arn=queues.check_dead_letter_queue(call, arn, given, fifo),
            now=call.now,
            **owner,
        )
        queue = queues.find(call, call.account, call.region, name)
        assert queue is not None, "inserted, or in the way of the insert"
        return queue

    def _deleted_recently(self, call: Call, owner: dict[str, str]) -> bool:
        row = call.tx.one(
            """
            SELECT deleted_at FROM sqs_deleted
            WHERE account = :account AND region = :region AND name = :name AND deleted_at > :since
            """,
            since=call.now - WAIT_S,
            **owner,
        )
        return row is not None

    def delete_queue(self, call: Call, *, QueueUrl: str) -> None:
        """Takes its messages with it, and wakes those who wait for more."""
        queue = queues.by_url(call, QueueUrl, lock=True)
        call.tx.run("DELETE FROM sqs_queues WHERE id = :id", id=queue.id)
        call.tx.run("DELETE FROM sqs_deduplications WHERE queue_id = :id", id=queue.id)
        call.tx.run("DELETE FROM sqs_attempts WHERE queue_id = :id", id=queue.id)
        moves.forget(call, queue)
        backlog.clear(call.tx, queue.lane)
        backlog.clear(call.tx, queue.aside)
        if self._waits:
            self._note_deleted(call, queue)
        call.tx.wake(queue.lane)

    def _note_deleted(self, call: Call, queue: Queue) -> None:
        call.tx.run("DELETE FROM sqs_deleted WHERE deleted_at <= :since", since=call.now - WAIT_S)
        call.tx.run(
            """
            INSERT INTO sqs_deleted (account, region, name, deleted_at)
            VALUES (:account, :region, :name, :now)
            ON CONFLICT (account, region, name) DO UPDATE SET deleted_at = :now
            """,
            account=queue.account,
            region=queue.region,
            name=queue.name,
            now=call.now,
        )

    @reads_only
    def get_queue_url(
        self, call: Call, *, QueueName: str, QueueOwnerAWSAccountId: str | None = None
    ) -> Reply:
        queue = queues.find(call, QueueOwnerAWSAccountId or call.account, call.region, QueueName)
        if queue is None:
            raise refusals.no_queue()
        return {"QueueUrl": queues.url_of(call, queue)}

    @reads_only
    def list_queues(
        self,
        call: Call,
        *,
        QueueNamePrefix: str | None = None,
        MaxResults: int | None = None,
        NextToken: str | None = None,
    ) -> Reply:
        """By name. Without MaxResults up to 1,000 and no token, as AWS has it."""
        prefix = QueueNamePrefix or ""
        return _page(
            call,
            "QueueUrls",
            "account = :account AND region = :region AND name >= :prefix AND name < :prefix_end",
            MaxResults,
            NextToken,
            account=call.account,
            region=call.region,
            prefix=prefix,
            prefix_end=prefix + "\x7f",
        )

    @reads_only
    def list_dead_letter_source_queues(
        self, call: Call, *, QueueUrl: str, MaxResults: int | None = None, NextToken: str | None = None
    ) -> Reply:
        queue = queues.by_url(call, QueueUrl)
        page = _page(call, "queueUrls", "dead_letter_arn = :arn", MaxResults, NextToken, arn=queue.arn)
        return {"queueUrls": []} | {name: value for name, value in page.items() if value is not None}

    @reads_only
    def get_queue_attributes(
        self, call: Call, *, QueueUrl: str, AttributeNames: list[str] | None = None
    ) -> Reply:
        queue = queues.by_url(call, QueueUrl)
        names = attributes.check_names(AttributeNames)
        return {"Attributes": queues.described(call, queue, names) or None}

    def set_queue_attributes(self, call: Call, *, QueueUrl: str, Attributes: dict[str, str]) -> None:
        """A new retention holds for the messages that are there as well; a new delay does not."""
        queue = queues.by_url(call, QueueUrl, lock=True)
        if not Attributes:
            raise refusals.missing("Attribute.Name")
        stored = attributes.changed(queue.stored, Attributes)
        target = queues.check_dead_letter_queue(call, queue.arn, Attributes, queue.settings.fifo)
        self._update(call, queue, stored)
        if "RedrivePolicy" in Attributes:
            call.tx.run(
                "UPDATE sqs_queues SET dead_letter_arn = :arn WHERE id = :id", arn=target, id=queue.id
            )
        retention_s = int(stored["MessageRetentionPeriod"])
        if retention_s != queue.settings.retention_s:
            backlog.keep_for(call.tx, queue.lane, retention_s)
            backlog.keep_for(call.tx, queue.aside, retention_s)

    def _update(self, call: Call, queue: Queue, stored: dict[str, str]) -> None:
        call.tx.run(
            "UPDATE sqs_queues SET attributes = :attributes, modified_at = :now WHERE id = :id",
            attributes=attributes.text_of(stored),
            now=call.now,
            id=queue.id,
        )

    def purge_queue(self, call: Call, *, QueueUrl: str) -> None:
        queue = queues.by_url(call, QueueUrl, lock=True)
        if self._waits and queue.purged_at is not None and call.now < queue.purged_at + WAIT_S:
            raise ServiceError(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {queue.name} is allowed every {WAIT_S:.0f} seconds.",
                403,
            )
        call.tx.run("UPDATE sqs_queues SET purged_at = :now WHERE id = :id", now=call.now, id=queue.id)
        backlog.clear(call.tx, queue.lane)
        backlog.clear(call.tx, queue.aside)

    def add_permission(
        self, call: Call, *, QueueUrl: str, Label: str, AWSAccountIds: list[str], Actions: list[str]
    ) -> None:
        """The policy is kept as data; Oncue does not enforce it."""
        queue = queues.by_url(call, QueueUrl, lock=True)
        stored = queue.stored
        stored["Policy"] = policies.with_permission(
            stored.get("Policy"), queue.arn, Label, AWSAccountIds, Actions
        )
        self._update(call, queue, stored)

    def remove_permission(self, call: Call, *, QueueUrl: str, Label: str) -> None:
        queue = queues.by_url(call, QueueUrl, lock=True)
        stored = queue.stored
        policy = policies.without_permission(stored.pop("Policy", None), queue.arn, Label)
        self._update(call, queue, stored | ({"Policy": policy} if policy else {}))

    # Tags

    def tag_queue(self, call: Call, *, QueueUrl: str, Tags: dict[str, str]) -> None:
        queue = queues.by_url(call, QueueUrl, lock=True)
        tags = attributes.stored_attributes(queue.tags)
        _check_tags(queue.name, tags, Tags)
        _write_tags(call, queue, tags | Tags)

    def untag_queue(self, call: Call, *, QueueUrl: str, TagKeys: list[str]) -> None:
        queue = queues.by_url(call, QueueUrl, lock=True)
        tags = attributes.stored_attributes(queue.tags)
        _write_tags(call, queue, {key: value for key, value in tags.items() if key not in TagKeys})

    @reads_only
    def list_queue_tags(self, call: Call, *, QueueUrl: str) -> Reply:
        queue = queues.by_url(call, QueueUrl)
        return {"Tags": attributes.stored_attributes(queue.tags) or None}

    # Messages

    def send_message(
        self,
        call: Call,
        *,
        QueueUrl: str,
        MessageBody: str,
        DelaySeconds: int | None = None,
        MessageAttributes: Mapping[str, Any] | None = None,
        MessageSystemAttributes: Mapping[str, Any] | None = None,
        MessageDeduplicationId: str | None = None,
        MessageGroupId: str | None = None,
    ) -> Reply:
        queue = self._destination(call, QueueUrl)
        entry = {
            "MessageBody": MessageBody,
            "DelaySeconds": DelaySeconds,
            "MessageAttributes": MessageAttributes,
            "MessageSystemAttributes": MessageSystemAttributes,
            "MessageDeduplicationId": MessageDeduplicationId,
            "MessageGroupId": MessageGroupId,
        }
        draft = sending.draft(call, queue, entry)
        sending.check_size(queue, draft)
        return sending.post(call, queue, draft)

    def send_message_batch(self, call: Call, *, QueueUrl: str, Entries: Entries) -> Reply:
        """In a standard queue the entries fail one by one. In a FIFO queue one bad entry refuses them all,
        as a gap would break the order."""
        queue = self._destination(call, QueueUrl)
        batches.check(Entries, "SendMessageBatchRequestEntry")
        drafts: dict[str, sending.Draft | ServiceError] = {}
        for number, entry in enumerate(Entries, 1):
            path = f"SendMessageBatchRequestEntry.{number}.MessageBody"
            try:
                drafts[entry["Id"]] = sending.draft(call, queue, entry, body_name=path)
            except ServiceError as error:
                drafts[entry["Id"]] = error
        sizes = (draft.size_bytes for draft in drafts.values() if isinstance(draft, sending.Draft))
        sending.check_batch_size(sum(sizes))

        def post(entry: Mapping[str, Any]) -> Reply:
            draft = drafts[entry["Id"]]
            if isinstance(draft, ServiceError):
                raise draft
            sending.check_size(queue, draft)
            return sending.post(call, queue, draft)

        if not queue.settings.fifo:
            return batches.performed(Entries, post)
        return {"Successful": [{"Id": entry["Id"]} | _refused_as_invalid(post, entry) for entry in Entries]}

    def _destination(self, call: Call, url: str) -> Queue:
        """The queue to send to; a FIFO one is locked, so that its messages are accepted one by one."""
        queue = queues.by_url(call, url)
        return queues.by_url(call, url, lock=True) if queue.settings.fifo else queue

    @waits
    async def receive_message(
        self,
        call: Call,
        *,
        QueueUrl: str,
        AttributeNames: list[str] | None = None,
        MessageSystemAttributeNames: list[str] | None = None,
        MessageAttributeNames: list[str] | None = None,
        MaxNumberOfMessages: int | None = None,
        VisibilityTimeout: int | None = None,
        WaitTimeSeconds: int | None = None,
        ReceiveRequestAttemptId: str | None = None,
    ) -> Reply:
        wish = receiving.wish(
            QueueUrl,
            limit=MaxNumberOfMessages,
            visibility_s=VisibilityTimeout,
            wait_s=WaitTimeSeconds,
            system_names=[*(AttributeNames or ()), *(MessageSystemAttributeNames or ())],
            attribute_names=MessageAttributeNames or [],
            attempt_id=ReceiveRequestAttemptId,
        )
        catch = await self._polls.receive(call, wish)
        return {"Messages": receiving.shown(catch, wish) or None}

    @repeatable
    def delete_message(self, call: Call, *, QueueUrl: str, ReceiptHandle: str) -> None:
        holding.delete(call, queues.by_url(call, QueueUrl), ReceiptHandle)

    @repeatable
    def delete_message_batch(self, call: Call, *, QueueUrl: str, Entries: Entries) -> Reply:
        queue = queues.by_url(call, QueueUrl)
        batches.check(Entries, "DeleteMessageBatchRequestEntry")
        return batches.performed(Entries, lambda entry: holding.delete(call, queue, entry["ReceiptHandle"]))

    @repeatable
    def change_message_visibility(
        self, call: Call, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> None:
        holding.hide(call, queues.by_url(call, QueueUrl), ReceiptHandle, VisibilityTimeout)

    @repeatable
    def change_message_visibility_batch(self, call: Call, *, QueueUrl: str, Entries: Entries) -> Reply:
        queue = queues.by_url(call, QueueUrl)
        batches.check(Entries, "ChangeMessageVisibilityBatchRequestEntry")
        return batches.performed(
            Entries,
            lambda entry: holding.hide(
                call, queue, entry["ReceiptHandle"], entry.get("VisibilityTimeout") or 0
            ),
        )

    # Message move tasks

    def start_message_move_task(
        self,
        call: Call,
        *,
        SourceArn: str,
        DestinationArn: str | None = None,
        MaxNumberOfMessagesPerSecond: int | None = None,
    ) -> Reply:
        """Moves what a dead-letter queue holds now to the destination, or back to where each message came
        from."""
        handle = moves.start(call, SourceArn, DestinationArn, MaxNumberOfMessagesPerSecond)
        return {"TaskHandle": handle}

    @reads_only
    def list_message_move_tasks(self, call: Call, *, SourceArn: str, MaxResults: int | None = None) -> Reply:
        return {"Results": moves.listed(call, SourceArn, MaxResults)}

    def cancel_message_move_task(self, call: Call, *, TaskHandle: str) -> Reply:
        return {"ApproximateNumberOfMessagesMoved": moves.cancel(call, TaskHandle)}


def _refused_as_invalid(post: Any, entry: Mapping[str, Any]) -> Reply:
    """A batch to a FIFO queue names a missing group an invalid value, where SendMessage names it missing."""
    try:
        return dict(post(entry))
    except ServiceError as error:
        if error.code == "MissingRequiredParameterException" and error.message.endswith(" MessageGroupId."):
            raise refusals.invalid(error.message) from None
        raise


def _check_tags(queue_name: str, present: Mapping[str, str], more: Mapping[str, str]) -> None:
    for key, value in more.items():
        if not 1 <= len(key) <= TAG_KEY_CHARS_MAX:
            raise refusals.invalid("Tag keys must be between 1 and 128 characters in length.")
        if len(value) > TAG_VALUE_CHARS_MAX:
            raise refusals.invalid("Tag values must be between 0 and 256 characters in length.")
    if len({*present, *more}) > TAGS_MAX:
        raise refusals.invalid(f"Too many tags added for queue {queue_name}.")


def _write_tags(call: Call, queue: Queue, tags: dict[str, str]) -> None:
    call.tx.run(
        "UPDATE sqs_queues SET tags = :tags WHERE id = :id", tags=attributes.text_of(tags), id=queue.id
    )


def _page(
    call: Call, member: str, condition: str, limit: int | None, token: str | None, **values: Any
) -> Reply:
    """A page of queue URLs by name; the token is the last name."""
    if limit is not None and not 1 <= limit <= LIST_MAX:
        raise refusals.invalid_value(
            "MaxResults", limit, f"MaxResults must be an integer between 1 and {LIST_MAX}."
        )
    count = LIST_MAX if limit is None else limit
    rows = call.tx.all(
        f"{queues.SELECT} WHERE {condition} AND name > :after ORDER BY name LIMIT :count",
        after=_name_of_token(token),
        count=count + 1,
        **values,
    )
    found = [queues.of_row(row) for row in rows[:count]]
    more = limit is not None and len(rows) > count
    return {
        member: [queues.url_of(call, queue) for queue in found] or None,
        "NextToken": base64.b64encode(found[-1].name.encode()).decode() if more else None,
    }


def _name_of_token(token: str | None) -> str:
    try:
        return base64.b64decode(token or "", validate=True).decode()
    except (binascii.Error, ValueError):
        raise refusals.invalid(f"Invalid or expired next token: {token}") from None
