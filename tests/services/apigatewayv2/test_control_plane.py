"""The operations on HTTP APIs, asked by boto3."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
ROLE = "arn:aws:iam::123456789012:role/r"
GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:access"
MakeClient = Callable[..., Any]


@pytest.fixture
def gateway(client: MakeClient) -> Any:
    return client("apigatewayv2")


@pytest.fixture
def api(gateway: Any) -> str:
    return str(gateway.create_api(Name="shop", ProtocolType="HTTP")["ApiId"])


def refused(operation: Callable[..., Any], **parameters: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        operation(**parameters)
    response = error.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def integrate(gateway: Any, api: str, **members: Any) -> str:
    members = {"IntegrationUri": FUNCTION, "PayloadFormatVersion": "2.0", **members}
    made = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", **members)
    return str(made["IntegrationId"])


def test_the_life_of_an_api(gateway: Any, client: MakeClient, account: str) -> None:
    made = gateway.create_api(
        Name="shop", ProtocolType="HTTP", Description="d", Version="1", Tags={"team": "a"}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert re.fullmatch(r"[a-z0-9]{10}", made["ApiId"])
    assert re.fullmatch(
        rf"http://{made['ApiId']}\.execute-api\.us-east-1\.localhost:\d+", made["ApiEndpoint"]
    )
    assert made["RouteSelectionExpression"] == "${request.method} ${request.path}"
    assert made["ApiKeySelectionExpression"] == "$request.header.x-api-key"
    assert made["DisableExecuteApiEndpoint"] is False
    found = gateway.get_api(ApiId=made["ApiId"])
    for name in ("Name", "Description", "Version", "Tags", "CreatedDate", "ApiEndpoint", "ProtocolType"):
        assert found[name] == made[name]
    changed = gateway.update_api(ApiId=made["ApiId"], Name="store")
    assert (changed["Name"], changed["Description"]) == ("store", "d")
    assert [api["Name"] for api in gateway.get_apis()["Items"]] == ["store"]
    assert client("apigatewayv2", region="eu-west-1").get_apis()["Items"] == []
    assert gateway.delete_api(ApiId=made["ApiId"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    sentence = f"Invalid API identifier specified {account}:{made['ApiId']}"
    assert refused(gateway.get_api, ApiId=made["ApiId"]) == ("NotFoundException", 404, sentence)


def test_an_api_of_another_account_is_not_there(gateway: Any, api: str, server: Any) -> None:
    stranger = server.client("apigatewayv2", "999999999999")
    code, status, sentence = refused(stranger.get_api, ApiId=api)
    assert (code, status) == ("NotFoundException", 404)
    assert sentence == f"Invalid API identifier specified 999999999999:{api}"
    assert refused(stranger.delete_api, ApiId=api)[1] == 404
    assert gateway.get_api(ApiId=api)["Name"] == "shop"


def test_integrations(gateway: Any, api: str) -> None:
    made = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=URI)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["PayloadFormatVersion"], made["TimeoutInMillis"]) == ("1.0", 30_000)
    assert (made["ConnectionType"], made["IntegrationMethod"]) == ("INTERNET", "POST")
    one = made["IntegrationId"]
    changed = gateway.update_integration(
        ApiId=api, IntegrationId=one, PayloadFormatVersion="2.0", TimeoutInMillis=1_000
    )
    assert (changed["PayloadFormatVersion"], changed["TimeoutInMillis"]) == ("2.0", 1_000)
    assert gateway.get_integration(ApiId=api, IntegrationId=one)["IntegrationUri"] == URI
    assert len(gateway.get_integrations(ApiId=api)["Items"]) == 1
    route = gateway.create_route(ApiId=api, RouteKey="GET /", Target=f"integrations/{one}")["RouteId"]
    assert refused(gateway.delete_integration, ApiId=api, IntegrationId=one) == (
        "ConflictException",
        409,
        f"Cannot delete Integration because it is referenced by the following Routes with Ids: [{route}]",
    )
    gateway.delete_route(ApiId=api, RouteId=route)
    gateway.delete_integration(ApiId=api, IntegrationId=one)
    assert refused(gateway.get_integration, ApiId=api, IntegrationId=one)[:2] == ("NotFoundException", 404)


def test_a_queue_s_parameters_can_be_changed_one_by_one(gateway: Any, api: str) -> None:
    made = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationSubtype="SQS-SendMessage",
        PayloadFormatVersion="1.0",
        CredentialsArn=ROLE,
        RequestParameters={"QueueUrl": "http://q", "MessageBody": "$request.body", "DelaySeconds": "1"},
    )
    changed = gateway.update_integration(
        ApiId=api,
        IntegrationId=made["IntegrationId"],
        RequestParameters={"DelaySeconds": "", "MessageGroupId": "g"},
    )
    assert changed["RequestParameters"] == {
        "QueueUrl": "http://q",
        "MessageBody": "$request.body",
        "MessageGroupId": "g",
    }


@pytest.mark.parametrize(
    "members",
    [
        {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "ftp://x", "IntegrationMethod": "GET"},
        {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "http://x"},
        {"IntegrationType": "MOCK"},
        {"IntegrationType": "AWS_PROXY"},
        {"IntegrationType": "AWS_PROXY", "IntegrationUri": "http://x"},
        {"IntegrationType": "AWS_PROXY", "IntegrationUri": URI, "PayloadFormatVersion": "3.0"},
        {"IntegrationType": "AWS_PROXY", "IntegrationUri": URI, "ConnectionType": "VPC_LINK"},
        {"IntegrationType": "AWS_PROXY", "IntegrationUri": URI, "RequestParameters": {"a": "b"}},
        {"IntegrationType": "AWS_PROXY", "IntegrationUri": URI, "ResponseParameters": {"200": {"a": "b"}}},
        {"IntegrationType": "AWS_PROXY", "IntegrationSubtype": "SQS-PurgeQueue", "CredentialsArn": ROLE},
        {
            "IntegrationType": "AWS_PROXY",
            "IntegrationSubtype": "SQS-SendMessage",
            "RequestParameters": {"QueueUrl": "q", "MessageBody": "b"},
        },
        {
            "IntegrationType": "AWS_PROXY",
            "IntegrationSubtype": "SQS-SendMessage",
            "CredentialsArn": ROLE,
            "RequestParameters": {"QueueUrl": "q"},
        },
        {
            "IntegrationType": "AWS_PROXY",
            "IntegrationSubtype": "SQS-SendMessage",
            "CredentialsArn": ROLE,
            "RequestParameters": {"QueueUrl": "q", "MessageBody": "$request.nobody"},
        },
        {
            "IntegrationType": "AWS_PROXY",
            "IntegrationSubtype": "SQS-SendMessage",
            "CredentialsArn": ROLE,
            "RequestParameters": {"QueueUrl": "q", "MessageBody": "b", "Unheard": "x"},
        },
    ],
)
def test_integrations_that_are_refused(gateway: Any, api: str, members: dict[str, Any]) -> None:
    code, status, _ = refused(gateway.create_integration, ApiId=api, **members)
    assert (code, status) == ("BadRequestException", 400)
    assert gateway.get_integrations(ApiId=api)["Items"] == []


def test_routes(gateway: Any, api: str) -> None:
    target = f"integrations/{integrate(gateway, api)}"
    made = gateway.create_route(ApiId=api, RouteKey="GET /pets/{id}", Target=target, OperationName="pet")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["AuthorizationType"], made["ApiKeyRequired"]) == ("NONE", False)
    assert gateway.get_route(ApiId=api, RouteId=made["RouteId"])["Target"] == target
    assert refused(gateway.create_route, ApiId=api, RouteKey="GET /pets/{id}") == (
        "ConflictException",
        409,
        "Route with key GET /pets/{id} already exists for this API",
    )
    assert refused(gateway.create_route, ApiId=api, RouteKey="GET /pets/{name}")[0] == "ConflictException"
    assert refused(gateway.create_route, ApiId=api, RouteKey="GET pets")[2].startswith(
        "The provided route key is not formatted properly for HTTP protocol."
    )
    assert refused(gateway.create_route, ApiId=api, RouteKey="GET /x", Target="integrations/no")[1] == 404
    assert refused(gateway.create_route, ApiId=api, RouteKey="GET /x", Target="nonsense")[1] == 400
    for members in ({"AuthorizationType": "JWT"}, {"ApiKeyRequired": True}, {"AuthorizerId": "a"}):
        code, status, _ = refused(gateway.create_route, ApiId=api, RouteKey="GET /x", **members)
        assert (code, status) == ("BadRequestException", 400)
    gateway.update_route(ApiId=api, RouteId=made["RouteId"], RouteKey="ANY /pets/{id}")
    gateway.create_route(ApiId=api, RouteKey="$default", Target=target)
    keys = {route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"]}
    assert keys == {"ANY /pets/{id}", "$default"}
    gateway.delete_route(ApiId=api, RouteId=made["RouteId"])
    assert refused(gateway.get_route, ApiId=api, RouteId=made["RouteId"])[0] == "NotFoundException"


def test_pages(gateway: Any, api: str) -> None:
    for number in range(5):
        gateway.create_route(ApiId=api, RouteKey=f"GET /{number}")
    pages = list(gateway.get_paginator("get_routes").paginate(ApiId=api, PaginationConfig={"PageSize": 2}))
    assert [len(page["Items"]) for page in pages] == [2, 2, 1]
    assert len({route["RouteId"] for page in pages for route in page["Items"]}) == 5
    for most in ("0", "x", "501"):
        assert refused(gateway.get_routes, ApiId=api, MaxResults=most)[0] == "BadRequestException"
    assert refused(gateway.get_routes, ApiId=api, NextToken="%")[0] == "BadRequestException"


def test_stages_and_deployments(gateway: Any, api: str) -> None:
    assert refused(gateway.create_deployment, ApiId=api) == (
        "BadRequestException",
        400,
        "Unable to deploy API because no routes exist in this API",
    )
    gateway.create_route(ApiId=api, RouteKey="GET /", Target=f"integrations/{integrate(gateway, api)}")
    live = gateway.create_stage(
        ApiId=api, StageName="$default", AutoDeploy=True, StageVariables={"a": "1"}, Tags={"k": "v"}
    )
    assert live["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert live["AutoDeploy"] is True
    assert (live["StageVariables"], live["Tags"]) == ({"a": "1"}, {"k": "v"})
    first = gateway.get_deployment(ApiId=api, DeploymentId=live["DeploymentId"])
    assert (first["AutoDeployed"], first["DeploymentStatus"]) == (True, "DEPLOYED")
    gateway.create_route(ApiId=api, RouteKey="GET /two")
    assert gateway.get_stage(ApiId=api, StageName="$default")["DeploymentId"] != live["DeploymentId"]
    assert refused(gateway.create_stage, ApiId=api, StageName="$default")[0] == "ConflictException"
    assert refused(gateway.create_stage, ApiId=api, StageName="a b")[0] == "BadRequestException"

    made = gateway.create_deployment(ApiId=api, Description="by hand")
    fixed = gateway.create_stage(ApiId=api, StageName="v1", DeploymentId=made["DeploymentId"])
    assert (fixed["AutoDeploy"], fixed["DeploymentId"]) == (False, made["DeploymentId"])
    assert refused(gateway.delete_deployment, ApiId=api, DeploymentId=made["DeploymentId"]) == (
        "BadRequestException",
        400,
        "Active stages pointing to this deployment must be moved or deleted",
    )
    assert {stage["StageName"] for stage in gateway.get_stages(ApiId=api)["Items"]} == {"$default", "v1"}
    changed = gateway.update_stage(ApiId=api, StageName="v1", StageVariables={"b": "2"}, Description="d")
    assert (changed["StageVariables"], changed["Description"]) == ({"b": "2"}, "d")
    gateway.delete_stage(ApiId=api, StageName="v1")
    gateway.delete_deployment(ApiId=api, DeploymentId=made["DeploymentId"])
    assert refused(gateway.get_stage, ApiId=api, StageName="v1")[0] == "NotFoundException"


def test_settings_of_stages(gateway: Any, api: str) -> None:
    gateway.create_route(ApiId=api, RouteKey="GET /", Target=f"integrations/{integrate(gateway, api)}")
    throttled = {"ThrottlingRateLimit": 1.5, "ThrottlingBurstLimit": 3}
    made = gateway.create_stage(
        ApiId=api, StageName="slow", DefaultRouteSettings=throttled, RouteSettings={"GET /": throttled}
    )
    assert made["DefaultRouteSettings"] == throttled | {"DetailedMetricsEnabled": False}
    changed = gateway.update_stage(
        ApiId=api, StageName="slow", RouteSettings={"GET /": {"ThrottlingBurstLimit": 9}}
    )
    wanted = {"ThrottlingRateLimit": 1.5, "ThrottlingBurstLimit": 9, "DetailedMetricsEnabled": False}
    assert changed["RouteSettings"] == {"GET /": wanted}
    gateway.delete_route_settings(ApiId=api, StageName="slow", RouteKey="GET /")
    assert gateway.get_stage(ApiId=api, StageName="slow")["RouteSettings"] == {}
    again = {"ApiId": api, "StageName": "slow", "RouteKey": "GET /"}
    assert refused(gateway.delete_route_settings, **again)[0] == "NotFoundException"
    for settings in (
        {"RouteSettings": {"GET /nowhere": throttled}},
        {"DefaultRouteSettings": {"LoggingLevel": "INFO"}},
        {"DefaultRouteSettings": {"DetailedMetricsEnabled": True}},
        {"DefaultRouteSettings": {"ThrottlingBurstLimit": -1}},
        {"AccessLogSettings": {"DestinationArn": "arn:aws:s3:::b", "Format": "$context.requestId"}},
        {"AccessLogSettings": {"DestinationArn": GROUP, "Format": "$context.status"}},
        {"AccessLogSettings": {"DestinationArn": GROUP, "Format": "$context.requestId $context.mood"}},
    ):
        code, _, _ = refused(gateway.update_stage, ApiId=api, StageName="slow", **settings)
        assert code == "BadRequestException", settings
    logs = {"DestinationArn": GROUP, "Format": "$context.requestId $context.authorizer.claims.sub"}
    assert (
        gateway.update_stage(ApiId=api, StageName="slow", AccessLogSettings=logs)["AccessLogSettings"] == logs
    )
    gateway.delete_access_log_settings(ApiId=api, StageName="slow")
    assert "AccessLogSettings" not in gateway.get_stage(ApiId=api, StageName="slow")


def test_authorizers(gateway: Any, api: str) -> None:
    rules = {"Issuer": "https://issuer.example", "Audience": ["a"]}
    jwt = {"AuthorizerType": "JWT", "IdentitySource": ["$request.header.Authorization"]}
    made = gateway.create_authorizer(ApiId=api, Name="j", JwtConfiguration=rules, **jwt)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["JwtConfiguration"] == rules
    request = {"AuthorizerType": "REQUEST", "IdentitySource": ["$request.header.x"], "AuthorizerUri": URI}
    asked = gateway.create_authorizer(
        ApiId=api, Name="r", AuthorizerPayloadFormatVersion="2.0", EnableSimpleResponses=True, **request
    )
    assert asked["AuthorizerResultTtlInSeconds"] == 0
    changed = gateway.update_authorizer(
        ApiId=api, AuthorizerId=asked["AuthorizerId"], AuthorizerResultTtlInSeconds=60
    )
    assert changed["AuthorizerResultTtlInSeconds"] == 60
    assert {one["Name"] for one in gateway.get_authorizers(ApiId=api)["Items"]} == {"j", "r"}
    route = gateway.create_route(
        ApiId=api,
        RouteKey="GET /",
        AuthorizationType="JWT",
        AuthorizerId=made["AuthorizerId"],
        AuthorizationScopes=["read"],
    )
    assert (route["AuthorizationType"], route["AuthorizationScopes"]) == ("JWT", ["read"])
    code, _, text = refused(gateway.delete_authorizer, ApiId=api, AuthorizerId=made["AuthorizerId"])
    assert (code, route["RouteId"] in text) == ("ConflictException", True)
    opened = gateway.update_route(ApiId=api, RouteId=route["RouteId"], AuthorizationType="NONE")
    assert "AuthorizerId" not in opened
    gateway.delete_authorizer(ApiId=api, AuthorizerId=made["AuthorizerId"])
    gone = {"ApiId": api, "AuthorizerId": made["AuthorizerId"]}
    assert refused(gateway.get_authorizer, **gone)[:2] == ("NotFoundException", 404)
    for members in (
        {"Name": "r", "AuthorizerPayloadFormatVersion": "2.0", **request},
        {"Name": "n", **request},
        {"Name": "n", "AuthorizerPayloadFormatVersion": "1.0", "EnableSimpleResponses": True, **request},
        {"Name": "n", "AuthorizerPayloadFormatVersion": "1.0", **request, "AuthorizerUri": "http://x"},
        {"Name": "n", "AuthorizerPayloadFormatVersion": "1.0", **request, "IdentitySource": ["x"]},
        {"Name": "n", **jwt},
        {"Name": "n", **jwt, "JwtConfiguration": {"Issuer": "https://x"}},
        {"Name": "n", **jwt, "JwtConfiguration": rules, "IdentitySource": ["$context.path"]},
        {"Name": "n", **jwt, "JwtConfiguration": rules, "AuthorizerUri": URI},
    ):
        assert refused(gateway.create_authorizer, ApiId=api, **members)[0] == "BadRequestException", members
    wrong_kind = {"AuthorizationType": "JWT", "AuthorizerId": asked["AuthorizerId"]}
    for wrong in (wrong_kind, {"AuthorizationType": "NONE", "AuthorizationScopes": ["a"]}):
        assert refused(gateway.create_route, ApiId=api, RouteKey="GET /x", **wrong)[1] == 400


def test_quick_create(gateway: Any) -> None:
    made = gateway.create_api(Name="q", ProtocolType="HTTP", Target=FUNCTION, RouteKey="GET /go")
    routes = gateway.get_routes(ApiId=made["ApiId"])["Items"]
    assert [(route["RouteKey"], route["ApiGatewayManaged"]) for route in routes] == [("GET /go", True)]
    integration = gateway.get_integrations(ApiId=made["ApiId"])["Items"][0]
    assert integration["PayloadFormatVersion"] == "2.0"
    assert routes[0]["Target"] == f"integrations/{integration['IntegrationId']}"
    assert gateway.get_stage(ApiId=made["ApiId"], StageName="$default")["AutoDeploy"] is True
    assert refused(gateway.create_api, Name="q", ProtocolType="HTTP", RouteKey="GET /go")[1] == 400
    assert refused(gateway.create_api, Name="q", ProtocolType="WEBSOCKET")[1] == 400


def test_import_and_reimport(gateway: Any) -> None:
    def body(title: str, *paths: str) -> str:
        member = {"type": "aws_proxy", "httpMethod": "POST", "uri": URI, "payloadFormatVersion": "2.0"}
        operation = {"get": {"responses": {}, "x-amazon-apigateway-integration": member}}
        return json.dumps(
            {"openapi": "3.0.1", "info": {"title": title}, "paths": dict.fromkeys(paths, operation)}
        )

    made = gateway.import_api(Body=body("one", "/a", "/b/{id}"), FailOnWarnings=True)
    api = made["ApiId"]
    assert (made["Name"], made["ResponseMetadata"]["HTTPStatusCode"]) == ("one", 201)
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    again = gateway.reimport_api(ApiId=api, Body=body("two", "/c"))
    assert (again["ApiId"], again["Name"]) == (api, "two")
    assert [route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"]] == ["GET /c"]
    assert [one["IntegrationUri"] for one in gateway.get_integrations(ApiId=api)["Items"]] == [URI]
    assert len(gateway.get_stages(ApiId=api)["Items"]) == 1
    assert (
        refused(gateway.reimport_api, ApiId=api, Body=body("x", "/{a}", "/{b}/x"))[0] == "ConflictException"
    )
    assert [route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"]] == ["GET /c"]
    assert refused(gateway.import_api, Body="{}")[0] == "BadRequestException"


def test_tags(gateway: Any, api: str) -> None:
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api}"
    gateway.tag_resource(ResourceArn=arn, Tags={"a": "1", "b": "2"})
    gateway.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert gateway.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    assert gateway.get_api(ApiId=api)["Tags"] == {"b": "2"}
    gateway.create_stage(ApiId=api, StageName="prod")
    gateway.tag_resource(ResourceArn=f"{arn}/stages/prod", Tags={"c": "3"})
    assert gateway.get_stage(ApiId=api, StageName="prod")["Tags"] == {"c": "3"}
    assert refused(gateway.get_tags, ResourceArn=f"{arn}/stages/no")[0] == "NotFoundException"
    assert refused(gateway.get_tags, ResourceArn="arn:aws:apigateway:us-east-1::/apis/no")[1] == 404
    many = {f"k{number}": "v" for number in range(50)}
    assert refused(gateway.tag_resource, ResourceArn=arn, Tags=many)[0] == "BadRequestException"


def test_a_quota(gateway: Any, api: str) -> None:
    for number in range(10):
        gateway.create_stage(ApiId=api, StageName=f"s{number}")
    code, _, sentence = refused(gateway.create_stage, ApiId=api, StageName="more")
    assert code == "BadRequestException"
    assert sentence.startswith("Maximum number of Stages for this API has been reached.")


def test_both_spellings_of_the_route_selection_are_kept(client: Callable[..., Any]) -> None:
    """Terraform's default has no braces, and sees a difference when it comes back otherwise."""
    apis = client("apigatewayv2")
    written = "$request.method $request.path"
    made = apis.create_api(Name="a", ProtocolType="HTTP", RouteSelectionExpression=written)
    assert apis.get_api(ApiId=made["ApiId"])["RouteSelectionExpression"] == written
    with pytest.raises(ClientError):
        apis.update_api(ApiId=made["ApiId"], RouteSelectionExpression="$request.body.action")
