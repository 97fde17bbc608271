"""What an integration of an HTTP API may be, and where it leads. Pure.

Source: CreateIntegration in the API reference and the "Integration subtype reference" of the developer guide.
"""

import re
from typing import Any

from oncue import arns
from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import mapping, parameters, queues

TIMEOUT_MS_MIN, TIMEOUT_MS_MAX = 50, 30_000
INVOCATION = re.compile(
    r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(?P<function>arn:[^/]+)/invocations"
)
ADDRESS = re.compile(r"https?://[^\s/{}]+(?:/\S*)?")
FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(?::[A-Za-z0-9_$-]+)?")
METHODS = frozenset({"ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def function_arn(uri: str) -> str | None:
    """The function that an integration's URI names (API Gateway's long form or a plain ARN), else None."""
    found = INVOCATION.fullmatch(uri)
    arn = found["function"] if found else uri
    return arn if FUNCTION.fullmatch(arn) else None


def checked(members: dict[str, Any]) -> dict[str, Any]:
    """The members of an integration with AWS's defaults filled in. BadRequestException when it cannot be."""
    kind = members["IntegrationType"]
    if kind not in ("AWS_PROXY", "HTTP_PROXY"):
        raise refusal(f"Integrations of the type {kind} are not supported for HTTP APIs.")
    if members.get("ConnectionType", "INTERNET") != "INTERNET":
        raise refusal("Oncue does not support private integrations: there is no VPC link here.")
    if members.get("PassthroughBehavior") and members["PassthroughBehavior"] != "WHEN_NO_MATCH":
        raise refusal("PassthroughBehavior is not supported for HTTP APIs.")
    filled = {"ConnectionType": "INTERNET", "TimeoutInMillis": TIMEOUT_MS_MAX, **members}
    if not TIMEOUT_MS_MIN <= filled["TimeoutInMillis"] <= TIMEOUT_MS_MAX:
        raise refusal(f"Timeout should be between {TIMEOUT_MS_MIN} ms and {TIMEOUT_MS_MAX} ms")
    parameters.check_responses(filled.get("ResponseParameters") or {})
    if filled.get("IntegrationSubtype"):
        return _service(filled)
    parameters.check_request(filled.get("RequestParameters") or {})
    return _function(filled) if kind == "AWS_PROXY" else _proxy(filled)


def _function(members: dict[str, Any]) -> dict[str, Any]:
    filled = {"PayloadFormatVersion": "1.0", "IntegrationMethod": "POST", **members}
    if filled["PayloadFormatVersion"] not in ("1.0", "2.0"):
        raise refusal(f"PayloadFormatVersion {filled['PayloadFormatVersion']} is not valid: use 1.0 or 2.0")
    if filled["IntegrationMethod"] != "POST":
        raise refusal("HttpMethod must be POST for AWS_PROXY IntegrationType.")
    if function_arn(filled.get("IntegrationUri") or "") is None:
        raise refusal(
            "Integration URI should be a valid Lambda function ARN or its API Gateway invocation path."
        )
    return filled


def _proxy(members: dict[str, Any]) -> dict[str, Any]:
    filled = {"PayloadFormatVersion": "1.0", **members}
    if filled["PayloadFormatVersion"] != "1.0":
        raise refusal("PayloadFormatVersion must be 1.0 for HTTP_PROXY integrations")
    if filled.get("IntegrationMethod") not in METHODS:
        raise refusal(
            "HttpMethod is required for HTTP_PROXY integrations: one of " + ", ".join(sorted(METHODS))
        )
    uri = filled.get("IntegrationUri") or ""
    if not ADDRESS.fullmatch(uri):
        raise refusal(f"Invalid HTTP endpoint specified for URI: {uri}")
    return filled


def _service(members: dict[str, Any]) -> dict[str, Any]:
    name = members["IntegrationSubtype"]
    subtype = queues.SUBTYPES.get(name)
    if subtype is None:
        there = ", ".join(queues.SUBTYPES)
        raise refusal(f"Oncue does not support the integration subtype {name}; there are {there}.")
    if members["IntegrationType"] != "AWS_PROXY":
        raise refusal("IntegrationSubtype is only supported for AWS_PROXY integrations")
    filled = {"PayloadFormatVersion": "1.0", **members}
    if filled["PayloadFormatVersion"] != "1.0":
        raise refusal("PayloadFormatVersion must be 1.0 for an integration with an IntegrationSubtype")
    if filled.get("IntegrationUri"):
        raise refusal("IntegrationUri is not supported with an IntegrationSubtype")
    _check_role(filled.get("CredentialsArn"))
    given: dict[str, str] = filled.get("RequestParameters") or {}
    missing = sorted(subtype.required - given.keys())
    if missing:
        raise refusal(f"Parameter: {', '.join(missing)} is required for the integration subtype {name}")
    strange = sorted(given.keys() - subtype.required - subtype.optional - {"Region"})
    if strange:
        raise refusal(f"Oncue does not support the parameter {', '.join(strange)} of {name}.")
    for destination, source in given.items():
        if not mapping.is_expression(source):
            raise refusal(
                "Invalid selection expression specified: Validation Result: warnings : [], errors : "
                f"[Invalid source: {source} specified for destination: {destination}]"
            )
    return filled


def _check_role(arn: str | None) -> None:
    if not arn:
        raise refusal("CredentialsArn is required for an integration with an IntegrationSubtype")
    try:
        service = arns.parse(arn).service
    except ValueError:
        service = ""
    if service != "iam":
        raise refusal(f"Invalid ARN specified for CredentialsArn: {arn}")


def refusal(sentence: str) -> ServiceError:
    return ServiceError("BadRequestException", sentence)
