"""Event source mappings: the operations and the rows. What they do is in `sources`."""

from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call, reads_only
from oncue.services.lambda_ import configuration, functions, names
from oncue.services.lambda_.configuration import invalid
from oncue.services.lambda_.names import FunctionName as Name
from oncue.services.lambda_.sequencing import settings as sequences
from oncue.store import Row

TOPIC = "lambda/mappings"  # rung when any mapping changes
BATCH_SIZE_DEFAULT = 10
BATCH_SIZE_WITHOUT_WINDOW = 10
BATCH_SIZE_FIFO_MAX = 10
LIST_DEFAULT = 100
MAPPINGS_MAX = 10_000  # enabled ones, that one node looks after
Settings = dict[str, Any]


class Mappings:
    """SQS queues as sources. Filters, provisioned pollers and stream sources are refused."""

    def create_event_source_mapping(
        self,
        call: Call,
        *,
        FunctionName: str,
        EventSourceArn: str | None = None,
        Enabled: bool = True,
        BatchSize: int | None = None,
        MaximumBatchingWindowInSeconds: int | None = None,
        FunctionResponseTypes: list[str] | None = None,
        ScalingConfig: dict[str, int] | None = None,
        FilterCriteria: dict[str, Any] | None = None,
        Tags: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        settings: Settings = {
            "BatchSize": BATCH_SIZE_DEFAULT if BatchSize is None else BatchSize,
            "MaximumBatchingWindowInSeconds": MaximumBatchingWindowInSeconds or 0,
            "FunctionResponseTypes": FunctionResponseTypes or [],
        }
        if ScalingConfig:
            settings["ScalingConfig"] = ScalingConfig
        queue = _queue(call, EventSourceArn)
        _check(settings, queue, FilterCriteria)
        name = names.read(FunctionName, call.account, call.region)
        _check_function(call, name, queue)
        _refuse_duplicate(call, str(queue), name)
        row = {
            "uuid": clock.new_id(),
            "account": call.account,
            "region": call.region,
            "source_arn": str(queue),
            "function_name": name.name,
            "qualifier": name.qualifier or "",
            "enabled": int(Enabled),
            "revision": clock.new_id(),
            "settings": msgspec.json.encode(settings).decode(),
            "modified_at": call.now,
            "tags": msgspec.json.encode(Tags or {}).decode(),
        }
        call.tx.run(
            """
            INSERT INTO lambda_mappings (uuid, account, region, source_arn, function_name, qualifier, enabled,
                revision, settings, modified_at, tags)
            VALUES (:uuid, :account, :region, :source_arn, :function_name, :qualifier, :enabled,
                :revision, :settings, :modified_at, :tags)
            """,
            **row,
        )
        sequences.check_tags(Tags or {})
        sequences.refresh(call, row)
        call.tx.wake(TOPIC)
        return described(row, "Creating")

    @reads_only
    def get_event_source_mapping(self, call: Call, *, UUID: str) -> dict[str, Any]:
        return described(load(call, UUID))

    @reads_only
    def list_event_source_mappings(
        self,
        call: Call,
        *,
        EventSourceArn: str | None = None,
        FunctionName: str | None = None,
        Marker: str | None = None,
        MaxItems: int = LIST_DEFAULT,
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region) if FunctionName else None
        rows = call.tx.all(
            """
            SELECT * FROM lambda_mappings WHERE account = :a AND region = :r AND uuid > :after
              AND (:every_source = 1 OR source_arn = :source)
              AND (:every_function = 1 OR (function_name = :name AND qualifier = :qualifier))
            ORDER BY uuid LIMIT :limit
            """,
            a=call.account,
            r=call.region,
            after=Marker or "",
            every_source=0 if EventSourceArn else 1,
            source=EventSourceArn or "",
            every_function=0 if name else 1,
            name=name.name if name else "",
            qualifier=(name.qualifier or "") if name else "",
            limit=MaxItems + 1,
        )
        page = rows[:MaxItems]
        return {
            "EventSourceMappings": [described(row) for row in page],
            "NextMarker": page[-1]["uuid"] if len(rows) > MaxItems else None,
        }

    def update_event_source_mapping(
        self,
        call: Call,
        *,
        UUID: str,
        FunctionName: str | None = None,
        Enabled: bool | None = None,
        BatchSize: int | None = None,
        MaximumBatchingWindowInSeconds: int | None = None,
        FunctionResponseTypes: list[str] | None = None,
        ScalingConfig: dict[str, int] | None = None,
        FilterCriteria: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        row = load(call, UUID, lock=True)
        given = {
            "BatchSize": BatchSize,
            "MaximumBatchingWindowInSeconds": MaximumBatchingWindowInSeconds,
            "FunctionResponseTypes": FunctionResponseTypes,
            "ScalingConfig": ScalingConfig,
        }
        settings: Settings = msgspec.json.decode(row["settings"])
        settings |= {key: value for key, value in given.items() if value is not None}
        if not settings.get("ScalingConfig"):
            settings.pop("ScalingConfig", None)
        queue = arns.parse(row["source_arn"])
        _check(settings, queue, FilterCriteria)
        if FunctionName is not None:
            name = names.read(FunctionName, call.account, call.region)
            _check_function(call, name, queue)
            if name != name_of(row):
                _refuse_duplicate(call, row["source_arn"], name)
            row |= {"function_name": name.name, "qualifier": name.qualifier or ""}
        state = "Updating"
        if Enabled is not None and Enabled != bool(row["enabled"]):
            state = "Enabling" if Enabled else "Disabling"
            row["enabled"] = int(Enabled)
        row |= {
            "revision": clock.new_id(),
            "settings": msgspec.json.encode(settings).decode(),
            "modified_at": call.now,
        }
        _save(call, row)
        sequences.refresh(call, row)
        return described(row, state)

    def delete_event_source_mapping(self, call: Call, *, UUID: str) -> dict[str, Any]:
        row = load(call, UUID, lock=True)
        sequences.retire(call, row)
        call.tx.run("DELETE FROM lambda_mappings WHERE uuid = :uuid", uuid=UUID)
        call.tx.wake(TOPIC)
        return described(row, "Deleting")


def load(call: Call, uuid: str, *, lock: bool = False) -> Row:
    row = call.tx.one(
        "SELECT * FROM lambda_mappings WHERE uuid = :uuid AND account = :a AND region = :r"
        + " FOR UPDATE" * lock,
        uuid=uuid,
        a=call.account,
        r=call.region,
    )
    if row is None:
        sentence = "The resource you requested does not exist."
        raise ServiceError("ResourceNotFoundException", sentence, 404, Type="User")
    return row


def enabled(call: Call) -> list[Row]:
    """Every enabled mapping of every owner; `rule` is the line by which it is sequenced, '' for none."""
    return call.tx.all(
        """
        SELECT m.*, COALESCE(s.rule, '') AS rule
        FROM lambda_mappings m LEFT JOIN lambda_sequences s ON s.mapping = m.uuid
        WHERE m.enabled = 1 ORDER BY m.uuid LIMIT :limit
        """,
        limit=MAPPINGS_MAX,
    )


def settings_of(row: Row) -> Settings:
    settings: Settings = msgspec.json.decode(row["settings"])
    return settings


def name_of(row: Row) -> Name:
    return Name(row["account"], row["region"], row["function_name"], row["qualifier"] or None)


def set_tags(call: Call, row: Row, tags: dict[str, str]) -> None:
    if len(tags) > configuration.TAGS_MAX:
        raise invalid(f"A resource can have up to {configuration.TAGS_MAX} tags.")
    call.tx.run(
        "UPDATE lambda_mappings SET tags = :tags WHERE uuid = :uuid",
        tags=msgspec.json.encode(tags).decode(),
        uuid=row["uuid"],
    )
    sequences.check_tags(tags)
    sequences.refresh(call, row | {"tags": msgspec.json.encode(tags).decode()})
    call.tx.wake(TOPIC)


def described(row: Row, state: str | None = None) -> dict[str, Any]:
    """EventSourceMappingConfiguration; `state` is what a change replies while AWS would still be at it."""
    settings: Settings = msgspec.json.decode(row["settings"])
    arn = arns.build("lambda", row["region"], row["account"], f"event-source-mapping:{row['uuid']}")
    return settings | {
        "UUID": row["uuid"],
        "EventSourceArn": row["source_arn"],
        "EventSourceMappingArn": arn,
        "FunctionArn": name_of(row).asked_arn,
        "LastModified": row["modified_at"],
        "State": state or ("Enabled" if row["enabled"] else "Disabled"),
        "StateTransitionReason": "USER_INITIATED",
    }


def _save(call: Call, row: Row) -> None:
    call.tx.run(
        """
        UPDATE lambda_mappings SET function_name = :function_name, qualifier = :qualifier, enabled = :enabled,
            revision = :revision, settings = :settings, modified_at = :modified_at
        WHERE uuid = :uuid
        """,
        **{
            key: row[key]
            for key in (
                "function_name",
                "qualifier",
                "enabled",
                "revision",
                "settings",
                "modified_at",
                "uuid",
            )
        },
    )
    call.tx.wake(TOPIC)


def _queue(call: Call, source: str | None) -> arns.Arn:
    try:
        arn = arns.parse(source or "")
    except ValueError:
        raise invalid("Unrecognized event source.") from None
    if arn.service != "sqs":
        raise invalid(f"Oncue supports only Amazon SQS queues as event sources yet, not {arn.service}.")
    if (arn.account, arn.region) != (call.account, call.region):
        raise invalid("Oncue supports only queues of the function's own account and region as event sources.")
    return arn


def _check(settings: Settings, queue: arns.Arn, criteria: dict[str, Any] | None) -> None:
    if criteria and criteria.get("Filters"):
        raise invalid("Oncue does not support FilterCriteria yet.")
    size, window_s = settings["BatchSize"], settings["MaximumBatchingWindowInSeconds"]
    if queue.resource.endswith(".fifo"):
        if size > BATCH_SIZE_FIFO_MAX:
            raise invalid(f"Maximum batch size for a FIFO queue is {BATCH_SIZE_FIFO_MAX}.")
        if window_s:
            raise invalid("Batching window is not supported for FIFO queues.")
    elif size > BATCH_SIZE_WITHOUT_WINDOW and window_s < 1:
        raise invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )


def _check_function(call: Call, name: Name, queue: arns.Arn) -> None:
    try:
        row = functions.load(call, name)
    except ServiceError:
        raise invalid("Function does not exist") from None
    visibility_s, timeout_s = _visibility_s(call, queue), msgspec.json.decode(row["settings"])["Timeout"]
    if visibility_s < timeout_s:
        raise invalid(
            f"Queue visibility timeout: {visibility_s} seconds is less than "
            f"Function timeout: {timeout_s} seconds"
        )


def _visibility_s(call: Call, queue: arns.Arn) -> int:
    url = arns.queue_url(call.base_url, queue.account, queue.resource)
    try:
        attributes = call.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    except ServiceError as error:
        if error.code != "QueueDoesNotExist":
            raise
        raise invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
            "SQS Error Message: The specified queue does not exist."
        ) from None
    return int(attributes["Attributes"]["VisibilityTimeout"])


def _refuse_duplicate(call: Call, source: str, name: Name) -> None:
    row = call.tx.one(
        """
        SELECT uuid FROM lambda_mappings WHERE account = :a AND region = :r AND source_arn = :source
          AND function_name = :name AND qualifier = :qualifier
        """,
        a=call.account,
        r=call.region,
        source=source,
        name=name.name,
        qualifier=name.qualifier or "",
    )
    if row is not None:
        raise ServiceError(
            "ResourceConflictException",
            f'An event source mapping with SQS arn (" {source} ") and function (" {name.name} ") already '
            f"exists. Please update or delete the existing mapping with UUID {row['uuid']}",
            409,
            Type="User",
        )
