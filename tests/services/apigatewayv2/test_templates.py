"""Authorizers, throttles and mappings as SAM and CloudFormation templates write them, deployed and asked."""

import http.client
import json
import pathlib
from typing import Any

from click.testing import CliRunner

from oncue.cli.deploy import deploy
from tests import running

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Endpoint: {Type: String}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: ["*"]
        AllowHeaders: ["authorization"]
      DefaultRouteSettings: {ThrottlingBurstLimit: 200, ThrottlingRateLimit: 100}
      AccessLogSettings:
        DestinationArn: !GetAtt Logs.Arn
        Format: $context.requestId $context.status
      Auth:
        EnableIamAuthorizer: true
        DefaultAuthorizer: J
        Authorizers:
          J:
            AuthorizationScopes: [read]
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: "https://issuer.example/pool", audience: [app]}
          L:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: "2.0"
            EnableSimpleResponses: true
            Identity: {Headers: [x-key], ReauthorizeEvery: 30}
            EnableFunctionDefaultPermissions: true
  Teapot:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: HTTP_PROXY
      IntegrationMethod: GET
      IntegrationUri: !Sub "${Endpoint}/health"
      PayloadFormatVersion: "1.0"
      ResponseParameters:
        "200":
          ResponseParameters:
            - {Destination: "overwrite:statuscode", Source: "418"}
  Key:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Api
      AuthorizerType: REQUEST
      Name: key
      AuthorizerUri: !GetAtt Guard.Arn
      AuthorizerPayloadFormatVersion: "2.0"
      EnableSimpleResponses: true
      IdentitySource: [$request.header.x-key]
  Tea:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: GET /tea
      AuthorizationType: CUSTOM
      AuthorizerId: !Ref Key
      Target: !Sub integrations/${Teapot}
  Logs: {Type: AWS::Logs::LogGroup}
  Guard:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: f.guard, CodeUri: src/}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: f.handler
      CodeUri: src/
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /jwt}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /lambda, Auth: {Authorizer: L}}}
        C: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /iam,
                                         Auth: {Authorizer: AWS_IAM}}}
        D: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /open, Auth: {Authorizer: NONE}}}
Outputs:
  Url: {Value: !GetAtt Api.ApiEndpoint}
"""
CODE = """
def guard(event, context):
    return {"isAuthorized": event["headers"]["x-key"] == "right", "context": {"who": "me"}}
def handler(event, context):
    return event["requestContext"].get("authorizer", "nobody")
"""


def test_what_templates_ask_for(
    server: running.Running, account: str, client: Any, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "f.py").write_text(CODE)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    environment = {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    words = ["--stack-name", "guarded", "--json", "--parameter-overrides", f"Endpoint={server.endpoint}"]
    deployed = CliRunner().invoke(deploy, [str(tmp_path / "template.yaml"), *words], env=environment)
    assert deployed.exit_code == 0, deployed.output
    host = json.loads(deployed.stdout)["outputs"]["Url"].removeprefix("http://")

    def ask(path: str, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", path, headers={"Host": host, **headers})
        reply = connection.getresponse()
        answer = reply.status, json.loads(reply.read())
        connection.close()
        return answer

    assert ask("/open") == (200, "nobody")
    assert ask("/jwt", authorization="x")[0] == 401
    assert ask("/iam")[0] == 403
    for path in ("/lambda", "/tea"):
        assert ask(path)[0] == 401
        assert ask(path, **{"x-key": "wrong"})[0] == 403
    assert ask("/lambda", **{"x-key": "right"}) == (200, {"lambda": {"who": "me"}})
    assert ask("/tea", **{"x-key": "right"})[0] == 418
    stage = client("apigatewayv2").get_stage(ApiId=host.split(".")[0], StageName="$default")
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 200
