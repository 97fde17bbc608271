"""Message move tasks: started, listed, cancelled, and worked off one small transaction at a time.

Source: the model of StartMessageMoveTask and AWS's page "Configure a dead-letter queue redrive". A task is a
row of sqs_moves with one item in the lane `sqs/moves`. Whoever claims the item moves a few messages in the
same transaction and lets it come due again when the rate allows more: a node that dies leaves nothing half
done and nothing to take over.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.sqs import messages, queues, refusals, sending
from oncue.services.sqs.queues import Queue
from oncue.store import Row, backlog, tenants

LANE = "sqs/moves"
BATCH_MAX = 100  # messages in one transaction; also what a step of the highest rate moves
STEPS_PER_S = 5  # of a task with a rate
PER_SECOND_MAX = 500
ACTIVE_MAX = 100  # of one account and region
LISTED_MAX = 10
TASK_S_MAX = 36 * 3_600
CLAIM_S = 60.0
NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
NO_SOURCE = "CouldNotDetermineMessageSource"
TOO_LONG = "The task did not end within 36 hours."


class Handle(msgspec.Struct, rename="camel"):
    """What a TaskHandle says, in base64."""

    task_id: str
    source_arn: str


def start(call: Call, source_arn: str, destination_arn: str | None, per_second: int | None) -> str:
    """The new task's handle. Its first messages are moved by a background step after the commit."""
    source = _queue(call, "SourceArn", source_arn, lock=True)
    _check_destination(call, source, destination_arn)
    if per_second is not None and not 1 <= per_second <= PER_SECOND_MAX:
        raise refusals.invalid(
            "Value for parameter MaxNumberOfMessagesPerSecond is invalid. "
            f"Reason: You must enter a number that's between 1 and {PER_SECOND_MAX}."
        )
    if call.tx.one("SELECT id FROM sqs_queues WHERE dead_letter_arn = :arn LIMIT 1", arn=source.arn) is None:
        raise refusals.invalid("Source queue must be configured as a Dead Letter Queue.")
    _check_active(call, source)
    task_id = clock.new_id()
    call.tx.run(
        """
        INSERT INTO sqs_moves (id, account, region, source_arn, destination_arn, per_second, status,
                               moved, to_move, started_at)
        VALUES (:id, :account, :region, :source, :destination, :per_second, 'RUNNING', 0, :to_move, :now)
        """,
        id=task_id,
        account=source.account,
        region=source.region,
        source=source.arn,
        destination=destination_arn or None,
        per_second=per_second,
        to_move=backlog.counts(call.tx, source.lane, call.now).ready,
        now=call.now,
    )
    _forget_old(call, source.arn)
    backlog.put(call.tx, LANE, task_id.encode(), now=call.now)
    return _handle(task_id, source.arn)


def listed(call: Call, source_arn: str, limit: int | None) -> list[dict[str, Any]]:
    """The newest tasks of a source, newest first; one if no limit is given."""
    limit = 1 if limit is None else limit
    if not 1 <= limit <= LISTED_MAX:
        raise refusals.invalid_value("MaxResults", limit, f"Must be between 1 and {LISTED_MAX}.")
    source = _queue(call, "SourceArn", source_arn)
    rows = call.tx.all(
        "SELECT * FROM sqs_moves WHERE source_arn = :arn ORDER BY started_at DESC, id LIMIT :limit",
        arn=source.arn,
        limit=limit,
    )
    return [_described(row) for row in rows]


def cancel(call: Call, handle: str) -> int:
    """How many messages had been moved. A step is one transaction, so the task ends with this one."""
    told = _decoded(handle)
    source = _queue(call, "SourceArn", told.source_arn)
    task = _task(call, told.task_id)
    if task is None or task["source_arn"] != source.arn:
        raise ServiceError("ResourceNotFoundException", "Task does not exist.", 404)
    if task["status"] != "RUNNING":
        raise ServiceError(
            "UnsupportedOperation", f"The task is {task['status']}; only a RUNNING task can be cancelled."
        )
    _end(call, task["id"], "CANCELLED")
    return int(task["moved"])


def forget(call: Call, queue: Queue) -> None:
    """The tasks of a queue that is deleted."""
    call.tx.run("DELETE FROM sqs_moves WHERE source_arn = :arn", arn=queue.arn)


def step(call: Call) -> float:
    """Let one task that is due move some messages; the answer is how many seconds from now the next step
    may find something to do (infinite: when the lane's bell rings)."""
    claimed = backlog.claim(call.tx, LANE, now=call.now, until=call.now + CLAIM_S, limit=1)
    if not claimed:
        due_at = backlog.next_due(call.tx, LANE, call.now)
        return float("inf") if due_at is None else due_at - call.now
    item = claimed[0]
    task = _task(call, item.body.decode())
    if task is None or task["status"] != "RUNNING":
        backlog.finish(call.tx, LANE, item.id)
        return 0.0
    moved, status, failure = _moved(call, task)
    call.tx.run(
        "UPDATE sqs_moves SET moved = moved + :moved, status = :status, failure = :failure WHERE id = :id",
        moved=moved,
        status=status,
        failure=failure,
        id=task["id"],
    )
    if status != "RUNNING":
        backlog.finish(call.tx, LANE, item.id)
        return 0.0
    pause_s = moved / task["per_second"] if task["per_second"] else 0.0
    backlog.extend(call.tx, LANE, item.id, item.claim, now=call.now, until=call.now + pause_s)
    return 0.0


def put_off(call: Call, pause_s: float) -> None:
    """After a step that failed: its task, the first that is due, lets the others go first."""
    backlog.claim(call.tx, LANE, now=call.now, until=call.now + pause_s, limit=1)


def _moved(call: Call, task: Row) -> tuple[int, str, str | None]:
    """(messages moved, the status afterwards, the reason of a failure). A task moves as many messages as were
    there when it started: what fails again and comes back meanwhile is not moved in circles."""
    source = queues.by_arn(call, task["source_arn"])
    if source is None:
        return 0, "FAILED", NO_QUEUE
    if call.now > task["started_at"] + TASK_S_MAX:
        return 0, "FAILED", TOO_LONG
    left = task["to_move"] - task["moved"]
    if left <= 0:
        return 0, "COMPLETED", None
    rate = task["per_second"]
    limit = min(left, BATCH_MAX if rate is None else max(1, rate // STEPS_PER_S))
    claim = backlog.claim_groups if source.settings.fifo else backlog.claim
    items = claim(call.tx, source.lane, now=call.now, until=call.now + CLAIM_S, limit=limit)
    destinations: dict[str, Queue | None] = {}
    for number, item in enumerate(items):
        failure = _move_one(call, source, item, task["destination_arn"], destinations)
        if failure is not None:
            for left in items[number:]:
                backlog.give_back(call.tx, left, now=call.now)
            return number, "FAILED", failure
    done = not items or len(items) == left
    return len(items), "COMPLETED" if done else "RUNNING", None


def _move_one(
    call: Call,
    source: Queue,
    item: backlog.Item,
    destination_arn: str | None,
    destinations: dict[str, Queue | None],
) -> str | None:
    """Take the message out of its queue and send it anew, whole, to where it belongs; the reason if that
    cannot be done. What is moved is a new message: new id, new time, no receives. It is never dropped as a
    duplicate."""
    message = messages.unpack(item.body)
    arn = destination_arn or message.dead_letter_source
    if not arn:
        return NO_SOURCE
    if arn not in destinations:
        destinations[arn] = queues.by_arn(call, arn)
    destination = destinations[arn]
    if destination is None or destination.settings.fifo != source.settings.fifo:
        return NO_QUEUE
    finish = tenants.finish if source.fair else backlog.finish
    finish(call.tx, source.lane, item.id)
    renewed = msgspec.structs.replace(
        message, message_id=clock.new_id(), sent_ms=int(call.now * 1000), dead_letter_source=""
    )
    sending.put(call, destination, renewed, due_at=call.now)
    return None


def _check_destination(call: Call, source: Queue, arn: str | None) -> None:
    if not arn:
        return
    destination = _queue(call, "DestinationArn", arn)
    if destination.id == source.id:
        raise refusals.invalid("Source queue arn and destination queue arn cannot be the same.")
    if destination.settings.fifo != source.settings.fifo:
        raise refusals.invalid("The source queue and destination queue must be of the same queue type.")


def _check_active(call: Call, source: Queue) -> None:
    rows = call.tx.all(
        """
        SELECT source_arn FROM sqs_moves
        WHERE account = :account AND region = :region AND status = 'RUNNING'
        """,
        account=source.account,
        region=source.region,
    )
    if any(row["source_arn"] == source.arn for row in rows):
        raise refusals.invalid(
            "There is already a task running. Only one active task is allowed for a source queue arn at a "
            "given time."
        )
    if len(rows) >= ACTIVE_MAX:
        raise ServiceError(
            "UnsupportedOperation", f"An account may have {ACTIVE_MAX} active message move tasks."
        )


def _forget_old(call: Call, source_arn: str) -> None:
    """A list shows the newest ten."""
    call.tx.run(
        """
        DELETE FROM sqs_moves WHERE source_arn = :arn AND id NOT IN (
            SELECT id FROM sqs_moves WHERE source_arn = :arn ORDER BY started_at DESC, id LIMIT :limit
        )
        """,
        arn=source_arn,
        limit=LISTED_MAX,
    )


def _queue(call: Call, parameter: str, arn: str, *, lock: bool = False) -> Queue:
    """The caller's own queue; everybody else's does not exist for him."""
    try:
        parts = arns.parse(arn)
    except ValueError:
        raise refusals.invalid(
            f"You must use this format to specify the {parameter}: "
            "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        ) from None
    own = (parts.service, parts.account, parts.region) == ("sqs", call.account, call.region)
    queue = queues.find(call, parts.account, parts.region, parts.resource, lock=lock) if own else None
    if queue is None:
        raise ServiceError(
            "ResourceNotFoundException",
            f"The resource that you specified for the {parameter} parameter doesn't exist.",
            404,
        )
    return queue


def _task(call: Call, task_id: str) -> Row | None:
    return call.tx.one("SELECT * FROM sqs_moves WHERE id = :id FOR UPDATE", id=task_id)


def _end(call: Call, task_id: str, status: str) -> None:
    call.tx.run("UPDATE sqs_moves SET status = :status WHERE id = :id", status=status, id=task_id)
    call.tx.wake(LANE)


def _handle(task_id: str, source_arn: str) -> str:
    return base64.b64encode(msgspec.json.encode(Handle(task_id, source_arn))).decode()


def _decoded(handle: str) -> Handle:
    try:
        return msgspec.json.decode(base64.b64decode(handle, validate=True), type=Handle)
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise refusals.invalid("Value for parameter TaskHandle is invalid.") from None


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    running = row["status"] == "RUNNING"
    return {
        "TaskHandle": _handle(row["id"], row["source_arn"]) if running else None,
        "Status": row["status"],
        "SourceArn": row["source_arn"],
        "DestinationArn": row["destination_arn"],
        "MaxNumberOfMessagesPerSecond": row["per_second"],
        "ApproximateNumberOfMessagesMoved": row["moved"],
        "ApproximateNumberOfMessagesToMove": row["to_move"],
        "FailureReason": row["failure"],
        "StartedTimestamp": int(row["started_at"] * 1000),
    }
