"""Operations of our own on sequenced mappings: what is set, what became of a key or a message, start anew.

No AWS client can call them; they are offered under `/_oncue/sequencing`.
"""

from typing import Any

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call, reads_only
from oncue.services.lambda_ import mappings
from oncue.services.lambda_.sequencing import ledger, outcomes, rules, settings, versions
from oncue.store import Row

SEQUENCES_MAX = 1_000


class Sequencing:
    @reads_only
    def list_sequences(self, call: Call) -> dict[str, Any]:
        rows = call.tx.all(
            """
            SELECT * FROM lambda_sequences WHERE account = :a AND region = :r AND deleted = 0 AND rule <> ''
            ORDER BY id LIMIT :limit
            """,
            a=call.account,
            r=call.region,
            limit=SEQUENCES_MAX,
        )
        return {"Sequences": [_described(call, row) for row in rows]}

    @reads_only
    def get_sequence(self, call: Call, *, UUID: str) -> dict[str, Any]:
        mappings.load(call, UUID)
        row = settings.of_mapping(call, UUID)
        if row is None or not row["rule"]:
            raise _missing(f"The mapping {UUID} is not sequenced.")
        return _described(call, row)

    def put_sequence(self, call: Call, *, UUID: str, Rule: str) -> dict[str, Any]:
        """Sets the line, before all tags. Refused with the word that is wrong."""
        mapping = mappings.load(call, UUID, lock=True)
        settings.choose(call, mapping, Rule)
        call.tx.wake(mappings.TOPIC)
        row = settings.of_mapping(call, UUID)
        assert row is not None, "just written"
        return _described(call, row)

    def delete_sequence(self, call: Call, *, UUID: str) -> dict[str, Any]:
        """Takes back what put_sequence has set; tags hold again."""
        mapping = mappings.load(call, UUID, lock=True)
        settings.choose(call, mapping, "")
        call.tx.wake(mappings.TOPIC)
        return {"Rule": settings.effective(call, mapping)}

    @reads_only
    def find_sequence_key(self, call: Call, *, Key: str, UUID: str | None = None) -> dict[str, Any]:
        """What is known of a key, in every sequenced mapping of the caller or in one."""
        rows = call.tx.all(
            """
            SELECT s.*, k.applied_text, k.fence, k.item, k.stopped, k.gaps, k.due_at
            FROM lambda_sequences s JOIN lambda_sequence_keys k ON k.sequence = s.id AND k.name = :name
            WHERE s.account = :a AND s.region = :r AND (:every = 1 OR s.mapping = :uuid)
            ORDER BY s.id LIMIT :limit
            """,
            name=Key,
            a=call.account,
            r=call.region,
            every=0 if UUID else 1,
            uuid=UUID or "",
            limit=SEQUENCES_MAX,
        )
        found = [
            {
                "Mapping": row["mapping"],
                "Rule": row["rule"],
                "Key": Key,
                "Applied": row["applied_text"] or None,
                "Fence": row["fence"],
                "State": _state(row),
                "Gaps": row["gaps"],
                "Timeline": outcomes.timeline(call, row["id"], Key),
            }
            for row in rows
        ]
        if not found:
            raise _missing(f"No sequenced mapping knows the key {Key}.")
        return {"Keys": found}

    @reads_only
    def explain_message(self, call: Call, *, MessageId: str) -> dict[str, Any]:
        found = outcomes.of_message(call, MessageId)
        if not found:
            raise _missing(
                f"No sequenced mapping knows the message {MessageId}: it is not sequenced, is still in its "
                "queue, or came to its end longer ago than is kept."
            )
        return {"Arrivals": found}

    def reset_sequence(
        self, call: Call, *, UUID: str, Key: str | None = None, To: str | None = None
    ) -> dict[str, Any]:
        """Forget a key's last success, or say which version it was; without a key all keys."""
        mapping = mappings.load(call, UUID, lock=True)
        row = settings.of_mapping(call, UUID, lock=True)
        if row is None:
            raise _missing(f"The mapping {UUID} is not sequenced.")
        if Key is None:
            settings.forget_keys(call, row)
            return {}
        sequence = settings.sequence_of(row, "", mappings.settings_of(mapping), {})
        version = None
        if To is not None:
            try:
                version = versions.encode(To.split("+"), sequence.type)
            except ValueError as error:
                raise rules.refused(f"'{To}' is not a version of this mapping: {error}.") from None
        if not ledger.reset(call, sequence, Key, version):
            raise _missing(f"The mapping {UUID} does not know the key {Key}.")
        reply = call.sqs.set_aside(QueueUrl=_url(call, row), Limit=0)
        call.tx.wake(reply["Topic"])
        return {}


def _described(call: Call, row: Row) -> dict[str, Any]:
    return {
        "Mapping": row["mapping"],
        "EventSourceArn": row["source_arn"],
        "Rule": row["rule"],
        "SetBy": "api" if row["chosen"] else "tag",
        "Type": row["pinned"] or None,
        "Counts": outcomes.counts(call, row["id"]),
    }


def _state(row: Row) -> str:
    if row["stopped"]:
        return "stopped"
    if row["item"] is not None:
        return "running"
    return "idle" if row["due_at"] is None else "waiting"


def _url(call: Call, row: Row) -> str:
    queue = arns.parse(row["source_arn"])
    return arns.queue_url(call.base_url, queue.account, queue.resource)


def _missing(sentence: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", sentence, 404, Type="User")
