"""Which rule holds for which mapping: our own API before the mapping's tag before the function's tags."""

from typing import Any

import msgspec

from oncue import arns
from oncue.services import Call
from oncue.services.lambda_.names import LATEST, FunctionName
from oncue.services.lambda_.sequencing import ledger, rules
from oncue.services.lambda_.sequencing.ledger import Sequence
from oncue.store import Row

MAPPINGS_OF_FUNCTION_MAX = 1_000
FORSAKEN_MAX = 100


def check_tags(tags: dict[str, str]) -> None:
    """InvalidParameterValueException for a line that is wrong, whether a mapping follows it yet or not."""
    for name, line in tags.items():
        if name == rules.TAG or name.startswith(f"{rules.TAG}:"):
            rules.read(line)


def refresh(call: Call, mapping: Row) -> None:
    """Put into force what holds for the mapping now, in the transaction that changed it. Refused: a second
    sequenced mapping of the queue, and another key, version or type while keys are known."""
    line, row = effective(call, mapping), of_mapping(call, mapping["uuid"], lock=True)
    if not line and row is None:
        return
    if row is None:
        call.tx.run(
            """
            INSERT INTO lambda_sequences (mapping, account, region, source_arn, chosen, rule, identity,
                pinned, deleted)
            VALUES (:uuid, :account, :region, :source_arn, '', '', '', '', 0)
            ON CONFLICT (mapping) DO NOTHING
            """,
            **{name: mapping[name] for name in ("uuid", "account", "region", "source_arn")},
        )
        row = of_mapping(call, mapping["uuid"], lock=True)
    assert row is not None
    identity = _checked(call, mapping, row, line) if line else row["identity"]
    call.tx.run(
        "UPDATE lambda_sequences SET rule = :line, identity = :identity WHERE id = :s",
        line=line,
        identity=identity,
        s=row["id"],
    )
    if row["rule"] and (not line or not mapping["enabled"]):
        release(call, row)


def refresh_function(call: Call, name: FunctionName) -> None:
    rows = call.tx.all(
        """
        SELECT * FROM lambda_mappings WHERE account = :a AND region = :r AND function_name = :name
        ORDER BY uuid LIMIT :limit
        """,
        a=name.account,
        r=name.region,
        name=name.name,
        limit=MAPPINGS_OF_FUNCTION_MAX,
    )
    for row in rows:
        refresh(call, row)


def choose(call: Call, mapping: Row, line: str) -> None:
    """Set by our own API; '' takes that back."""
    if line:
        rules.read(line)
    call.tx.run(
        """
        INSERT INTO lambda_sequences (mapping, account, region, source_arn, chosen, rule, identity, pinned,
            deleted)
        VALUES (:uuid, :account, :region, :source_arn, :line, '', '', '', 0)
        ON CONFLICT (mapping) DO UPDATE SET chosen = :line
        """,
        line=line,
        **{name: mapping[name] for name in ("uuid", "account", "region", "source_arn")},
    )
    refresh(call, mapping)


def effective(call: Call, mapping: Row) -> str:
    """The line in force; '' for none."""
    row = of_mapping(call, mapping["uuid"])
    if row is not None and row["chosen"]:
        return str(row["chosen"])
    tags: dict[str, str] = msgspec.json.decode(mapping["tags"])
    if rules.TAG in tags:
        return tags[rules.TAG]
    function = call.tx.one(
        """
        SELECT tags FROM lambda_functions
        WHERE account = :account AND region = :region AND name = :function_name AND version = :latest
        """,
        latest=LATEST,
        **{name: mapping[name] for name in ("account", "region", "function_name")},
    )
    tags = msgspec.json.decode(function["tags"]) if function else {}
    queue = arns.parse(mapping["source_arn"]).resource
    return tags.get(f"{rules.TAG}:{queue}") or tags.get(rules.TAG, "")


def of_mapping(call: Call, uuid: str, *, lock: bool = False) -> Row | None:
    return call.tx.one(
        "SELECT * FROM lambda_sequences WHERE mapping = :uuid" + " FOR UPDATE" * lock, uuid=uuid
    )


def sequence_of(row: Row, url: str, settings: dict[str, Any], queue: dict[str, Any]) -> Sequence:
    """What runs: the rule with the mapping's batching window as its settle time, where it has none."""
    rule = rules.read(row["rule"])
    window_s = settings["MaximumBatchingWindowInSeconds"]
    if rule.mode == "latest" and window_s and not rule.settle_s:
        rule = msgspec.structs.replace(rule, settle_s=float(window_s), max_wait_s=float(window_s))
    return Sequence(row["id"], url, rule, row["pinned"], queue)


def release(call: Call, row: Row) -> None:
    """The messages are the queue's again; what keys know stays."""
    queue = arns.parse(row["source_arn"])
    url = arns.queue_url(call.base_url, queue.account, queue.resource)
    ledger.release(call, row["id"], url)


def forget_keys(call: Call, row: Row) -> None:
    """Everything that is known of keys, and the type that auto has settled on."""
    release(call, row)
    call.tx.run("DELETE FROM lambda_sequence_keys WHERE sequence = :s", s=row["id"])
    call.tx.run("UPDATE lambda_sequences SET pinned = '' WHERE id = :s", s=row["id"])


def retire(call: Call, mapping: Row) -> None:
    """The mapping is being deleted: its messages go back, its keys are forgotten. What became of messages
    is remembered for its time."""
    row = of_mapping(call, mapping["uuid"], lock=True)
    if row is not None:
        forget_keys(call, row)
        call.tx.run("UPDATE lambda_sequences SET rule = '', deleted = 1 WHERE id = :s", s=row["id"])


def forget_retired(call: Call) -> None:
    """What is left of deleted mappings, once nothing is told of their messages any more."""
    gone = """
        SELECT s.id FROM lambda_sequences s WHERE s.deleted = 1
        AND NOT EXISTS (SELECT 1 FROM lambda_sequence_outcomes o WHERE o.sequence = s.id)
        AND NOT EXISTS (SELECT 1 FROM lambda_sequence_messages p WHERE p.sequence = s.id)
    """
    call.tx.run(f"DELETE FROM lambda_sequence_counts WHERE sequence IN ({gone})")
    call.tx.run(f"DELETE FROM lambda_sequences WHERE id IN ({gone})")


def forsaken(call: Call) -> list[Row]:
    """Sequences that nobody runs and that have messages all the same: a node that had not heard of the
    change has set them aside."""
    return call.tx.all(
        """
        SELECT * FROM lambda_sequences s WHERE (s.rule = '' OR NOT EXISTS (
            SELECT 1 FROM lambda_mappings m WHERE m.uuid = s.mapping AND m.enabled = 1
        )) AND EXISTS (SELECT 1 FROM lambda_sequence_messages p WHERE p.sequence = s.id)
        ORDER BY s.id LIMIT :limit
        """,
        limit=FORSAKEN_MAX,
    )


def _checked(call: Call, mapping: Row, row: Row, line: str) -> str:
    """The identity of the line's rule, once it may hold for the mapping."""
    rule = rules.read(line)
    rules.check_key(rule, line, fifo=mapping["source_arn"].endswith(".fifo"))
    other = call.tx.one(
        """
        SELECT mapping FROM lambda_sequences
        WHERE source_arn = :source AND id <> :s AND rule <> '' AND deleted = 0
        """,
        source=mapping["source_arn"],
        s=row["id"],
    )
    if other is not None:
        raise rules.refused(
            f"the queue {mapping['source_arn']} has a sequenced mapping already ({other['mapping']}); two "
            "would take each other's messages."
        )
    if row["identity"] not in ("", rule.identity) and _has_keys(call, row["id"]):
        raise rules.refused(
            f"'{rule.identity}' would give the known keys another meaning (it was '{row['identity']}'). "
            f"Forget them first: oncue sequencing reset --mapping {mapping['uuid']} --all"
        )
    return rule.identity


def _has_keys(call: Call, sequence: int) -> bool:
    sql = "SELECT name FROM lambda_sequence_keys WHERE sequence = :s LIMIT 1"
    return call.tx.one(sql, s=sequence) is not None
