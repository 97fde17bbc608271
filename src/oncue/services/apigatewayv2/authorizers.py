"""What an authorizer of an HTTP API may be. Pure.

Source: CreateAuthorizer in the API reference; "Control and manage access to HTTP APIs" in the developer
guide.
"""

import re
from typing import Any

from oncue.services.apigatewayv2 import integrations
from oncue.services.apigatewayv2.integrations import refusal

AUDIENCES_MAX = 50
IDENTITY = re.compile(r"\$(?:request\.(?:header|querystring)|context|stageVariables)\.[A-Za-z0-9_.:-]+")
JWT_IDENTITY = re.compile(r"\$request\.(?:header|querystring)\.[A-Za-z0-9_.-]+")
REQUEST_ONLY = (
    "AuthorizerUri",
    "AuthorizerCredentialsArn",
    "AuthorizerPayloadFormatVersion",
    "AuthorizerResultTtlInSeconds",
    "EnableSimpleResponses",
)


def checked(members: dict[str, Any]) -> dict[str, Any]:
    """The members of an authorizer with AWS's defaults filled in. BadRequestException when it cannot be."""
    if members["AuthorizerType"] == "JWT":
        return _jwt(members)
    if members["AuthorizerType"] != "REQUEST":
        raise refusal(f"AuthorizerType {members['AuthorizerType']} is not supported for HTTP APIs.")
    if members.get("JwtConfiguration"):
        raise refusal("JwtConfiguration is only supported for authorizers of the type JWT.")
    if integrations.function_arn(members.get("AuthorizerUri") or "") is None:
        raise refusal(
            "AuthorizerUri should be a valid Lambda function ARN or its API Gateway invocation path."
        )
    version = members.get("AuthorizerPayloadFormatVersion")
    if version not in ("1.0", "2.0"):
        raise refusal(
            "AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer: use 1.0 or 2.0."
        )
    if members.get("EnableSimpleResponses") and version != "2.0":
        raise refusal("EnableSimpleResponses requires AuthorizerPayloadFormatVersion 2.0.")
    sources = members.get("IdentitySource") or []
    for source in sources:
        if not IDENTITY.fullmatch(source):
            raise refusal(f"Invalid mapping expression specified in IdentitySource: {source}")
    if members.get("AuthorizerResultTtlInSeconds") and not sources:
        raise refusal("IdentitySource is required when the results of an authorizer are cached.")
    return {"AuthorizerResultTtlInSeconds": 0, "EnableSimpleResponses": False, **members}


def _jwt(members: dict[str, Any]) -> dict[str, Any]:
    strange = [name for name in REQUEST_ONLY if members.get(name)]
    if strange:
        raise refusal(f"{', '.join(strange)} is only supported for authorizers of the type REQUEST.")
    found: dict[str, Any] = members.get("JwtConfiguration") or {}
    issuer, audience = found.get("Issuer"), found.get("Audience") or []
    if not issuer or not audience:
        raise refusal(
            "JwtConfiguration with Issuer and Audience is required for authorizers of the type JWT."
        )
    if not issuer.startswith(("https://", "http://")):
        raise refusal("Invalid issuer: it has to be an http or https address.")
    if len(audience) > AUDIENCES_MAX:
        raise refusal(f"An authorizer has at most {AUDIENCES_MAX} audiences.")
    sources = members.get("IdentitySource") or []
    if len(sources) != 1 or not JWT_IDENTITY.fullmatch(sources[0]):
        raise refusal(
            "IdentitySource of an authorizer of the type JWT is one header or query string parameter, "
            "such as "
            "$request.header.Authorization."
        )
    return members


def check_expression(expression: str | None) -> None:
    if expression:
        raise refusal("IdentityValidationExpression is not supported for HTTP APIs.")
