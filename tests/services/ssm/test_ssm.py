"""Parameters, asked by boto3."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

MakeClient = Callable[..., Any]


@pytest.fixture
def ssm(client: MakeClient) -> Any:
    return client("ssm")


def refused(operation: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        operation(**parameters)
    response = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return response["Error"]["Code"], response["Error"]["Message"]


def test_the_life_of_a_parameter(ssm: Any, account: str) -> None:
    made = ssm.put_parameter(Name="/app/color", Value="blue", Type="String", Description="d")
    assert (made["Version"], made["Tier"]) == (1, "Standard")
    found = ssm.get_parameter(Name="/app/color", WithDecryption=True)["Parameter"]
    assert (found["Name"], found["Type"], found["Value"], found["Version"]) == (
        "/app/color",
        "String",
        "blue",
        1,
    )
    assert found["ARN"] == f"arn:aws:ssm:us-east-1:{account}:parameter/app/color"
    assert refused(ssm.put_parameter, Name="/app/color", Value="red", Type="String")[0] == (
        "ParameterAlreadyExists"
    )
    assert ssm.put_parameter(Name="/app/color", Value="red", Overwrite=True)["Version"] == 2
    assert ssm.get_parameter(Name=found["ARN"])["Parameter"]["Value"] == "red"
    first = ssm.get_parameter(Name="/app/color:1")["Parameter"]
    assert (first["Value"], first["Selector"]) == ("blue", ":1")
    assert refused(ssm.get_parameter, Name="/app/color:3")[0] == "ParameterVersionNotFound"
    history = ssm.get_parameter_history(Name="/app/color")["Parameters"]
    assert [(one["Version"], one["Value"]) for one in history] == [(1, "blue"), (2, "red")]
    ssm.delete_parameter(Name="/app/color")
    assert refused(ssm.get_parameter, Name="/app/color")[0] == "ParameterNotFound"
    assert refused(ssm.delete_parameter, Name="/app/color")[0] == "ParameterNotFound"


def test_a_plain_name_in_an_arn(ssm: Any, account: str) -> None:
    ssm.put_parameter(Name="plain", Value="a,b", Type="StringList")
    arn = ssm.get_parameter(Name="plain")["Parameter"]["ARN"]
    assert arn == f"arn:aws:ssm:us-east-1:{account}:parameter/plain"
    assert ssm.get_parameter(Name=arn)["Parameter"]["Name"] == "plain"


def test_parameters_are_their_account_s_and_region_s(ssm: Any, client: MakeClient) -> None:
    ssm.put_parameter(Name="a", Value="1", Type="String")
    assert refused(client("ssm", region="eu-west-1").get_parameter, Name="a")[0] == "ParameterNotFound"


def test_many_at_once(ssm: Any) -> None:
    for name in ("a", "b"):
        ssm.put_parameter(Name=name, Value=name, Type="String")
    found = ssm.get_parameters(Names=["b", "no", "a", "a:7"])
    assert [one["Name"] for one in found["Parameters"]] == ["b", "a"]
    assert found["InvalidParameters"] == ["no", "a:7"]
    gone = ssm.delete_parameters(Names=["a", "no"])
    assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (["a"], ["no"])


def test_paths_and_pages(ssm: Any) -> None:
    for number in range(12):
        ssm.put_parameter(Name=f"/p/{number:02}", Value="v", Type="String")
    ssm.put_parameter(Name="/p/deep/er", Value="v", Type="String")
    ssm.put_parameter(Name="/pp", Value="v", Type="String")
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/p"))
    assert [len(page["Parameters"]) for page in pages] == [10, 2]
    deep = ssm.get_parameters_by_path(Path="/p/deep/", Recursive=True)["Parameters"]
    assert [one["Name"] for one in deep] == ["/p/deep/er"]
    recursive = ssm.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)
    assert len([one for page in recursive for one in page["Parameters"]]) == 14
    assert refused(ssm.get_parameters_by_path, Path="/p", NextToken="%")[0] == "InvalidNextToken"
    assert refused(ssm.get_parameters_by_path, Path="p")[0] == "ValidationException"


def test_describing(ssm: Any) -> None:
    ssm.put_parameter(Name="one", Value="v", Type="String", Description="d")
    ssm.put_parameter(Name="two", Value="v", Type="StringList", Tier="Advanced")

    def names(**chosen: Any) -> list[str]:
        return [one["Name"] for one in ssm.describe_parameters(ParameterFilters=[chosen])["Parameters"]]

    assert names(Key="Name", Option="Equals", Values=["one"]) == ["one"]
    assert names(Key="Name", Option="BeginsWith", Values=["t"]) == ["two"]
    assert names(Key="Name", Option="Contains", Values=["o"]) == ["one", "two"]
    assert names(Key="Type", Values=["StringList"]) == ["two"]
    assert ssm.describe_parameters()["Parameters"][0]["Description"] == "d"
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        names(Key="KeyId", Values=["x"])


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Name": "x", "Value": "v"}, "ValidationException"),
        ({"Name": "x", "Value": "v", "Type": "SecureString"}, "UnsupportedParameterType"),
        ({"Name": "x", "Value": "", "Type": "String"}, "ValidationException"),
        ({"Name": "x", "Value": "v" * 4_097, "Type": "String"}, "ValidationException"),
        ({"Name": "x", "Value": "v" * 8_193, "Type": "String", "Tier": "Advanced"}, "ValidationException"),
        ({"Name": "aws-x", "Value": "v", "Type": "String"}, "ValidationException"),
        ({"Name": "/ssm/x", "Value": "v", "Type": "String"}, "ValidationException"),
        ({"Name": "a/b", "Value": "v", "Type": "String"}, "ValidationException"),
        ({"Name": "a b", "Value": "v", "Type": "String"}, "ValidationException"),
        ({"Name": "/a" * 16, "Value": "v", "Type": "String"}, "HierarchyLevelLimitExceededException"),
        ({"Name": "x", "Value": "v", "Type": "String", "AllowedPattern": "a"}, "ValidationException"),
        ({"Name": "x", "Value": "v", "Type": "String", "DataType": "aws:ec2:image"}, "ValidationException"),
    ],
)
def test_what_is_refused(ssm: Any, parameters: dict[str, str], code: str) -> None:
    assert refused(ssm.put_parameter, **parameters)[0] == code


def test_tags(ssm: Any) -> None:
    ssm.put_parameter(Name="x", Value="v", Type="String", Tags=[{"Key": "a", "Value": "1"}])
    address = {"ResourceType": "Parameter", "ResourceId": "x"}
    ssm.add_tags_to_resource(**address, Tags=[{"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(**address, TagKeys=["a"])
    assert ssm.list_tags_for_resource(**address)["TagList"] == [{"Key": "b", "Value": "2"}]
    assert refused(ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="no")[0] == (
        "InvalidResourceId"
    )


def test_only_the_newest_hundred_versions_are_kept(ssm: Any) -> None:
    ssm.put_parameter(Name="x", Value="1", Type="String")
    for number in range(2, 103):
        ssm.put_parameter(Name="x", Value=str(number), Overwrite=True)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name="x")
    versions = [one["Version"] for page in pages for one in page["Parameters"]]
    assert versions == list(range(3, 103))


def test_an_empty_pattern_is_none(ssm: Any) -> None:
    """Terraform sends it so."""
    ssm.put_parameter(Name="/app/size", Value="3", Type="String", AllowedPattern="")
    code, sentence = refused(
        ssm.put_parameter, Name="/app/other", Value="3", Type="String", AllowedPattern="[0-9]"
    )
    assert (code, "AllowedPattern" in sentence) == ("ValidationException", True)
