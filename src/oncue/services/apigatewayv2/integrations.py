"""What an integration of an HTTP API may be, and where it leads. Pure.

Source: CreateIntegration in the API reference and the "Integration subtype reference" of the developer guide.
"""

import re
from typing import Any

from oncue import arns
from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import mapping

TIMEOUT_MS_MIN, TIMEOUT_MS_MAX = 50, 30_000
INVOCATION = re.compile(
    r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(?P<function>arn:[^/]+)/invocations"
)
FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(?::[A-Za-z0-9_$-]+)?")
SEND_MESSAGE = "SQS-SendMessage"
REQUIRED = {"QueueUrl", "MessageBody"}
OPTIONAL = {
    "DelaySeconds",
    "MessageAttributes",
    "MessageDeduplicationId",
    "MessageGroupId",
    "MessageSystemAttributes",
    "Region",
}


def function_arn(uri: str) -> str | None:
    """The function that an integration's URI names (API Gateway's long form or a plain ARN), else None."""
    found = INVOCATION.fullmatch(uri)
    arn = found["function"] if found else uri
    return arn if FUNCTION.fullmatch(arn) else None


def checked(members: dict[str, Any]) -> dict[str, Any]:
    """The members of an integration with AWS's defaults filled in. BadRequestException when it cannot be."""
    kind = members["IntegrationType"]
    if kind != "AWS_PROXY":
        raise refusal(
            f"Oncue does not support integrations of the type {kind} in HTTP APIs yet; AWS_PROXY is there."
        )
    if members.get("ConnectionType", "INTERNET") != "INTERNET":
        raise refusal("Oncue does not support private integrations: there is no VPC link here.")
    if members.get("PassthroughBehavior") and members["PassthroughBehavior"] != "WHEN_NO_MATCH":
        raise refusal("PassthroughBehavior is not supported for HTTP APIs.")
    filled = {"ConnectionType": "INTERNET", "TimeoutInMillis": TIMEOUT_MS_MAX, **members}
    if not TIMEOUT_MS_MIN <= filled["TimeoutInMillis"] <= TIMEOUT_MS_MAX:
        raise refusal(f"Timeout should be between {TIMEOUT_MS_MIN} ms and {TIMEOUT_MS_MAX} ms")
    return _service(filled) if filled.get("IntegrationSubtype") else _function(filled)


def _function(members: dict[str, Any]) -> dict[str, Any]:
    filled = {"PayloadFormatVersion": "1.0", "IntegrationMethod": "POST", **members}
    if filled["PayloadFormatVersion"] not in ("1.0", "2.0"):
        raise refusal(f"PayloadFormatVersion {filled['PayloadFormatVersion']} is not valid: use 1.0 or 2.0")
    if filled["IntegrationMethod"] != "POST":
        raise refusal("HttpMethod must be POST for AWS_PROXY IntegrationType.")
    if filled.get("RequestParameters"):
        raise refusal("Oncue does not support RequestParameters of a Lambda integration yet.")
    if function_arn(filled.get("IntegrationUri") or "") is None:
        raise refusal(
            "Integration URI should be a valid Lambda function ARN or its API Gateway invocation path."
        )
    return filled


def _service(members: dict[str, Any]) -> dict[str, Any]:
    subtype = members["IntegrationSubtype"]
    if subtype != SEND_MESSAGE:
        raise refusal(
            f"Oncue does not support the integration subtype {subtype} yet; {SEND_MESSAGE} is there."
        )
    filled = {"PayloadFormatVersion": "1.0", **members}
    if filled["PayloadFormatVersion"] != "1.0":
        raise refusal("PayloadFormatVersion must be 1.0 for an integration with an IntegrationSubtype")
    if filled.get("IntegrationUri"):
        raise refusal("IntegrationUri is not supported with an IntegrationSubtype")
    _check_role(filled.get("CredentialsArn"))
    parameters: dict[str, str] = filled.get("RequestParameters") or {}
    missing = sorted(REQUIRED - parameters.keys())
    if missing:
        raise refusal(f"Parameter: {', '.join(missing)} is required for the integration subtype {subtype}")
    strange = sorted(parameters.keys() - REQUIRED - OPTIONAL)
    if strange:
        raise refusal(f"Oncue does not support the parameter {', '.join(strange)} of {subtype}.")
    for name, source in parameters.items():
        if not mapping.is_expression(source):
            raise refusal(
                "Invalid selection expression specified: Validation Result: warnings : [], errors : "
                f"[Invalid source: {source} specified for destination: {name}]"
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
