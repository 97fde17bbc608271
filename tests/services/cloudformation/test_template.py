"""Templates as text: YAML with short tags, JSON, and the sentences for what is wrong with them."""

import pytest

from oncue.services.cloudformation.documents import TemplateError, read
from oncue.services.cloudformation.parameters import resolve
from oncue.services.cloudformation.template import parse

QUEUE = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n"


def test_short_tags_become_functions() -> None:
    text = """
a: !Ref Q
b: !GetAtt Q.Arn
c: !Sub "${AWS::Region}-x"
d: !Join ["-", [a, !Ref Q]]
e: !If [Prod, !Ref A, !Ref "AWS::NoValue"]
f: !Condition Prod
g: !GetAtt [Q, Arn]
"""
    assert read(text).value == {
        "a": {"Ref": "Q"},
        "b": {"Fn::GetAtt": ["Q", "Arn"]},
        "c": {"Fn::Sub": "${AWS::Region}-x"},
        "d": {"Fn::Join": ["-", ["a", {"Ref": "Q"}]]},
        "e": {"Fn::If": ["Prod", {"Ref": "A"}, {"Ref": "AWS::NoValue"}]},
        "f": {"Condition": "Prod"},
        "g": {"Fn::GetAtt": ["Q", "Arn"]},
    }


def test_dates_and_account_numbers_stay_text() -> None:
    value = read("a: 2012-10-17\nb: 012345678901\nc: 30\nd: 1.5\ne: true\nf: 12:30\ng:\n").value
    expected = {"a": "2012-10-17", "b": "012345678901", "c": 30, "d": 1.5, "e": True, "f": "12:30", "g": None}
    assert value == expected


def test_json_and_flow_yaml() -> None:
    assert read('{"a": [1, {"b": null}]}').value == {"a": [1, {"b": None}]}
    assert read("{a: [1, 2]}").value == {"a": [1, 2]}
    with pytest.raises(TemplateError, match="JSON not well-formed"):
        read('{"a": ')


def test_lines_of_paths() -> None:
    document = read(QUEUE + "    Properties:\n      DelaySeconds: 1\n")
    assert document.line(("Resources", "Q", "Properties", "DelaySeconds")) == 5
    assert document.line(("Resources", "Q", "Properties", "DelaySeconds", "deeper")) == 5
    assert document.line(("Elsewhere",)) is None


def test_aliases_cannot_grow_without_bound() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    with pytest.raises(TemplateError, match="too deep or too large"):
        read("\n".join(levels))


@pytest.mark.parametrize("depth", [70, 500, 20_000])
@pytest.mark.parametrize(("before", "after"), [('{"a":', "}"), ("[", "]")])
def test_depth_has_a_limit(depth: int, before: str, after: str) -> None:
    text = '{"Resources":' + before * depth + "1" + after * depth + "}"
    for written in (text, f"# YAML\n{text}"):
        with pytest.raises(TemplateError, match="too deep"):
            read(written)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "Template format error: YAML not well-formed. (line 1, column 5)"),
        ("a: 1\na: 2", "duplicate key a"),
        ("- a", "unsupported structure"),
        ("Resources: {}", "At least one Resources member must be defined."),
        (QUEUE + "Extra: 1", "Invalid template property or properties [Extra]"),
        ("Resources:\n  Q: {}", "[/Resources/Q] Every Resources object must contain a Type member."),
        ("Resources:\n  Q-1:\n    Type: T", "Resource name Q-1 is non alphanumeric."),
        (QUEUE + "    Condition: [C]", "Condition must be the name of a condition"),
        (QUEUE + "    Nonsense: 1", "Invalid template resource property 'Nonsense'"),
        (
            QUEUE + "    Properties:\n      QueueName: !Ref Lost",
            "Unresolved resource dependencies [Lost] in the Resources block of the template",
        ),
        (QUEUE + "    DependsOn: Lost", "Unresolved resource dependencies [Lost]"),
        (
            QUEUE + "    Properties:\n      QueueName: !Sub '${!Fine}-${Lost.Arn}'",
            "Unresolved resource dependencies [Lost]",
        ),
        (
            QUEUE + "Outputs:\n  O:\n    Value: !GetAtt Lost.Arn",
            "Unresolved resource dependencies [Lost] in the Outputs block of the template",
        ),
        (QUEUE + "    Condition: Lost", "Unresolved condition dependency Lost in the Resources block"),
        (QUEUE + "Outputs:\n  O: {}", "Every Outputs member must contain a Value object"),
    ],
)
def test_refused_templates(text: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert sentence in caught.value.placed()


def test_an_error_names_resource_property_and_line() -> None:
    with pytest.raises(TemplateError) as caught:
        parse(QUEUE + "    DeletionPolicy: Sometimes\n")
    assert caught.value.line == 4
    assert caught.value.placed().startswith("resource Q: ")


PARAMETERS = """
Parameters:
  Stage: {Type: String, AllowedValues: [dev, prod], Default: dev}
  Size: {Type: Number, MinValue: 1, MaxValue: 9, Default: 3}
  Name: {Type: String, AllowedPattern: "[a-z]+", MinLength: 2}
"""


def test_parameters_take_defaults() -> None:
    template = parse(PARAMETERS + QUEUE)
    assert resolve(template, {"Name": "abc", "Size": "4"}) == {"Stage": "dev", "Size": "4", "Name": "abc"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Parameters: [Name] must have values"),
        ({"Name": "abc", "Other": "1"}, "Parameters: [Other] do not exist in the template"),
        ({"Name": "abc", "Stage": "qa"}, "Parameter 'Stage' must be one of AllowedValues"),
        ({"Name": "abc", "Size": "x"}, "Parameter 'Size' must be a number"),
        ({"Name": "abc", "Size": "0"}, "Parameter 'Size' must be a number not less than 1"),
        ({"Name": "abc", "Size": "10"}, "Parameter 'Size' must be a number not greater than 9"),
        ({"Name": "ABC"}, "Parameter 'Name' must match pattern [a-z]+"),
        ({"Name": "a"}, "Parameter 'Name' must contain at least 2 characters"),
    ],
)
def test_refused_parameters(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        resolve(parse(PARAMETERS + QUEUE), given)
    assert caught.value.message == sentence
