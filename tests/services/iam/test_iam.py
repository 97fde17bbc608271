"""Roles and policies, asked by boto3."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

MakeClient = Callable[..., Any]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
ALLOW = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:*:a+b %20"},
}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def iam(client: MakeClient) -> Any:
    return client("iam")


@pytest.fixture
def role(iam: Any) -> str:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    return "r"


def refused(operation: Callable[..., Any], **parameters: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        operation(**parameters)
    response = error.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def test_the_life_of_a_role(iam: Any, client: MakeClient, account: str) -> None:
    made = iam.create_role(
        RoleName="Worker",
        Path="/app/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="d",
        MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "1"}],
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{account}:role/app/Worker"
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", made["RoleId"])
    assert made["AssumeRolePolicyDocument"] == TRUST
    assert made["Tags"] == [{"Key": "a", "Value": "1"}]
    found = client("iam", region="eu-west-1").get_role(RoleName="Worker")["Role"]
    assert (found["RoleId"], found["MaxSessionDuration"]) == (made["RoleId"], 7200)
    assert refused(iam.create_role, RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST)) == (
        "EntityAlreadyExists",
        409,
        "Role with name worker already exists.",
    )
    iam.update_role(RoleName="Worker", Description="e")
    found = iam.get_role(RoleName="Worker")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("e", 7200)
    other = {**TRUST, "Version": "2008-10-17"}
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=json.dumps(other))
    assert iam.get_role(RoleName="Worker")["Role"]["AssumeRolePolicyDocument"] == other
    assert [one["RoleName"] for one in iam.list_roles(PathPrefix="/app/")["Roles"]] == ["Worker"]
    assert iam.list_roles(PathPrefix="/other/")["Roles"] == []
    iam.delete_role(RoleName="Worker")
    assert refused(iam.get_role, RoleName="Worker") == (
        "NoSuchEntity",
        404,
        "The role with name Worker cannot be found.",
    )


def test_roles_are_their_account_s(role: str, server: Any) -> None:
    stranger = server.client("iam", "999999999999")
    assert refused(stranger.get_role, RoleName=role)[0] == "NoSuchEntity"


def test_inline_policies(iam: Any, role: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(ALLOW))
    found = iam.get_role_policy(RoleName=role, PolicyName="p")
    assert found["PolicyDocument"] == ALLOW
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["p"]
    assert refused(iam.delete_role, RoleName=role) == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must delete policies first.",
    )
    assert refused(iam.get_role_policy, RoleName=role, PolicyName="q") == (
        "NoSuchEntity",
        404,
        "The role policy with name q cannot be found.",
    )
    long = {**ALLOW, "Statement": {**ALLOW["Statement"], "Resource": "x" * 10_240}}  # type: ignore[dict-item]
    assert refused(iam.put_role_policy, RoleName=role, PolicyName="q", PolicyDocument=json.dumps(long)) == (
        "LimitExceeded",
        409,
        "Maximum policy size of 10240 bytes exceeded for role r",
    )
    iam.delete_role_policy(RoleName=role, PolicyName="p")
    assert refused(iam.delete_role_policy, RoleName=role, PolicyName="p")[0] == "NoSuchEntity"
    iam.delete_role(RoleName=role)


def test_attached_policies(iam: Any, role: str, account: str) -> None:
    own = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(ALLOW))["Policy"]["Arn"]
    assert own == f"arn:aws:iam::{account}:policy/own"
    for arn in (own, BASIC, BASIC):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert {(one["PolicyName"], one["PolicyArn"]) for one in attached} == {
        ("own", own),
        ("AWSLambdaBasicExecutionRole", BASIC),
    }
    assert iam.get_policy(PolicyArn=own)["Policy"]["AttachmentCount"] == 1
    nowhere = f"arn:aws:iam::{account}:policy/no"
    assert refused(iam.attach_role_policy, RoleName=role, PolicyArn=nowhere) == (
        "NoSuchEntity",
        404,
        f"Policy {nowhere} does not exist or is not attachable.",
    )
    assert (
        refused(iam.delete_role, RoleName=role)[2] == "Cannot delete entity, must detach all policies first."
    )
    assert refused(iam.delete_policy, PolicyArn=own) == (
        "DeleteConflict",
        409,
        "Cannot delete a policy attached to entities.",
    )
    iam.detach_role_policy(RoleName=role, PolicyArn=own)
    assert refused(iam.detach_role_policy, RoleName=role, PolicyArn=own) == (
        "NoSuchEntity",
        404,
        f"Policy {own} was not found.",
    )
    iam.delete_policy(PolicyArn=own)
    for number in range(9):
        iam.attach_role_policy(RoleName=role, PolicyArn=f"arn:aws:iam::aws:policy/P{number}")
    code, _, sentence = refused(
        iam.attach_role_policy, RoleName=role, PolicyArn="arn:aws:iam::aws:policy/more"
    )
    assert (code, sentence) == ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")


def test_managed_policies(iam: Any, account: str) -> None:
    made = iam.create_policy(
        PolicyName="p",
        Path="/x/",
        PolicyDocument=json.dumps(ALLOW),
        Description="d",
        Tags=[{"Key": "a", "Value": "1"}],
    )["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{account}:policy/x/p"
    assert re.fullmatch(r"ANPA[A-Z2-7]{17}", made["PolicyId"])
    assert (made["DefaultVersionId"], made["AttachmentCount"], made["IsAttachable"]) == ("v1", 0, True)
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == ALLOW
    assert refused(iam.create_policy, PolicyName="P", PolicyDocument=json.dumps(ALLOW)) == (
        "EntityAlreadyExists",
        409,
        "A policy called P already exists. Duplicate names are not allowed.",
    )
    other = {**ALLOW, "Version": "2008-10-17"}
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    assert second["PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert {one["VersionId"]: one["IsDefaultVersion"] for one in versions} == {"v1": False, "v2": True}
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[0] == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v1")[0] == "NoSuchEntity"
    third = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(ALLOW))
    assert third["PolicyVersion"]["VersionId"] == "v3"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v3")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    assert [one["PolicyName"] for one in iam.list_policies(Scope="Local")["Policies"]] == ["p"]
    assert iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"] == []
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404, f"Policy {arn} was not found.")
    assert refused(iam.get_policy, PolicyArn="arn:aws:sqs:us-east-1:1:nonsense")[0] == "InvalidInput"


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "{}",
        json.dumps({**TRUST, "Version": "2020-01-01"}),
        json.dumps({"Statement": [{"Effect": "Perhaps", "Action": "a", "Principal": "*"}]}),
        json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*"}]}),
        json.dumps({"Statement": [{"Effect": "Allow", "Action": "a"}]}),
        json.dumps({"Statement": [{"Effect": "Allow", "Action": "a", "Principal": "*", "Resource": "*"}]}),
    ],
)
def test_documents_that_are_no_trust_policy(iam: Any, document: str) -> None:
    code, status, _ = refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument=document)
    assert (code, status) == ("MalformedPolicyDocument", 400)


def test_documents_that_are_no_identity_policy(iam: Any, role: str) -> None:
    for statement in ({"Principal": "*", "Resource": "*"}, {}):
        document = json.dumps({"Statement": {"Effect": "Allow", "Action": "a", **statement}})
        for operation, names in (
            (iam.put_role_policy, {"RoleName": role, "PolicyName": "p"}),
            (iam.create_policy, {"PolicyName": "p"}),
        ):
            code, status, _ = refused(operation, PolicyDocument=document, **names)
            assert (code, status) == ("MalformedPolicyDocument", 400)


def test_tags_and_boundaries(iam: Any, role: str) -> None:
    iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_role(RoleName=role, Tags=[{"Key": "A", "Value": "3"}])
    iam.untag_role(RoleName=role, TagKeys=["b"])
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "A", "Value": "3"}]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    assert refused(iam.tag_role, RoleName=role, Tags=many)[0] == "LimitExceeded"
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=BASIC)
    boundary = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == BASIC
    iam.delete_role_permissions_boundary(RoleName=role)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=role)["Role"]
    assert iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"] == []


def test_pages(iam: Any) -> None:
    for number in range(5):
        iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=json.dumps(TRUST))
    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    assert [[one["RoleName"] for one in page["Roles"]] for page in pages] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]
