"""Messages on their way in: taken out of the queue's order, their key and version read, written down."""

import zlib
from collections.abc import Iterable

from oncue.services import Call
from oncue.services.lambda_.sequencing import decisions, ledger, versions
from oncue.services.lambda_.sequencing.decisions import Pending, Settled
from oncue.services.lambda_.sequencing.ledger import INVALID_KEY, Message, Sequence
from oncue.services.lambda_.sequencing.pointers import Reader


def admit(call: Call, sequence: Sequence, messages: Iterable[Message]) -> Sequence:
    """Write down messages that were just set aside. The answer has the type that `auto` has settled on."""
    rows: list[tuple[str, Pending]] = []
    for message in messages:
        sequence, name, version, wrong = _read(call, sequence, message)
        pending = Pending(
            item=message["Item"],
            message_id=message["MessageId"],
            order=version.order if version else None,
            text=version.text if version else "",
            arrived_at=call.now,
            attempts=0,
            visible_at=call.now,
            invalid=wrong,
            body_sum=zlib.crc32(message["MD5OfBody"].encode()),
        )
        if wrong and _settled_invalid(call, sequence, pending, wrong):
            continue
        rows.append((name, pending))
    rows.sort(key=lambda row: (row[0], row[1].item))  # keys are locked in one order, everywhere
    for name, pending in rows:
        ledger.touch(call, sequence, name)
        ledger.insert(call, sequence, name, pending)
    return sequence


def _read(
    call: Call, sequence: Sequence, message: Message
) -> tuple[Sequence, str, versions.Version | None, str]:
    """(the sequence, the key's name, the version, what is wrong)"""
    rule, reader = sequence.rule, Reader(message)
    try:
        name = reader.key(rule.key)
        if rule.mode == "serial":
            return sequence, name, None, ""
        version = versions.encode(reader.values(rule.version), sequence.type)
    except ValueError as error:
        return sequence, INVALID_KEY + message["MessageId"], None, str(error)
    if version.type != sequence.type:
        sequence = _pin(call, sequence, version.type)
        if sequence.type != version.type:  # another node was faster
            return _read(call, sequence, message)
    return sequence, name, version, ""


def _pin(call: Call, sequence: Sequence, type: str) -> Sequence:
    call.tx.run(
        "UPDATE lambda_sequences SET pinned = :type WHERE id = :s AND pinned = ''", type=type, s=sequence.id
    )
    row = call.tx.one("SELECT pinned FROM lambda_sequences WHERE id = :s", s=sequence.id)
    assert row is not None, "the caller has read it"
    return Sequence(sequence.id, sequence.url, sequence.rule, row["pinned"], sequence.queue)


def _settled_invalid(call: Call, sequence: Sequence, pending: Pending, wrong: str) -> bool:
    """Whether a message that cannot be sequenced has found its end; if not, it runs under its own name."""
    policy = sequence.rule.on_invalid
    if policy == "run" or (policy == "dlq" and sequence.receives_max is None):
        return False
    name = INVALID_KEY + pending.message_id
    settled = Settled(pending, decisions.INVALID, detail=wrong, dead_letter=policy == "dlq")
    ledger.settle(call, sequence, name, settled, attributes={"SequencingError": wrong})
    return True
