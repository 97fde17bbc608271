"""AWS::Lambda::Function, ::Permission and ::EventSourceMapping."""

import io
import zipfile
from typing import Any, ClassVar

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props, shapes
from oncue.services.cloudformation.resources.queues import tags_of

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
CODE_KEYS = ("S3Bucket", "S3Key", "S3ObjectVersion", "ZipFile", "ImageUri")
NUMBERS = frozenset({"MaximumConcurrency", "Size"})


def inline_code(source: str, runtime: str) -> bytes:
    """Source text as a deployment package: index.py, or index.js for Node. The same text gives the same
    bytes."""
    buffer = io.BytesIO()
    name = "index.js" if runtime.startswith("nodejs") else "index.py"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name, ZIP_DATE)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, source)
    return buffer.getvalue()


def code_of(properties: Properties) -> dict[str, Any]:
    code = dict(properties["Code"])
    for key in code.keys() - set(CODE_KEYS):
        raise ServiceError("ValidationError", f"Encountered unsupported property {key} of Code")
    if isinstance(code.get("ZipFile"), str):
        code["ZipFile"] = inline_code(code["ZipFile"], str(properties.get("Runtime", "")))
    return code


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
    """Ref: the function's name. GetAtt: Arn. Its code is unpacked, so that making it is not one
    transaction."""

    type = "AWS::Lambda::Function"
    name_property = "FunctionName"
    attributes = frozenset({"Arn"})
    properties = shapes(
        props("text", "FunctionName PackageType", replaces=True),
        props("map", "Code", required=True),
        props("text", "Role", required=True),
        props("text", "Handler Runtime Description KmsKeyArn"),
        props("integer", "Timeout MemorySize ReservedConcurrentExecutions"),
        props(
            "map",
            "Environment DeadLetterConfig EphemeralStorage TracingConfig VpcConfig LoggingConfig SnapStart",
        ),
        props("list", "Architectures Layers Tags"),
    )
    settings = (
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
    )
    defaults: ClassVar[dict[str, Any]] = {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Environment": {"Variables": {}},
        "DeadLetterConfig": {"TargetArn": ""},
        "TracingConfig": {"Mode": "PassThrough"},
        "Layers": [],
        "Role": "",
        "Handler": "",
        "Runtime": "",
        "KmsKeyArn": "",
        "EphemeralStorage": {"Size": 512},
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
        "LoggingConfig": {"LogFormat": "Text"},
        "SnapStart": {"ApplyOn": "None"},
    }

    def create(self, call: Call, subject: Subject) -> Made:
        given = with_numbers(subject.properties)
        tags = tags_of(given)
        answer = call.lambda_.create_function(
            FunctionName=subject.name,
            Code=code_of(given),
            **self.wanted(given, (*self.settings, "PackageType", "Architectures")),
            **({"Tags": tags} if tags else {}),
        )
        self.reserve(call, subject.name, {}, given)
        return Made(subject.name, {"Arn": answer["FunctionArn"]})

    def wanted(self, given: Properties, names: tuple[str, ...]) -> dict[str, Any]:
        """The settings in the API's spelling."""
        return {"KMSKeyArn" if key == "KmsKeyArn" else key: given[key] for key in names if key in given}

    def reserve(self, call: Call, name: str, before: Properties, after: Properties) -> None:
        had, wants = (side.get("ReservedConcurrentExecutions") for side in (before, after))
        if wants is not None and wants != had:
            call.lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=wants)
        elif had is not None and wants is None:
            call.lambda_.delete_function_concurrency(FunctionName=name)

    def update(self, call: Call, subject: Subject) -> Made:
        name = subject.physical_id
        before, after = with_numbers(subject.before), with_numbers(subject.properties)
        if any(before.get(key) != after.get(key) for key in ("Code", "Architectures")):
            kept = {"Architectures": after["Architectures"]} if "Architectures" in after else {}
            call.lambda_.update_function_code(FunctionName=name, **code_of(after), **kept)
        changed = {key: after[key] for key in self.settings if key in after and before.get(key) != after[key]}
        changed |= {key: self.defaults[key] for key in self.settings if key in before and key not in after}
        if changed:
            settings = self.wanted(changed, self.settings)
            call.lambda_.update_function_configuration(FunctionName=name, **settings)
        self.reserve(call, name, before, after)
        had, wants, arn = tags_of(before), tags_of(after), subject.attributes["Arn"]
        if had.keys() - wants.keys():
            call.lambda_.untag_resource(Resource=arn, TagKeys=sorted(had.keys() - wants.keys()))
        if wants and wants != had:
            call.lambda_.tag_resource(Resource=arn, Tags=wants)
        return Made(name, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.lambda_.delete_function(FunctionName=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


class Permission(Kind):
    """Ref: the statement's id. Every property replaces it."""

    type = "AWS::Lambda::Permission"
    name_length_max = 100
    attributes = frozenset({"Id"})
    properties = shapes(
        props("text", "FunctionName Action Principal", required=True, replaces=True),
        props(
            "text",
            "SourceArn SourceAccount EventSourceToken FunctionUrlAuthType PrincipalOrgID",
            replaces=True,
        ),
        props("boolean", "InvokedViaFunctionUrl", replaces=True),
    )

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
    properties = shapes(
        props("text", "FunctionName", required=True),
        props("text", "EventSourceArn StartingPosition", replaces=True),
        props("boolean", "Enabled BisectBatchOnFunctionError"),
        props(
            "integer",
            "BatchSize MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds MaximumRetryAttempts "
            "ParallelizationFactor TumblingWindowInSeconds",
        ),
        props("list", "FunctionResponseTypes Tags"),
        props("map", "FilterCriteria ScalingConfig DestinationConfig ProvisionedPollerConfig"),
    )
    lasting = frozenset({"EventSourceArn", "StartingPosition", "Tags"})
    defaults: ClassVar[dict[str, Any]] = {
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
