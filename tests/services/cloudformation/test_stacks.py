"""Stacks by boto3, on both stores: made, changed, deleted; refused and rolled back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Clients = Callable[..., Any]
QUICKLY = {"Delay": 0.02, "MaxAttempts": 1_500}
TEMPLATE = """
Description: Two queues and a table
Parameters:
  Seconds: {Type: Number, Default: 30}
Conditions:
  Long: !Equals [!Ref Seconds, "99"]
Resources:
  Main:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: !Ref Seconds
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
      Tags: [{Key: team, Value: blue}]
  Dead:
    Type: AWS::SQS::Queue
  Extra:
    Type: AWS::SQS::Queue
    Condition: Long
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: 7}
Outputs:
  Url: {Value: !Ref Main, Description: Where to send}
  Arn: {Value: !GetAtt Main.Arn}
  Only: {Value: !Ref Extra, Condition: Long}
"""


@pytest.fixture
def cloud(client: Clients) -> Any:
    return client("cloudformation")


def make(cloud: Any, body: str, name: str = "shop", **options: Any) -> str:
    stack = cloud.create_stack(StackName=name, TemplateBody=body, **options)["StackId"]
    assert settle(cloud, stack)["StackStatus"] == "CREATE_COMPLETE", reasons(cloud, stack)
    return str(stack)


def change(cloud: Any, body: str, name: str = "shop", **options: Any) -> None:
    cloud.update_stack(StackName=name, TemplateBody=body, **options)
    assert settle(cloud, name)["StackStatus"] == "UPDATE_COMPLETE", reasons(cloud, name)


def settle(cloud: Any, name: str) -> dict[str, Any]:
    """The stack once nothing goes on."""
    for _ in range(3_000):
        stack: dict[str, Any] = cloud.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
    raise AssertionError(f"{name} is still in {stack['StackStatus']}")


def reasons(cloud: Any, name: str) -> list[str]:
    """What the history says about failures."""
    rows = cloud.describe_stack_events(StackName=name)["StackEvents"]
    return [row["ResourceStatusReason"] for row in rows if row["ResourceStatus"].endswith("_FAILED")]


def refused(operation: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        operation(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def events(cloud: Any, name: str) -> list[tuple[str, str]]:
    """(logical id, status), oldest first."""
    rows = cloud.describe_stack_events(StackName=name)["StackEvents"]
    return [(row["LogicalResourceId"], row["ResourceStatus"]) for row in reversed(rows)]


def physical(cloud: Any, name: str = "shop") -> dict[str, str]:
    rows = cloud.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {row["LogicalResourceId"]: row.get("PhysicalResourceId", "") for row in rows}


def test_a_stack_is_made_described_and_deleted(cloud: Any, client: Clients) -> None:
    sqs = client("sqs")
    stack_id = make(cloud, TEMPLATE, Tags=[{"Key": "a", "Value": "b"}])
    stack = cloud.describe_stacks(StackName="shop")["Stacks"][0]
    assert stack["StackId"] == stack_id
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Description"] == "Two queues and a table"
    assert stack["Parameters"] == [{"ParameterKey": "Seconds", "ParameterValue": "30"}]
    assert stack["Tags"] == [{"Key": "a", "Value": "b"}]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    assert outputs.keys() == {"Url", "Arn"}
    made = physical(cloud)
    assert made.keys() == {"Main", "Dead", "Log"}
    assert outputs["Url"] == made["Main"]
    attributes = sqs.get_queue_attributes(QueueUrl=made["Main"], AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "30"
    assert attributes["QueueArn"] == outputs["Arn"]
    policy = json.loads(attributes["RedrivePolicy"])
    assert policy["deadLetterTargetArn"].split(":")[-1].startswith("shop-Dead-")
    assert sqs.list_queue_tags(QueueUrl=made["Main"])["Tags"] == {"team": "blue"}
    groups = client("logs").describe_log_groups(logGroupNamePrefix=made["Log"])["logGroups"]
    assert groups[0]["retentionInDays"] == 7
    told = events(cloud, "shop")
    assert told[0] == ("shop", "CREATE_IN_PROGRESS")
    assert told[-1] == ("shop", "CREATE_COMPLETE")
    assert told.index(("Dead", "CREATE_COMPLETE")) < told.index(("Main", "CREATE_IN_PROGRESS"))

    cloud.delete_stack(StackName="shop")
    cloud.get_waiter("stack_delete_complete").wait(StackName="shop", WaiterConfig=QUICKLY)
    unknown = ("ValidationError", "Stack with id shop does not exist")
    assert refused(cloud.describe_stacks, StackName="shop") == unknown
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    told = events(cloud, stack_id)
    assert told.index(("Main", "DELETE_COMPLETE")) < told.index(("Dead", "DELETE_IN_PROGRESS"))
    assert sqs.list_queues().get("QueueUrls", []) == []
    assert {row["StackStatus"] for row in cloud.list_stacks()["StackSummaries"]} == {"DELETE_COMPLETE"}


def test_an_update_changes_adds_and_removes(cloud: Any, client: Clients) -> None:
    make(cloud, TEMPLATE)
    before = physical(cloud)
    parameters = [{"ParameterKey": "Seconds", "ParameterValue": "99"}]
    change(cloud, TEMPLATE.replace("Log:", "Journal:"), Parameters=parameters)
    after = physical(cloud)
    assert after["Main"] == before["Main"]
    assert after.keys() == {"Main", "Dead", "Extra", "Journal"}
    got = client("sqs").get_queue_attributes(QueueUrl=after["Main"], AttributeNames=["VisibilityTimeout"])
    assert got["Attributes"]["VisibilityTimeout"] == "99"
    names = [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]]
    assert names == [after["Journal"]]
    outputs = cloud.describe_stacks(StackName="shop")["Stacks"][0]["Outputs"]
    assert {row["OutputKey"] for row in outputs} == {"Url", "Arn", "Only"}


def test_what_changes_nothing_is_refused(cloud: Any) -> None:
    make(cloud, TEMPLATE)
    nothing = ("ValidationError", "No updates are to be performed.")
    assert refused(cloud.update_stack, StackName="shop", TemplateBody=TEMPLATE) == nothing
    kept = [{"ParameterKey": "Seconds", "UsePreviousValue": True}]
    assert refused(cloud.update_stack, StackName="shop", UsePreviousTemplate=True, Parameters=kept) == nothing


def test_a_replacement_makes_the_new_one_before_the_old_one_goes(cloud: Any, client: Clients) -> None:
    make(cloud, TEMPLATE)
    before = physical(cloud)
    change(
        cloud,
        TEMPLATE.replace(
            "Dead:\n    Type: AWS::SQS::Queue",
            "Dead:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: morgue}",
        ),
    )
    after = physical(cloud)
    assert after["Dead"].endswith("/morgue")
    assert after["Main"] == before["Main"]
    sqs = client("sqs")
    assert set(sqs.list_queues()["QueueUrls"]) == {after["Dead"], after["Main"]}
    got = sqs.get_queue_attributes(QueueUrl=after["Main"], AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(got["RedrivePolicy"])["deadLetterTargetArn"].endswith(":morgue")


TOO_LONG = TEMPLATE.replace(
    "  Log:",
    "  Wrong:\n    Type: AWS::SQS::Queue\n    DependsOn: Main\n    Properties: "
    "{VisibilityTimeout: 99999}\n  Log:",
)


def test_a_failed_creation_is_rolled_back(cloud: Any, client: Clients) -> None:
    stack_id = cloud.create_stack(StackName="shop", TemplateBody=TOO_LONG)["StackId"]
    stack = settle(cloud, stack_id)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    told = events(cloud, stack_id)
    assert ("Wrong", "CREATE_FAILED") in told
    assert told.index(("Wrong", "CREATE_FAILED")) < told.index(("shop", "ROLLBACK_IN_PROGRESS"))
    assert ("Main", "DELETE_COMPLETE") in told
    rows = cloud.describe_stack_events(StackName=stack_id)["StackEvents"]
    reason = next(row["ResourceStatusReason"] for row in rows if row["ResourceStatus"] == "CREATE_FAILED")
    assert "VisibilityTimeout" in reason
    whole = next(row for row in rows if row["ResourceStatus"] == "ROLLBACK_IN_PROGRESS")
    assert "The following resource(s) failed to create: [Wrong]" in whole["ResourceStatusReason"]
    assert client("sqs").list_queues().get("QueueUrls", []) == []
    code, text = refused(cloud.update_stack, StackName="shop", TemplateBody=TEMPLATE)
    assert code == "ValidationError"
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in text
    cloud.delete_stack(StackName="shop")
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_creation_may_be_left_or_deleted(cloud: Any, client: Clients) -> None:
    cloud.create_stack(StackName="left", TemplateBody=TOO_LONG, OnFailure="DO_NOTHING")
    assert settle(cloud, "left")["StackStatus"] == "CREATE_FAILED"
    assert len(client("sqs").list_queues()["QueueUrls"]) == 2
    stack_id = cloud.create_stack(StackName="away", TemplateBody=TOO_LONG, OnFailure="DELETE")["StackId"]
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_goes_back(cloud: Any, client: Clients) -> None:
    make(cloud, TEMPLATE)
    before = physical(cloud)
    body = TOO_LONG.replace("VisibilityTimeout: !Ref Seconds", "VisibilityTimeout: 77").replace(
        "Dead:\n    Type: AWS::SQS::Queue",
        "Dead:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: morgue}",
    )
    cloud.update_stack(StackName="shop", TemplateBody=body)
    stack = settle(cloud, "shop")
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert physical(cloud) == before
    sqs = client("sqs")
    got = sqs.get_queue_attributes(QueueUrl=before["Main"], AttributeNames=["All"])["Attributes"]
    assert got["VisibilityTimeout"] == "30"
    assert (
        json.loads(got["RedrivePolicy"])["deadLetterTargetArn"].split(":")[-1]
        == before["Dead"].split("/")[-1]
    )
    assert set(sqs.list_queues()["QueueUrls"]) == {before["Main"], before["Dead"]}
    nothing = "No updates are to be performed."
    assert refused(cloud.update_stack, StackName="shop", TemplateBody=TEMPLATE)[1] == nothing
    change(cloud, TEMPLATE.replace("RetentionInDays: 7", "RetentionInDays: 14"))


def test_a_retained_resource_outlives_its_stack(cloud: Any, client: Clients) -> None:
    body = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: Retain\n"
    stack_id = make(cloud, body)
    url = physical(cloud)["Q"]
    cloud.delete_stack(StackName="shop")
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert ("Q", "DELETE_SKIPPED") in events(cloud, stack_id)
    assert client("sqs").list_queues()["QueueUrls"] == [url]


def test_a_name_that_is_taken_fails(cloud: Any, client: Clients) -> None:
    client("sqs").create_queue(QueueName="mine")
    body = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: mine}\n"
    cloud.create_stack(StackName="shop", TemplateBody=body)
    assert settle(cloud, "shop")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert len(client("sqs").list_queues()["QueueUrls"]) == 1


def test_refusals(cloud: Any) -> None:
    make(cloud, TEMPLATE)
    assert refused(cloud.create_stack, StackName="shop", TemplateBody=TEMPLATE) == (
        "AlreadyExistsException",
        "Stack [shop] already exists",
    )
    missing = "Stack with id none does not exist"
    assert refused(cloud.describe_stacks, StackName="none") == ("ValidationError", missing)
    assert refused(cloud.update_stack, StackName="none", TemplateBody=TEMPLATE) == (
        "ValidationError",
        missing,
    )
    assert refused(cloud.get_template, StackName="none") == ("ValidationError", missing)
    cloud.delete_stack(StackName="none")
    code, text = refused(
        cloud.create_stack, StackName="x", TemplateBody="Resources:\n  A: {Type: AWS::No::Such}"
    )
    assert code == "ValidationError"
    assert "Unrecognized resource types: [AWS::No::Such]" in text
    role = "Resources:\n  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}"
    assert refused(cloud.create_stack, StackName="x", TemplateBody=role) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_IAM]",
    )
    code, text = refused(
        cloud.create_stack, StackName="x", TemplateBody="Transform: AWS::Serverless-2016-10-31\n" + role
    )
    assert "oncue deploy" in text
    code, text = refused(
        cloud.create_stack,
        StackName="x",
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": "Nope", "ParameterValue": "1"}],
    )
    assert text == "Parameters: [Nope] do not exist in the template"


def test_a_deletion_during_the_creation(cloud: Any, client: Clients) -> None:
    body = "Resources:\n" + "".join(
        f"  Q{n}:\n    Type: AWS::SQS::Queue\n" + (f"    DependsOn: Q{n - 1}\n" if n else "")
        for n in range(30)
    )
    stack_id = cloud.create_stack(StackName="shop", TemplateBody=body)["StackId"]
    cloud.delete_stack(StackName="shop")
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert client("sqs").list_queues().get("QueueUrls", []) == []
    assert ("Q29", "CREATE_COMPLETE") not in events(cloud, stack_id)


def test_a_stack_of_many_pages(cloud: Any) -> None:
    body = "Resources:\n" + "".join(f"  Q{n}:\n    Type: AWS::SQS::Queue\n" for n in range(120))
    make(cloud, body)
    pages = list(cloud.get_paginator("list_stack_resources").paginate(StackName="shop"))
    assert [len(page["StackResourceSummaries"]) for page in pages] == [100, 20]
    told = [
        row
        for page in cloud.get_paginator("describe_stack_events").paginate(StackName="shop")
        for row in page["StackEvents"]
    ]
    assert len(told) == len({row["EventId"] for row in told}) == 2 * 120 + 2


def test_what_a_service_does_not_offer_fails_with_its_name(cloud: Any) -> None:
    body = """
Resources:
  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: []}}}
  F:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt R.Arn
      Runtime: python3.11
      Handler: index.handler
      Code: {ZipFile: "def handler(e, c): pass", Colour: red}
"""
    cloud.create_stack(StackName="shop", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    assert settle(cloud, "shop")["StackStatus"] == "ROLLBACK_COMPLETE"
    rows = cloud.describe_stack_events(StackName="shop")["StackEvents"]
    reason = next(row["ResourceStatusReason"] for row in rows if row["ResourceStatus"] == "CREATE_FAILED")
    assert "Encountered unsupported property Colour of Code" in reason


def test_termination_protection(cloud: Any) -> None:
    make(cloud, TEMPLATE, EnableTerminationProtection=True)
    assert "TerminationProtection is enabled" in refused(cloud.delete_stack, StackName="shop")[1]


def test_accounts_and_regions_are_apart(cloud: Any, client: Clients, server: Any, account: str) -> None:
    make(cloud, TEMPLATE)
    elsewhere = server.client("cloudformation", account, region="eu-west-1")
    assert elsewhere.describe_stacks()["Stacks"] == []
    assert len(cloud.describe_stacks()["Stacks"]) == 1


def test_templates_are_given_back_and_validated(cloud: Any) -> None:
    make(cloud, TEMPLATE)
    assert cloud.get_template(StackName="shop")["TemplateBody"] == TEMPLATE
    checked = cloud.validate_template(TemplateBody=TEMPLATE)
    assert checked["Description"] == "Two queues and a table"
    assert [row["ParameterKey"] for row in checked["Parameters"]] == ["Seconds"]
    code, text = refused(cloud.validate_template, TemplateBody="a: [")
    assert (code, text.split(".")[0]) == ("ValidationError", "Template format error: YAML not well-formed")
    summary = cloud.get_template_summary(StackName="shop")
    assert summary["ResourceTypes"] == ["AWS::Logs::LogGroup", "AWS::SQS::Queue"]


def test_resources_are_described(cloud: Any) -> None:
    stack_id = make(cloud, TEMPLATE)
    made = physical(cloud)
    one = cloud.describe_stack_resource(StackName="shop", LogicalResourceId="Main")["StackResourceDetail"]
    assert (one["PhysicalResourceId"], one["ResourceStatus"]) == (made["Main"], "CREATE_COMPLETE")
    found = cloud.describe_stack_resources(PhysicalResourceId=made["Main"])["StackResources"]
    assert {row["StackId"] for row in found} == {stack_id}
    assert len(found) == 3
    assert refused(cloud.describe_stack_resource, StackName="shop", LogicalResourceId="No")[1] == (
        "Resource No does not exist for stack shop"
    )


def test_a_large_template_is_taken_inline(cloud: Any) -> None:
    assert make(cloud, TEMPLATE + "# " + "x" * 200_000)


def test_change_sets_create_and_update(cloud: Any) -> None:
    made = cloud.create_change_set(
        StackName="shop", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=TEMPLATE
    )
    assert cloud.describe_stacks(StackName="shop")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    described = cloud.describe_change_set(ChangeSetName=made["Id"])
    assert (described["Status"], described["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    actions = {
        row["ResourceChange"]["LogicalResourceId"]: row["ResourceChange"]["Action"]
        for row in described["Changes"]
    }
    assert actions == {"Main": "Add", "Dead": "Add", "Log": "Add"}
    cloud.execute_change_set(ChangeSetName="first", StackName="shop")
    assert settle(cloud, "shop")["StackStatus"] == "CREATE_COMPLETE"

    cloud.create_change_set(StackName="shop", ChangeSetName="same", TemplateBody=TEMPLATE)
    same = cloud.describe_change_set(StackName="shop", ChangeSetName="same")
    assert same["Status"] == "FAILED"
    assert same["StatusReason"].startswith("The submitted information didn't contain changes.")
    code, _ = refused(cloud.execute_change_set, StackName="shop", ChangeSetName="same")
    assert code == "InvalidChangeSetStatus"

    body = TEMPLATE.replace("RetentionInDays: 7", "RetentionInDays: 14")
    cloud.create_change_set(StackName="shop", ChangeSetName="next", TemplateBody=body)
    change_row = cloud.describe_change_set(StackName="shop", ChangeSetName="next")["Changes"][0][
        "ResourceChange"
    ]
    assert (change_row["Action"], change_row["LogicalResourceId"]) == ("Modify", "Log")
    assert change_row["Replacement"] == "False"
    cloud.delete_change_set(StackName="shop", ChangeSetName="same")
    assert len(cloud.list_change_sets(StackName="shop")["Summaries"]) == 1
    cloud.execute_change_set(StackName="shop", ChangeSetName="next")
    assert settle(cloud, "shop")["StackStatus"] == "UPDATE_COMPLETE"
    code, _ = refused(cloud.describe_change_set, StackName="shop", ChangeSetName="next")
    assert code == "ChangeSetNotFound"


def test_tables_roles_and_policies(cloud: Any, client: Clients) -> None:
    body = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: []}
      Policies:
        - PolicyName: read
          PolicyDocument:
            Statement: [{Effect: Allow, Action: "dynamodb:GetItem", Resource: !GetAtt Table.Arn}]
Outputs:
  Table: {Value: !Ref Table}
  Role: {Value: !GetAtt Role.Arn}
"""
    make(cloud, body, Capabilities=["CAPABILITY_IAM"])
    outputs = {
        o["OutputKey"]: o["OutputValue"]
        for o in cloud.describe_stacks(StackName="shop")["Stacks"][0]["Outputs"]
    }
    table = client("dynamodb").describe_table(TableName=outputs["Table"])["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    role = outputs["Role"].split("/")[-1]
    document = client("iam").get_role_policy(RoleName=role, PolicyName="read")["PolicyDocument"]
    assert document["Statement"][0]["Resource"] == table["TableArn"]
    cloud.delete_stack(StackName="shop")
    cloud.get_waiter("stack_delete_complete").wait(StackName="shop", WaiterConfig=QUICKLY)
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert client("iam").list_roles()["Roles"] == []
