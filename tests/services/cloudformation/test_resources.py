"""Resource types through stacks: what a template says reaches the service, and changes do too."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.services.cloudformation.test_stacks import change, events, make, physical, settle

Clients = Callable[..., Any]
CAPABLE = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
FUNCTION = """
Parameters:
  Word: {Type: String, Default: one}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
      ManagedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"]
  Work:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: "7"
      Environment: {Variables: {WORD: !Ref Word, QUEUE: !Ref Done}}
      Code:
        ZipFile: |
          import os
          import boto3
          def handler(event, context):
              body = event["Records"][0]["body"] if "Records" in event else "direct"
              boto3.client("sqs").send_message(
                  QueueUrl=os.environ["QUEUE"], MessageBody=f"{body} {os.environ['WORD']}")
              return os.environ["WORD"]
  Jobs: {Type: AWS::SQS::Queue}
  Done: {Type: AWS::SQS::Queue}
  Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Work, EventSourceArn: !GetAtt Jobs.Arn, BatchSize: "1"}
  Allow:
    Type: AWS::Lambda::Permission
    Properties: {FunctionName: !Ref Work, Action: "lambda:InvokeFunction", Principal: sns.amazonaws.com}
Outputs:
  Work: {Value: !Ref Work}
"""


@pytest.fixture
def cloud(client: Clients) -> Any:
    return client("cloudformation")


def said(sqs: Any, url: str) -> str:
    """The next message of a queue."""
    for _ in range(10):
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", [])
        if found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
            return str(found[0]["Body"])
    raise AssertionError(f"nothing came out of {url}")


def test_a_function_with_inline_code_and_a_queue(cloud: Any, client: Clients) -> None:
    make(cloud, FUNCTION, **CAPABLE)
    made, sqs, functions = physical(cloud), client("sqs"), client("lambda")
    sqs.send_message(QueueUrl=made["Jobs"], MessageBody="first")
    assert said(sqs, made["Done"]) == "first one"
    settings = functions.get_function_configuration(FunctionName=made["Work"])
    assert (settings["Timeout"], settings["MemorySize"]) == (7, 128)
    statement = json.loads(functions.get_policy(FunctionName=made["Work"])["Policy"])["Statement"][0]
    assert statement["Sid"] == made["Allow"]

    body = FUNCTION.replace('BatchSize: "1"', "BatchSize: 5").replace('Timeout: "7"', "MemorySize: 256")
    change(cloud, body, Parameters=[{"ParameterKey": "Word", "ParameterValue": "two"}], **CAPABLE)
    assert physical(cloud) == made
    settings = functions.get_function_configuration(FunctionName=made["Work"])
    assert (settings["Timeout"], settings["MemorySize"]) == (3, 256)
    assert functions.get_event_source_mapping(UUID=made["Source"])["BatchSize"] == 5
    assert json.loads(functions.invoke(FunctionName=made["Work"])["Payload"].read()) == "two"
    assert said(sqs, made["Done"]) == "direct two"
    cloud.delete_stack(StackName="shop")
    cloud.get_waiter("stack_delete_complete").wait(
        StackName="shop", WaiterConfig={"Delay": 0.02, "MaxAttempts": 1_500}
    )
    assert functions.list_functions()["Functions"] == []
    assert functions.list_event_source_mappings()["EventSourceMappings"] == []


def test_new_code_reaches_the_function(cloud: Any, client: Clients) -> None:
    body = FUNCTION.replace('return os.environ["WORD"]', "return 'old'")
    make(cloud, body, **CAPABLE)
    name = physical(cloud)["Work"]
    change(cloud, body.replace("return 'old'", "return 'new'"), **CAPABLE)
    assert json.loads(client("lambda").invoke(FunctionName=name)["Payload"].read()) == "new"


PARTS = """
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: parts, ProtocolType: HTTP, Tags: {team: blue}}
  There:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:nobody"
      PayloadFormatVersion: "2.0"
      TimeoutInMillis: "5000"
  Way:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Api, RouteKey: GET /a, Target: !Sub "integrations/${There}"}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Api, StageName: $default, AutoDeploy: true}
Outputs:
  Endpoint: {Value: !GetAtt Api.ApiEndpoint}
"""


def test_an_api_of_parts(cloud: Any, client: Clients) -> None:
    make(cloud, PARTS)
    made, gateway = physical(cloud), client("apigatewayv2")
    api = made["Api"]
    assert gateway.get_api(ApiId=api)["Tags"] == {"team": "blue"}
    (route,) = gateway.get_routes(ApiId=api)["Items"]
    assert (route["RouteKey"], route["Target"]) == ("GET /a", f"integrations/{made['There']}")
    assert gateway.get_integration(ApiId=api, IntegrationId=made["There"])["TimeoutInMillis"] == 5_000
    change(cloud, PARTS.replace("GET /a", "GET /b").replace("Name: parts", "Name: others"))
    assert physical(cloud) == made
    assert gateway.get_routes(ApiId=api)["Items"][0]["RouteKey"] == "GET /b"
    assert gateway.get_api(ApiId=api)["Name"] == "others"
    change(cloud, PARTS.replace("StageName: $default", "StageName: prod"))
    assert [stage["StageName"] for stage in gateway.get_stages(ApiId=api)["Items"]] == ["prod"]


OPENAPI = """
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Body:
        openapi: "3.0.1"
        info: {title: pets, version: "1"}
        paths:
          /cats:
            get:
              x-amazon-apigateway-integration:
                type: aws_proxy
                uri: !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:nobody"
                payloadFormatVersion: "2.0"
"""


def test_an_api_of_an_openapi_document(cloud: Any, client: Clients) -> None:
    make(cloud, OPENAPI)
    api, gateway = physical(cloud)["Api"], client("apigatewayv2")
    assert gateway.get_api(ApiId=api)["Name"] == "pets"
    change(cloud, OPENAPI.replace("/cats", "/dogs"))
    assert physical(cloud)["Api"] == api
    assert [route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"]] == ["GET /dogs"]


TABLE = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
"""


def test_a_protected_table_stops_the_deletion_until_it_is_kept(cloud: Any, client: Clients) -> None:
    stack_id = make(cloud, TABLE + "      DeletionProtectionEnabled: 'true'\n")
    name = physical(cloud)["Table"]
    cloud.delete_stack(StackName="shop")
    stack = settle(cloud, "shop")
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert stack["StackStatusReason"] == "The following resource(s) failed to delete: [Table]."
    cloud.delete_stack(StackName="shop", RetainResources=["Table"])
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert ("Table", "DELETE_SKIPPED") in events(cloud, stack_id)
    assert client("dynamodb").list_tables()["TableNames"] == [name]


def test_a_key_that_changes_makes_a_new_table(cloud: Any, client: Clients) -> None:
    make(cloud, TABLE)
    before = physical(cloud)["Table"]
    change(cloud, TABLE.replace("AttributeName: id", "AttributeName: key"))
    after = physical(cloud)["Table"]
    assert after != before
    dynamodb = client("dynamodb")
    assert dynamodb.list_tables()["TableNames"] == [after]
    assert dynamodb.describe_table(TableName=after)["Table"]["KeySchema"][0]["AttributeName"] == "key"


def test_roles_and_policies_change_in_place(cloud: Any, client: Clients) -> None:
    body = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: []}
      Policies:
        - {PolicyName: first, PolicyDocument: {Statement: []}}
      Tags: [{Key: team, Value: blue}]
  Inline:
    Type: AWS::IAM::Policy
    Properties: {PolicyName: inline, PolicyDocument: {Statement: []}, Roles: [!Ref Role]}
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties: {PolicyDocument: {Statement: []}, Roles: [!Ref Role]}
"""
    make(cloud, body, **CAPABLE)
    made, iam = physical(cloud), client("iam")
    assert set(iam.list_role_policies(RoleName=made["Role"])["PolicyNames"]) == {"first", "inline"}
    attached = iam.list_attached_role_policies(RoleName=made["Role"])["AttachedPolicies"]
    assert [row["PolicyArn"] for row in attached] == [made["Shared"]]
    change(
        cloud,
        body.replace("PolicyName: first", "PolicyName: second").replace("Value: blue", "Value: red"),
        **CAPABLE,
    )
    assert physical(cloud) == made
    assert set(iam.list_role_policies(RoleName=made["Role"])["PolicyNames"]) == {"second", "inline"}
    assert iam.list_role_tags(RoleName=made["Role"])["Tags"] == [{"Key": "team", "Value": "red"}]
    stack_id = cloud.describe_stacks(StackName="shop")["Stacks"][0]["StackId"]
    cloud.delete_stack(StackName="shop")
    assert settle(cloud, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert iam.list_roles()["Roles"] == []


def test_a_fifo_queue_and_a_queue_policy(cloud: Any, client: Clients) -> None:
    body = """
Resources:
  Line:
    Type: AWS::SQS::Queue
    Properties: {FifoQueue: true, ContentBasedDeduplication: true, DelaySeconds: 5}
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Line]
      PolicyDocument:
        Statement: [{Effect: Allow, Principal: "*", Action: "sqs:SendMessage", Resource: !GetAtt Line.Arn}]
"""
    make(cloud, body)
    url, sqs = physical(cloud)["Line"], client("sqs")
    assert url.endswith(".fifo")
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (got["FifoQueue"], got["DelaySeconds"]) == ("true", "5")
    assert json.loads(got["Policy"])["Statement"][0]["Resource"] == got["QueueArn"]
    change(cloud, body.replace(", DelaySeconds: 5", ""))
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]
    assert got["DelaySeconds"] == "0"
    change(cloud, body[: body.index("  Policy:")])
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert "Policy" not in got
