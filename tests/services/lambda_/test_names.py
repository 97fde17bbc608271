"""The ways to write a function's name."""

import pytest

from oncue.errors import ServiceError
from oncue.services.lambda_.names import read

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


@pytest.mark.parametrize(
    ("text", "qualifier", "asked"),
    [
        ("f", None, ARN),
        ("f:$LATEST", None, f"{ARN}:$LATEST"),
        ("f:3", None, f"{ARN}:3"),
        ("f", "3", f"{ARN}:3"),
        ("f:3", "3", f"{ARN}:3"),
        ("function:f", None, ARN),
        ("123456789012:function:f", None, ARN),
        ("123456789012:function:f:live", None, f"{ARN}:live"),
        ("123456789012:f", None, ARN),
        (ARN, None, ARN),
        (f"{ARN}:live", None, f"{ARN}:live"),
    ],
)
def test_a_name(text: str, qualifier: str | None, asked: str) -> None:
    name = read(text, "123456789012", "us-east-1", qualifier)
    assert (name.arn, name.asked_arn) == (ARN, asked)


@pytest.mark.parametrize(
    ("text", "qualifier", "code", "sentence"),
    [
        ("f:1", "2", "InvalidParameterValueException", "The derived qualifier from the function name"),
        ("bad name", None, "ValidationException", "at 'functionName' failed to satisfy constraint"),
        ("arn:aws:sqs:us-east-1:123456789012:f", None, "ValidationException", "functionName"),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:f",
            None,
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
        ("999999999999:function:f", None, "ResourceNotFoundException", "Function not found: arn:aws:lambda"),
    ],
)
def test_refusals(text: str, qualifier: str | None, code: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as refused:
        read(text, "123456789012", "us-east-1", qualifier)
    assert refused.value.code == code
    assert sentence in refused.value.message
