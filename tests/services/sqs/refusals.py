"""What boto3 tells of a refusal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Refusal:
    code: str  # of the query protocol, as boto3 shows it
    shape: str  # of the JSON model
    message: str
    status: int


def refusal_of(operation: Callable[..., Any], **parameters: Any) -> Refusal:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    error = caught.value.response["Error"]
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return Refusal(error["Code"], error.get("QueryErrorCode", error["Code"]), error["Message"], status)


def invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterValue", "InvalidParameterValueException", message, 400)


def invalid_value(parameter: str, value: object, reason: str) -> Refusal:
    return invalid(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def plain(code: str, message: str, status: int = 400) -> Refusal:
    """One whose query code is its shape's name."""
    return Refusal(code, code, message, status)


def legacy(shape: str, message: str, status: int = 400) -> Refusal:
    """One whose query code has SQS's old name space."""
    return Refusal(f"AWS.SimpleQueueService.{shape}", shape, message, status)


NO_QUEUE = Refusal(
    "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "The specified queue does not exist.", 400
)
