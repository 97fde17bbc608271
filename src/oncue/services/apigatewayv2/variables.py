"""What expressions and access logs can see of a request: `$context.…`, headers, query, path, body. Pure.

Source: "Customize HTTP API access logs" and "Transform API requests and responses" in the developer guide.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from oncue import arns
from oncue.services.apigatewayv2 import mapping
from oncue.services.apigatewayv2.payloads import Visit, joined


def sources(visit: Visit) -> mapping.Sources:
    request = visit.request
    return mapping.Sources(
        headers=joined(request.headers),
        query=joined(visit.query),
        path=visit.variables,
        whole_path=visit.rest,
        context=context(visit),
        stage_variables=visit.stage_variables,
        body=request.body,
    )


def context(visit: Visit) -> dict[str, str]:
    """The variables that are known before the integration is asked; names may have dots."""
    request = visit.request
    found = {
        "accountId": visit.account,
        "apiId": visit.api_id,
        "domainName": visit.domain,
        "domainPrefix": visit.domain.partition(".")[0],
        "extendedRequestId": visit.request_id,
        "httpMethod": request.method,
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": visit.agent,
        "path": visit.path,
        "protocol": request.protocol,
        "requestId": visit.request_id,
        "requestTime": visit.time,
        "requestTimeEpoch": str(int(visit.at * 1000)),
        "routeKey": visit.route_key,
        "stage": visit.stage,
    }
    return found | _authorized(visit.authorizer or {})


def _authorized(authorizer: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in (authorizer.get("jwt") or {}).get("claims", {}).items():
        found[f"authorizer.claims.{name}"] = value
    for name, value in (authorizer.get("lambda") or {}).items():
        found[f"authorizer.{name}"] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if iam := authorizer.get("iam"):
        found |= {
            "identity.accountId": iam["accountId"],
            "identity.caller": iam["callerId"],
            "identity.user": iam["userId"],
            "identity.userArn": iam["userArn"],
        }
    return found


def route_arn(region: str, visit: Visit) -> str:
    """The request as policies name it: `…:api/stage/METHOD/path`, the path as the client wrote it."""
    resource = f"{visit.api_id}/{visit.stage}/{visit.request.method}{visit.rest}"
    return arns.build("execute-api", region, visit.account, resource)
