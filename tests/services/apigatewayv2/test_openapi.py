"""OpenAPI documents as ImportApi reads them."""

import json
from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import openapi

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
LAMBDA = {"type": "aws_proxy", "httpMethod": "POST", "uri": URI, "payloadFormatVersion": "2.0"}


def document(paths: dict[str, Any], **more: Any) -> str:
    return json.dumps({"openapi": "3.0.1", "info": {"title": "t", "version": 1}, "paths": paths, **more})


def operation(**more: Any) -> dict[str, Any]:
    return {"responses": {}, "x-amazon-apigateway-integration": LAMBDA, **more}


def test_a_document_of_the_sam_translator() -> None:
    imported = openapi.read(
        document(
            {
                "/orders/{id}": {
                    "post": operation(parameters=[{"required": True, "name": "id", "in": "path"}]),
                },
                "$default": {"x-amazon-apigateway-any-method": operation(isDefaultRoute=True)},
                "/x/{proxy+}": {"x-amazon-apigateway-any-method": operation(operationId="All")},
            },
            tags=[{"name": "httpapi:createdBy", "x-amazon-apigateway-tag-value": "SAM"}, {"name": "plain"}],
            **{"x-amazon-apigateway-cors": {"allowOrigins": ["*"], "maxAge": "60", "allowMethods": "GET"}},
        )
    )
    assert imported.api == {
        "Name": "t",
        "Version": "1",
        "Tags": {"httpapi:createdBy": "SAM"},
        "CorsConfiguration": {"AllowOrigins": ["*"], "AllowMethods": ["GET"], "MaxAge": 60},
    }
    members = {
        "IntegrationType": "AWS_PROXY",
        "IntegrationMethod": "POST",
        "IntegrationUri": URI,
        "PayloadFormatVersion": "2.0",
    }
    assert [(one.key, one.members.get("OperationName"), one.integration) for one in imported.routes] == [
        ("POST /orders/{id}", None, members),
        ("$default", None, members),
        ("ANY /x/{proxy+}", "All", members),
    ]


def test_a_queue_behind_a_path_and_a_shared_integration() -> None:
    queue = {
        "type": "AWS_PROXY",
        "integrationSubtype": "SQS-SendMessage",
        "credentials": "arn:aws:iam::123456789012:role/r",
        "requestParameters": {"QueueUrl": "http://q/1/a", "MessageBody": "$request.body"},
        "payloadFormatVersion": 1.0,
        "timeoutInMillis": "1000",
    }
    imported = openapi.read(
        document(
            {
                "/q": {
                    "post": {
                        "x-amazon-apigateway-integration": {
                            "$ref": "#/components/x-amazon-apigateway-integrations/queue"
                        }
                    },
                    "get": {},
                }
            },
            components={"x-amazon-apigateway-integrations": {"queue": queue}},
        )
    )
    found = {route.key: route.integration for route in imported.routes}
    assert found["GET /q"] is None
    assert found["POST /q"] == {
        "IntegrationType": "AWS_PROXY",
        "IntegrationSubtype": "SQS-SendMessage",
        "CredentialsArn": "arn:aws:iam::123456789012:role/r",
        "RequestParameters": {"QueueUrl": "http://q/1/a", "MessageBody": "$request.body"},
        "PayloadFormatVersion": "1.0",
        "TimeoutInMillis": 1000,
    }


@pytest.mark.parametrize(
    "text",
    [
        "openapi: 3.0.1",
        "[]",
        json.dumps({"swagger": "2.0", "info": {"title": "t"}}),
        json.dumps({"openapi": "3.0.1", "info": {}}),
        document({}, security=[{"a": []}]),
        document({"/": {"get": operation(security=[{"a": []}])}}),
        document({"/": {"trace": operation()}}),
        document({"/": []}),
        document({"/": {"get": {"x-amazon-apigateway-integration": {**LAMBDA, "cacheKeyParameters": []}}}}),
        document({"/": {"get": {"x-amazon-apigateway-integration": {"uri": "x"}}}}),
        document({"/": {"get": {"x-amazon-apigateway-integration": {"$ref": "#/components/nowhere"}}}}),
        document({"/": {"get": operation(**{"x-amazon-apigateway-auth": {}})}}),
        document({}, **{"x-amazon-apigateway-policy": {}}),
        document({}, **{"x-amazon-apigateway-cors": {"allowAll": True}}),
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ServiceError) as refused:
        openapi.read(text)
    assert refused.value.code == "BadRequestException"
