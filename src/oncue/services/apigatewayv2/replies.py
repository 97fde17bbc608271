"""The rows of HTTP APIs in the shapes of the API, and lists page by page."""

import base64
import binascii
import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from oncue.services import Call
from oncue.services.apigatewayv2.changes import API_KEY_SELECTION, SELECTION
from oncue.services.apigatewayv2.tables import refusal, unpacked
from oncue.store import Row

PAGE_DEFAULT = 100
PAGE_MAX = 500
HERE = "localhost"


def endpoint(base_url: str, api_id: str, region: str) -> str:
    """Where an API is called: its own host name under the one by which the client reached us.

    An IP address has no names under it; `<anything>.localhost` leads to this machine.
    """
    parts = urlsplit(base_url or f"http://{HERE}")
    host = parts.hostname or HERE
    try:
        ipaddress.ip_address(host)
        host = HERE
    except ValueError:
        pass  # a name, which may have names under it
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{api_id}.execute-api.{region}.{host}{port}"


def api(call: Call, row: Row) -> dict[str, Any]:
    return {
        "ApiId": row["id"],
        "ApiEndpoint": endpoint(call.base_url, row["id"], row["region"]),
        "ApiKeySelectionExpression": API_KEY_SELECTION,
        "CreatedDate": row["created_at"],
        "DisableExecuteApiEndpoint": False,
        "IpAddressType": "ipv4",
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": SELECTION,
        "Tags": {},
        **unpacked(row),
    }


def integration(row: Row) -> dict[str, Any]:
    return {"IntegrationId": row["id"], **unpacked(row)}


def route(row: Row) -> dict[str, Any]:
    fixed = {"ApiKeyRequired": False, "AuthorizationType": "NONE"}
    return {"RouteId": row["id"], "RouteKey": row["route_key"], **fixed, **unpacked(row)}


def authorizer(row: Row) -> dict[str, Any]:
    return {"AuthorizerId": row["id"], **unpacked(row)}


def stage(row: Row) -> dict[str, Any]:
    deployed = row["deployment_id"]
    message = f"Successfully deployed stage with deployment ID '{deployed}'" if deployed else None
    return {
        "StageName": row["name"],
        "AutoDeploy": bool(row["auto_deploy"]),
        "CreatedDate": row["created_at"],
        "LastUpdatedDate": row["updated_at"],
        "DeploymentId": deployed,
        "LastDeploymentStatusMessage": message,
        "DefaultRouteSettings": {"DetailedMetricsEnabled": False},
        "RouteSettings": {},
        "StageVariables": {},
        "Tags": {},
        **unpacked(row),
    }


def deployment(row: Row) -> dict[str, Any]:
    return {
        "DeploymentId": row["id"],
        "AutoDeployed": bool(row["automatic"]),
        "CreatedDate": row["created_at"],
        "DeploymentStatus": "DEPLOYED",
        **unpacked(row),
    }


def page(
    rows: list[Row],
    shape: Callable[[Row], dict[str, Any]],
    most: str | None,
    token: str | None,
    key: str = "id",
) -> dict[str, Any]:
    """One page of `rows`, which are sorted by `key`; the token names the last one of the page before."""
    limit = _limit(most)
    after = _opened(token) if token else ""
    rest = [row for row in rows if row[key] > after]
    reply: dict[str, Any] = {"Items": [shape(row) for row in rest[:limit]]}
    if len(rest) > limit:
        reply["NextToken"] = base64.urlsafe_b64encode(rest[limit - 1][key].encode()).decode()
    return reply


def _limit(most: str | None) -> int:
    if most is None:
        return PAGE_DEFAULT
    if not most.isdecimal() or not 1 <= int(most) <= PAGE_MAX:
        raise refusal(f"Invalid MaxResults specified: {most}")
    return int(most)


def _opened(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise refusal("Invalid NextToken specified") from None
