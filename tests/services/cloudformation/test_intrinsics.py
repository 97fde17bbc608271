"""Intrinsic functions: what each gives, and what an unknown value makes of them."""

from typing import Any

import pytest

from oncue.services.cloudformation.documents import TemplateError, read
from oncue.services.cloudformation.intrinsics import Scope, Unknown, evaluate
from oncue.services.cloudformation.template import parse

TEMPLATE = """
Parameters:
  Stage: {Type: String}
  Zones: {Type: CommaDelimitedList}
Mappings:
  Sizes:
    prod: {memory: 512}
    dev: {memory: 128}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  NotProd: !Not [!Condition Prod]
  Both: !And [!Condition Prod, !Equals ["1", 1]]
  Either: !Or [!Condition Prod, !Equals [a, a]]
  Round: !Not [!Condition Trip]
  Trip: !Not [!Condition Round]
Resources:
  Q: {Type: AWS::SQS::Queue}
  New: {Type: AWS::SQS::Queue}
"""


def scope() -> Scope:
    def lookup(name: str, attribute: str | None) -> Any:
        if name == "New":
            return Unknown(f"New.{attribute}", frozenset({"New"}))
        if attribute not in (None, "Arn"):
            raise TemplateError(f"no attribute {attribute}")
        return "http://queue" if attribute is None else "arn:aws:sqs:eu-west-1:1:q"

    pseudo = {"AWS::Region": "eu-west-1", "AWS::AccountId": "1"}
    return Scope(parse(TEMPLATE), {"Stage": "dev", "Zones": ["a", "b"]}, pseudo, lookup)


def value(text: str) -> Any:
    return evaluate(read(text).value, scope(), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref Stage", "dev"),
        ("!Ref Zones", ["a", "b"]),
        ("!Ref AWS::Region", "eu-west-1"),
        ("!Ref Q", "http://queue"),
        ("!GetAtt Q.Arn", "arn:aws:sqs:eu-west-1:1:q"),
        (
            "!Sub '${Stage}/${Q.Arn}/${!Kept}/${AWS::Region}'",
            "dev/arn:aws:sqs:eu-west-1:1:q/${Kept}/eu-west-1",
        ),
        ("!Sub ['${x}-${Stage}', {x: !Ref Q}]", "http://queue-dev"),
        ("!Join ['-', [a, 1, true]]", "a-1-true"),
        ("!Join [',', !Ref Zones]", "a,b"),
        ("!Select [1, !Ref Zones]", "b"),
        ("!Select ['3', !Split [':', !GetAtt Q.Arn]]", "eu-west-1"),
        ("!Split [',', 'a,b']", ["a", "b"]),
        ("!If [Prod, 1, 2]", 2),
        ("!If [NotProd, 1, 2]", 1),
        ("!If [Both, 1, 2]", 2),
        ("!If [Either, 1, 2]", 1),
        ("{a: !If [Prod, 1, !Ref AWS::NoValue], b: [!Ref AWS::NoValue, 2]}", {"b": [2]}),
        ("!FindInMap [Sizes, !Ref Stage, memory]", 128),
        ("!FindInMap [Sizes, qa, memory, {DefaultValue: 1}]", 1),
        ("!Base64 abc", "YWJj"),
        ("!Cidr [10.0.0.0/16, 2, 8]", ["10.0.0.0/24", "10.0.1.0/24"]),
        ("!GetAZs ''", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ("!Length [1, 2]", 2),
        ("!ToJsonString {a: 1}", '{"a":1}'),
        (
            "{Effect: Allow, Condition: {StringEquals: {a: b}}}",
            {"Effect": "Allow", "Condition": {"StringEquals": {"a": "b"}}},
        ),
    ],
)
def test_functions(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("!FindInMap [Sizes, qa, memory]", "Template error: Unable to get mapping for Sizes::qa::memory"),
        ("!Select [7, [a]]", "Template error: Fn::Select cannot select nonexistent value at index 7"),
        ("!If [Round, 1, 2]", "depends on itself"),
        ("!GetAtt Q.Colour", "no attribute Colour"),
        ("!ImportValue other", "Oncue does not support the function Fn::ImportValue"),
        ("!Join ['-', !Ref Q]", "must be a list"),
        ("!Equals [1]", "every Fn::Equals object requires a list of 2 string parameters."),
        ("!Ref Lost", "unresolved reference Lost"),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        value(text)
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "!Sub 'x-${New.Arn}'",
        "!Join [':', [a, !GetAtt New.Arn]]",
        "!Select [5, !Split [':', !GetAtt New.Arn]]",
        "!Base64 {'Ref': New}",
    ],
)
def test_what_holds_an_unknown_is_unknown_and_equals_itself(text: str) -> None:
    first = value(text)
    assert isinstance(first, Unknown)
    assert first.resources == {"New"}
    assert first == value(text)
    assert first != value("!Sub 'y-${New.Arn}'")
