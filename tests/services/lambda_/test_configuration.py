"""The rules and defaults of a function's configuration."""

from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services.lambda_ import configuration

GIVEN: dict[str, Any] = {"Runtime": "python3.11", "Handler": "app.handler", "Role": "r"}


def merged(**changes: Any) -> dict[str, Any]:
    return configuration.merged(configuration.defaults("f"), GIVEN | changes, "f")


def test_defaults() -> None:
    assert merged() == GIVEN | {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "TracingConfig": {"Mode": "PassThrough"},
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
    }


def test_what_tools_send_empty_is_nothing() -> None:
    empty = {"Layers": [], "VpcConfig": {"SubnetIds": []}, "KMSKeyArn": "", "FileSystemConfigs": []}
    assert merged(**empty, Environment={}, DeadLetterConfig={"TargetArn": ""}) == merged()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"Timeout": 901}, "Value '901' at 'timeout' failed to satisfy constraint"),
        ({"MemorySize": 20_000}, "Member must have value less than or equal to 10240"),
        ({"Handler": ""}, "Runtime and Handler are mandatory parameters"),
        ({"Layers": ["arn"]}, "Oncue does not support layers for functions (Layers)."),
        ({"VpcConfig": {"SubnetIds": ["s"]}}, "VpcConfig"),
        ({"PackageType": "Image"}, "PackageType Image"),
        ({"LoggingConfig": {"LogFormat": "JSON"}}, "LogFormat"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sns:us-east-1:1:t"}}, "only an Amazon SQS queue"),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
            "Reserved keys used in this request: AWS_REGION",
        ),
        (
            {"Environment": {"Variables": {"A": "x" * 4_100}}},
            'exceeded the 4KB limit. String measured: {"A":"xxx',
        ),
    ],
)
def test_refusals(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ServiceError) as refused:
        merged(**changes)
    assert sentence in refused.value.message


def test_how_times_and_hashes_are_written() -> None:
    assert configuration.last_modified(1_767_225_600.25) == "2026-01-01T00:00:00.250+0000"
    assert configuration.sha256_base64("00" * 32) == "A" * 43 + "="
