"""Security schemes of OpenAPI documents: authorizers and what routes demand of them. Pure.

Source: "x-amazon-apigateway-authorizer object" in the developer guide; `x-amazon-apigateway-authtype` is what
SAM writes for AWS_IAM.
"""

from typing import Any

from oncue.services.apigatewayv2.integrations import refusal

EXTENSION = "x-amazon-apigateway-authorizer"
SIGNED = "x-amazon-apigateway-authtype"
MEMBERS = {
    "authorizerCredentials": "AuthorizerCredentialsArn",
    "authorizerPayloadFormatVersion": "AuthorizerPayloadFormatVersion",
    "authorizerResultTtlInSeconds": "AuthorizerResultTtlInSeconds",
    "authorizerUri": "AuthorizerUri",
    "enableSimpleResponses": "EnableSimpleResponses",
}
KINDS = {"jwt": "JWT", "request": "REQUEST"}
TYPES = {"JWT": "JWT", "REQUEST": "CUSTOM"}
NOBODY = "NONE"  # how SAM writes that a route is open although the API has a default authorizer
SIGNED_TYPES = ("awsSigv4", "awssigv4", "AWS_IAM")


def authorizers_of(schemes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members of each authorizer among the security schemes, by the scheme's name."""
    found = {}
    for name, scheme in schemes.items():
        if isinstance(scheme, dict) and scheme.get(EXTENSION) is not None:
            found[name] = _authorizer(name, scheme[EXTENSION])
    return found


def _authorizer(name: str, extension: Any) -> dict[str, Any]:
    if not isinstance(extension, dict) or str(extension.get("type")) not in KINDS:
        raise refusal(f"Invalid OpenAPI input: the type of the authorizer {name} is jwt or request.")
    strange = sorted(extension.keys() - MEMBERS.keys() - {"identitySource", "jwtConfiguration", "type"})
    if strange:
        raise refusal(f"Oncue does not support {', '.join(strange)} in {EXTENSION} of {name}.")
    members: dict[str, Any] = {"Name": name, "AuthorizerType": KINDS[extension["type"]]}
    members["IdentitySource"] = _sources(extension.get("identitySource"))
    for key, member in MEMBERS.items():
        if extension.get(key) is not None:
            members[member] = _typed(member, extension[key])
    if extension.get("jwtConfiguration") is not None:
        rules = extension["jwtConfiguration"]
        if not isinstance(rules, dict):
            raise refusal(f"Invalid OpenAPI input: jwtConfiguration of {name} is not an object.")
        audience = rules.get("audience") or []
        texts = audience if isinstance(audience, list) else [audience]
        members["JwtConfiguration"] = {"Issuer": rules.get("issuer"), "Audience": [str(one) for one in texts]}
    return members


def _sources(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else str(value or "").split(",")
    return [str(text).strip() for text in texts if str(text).strip()]


def _typed(member: str, value: Any) -> Any:
    if member == "EnableSimpleResponses":
        return str(value).lower() == "true"
    if member == "AuthorizerResultTtlInSeconds":
        if not str(value).isdecimal() or int(value) > 3600:
            raise refusal("Invalid OpenAPI input: authorizerResultTtlInSeconds is a number from 0 to 3600.")
        return int(value)
    return str(value)


def demanded(
    wanted: Any, schemes: dict[str, Any], authorizers: dict[str, dict[str, Any]], key: str
) -> tuple[dict[str, Any], str | None]:
    """(members of the route, name of its authorizer): what a list of security requirements means."""
    if not wanted:
        return {}, None
    if (
        not isinstance(wanted, list)
        or len(wanted) != 1
        or not isinstance(wanted[0], dict)
        or len(wanted[0]) != 1
    ):
        raise refusal(f"Invalid OpenAPI input: {key} has one security requirement at most.")
    ((name, scopes),) = wanted[0].items()
    if name in authorizers:
        members: dict[str, Any] = {"AuthorizationType": TYPES[authorizers[name]["AuthorizerType"]]}
        if scopes:
            members["AuthorizationScopes"] = [str(scope) for scope in scopes]
        return members, name
    if name == NOBODY and name not in schemes:
        return {}, None
    scheme = schemes.get(name)
    if isinstance(scheme, dict) and scheme.get(SIGNED) in SIGNED_TYPES:
        return {"AuthorizationType": "AWS_IAM"}, None
    raise refusal(f"Unable to find the authorizer {name} that {key} demands in the security schemes.")
