"""An HTTP API written down as an OpenAPI 3 document: what ImportApi reads. Pure.

Source: ExportApi in the API reference; "OpenAPI extensions" in the developer guide.
"""

from typing import Any

from oncue.services.apigatewayv2 import openapi, routing, security

Members = dict[str, Any]


def document(
    api: Members,
    routes: dict[str, Members],
    integrations: dict[str, Members],
    authorizers: dict[str, Members],
    *,
    extensions: bool = True,
) -> Members:
    """`routes` by their keys, integrations and authorizers by their ids. Without extensions only the paths
    remain."""
    found: Members = {
        "openapi": "3.0.1",
        "info": {"title": api["Name"], "version": api.get("Version", "1.0")},
    }
    if api.get("Description"):
        found["info"]["description"] = api["Description"]
    if api.get("Tags"):
        found["tags"] = [
            {"name": name, "x-amazon-apigateway-tag-value": value}
            for name, value in sorted(api["Tags"].items())
        ]
    found["paths"] = {}
    for key, route in sorted(routes.items()):
        path, name = _place(key)
        operation = _operation(key, route, integrations, authorizers, extensions)
        found["paths"].setdefault(path, {})[name] = operation
    schemes = _schemes(routes, authorizers) if extensions else {}
    if schemes:
        found["components"] = {"securitySchemes": schemes}
    if extensions and api.get("CorsConfiguration"):
        cors = {name: api["CorsConfiguration"].get(member) for name, member in openapi.CORS_MEMBERS.items()}
        found["x-amazon-apigateway-cors"] = {name: value for name, value in cors.items() if value is not None}
    if extensions:
        found["x-amazon-apigateway-importexport-version"] = "1.0"
    return found


def _place(key: str) -> tuple[str, str]:
    """(path, name of the operation in it) of a route key."""
    if key == routing.DEFAULT:
        return "/$default", openapi.ANY_METHOD
    method, _, path = key.partition(" ")
    return path, openapi.ANY_METHOD if method == "ANY" else method.lower()


def _operation(
    key: str,
    route: Members,
    integrations: dict[str, Members],
    authorizers: dict[str, Members],
    extensions: bool,
) -> Members:
    found: Members = {"responses": {"default": {"description": f"Default response for {key}"}}}
    if route.get("OperationName"):
        found["operationId"] = route["OperationName"]
    if key == routing.DEFAULT:
        found["isDefaultRoute"] = True
    names = [part.text for part in routing.parse_route_key(key).segments if part.kind != routing.LITERAL]
    if names:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if not extensions:
        return found
    if route.get("AuthorizationType") == "AWS_IAM":
        found["security"] = [{"AWS_IAM": []}]
    elif route.get("AuthorizerId"):
        name = authorizers[route["AuthorizerId"]]["Name"]
        found["security"] = [{name: route.get("AuthorizationScopes") or []}]
    integration = integrations.get((route.get("Target") or "").removeprefix("integrations/"))
    if integration:
        shown = {name: integration.get(member) for name, member in openapi.MEMBERS.items()}
        found[openapi.INTEGRATION] = {name: value for name, value in shown.items() if value is not None}
    return found


def _schemes(routes: dict[str, Members], authorizers: dict[str, Members]) -> Members:
    found: Members = {}
    for members in sorted(authorizers.values(), key=lambda one: str(one["Name"])):
        shown = {name: members.get(member) for name, member in security.MEMBERS.items()}
        extension = {name: value for name, value in shown.items() if value is not None}
        extension["identitySource"] = ",".join(members.get("IdentitySource") or [])
        extension["type"] = "jwt" if members["AuthorizerType"] == "JWT" else "request"
        rules = members.get("JwtConfiguration")
        if rules:
            extension["jwtConfiguration"] = {"issuer": rules["Issuer"], "audience": rules["Audience"]}
        kind = (
            {"type": "oauth2", "flows": {}} if rules else {"type": "apiKey", "name": "Unused", "in": "header"}
        )
        found[members["Name"]] = {**kind, security.EXTENSION: extension}
    if any(route.get("AuthorizationType") == "AWS_IAM" for route in routes.values()):
        signed = {"type": "apiKey", "name": "Authorization", "in": "header", security.SIGNED: "awsSigv4"}
        found["AWS_IAM"] = signed
    return found
