"""AWS::Lambda::Function, ::Permission and ::EventSourceMapping."""

import io
import zipfile
from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props
from oncue.services.cloudformation.resources.queues import tags_of

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
CODE_KEYS = ("S3Bucket", "S3Key", "S3ObjectVersion", "ZipFile", "ImageUri")
NUMBERS = frozenset({"MaximumConcurrency", "Size"})


def inline_code(source: str, runtime: str) -> bytes:
    """Source text as a deployment package: index.py, or index.js for Node. The same text gives the same bytes."""
    buffer = io.BytesIO()
    name = "index.js" if runtime.startswith("nodejs") else "index.py"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name, ZIP_DATE)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, source)
    return buffer.getvalue()


def code_of(properties: Properties) -> dict[str, Any]:
    code = {key: value for key, value in properties["Code"].items() if key in CODE_KEYS}
    if isinstance(code.get("ZipFile"), str):
        code["ZipFile"] = inline_code(code["ZipFile"], str(properties.get("Runtime", "")))
    return code


async def perform(call: Call, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """One operation of another service, with a transaction of its own."""
    return await call.perform(getattr(call.services[service], operation), parameters)


def with_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: int(item)
            if key in NUMBERS and isinstance(item, str) and item.isdigit()
            else with_numbers(item)
            for key, item in value.items()
        }
    return value


class Function(Kind):
    """Ref: the function's name. GetAtt: Arn. Its code is unpacked, so that making it is not one transaction."""

    type = "AWS::Lambda::Function"
    name_property = "FunctionName"
    attributes = frozenset({"Arn"})
    properties = {
        **props("text", "FunctionName PackageType", replaces=True),
        **props("map", "Code", required=True),
        **props("text", "Role", required=True),
        **props("text", "Handler Runtime Description KmsKeyArn"),
        **props("integer", "Timeout MemorySize ReservedConcurrentExecutions"),
        **props(
            "map",
            "Environment DeadLetterConfig EphemeralStorage TracingConfig VpcConfig LoggingConfig SnapStart",
        ),
        **props("list", "Architectures Layers Tags"),
    }
    settings = [
        "Role",
        "Handler",
        "Runtime",
        "Description",
        "KmsKeyArn",
        "Timeout",
        "MemorySize",
        "Environment",
        "DeadLetterConfig",
        "EphemeralStorage",
        "TracingConfig",
        "VpcConfig",
        "LoggingConfig",
        "SnapStart",
        "Layers",
    ]
    defaults: dict[str, Any] = {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Environment": {"Variables": {}},
        "DeadLetterConfig": {"TargetArn": ""},
        "TracingConfig": {"Mode": "PassThrough"},
        "Layers": [],
    }

    async def create(self, call: Call, subject: Subject) -> Made:
        given = with_numbers(subject.properties)
        wanted = {key: given[key] for key in (*self.settings, "PackageType", "Architectures") if key in given}
        tags = tags_of(given)
        try:
            answer = await perform(
                call,
                "lambda",
                "create_function",
                FunctionName=subject.name,
                Code=code_of(given),
                **wanted,
                **({"Tags": tags} if tags else {}),
            )
        except ServiceError as error:
            if error.code != "ResourceConflictException" or not subject.resumed:
                raise
            answer = await perform(call, "lambda", "get_function_configuration", FunctionName=subject.name)
        await self.reserve(call, subject.name, {}, given)
        return Made(subject.name, {"Arn": answer["FunctionArn"]})

    async def reserve(self, call: Call, name: str, before: Properties, after: Properties) -> None:
        had, wants = (side.get("ReservedConcurrentExecutions") for side in (before, after))
        if wants is not None and wants != had:
            await perform(
                call,
                "lambda",
                "put_function_concurrency",
                FunctionName=name,
                ReservedConcurrentExecutions=wants,
            )
        elif had is not None and wants is None:
            await perform(call, "lambda", "delete_function_concurrency", FunctionName=name)

    async def update(self, call: Call, subject: Subject) -> Made:
        name = subject.physical_id
        before, after = with_numbers(subject.before), with_numbers(subject.properties)
        if (before["Code"], before.get("Architectures")) != (after["Code"], after.get("Architectures")):
            kept = {"Architectures": after["Architectures"]} if "Architectures" in after else {}
            await perform(call, "lambda", "update_function_code", FunctionName=name, **code_of(after), **kept)
        changed = {key: after[key] for key in self.settings if key in after and before.get(key) != after[key]}
        for key in self.settings:
            if key in before and key not in after:
                changed[key] = self.defaults.get(key, {})
        if changed:
            await perform(call, "lambda", "update_function_configuration", FunctionName=name, **changed)
        await self.reserve(call, name, before, after)
        had, wants = tags_of(before), tags_of(after)
        arn = subject.attributes["Arn"]
        if had.keys() - wants.keys():
            await perform(
                call, "lambda", "untag_resource", Resource=arn, TagKeys=sorted(had.keys() - wants.keys())
            )
        if wants and wants != had:
            await perform(call, "lambda", "tag_resource", Resource=arn, Tags=wants)
        return Made(name, subject.attributes)

    async def delete(self, call: Call, subject: Subject) -> None:
        try:
            await perform(call, "lambda", "delete_function", FunctionName=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


class Permission(Kind):
    """Ref: the statement's id. Every property replaces it."""

    type = "AWS::Lambda::Permission"
    name_length_max = 100
    attributes = frozenset({"Id"})
    properties = {
        **props("text", "FunctionName Action Principal", required=True, replaces=True),
        **props(
            "text",
            "SourceArn SourceAccount EventSourceToken FunctionUrlAuthType PrincipalOrgID",
            replaces=True,
        ),
        **props("boolean", "InvokedViaFunctionUrl", replaces=True),
    }

    def create(self, call: Call, subject: Subject) -> Made:
        call.lambda_.add_permission(StatementId=subject.name, **subject.properties)
        return Made(subject.name, {"Id": subject.name})

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.lambda_.remove_permission(
                FunctionName=subject.properties["FunctionName"], StatementId=subject.physical_id
            )
        except ServiceError as error:
            if not gone(error.code):
                raise


class EventSourceMapping(Kind):
    """Ref: the mapping's UUID. GetAtt: Id, EventSourceMappingArn."""

    type = "AWS::Lambda::EventSourceMapping"
    attributes = frozenset({"Id", "EventSourceMappingArn"})
    properties = {
        **props("text", "FunctionName", required=True),
        **props("text", "EventSourceArn StartingPosition", replaces=True),
        **props("boolean", "Enabled BisectBatchOnFunctionError"),
        **props(
            "integer",
            "BatchSize MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds MaximumRetryAttempts "
            "ParallelizationFactor TumblingWindowInSeconds",
        ),
        **props("list", "FunctionResponseTypes Tags"),
        **props("map", "FilterCriteria ScalingConfig DestinationConfig ProvisionedPollerConfig"),
    }
    lasting = frozenset({"EventSourceArn", "StartingPosition", "Tags"})
    defaults: dict[str, Any] = {
        "Enabled": True,
        "BisectBatchOnFunctionError": False,
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "FilterCriteria": {},
        "ScalingConfig": {},
        "DestinationConfig": {},
    }

    def create(self, call: Call, subject: Subject) -> Made:
        given = with_numbers(subject.properties)
        tags = tags_of(given)
        given = {key: value for key, value in given.items() if key != "Tags"}
        if tags:
            given["Tags"] = tags
        answer = call.lambda_.create_event_source_mapping(**given)
        uuid = answer["UUID"]
        return Made(uuid, {"Id": uuid, "EventSourceMappingArn": answer.get("EventSourceMappingArn", "")})

    def update(self, call: Call, subject: Subject) -> Made:
        before, after = subject.before, with_numbers(subject.properties)
        if before.get("Tags") != after.get("Tags"):
            raise ServiceError(
                "ValidationError", "Oncue does not change the Tags of a mapping that is there."
            )
        changed = {key: value for key, value in after.items() if key not in self.lasting}
        for key in before:
            if key not in after and key not in self.lasting:
                changed[key] = self.defaults.get(
                    key, 10 if "arn:aws:sqs:" in after["EventSourceArn"] else 100
                )
        call.lambda_.update_event_source_mapping(UUID=subject.physical_id, **changed)
        return Made(subject.physical_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.lambda_.delete_event_source_mapping(UUID=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


KINDS: tuple[Kind, ...] = (Function(), Permission(), EventSourceMapping())
