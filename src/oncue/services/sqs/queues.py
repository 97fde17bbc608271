"""Queues: their rows, and how a call finds them by URL, ARN or name."""

import re
from dataclasses import dataclass

from oncue import arns
from oncue.services import Call
from oncue.services.sqs import attributes, refusals
from oncue.services.sqs.attributes import Settings
from oncue.store import Row, backlog

NAME_CHARS_MAX = 80
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo")
SELECT = """
SELECT id, account, region, name, attributes, tags, created_at, modified_at, purged_at, fair FROM sqs_queues
"""
BY_NAME = f"{SELECT} WHERE account = :account AND region = :region AND name = :name"


@dataclass(frozen=True, slots=True)
class Queue:
    """One row of sqs_queues; `attributes` and `tags` are JSON objects of texts; `fair` is 1 for a standard
    queue whose messages may have tenants."""

    id: int
    account: str
    region: str
    name: str
    attributes: str
    tags: str
    created_at: float
    modified_at: float
    purged_at: float | None
    fair: int

    @property
    def lane(self) -> str:
        return f"sqs/{self.id}"

    @property
    def aside(self) -> str:
        """The lane of the messages that a consumer has set aside."""
        return f"sqs/{self.id}/aside"

    @property
    def arn(self) -> str:
        return arns.build("sqs", self.region, self.account, self.name)

    @property
    def settings(self) -> Settings:
        return attributes.settings(self.attributes)

    @property
    def stored(self) -> dict[str, str]:
        return attributes.stored_attributes(self.attributes)


def find(call: Call, account: str, region: str, name: str, *, lock: bool = False) -> Queue | None:
    """`lock` holds the row until the end of the transaction, for what is read, changed and written."""
    sql = f"{BY_NAME} FOR UPDATE" if lock else BY_NAME
    row = call.tx.one(sql, account=account, region=region, name=name)
    return None if row is None else of_row(row)


def by_url(call: Call, url: str, *, lock: bool = False) -> Queue:
    """The queue of a URL in the caller's region. Raises QueueDoesNotExist."""
    if not url:
        raise refusals.missing("QueueUrl")
    account, name = arns.queue_of_url(url)
    queue = find(call, account, call.region, name, lock=lock)
    if queue is None:
        raise refusals.no_queue()
    return queue


def by_arn(call: Call, arn: str) -> Queue | None:
    parts = arns.parse(arn)
    return find(call, parts.account, parts.region, parts.resource)


def of_row(row: Row) -> Queue:
    return Queue(**row)


def url_of(call: Call, queue: Queue) -> str:
    return arns.queue_url(call.base_url, queue.account, queue.name)


def check_name(name: str, given: dict[str, str]) -> bool:
    """Whether the name is to be a FIFO queue's. The attribute FifoQueue and the suffix `.fifo` need each
    other."""
    fifo = given.get("FifoQueue")
    if fifo is not None and fifo not in ("true", "false"):
        raise refusals.bad_attribute("FifoQueue")
    if fifo == "true":
        if not FIFO_NAME.fullmatch(name):
            raise refusals.invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
                f"must end with .fifo suffix and be 1 to {NAME_CHARS_MAX} in length."
            )
        return True
    if not NAME.fullmatch(name):
        raise refusals.invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. "
            f"1 to {NAME_CHARS_MAX} in length"
        )
    return False


def check_dead_letter_queue(call: Call, arn: str, given: dict[str, str], fifo: bool) -> str | None:
    """The ARN of the dead-letter queue that the attributes name for the queue `arn`, once it is fit for it:
    existing, of the same owner, region and kind, and willing."""
    policy = given.get("RedrivePolicy")
    if not policy:
        return None
    target = attributes.dead_letter_target(policy)
    there, here = arns.parse(target), arns.parse(arn)
    queue = None
    if there.account != here.account:
        reason = "Dead-letter target owner should be same as the source."
    elif there.region != here.region:
        reason = "Dead-letter target must be in the same region as the source."
    elif (queue := by_arn(call, target)) is None:
        reason = "Dead letter target does not exist."
    elif queue.settings.fifo != fifo:
        reason = "Dead-letter queue must be same type of queue as the source."
    elif not attributes.allows_source(queue.stored.get("RedriveAllowPolicy"), arn):
        reason = f"Queue {target} does not allow {arn} to use it as a dead-letter queue."
    else:
        return target
    raise refusals.invalid_value("RedrivePolicy", policy, reason)


def described(call: Call, queue: Queue, names: list[str]) -> dict[str, str]:
    """The attributes asked for, as texts; `All` for every one that is set, and the computed ones."""
    wanted = attributes.KNOWN if "All" in names else frozenset(names)
    described = {name: value for name, value in queue.stored.items() if name in wanted}
    if "QueueArn" in wanted:
        described["QueueArn"] = queue.arn
    if "CreatedTimestamp" in wanted:
        described["CreatedTimestamp"] = str(int(queue.created_at))
    if "LastModifiedTimestamp" in wanted:
        described["LastModifiedTimestamp"] = str(int(queue.modified_at))
    if any(name.startswith("Approximate") for name in wanted):
        counts = backlog.counts(call.tx, queue.lane, call.now)
        aside = backlog.counts(call.tx, queue.aside, call.now)
        numbers = {
            "ApproximateNumberOfMessages": counts.ready,
            "ApproximateNumberOfMessagesNotVisible": counts.claimed + aside.ready,
            "ApproximateNumberOfMessagesDelayed": counts.delayed,
        }
        described.update({name: str(number) for name, number in numbers.items() if name in wanted})
    return described
