"""One transaction of a sequenced mapping: messages are set aside and written down, due keys claimed."""

from dataclasses import dataclass
from typing import Any

from oncue.services import Call
from oncue.services.lambda_.sequencing import admission, claims, ledger, settings
from oncue.services.lambda_.sequencing.claims import Run
from oncue.services.lambda_.sequencing.ledger import Sequence
from oncue.store import Row

SET_ASIDE_MAX = 200  # in one transaction


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction set aside and claimed. More may be due in `due_in_s`; `topic` rings before."""

    sequence: Sequence
    runs: list[Run]
    taken: int
    due_in_s: float
    topic: str


def take(call: Call, row: Row, url: str, mapping: dict[str, Any], limit: int) -> Step:
    """`row` is the sequence's, `mapping` the settings of its mapping; up to `limit` keys are claimed, and
    with 0 nothing is taken at all."""
    reply = call.sqs.set_aside(QueueUrl=url, Limit=SET_ASIDE_MAX if limit else 0)
    found = reply["Messages"]
    sequence = admission.admit(call, settings.sequence_of(row, url, mapping, reply), found)
    runs = claims.claim(call, sequence, limit=limit) if limit else []
    due_at = ledger.next_due(call, sequence)
    due = [reply["DueInSeconds"], None if due_at is None else due_at - call.now]
    due_in_s = min((due_s for due_s in due if due_s is not None), default=float("inf"))
    return Step(sequence, runs, len(found), due_in_s, str(reply["Topic"]))
