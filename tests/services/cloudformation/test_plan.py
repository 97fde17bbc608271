"""Plans: the order of resources, what changes, and what is refused before anything is made."""

from typing import Any

import pytest

from oncue.services.cloudformation import plan
from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.intrinsics import Scope
from oncue.services.cloudformation.kinds import generated_name
from oncue.services.cloudformation.resources import KINDS
from oncue.services.cloudformation.resources.functions import inline_code
from oncue.services.cloudformation.template import Template, parse

BEFORE = """
Resources:
  Main:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 30
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
  Dead:
    Type: AWS::SQS::Queue
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Main]
      PolicyDocument: {Statement: []}
"""


def symbolic(template: Template) -> Scope:
    return plan.symbolic(lambda lookup: Scope(template, {}, {"AWS::Region": "r"}, lookup))


def changes(before: str, after: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    old, new = parse(before), parse(after)
    existing = plan.symbolic_existing(old, symbolic(old), KINDS)
    found = plan.plan(new, symbolic(new), existing, KINDS)
    return {change.logical_id: (change.action, change.properties) for change in found}


def test_order_follows_references() -> None:
    assert plan.ordered(parse(BEFORE).resources) == ["Dead", "Main", "Policy"]


def test_depends_on_counts() -> None:
    text = "Resources:\n  A: {Type: T, DependsOn: B}\n  B: {Type: T, DependsOn: [C]}\n  C: {Type: T}\n"
    assert plan.ordered(parse(text).resources) == ["C", "B", "A"]


@pytest.mark.parametrize(
    "text",
    [
        "Resources:\n  A: {Type: T, DependsOn: B}\n  B: {Type: T, DependsOn: A}\n  C: "
        "{Type: T, DependsOn: A}\n",
        "Resources:\n  A: {Type: T, Properties: {x: !Ref B}}\n  B: "
        "{Type: T, Properties: {x: !Sub '${A.Arn}'}}\n",
    ],
)
def test_circles_are_refused_by_name(text: str) -> None:
    with pytest.raises(TemplateError, match=r"Circular dependency between resources: \[A, B\]"):
        plan.ordered(parse(text).resources)


def test_the_same_template_changes_nothing() -> None:
    assert {action for action, _ in changes(BEFORE, BEFORE).values()} == {"unchanged"}


def test_an_update_in_place() -> None:
    after = BEFORE.replace("VisibilityTimeout: 30", "VisibilityTimeout: 60")
    found = changes(BEFORE, after)
    assert found["Main"] == ("update", ("VisibilityTimeout",))
    assert found["Policy"] == ("unchanged", ())


def test_a_replacement_reaches_those_that_refer_to_it() -> None:
    after = BEFORE.replace(
        "    Type: AWS::SQS::Queue\n  Policy",
        "    Type: AWS::SQS::Queue\n    Properties: {FifoQueue: true}\n  Policy",
    )
    found = changes(BEFORE, after)
    assert found["Dead"] == ("replace", ("FifoQueue",))
    assert found["Main"] == ("update", ("RedrivePolicy",))
    assert found["Policy"] == ("unchanged", ())


def test_added_and_removed() -> None:
    after = "Resources:\n  Dead: {Type: AWS::SQS::Queue}\n  Fresh: {Type: AWS::Logs::LogGroup}\n"
    found = changes(BEFORE, after)
    assert found == {
        "Dead": ("unchanged", ()),
        "Fresh": ("create", ()),
        "Policy": ("delete", ()),
        "Main": ("delete", ()),
    }
    assert list(found)[-2:] == ["Policy", "Main"]


def test_another_type_under_the_same_name_is_a_replacement() -> None:
    found = changes(
        "Resources:\n  X: {Type: AWS::SQS::Queue}\n", "Resources:\n  X: {Type: AWS::Logs::LogGroup}\n"
    )
    assert found["X"][0] == "replace"


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        (
            "X: {Type: AWS::EC2::Instance}",
            "Template format error: Unrecognized resource types: [AWS::EC2::Instance]. Oncue does not "
            "offer the type of X (AWS::EC2::Instance).",
        ),
        (
            "X: {Type: AWS::SQS::Queue, Properties: {Colour: red}}",
            "Resource X (AWS::SQS::Queue): Encountered unsupported property Colour",
        ),
        (
            "X: {Type: AWS::Lambda::Function, Properties: {Role: r}}",
            "Resource X (AWS::Lambda::Function): Properties validation failed: #: required key [Code] not "
            "found",
        ),
        (
            "X: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt Y.Colour}}\n  Y: "
            "{Type: AWS::SQS::Queue}",
            "resource Y does not support attribute type Colour in Fn::GetAtt",
        ),
    ],
)
def test_refused_before_anything_is_made(resource: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        plan.check(parse(f"Resources:\n  {resource}\n"), KINDS)
    assert sentence in caught.value.placed()


def test_text_becomes_numbers_where_they_belong() -> None:
    shaped = KINDS["AWS::SQS::Queue"].shaped("X", {"DelaySeconds": "5", "FifoQueue": "true", "QueueName": 12})
    assert shaped == {"DelaySeconds": 5, "FifoQueue": True, "QueueName": "12"}
    with pytest.raises(TemplateError, match="#/DelaySeconds: expected type: Integer, found: String"):
        KINDS["AWS::SQS::Queue"].shaped("X", {"DelaySeconds": "soon"})


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("{Type: AWS::SQS::Queue}", []),
        ("{Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}", ["CAPABILITY_IAM"]),
        (
            "{Type: AWS::IAM::Role, Properties: {RoleName: r, AssumeRolePolicyDocument: {}}}",
            ["CAPABILITY_NAMED_IAM"],
        ),
    ],
)
def test_capabilities(resource: str, expected: list[str]) -> None:
    assert plan.capabilities(parse(f"Resources:\n  X: {resource}\n"), KINDS) == expected


def test_generated_names_fit() -> None:
    name = generated_name("stack", "Queue", 64)
    assert name.startswith("stack-Queue-")
    assert len(name) == len("stack-Queue-") + 12
    long: Any = generated_name("s" * 100, "L" * 100, 64)
    assert len(long) <= 64
    fifo = KINDS["AWS::SQS::Queue"].name("s", "Q", {"FifoQueue": True})
    assert fifo.endswith(".fifo")


def test_inline_code_is_the_same_every_time() -> None:
    assert inline_code("def handler(e, c): pass", "python3.11") == inline_code(
        "def handler(e, c): pass", "python3.11"
    )
