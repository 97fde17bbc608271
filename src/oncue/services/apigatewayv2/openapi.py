"""OpenAPI 3 documents with API Gateway's extensions, read into members of APIs and integrations. Pure.

Source: API Gateway developer guide, "OpenAPI extensions" (x-amazon-apigateway-integration, -cors, -tag-value,
any-method) and what aws-sam-translator writes for AWS::Serverless::HttpApi.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import security

ANY_METHOD = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
SHARED = "x-amazon-apigateway-integrations"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
BODY_BYTES_MAX = 6 * 1024 * 1024
MEMBERS = {
    "type": "IntegrationType",
    "uri": "IntegrationUri",
    "httpMethod": "IntegrationMethod",
    "payloadFormatVersion": "PayloadFormatVersion",
    "timeoutInMillis": "TimeoutInMillis",
    "credentials": "CredentialsArn",
    "integrationSubtype": "IntegrationSubtype",
    "requestParameters": "RequestParameters",
    "responseParameters": "ResponseParameters",
    "connectionType": "ConnectionType",
    "description": "Description",
    "passthroughBehavior": "PassthroughBehavior",
}
CORS_MEMBERS = {
    "allowOrigins": "AllowOrigins",
    "allowMethods": "AllowMethods",
    "allowHeaders": "AllowHeaders",
    "exposeHeaders": "ExposeHeaders",
    "allowCredentials": "AllowCredentials",
    "maxAge": "MaxAge",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a document says: members of the API and of its authorizers by their names, and its routes."""

    api: dict[str, Any]
    authorizers: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: list["ImportedRoute"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportedRoute:
    """`members` are the route's own; `authorizer` is a name."""

    key: str
    members: dict[str, Any]
    integration: dict[str, Any] | None
    authorizer: str | None


def refusal(sentence: str) -> ServiceError:
    return ServiceError("BadRequestException", sentence)


def read(text: str) -> Imported:
    """Take a document apart. BadRequestException says what we cannot read or do not support in it."""
    if len(text) > BODY_BYTES_MAX:
        raise refusal(f"The OpenAPI document is longer than {BODY_BYTES_MAX} bytes.")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise refusal(
            f"Unable to parse the OpenAPI document as JSON (Oncue reads no YAML here): {error}"
        ) from error
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise refusal("Invalid OpenAPI input: only OpenAPI 3 documents can be imported into an HTTP API.")
    _refuse_extensions(document, {"x-amazon-apigateway-cors", "x-amazon-apigateway-importexport-version"})
    components = _object(document.get("components"), "components")
    shared = _object(components.get(SHARED), SHARED)
    schemes = _object(components.get("securitySchemes"), "securitySchemes")
    imported = Imported(_api(document), security.authorizers_of(schemes))
    security.demanded(document.get("security"), schemes, imported.authorizers, "the document")
    for path, item in _object(document.get("paths"), "paths").items():
        if path.startswith("x-"):
            continue
        for name, operation in _operations(path, _object(item, path)):
            key = "$default" if path in ("$default", "/$default") else f"{name} {path}"
            wanted = operation.get("security", document.get("security"))
            members, authorizer = security.demanded(wanted, schemes, imported.authorizers, key)
            if operation.get("operationId"):
                members["OperationName"] = str(operation["operationId"])
            integration = _integration(operation, shared, key)
            imported.routes.append(ImportedRoute(key, members, integration, authorizer))
    return imported


def _object(value: Any, place: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise refusal(f"Invalid OpenAPI input: {place} is not an object.")
    return value or {}


def _refuse_extensions(value: dict[str, Any], known: set[str]) -> None:
    strange = sorted(name for name in value if name.startswith("x-amazon-apigateway-") and name not in known)
    if strange:
        raise refusal(f"Oncue does not support {', '.join(strange)} in the OpenAPI document of an HTTP API.")


def _api(document: dict[str, Any]) -> dict[str, Any]:
    info = _object(document.get("info"), "info")
    if not isinstance(info.get("title"), str):
        raise refusal("Invalid OpenAPI input: info.title is missing.")
    api: dict[str, Any] = {"Name": info["title"]}
    for name, member in (("description", "Description"), ("version", "Version")):
        if info.get(name) is not None:
            api[member] = str(info[name])
    tags = document.get("tags") or []
    named = [tag for tag in tags if isinstance(tag, dict) and "x-amazon-apigateway-tag-value" in tag]
    if named:
        api["Tags"] = {str(tag["name"]): str(tag["x-amazon-apigateway-tag-value"]) for tag in named}
    if document.get("x-amazon-apigateway-cors") is not None:
        api["CorsConfiguration"] = _cors(_object(document["x-amazon-apigateway-cors"], "cors"))
    return api


def _cors(rules: dict[str, Any]) -> dict[str, Any]:
    strange = sorted(rules.keys() - CORS_MEMBERS.keys())
    if strange:
        raise refusal(f"Invalid OpenAPI input: x-amazon-apigateway-cors has no {', '.join(strange)}.")
    found: dict[str, Any] = {}
    for name, member in CORS_MEMBERS.items():
        value = rules.get(name)
        if value is None:
            continue
        if name == "allowCredentials":
            found[member] = value if isinstance(value, bool) else str(value).lower() == "true"
        elif name == "maxAge":
            found[member] = _whole_number(value, "maxAge")
        else:
            found[member] = [str(entry) for entry in (value if isinstance(value, list) else [value])]
    return found


def _operations(path: str, item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    if "$ref" in item:
        raise refusal(f"Oncue does not support $ref for the path {path} of the OpenAPI document.")
    _refuse_extensions(item, {ANY_METHOD})
    found = [(name.upper(), _object(item[name], name)) for name in METHODS if name in item]
    if ANY_METHOD in item:
        found.append(("ANY", _object(item[ANY_METHOD], ANY_METHOD)))
    if "trace" in item:
        raise refusal("Invalid OpenAPI input: HTTP APIs have no TRACE method.")
    return found


def _integration(operation: dict[str, Any], shared: dict[str, Any], key: str) -> dict[str, Any] | None:
    _refuse_extensions(operation, {INTEGRATION})
    if operation.get(INTEGRATION) is None:
        return None
    found = _object(operation[INTEGRATION], INTEGRATION)
    if "$ref" in found:
        name = str(found["$ref"]).removeprefix(f"#/components/{SHARED}/")
        if name not in shared:
            raise refusal(f"Invalid OpenAPI input: unable to resolve {found['$ref']}.")
        found = _object(shared[name], name)
    strange = sorted(found.keys() - MEMBERS.keys())
    if strange:
        raise refusal(f"Oncue does not support {', '.join(strange)} in {INTEGRATION} of {key}.")
    members = {MEMBERS[name]: value for name, value in found.items() if value is not None}
    return _typed(members, key)


def _typed(members: dict[str, Any], key: str) -> dict[str, Any]:
    """The integration's members with the types that CreateIntegration gives them."""
    if not isinstance(members.get("IntegrationType"), str):
        raise refusal(f"Invalid OpenAPI input: the integration of {key} has no type.")
    members["IntegrationType"] = members["IntegrationType"].upper()
    for name, value in members.items():
        if name == "TimeoutInMillis":
            members[name] = _whole_number(value, "timeoutInMillis")
        elif name == "RequestParameters":
            members[name] = {k: str(v) for k, v in _object(value, "requestParameters").items()}
        elif name == "ResponseParameters":
            changes = _object(value, "responseParameters").items()
            members[name] = {
                str(status): {k: str(v) for k, v in _object(one, "responseParameters").items()}
                for status, one in changes
            }
        elif name == "PayloadFormatVersion":
            members[name] = str(value)
        elif not isinstance(value, str):
            raise refusal(f"Invalid OpenAPI input: {name} in the integration of {key} is not a string.")
    return members


def _whole_number(value: Any, name: str) -> int:
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(f"Invalid OpenAPI input: {name} is not a whole number.")
    return value
