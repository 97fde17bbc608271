"""A function's configuration: AWS's rules, defaults and reply. Pure.

Rules: the Lambda API reference (CreateFunction, UpdateFunctionConfiguration) and "Lambda quotas".
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services.lambda_.names import LATEST
from oncue.store import Row

TIMEOUT_S_DEFAULT = 3
TIMEOUT_S_MAX = 900
MEMORY_MB_DEFAULT = 128
MEMORY_MB_MAX = 10_240
STORAGE_MB_DEFAULT = 512
STORAGE_MB_MAX = 10_240
ENVIRONMENT_BYTES_MAX = 4_096
ARCHIVE_BYTES_MAX = 52_428_800
TAGS_MAX = 50
RESERVED_KEYS = frozenset(
    {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
        *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
        *("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    }
)
Settings = dict[str, Any]  # members of FunctionConfiguration that the caller chooses


def invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", sentence, Type="User")


def defaults(name: str) -> Settings:
    return {
        "Description": "",
        "Timeout": TIMEOUT_S_DEFAULT,
        "MemorySize": MEMORY_MB_DEFAULT,
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "TracingConfig": {"Mode": "PassThrough"},
        "EphemeralStorage": {"Size": STORAGE_MB_DEFAULT},
        "SnapStart": {"ApplyOn": "None"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }


def merged(old: Settings, changes: Mapping[str, Any], name: str) -> Settings:
    """The settings after a create or an update; members that are None stay. ServiceError on a bad one."""
    given = {key: value for key, value in changes.items() if value is not None}
    _refuse_unsupported(given)
    new = old | {key: value for key, value in given.items() if key not in EMPTY_ONLY}
    if "LoggingConfig" in given:
        new["LoggingConfig"] = defaults(name)["LoggingConfig"] | given["LoggingConfig"]
    for key, empty in (("Environment", "Variables"), ("DeadLetterConfig", "TargetArn")):
        if key in new and not new[key].get(empty):
            del new[key]
    _check(new)
    return new


EMPTY_ONLY = {  # what tools send empty, and what it would mean
    "Layers": "layers",
    "VpcConfig": "VPCs",
    "FileSystemConfigs": "file systems",
    "KMSKeyArn": "customer managed keys",
    "ImageConfig": "container images",
}


def _refuse_unsupported(given: Mapping[str, Any]) -> None:
    for key, what in EMPTY_ONLY.items():
        value = given.get(key)
        if any(value.values()) if isinstance(value, dict) else value:
            raise invalid(f"Oncue does not support {what} for functions ({key}).")
    if given.get("PackageType", "Zip") != "Zip":
        raise invalid("Oncue does not support container images for functions (PackageType Image).")
    logging = given.get("LoggingConfig", {})
    if logging.get("LogFormat", "Text") != "Text":
        raise invalid(
            "Oncue does not support the JSON log format of functions (LoggingConfig.LogFormat) yet."
        )
    if "ApplicationLogLevel" in logging or "SystemLogLevel" in logging:
        raise invalid("Log levels can only be set when LogFormat is JSON.")


def _check(new: Settings) -> None:
    if not new.get("Runtime") or not new.get("Handler"):
        raise invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    _at_most("timeout", new["Timeout"], TIMEOUT_S_MAX)
    _at_most("memorySize", new["MemorySize"], MEMORY_MB_MAX)
    _at_most("ephemeralStorage.size", new["EphemeralStorage"]["Size"], STORAGE_MB_MAX)
    target = new.get("DeadLetterConfig", {}).get("TargetArn", "")
    if target and not (target.startswith("arn:aws:sqs:") and target.count(":") == 5):
        raise invalid("Oncue supports only an Amazon SQS queue as the target of DeadLetterConfig.")
    _check_environment(new.get("Environment", {}).get("Variables", {}))


def _check_environment(variables: Mapping[str, str]) -> None:
    unable = (
        "Lambda was unable to configure your environment variables because the environment variables you have"
    )
    reserved = [key for key in variables if key in RESERVED_KEYS]
    if reserved:
        raise invalid(
            f"{unable} provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = msgspec.json.encode(variables)
    if len(measured) > ENVIRONMENT_BYTES_MAX:
        raise invalid(f"{unable} provided exceeded the 4KB limit. String measured: {measured.decode()}")


def _at_most(path: str, value: int, limit: int) -> None:
    if value > limit:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must have value less than or equal to {limit}",
        )


def described(row: Row, *, arn: str | None = None) -> dict[str, Any]:
    """FunctionConfiguration of a stored function, ready to be invoked."""
    settings: Settings = msgspec.json.decode(row["settings"])
    plain = arns.build("lambda", row["region"], row["account"], f"function:{row['name']}")
    version = row["version"]
    runtime = f"arn:aws:lambda:{row['region']}::runtime:{row['code_sha256']}"
    settings["SnapStart"] = {"OptimizationStatus": "Off"} | settings["SnapStart"]
    return settings | {
        "FunctionName": row["name"],
        "FunctionArn": arn or (plain if version == LATEST else f"{plain}:{version}"),
        "Version": version,
        "CodeSize": row["code_bytes"],
        "CodeSha256": sha256_base64(row["code_sha256"]),
        "LastModified": last_modified(row["modified_at"]),
        "RevisionId": row["revision"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime},
    }


def described_created(row: Row) -> dict[str, Any]:
    """The reply of CreateFunction: AWS says that the function is pending, whatever comes next."""
    reply = described(row) | {
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
    }
    del reply["LastUpdateStatus"]
    return reply


def described_updated(row: Row, *, arn: str | None = None) -> dict[str, Any]:
    return described(row, arn=arn) | {
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
    }


def last_modified(seconds: float) -> str:
    """`2026-01-01T00:00:00.000+0000`."""
    moment: datetime = clock.as_datetime(seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def sha256_base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
