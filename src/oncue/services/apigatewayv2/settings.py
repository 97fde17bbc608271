"""What a stage says beyond its deployment: throttling of its routes, and access logs. Pure.

Source: "Throttle requests to your HTTP APIs" and "Configure logging for HTTP APIs" in the developer guide.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from oncue import arns
from oncue.services.apigatewayv2.buckets import Limit
from oncue.services.apigatewayv2.integrations import refusal

RATE_MAX = BURST_MAX = 10_000_000
FORMAT_CHARACTERS_MAX = 3 * 1024
VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_.:-]*[A-Za-z0-9_])")
GROUP = re.compile(r"log-group:([A-Za-z0-9_./#-]{1,512})(?::\*)?")
VARIABLES = frozenset(
    {
        "accountId",
        "apiId",
        "authorizer.error",
        "dataProcessed",
        "domainName",
        "domainPrefix",
        "error.message",
        "error.messageString",
        "error.responseType",
        "extendedRequestId",
        "httpMethod",
        "identity.accountId",
        "identity.caller",
        "identity.sourceIp",
        "identity.user",
        "identity.userAgent",
        "identity.userArn",
        "integration.error",
        "integration.integrationStatus",
        "integration.latency",
        "integration.status",
        "integrationErrorMessage",
        "integrationLatency",
        "integrationStatus",
        "path",
        "protocol",
        "requestId",
        "requestTime",
        "requestTimeEpoch",
        "responseLatency",
        "responseLength",
        "routeKey",
        "stage",
        "status",
    }
)
Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogGroup:
    """Where access logs go."""

    account: str
    region: str
    name: str


def checked(settings: Settings) -> Settings:
    """The throttling of one route or of the rest of a stage. BadRequestException for what is not there."""
    if settings.get("DataTraceEnabled") or settings.get("LoggingLevel", "OFF") != "OFF":
        raise refusal("Execution logs are not supported on protocol type HTTP")
    if settings.get("DetailedMetricsEnabled"):
        raise refusal("Oncue does not support DetailedMetricsEnabled: there is no CloudWatch here.")
    found: Settings = {"DetailedMetricsEnabled": False}
    try:
        if settings.get("ThrottlingBurstLimit") is not None:
            found["ThrottlingBurstLimit"] = int(settings["ThrottlingBurstLimit"])
        if settings.get("ThrottlingRateLimit") is not None:
            found["ThrottlingRateLimit"] = float(settings["ThrottlingRateLimit"])
    except (TypeError, ValueError, OverflowError):
        raise refusal("ThrottlingBurstLimit and ThrottlingRateLimit are numbers.") from None
    for name, most in (("ThrottlingBurstLimit", BURST_MAX), ("ThrottlingRateLimit", RATE_MAX)):
        if not 0 <= found.get(name, 0) <= most:
            raise refusal(f"{name} is a number from 0 to {most:,}.")
    return found


def check_routes(by_route: dict[str, Settings], keys: Iterable[str]) -> None:
    for key in sorted(by_route.keys() - set(keys)):
        raise refusal(f"Unable to find Route by key {key} within the provided RouteSettings")


def limit_of(settings: Settings, rest: Limit) -> Limit | None:
    """The limit that the settings set; what they leave out is the account's. None when they set none."""
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    if rate is None and burst is None:
        return None
    return Limit(rest.rate if rate is None else rate, rest.burst if burst is None else burst)


def checked_logs(settings: Settings) -> Settings:
    """Access log settings. BadRequestException when lines could not be written as they ask."""
    text, arn = settings.get("Format") or "", settings.get("DestinationArn") or ""
    if log_group(arn) is None:
        raise refusal(f"Access log destination must only contain a log group's ARN: {arn}")
    names = VARIABLE.findall(text)
    if not {"requestId", "extendedRequestId"} & set(names):
        raise refusal(
            "Access Log format must contain at least $context.requestId or $context.extendedRequestId"
        )
    if "\n" in text or len(text) > FORMAT_CHARACTERS_MAX:
        raise refusal(f"Access Log format must be single line of at most {FORMAT_CHARACTERS_MAX} characters")
    strange = sorted(n for n in names if n not in VARIABLES and not n.startswith("authorizer."))
    if strange:
        raise refusal(
            f"Oncue does not know {', '.join('$context.' + name for name in strange)} in access logs."
        )
    return {"DestinationArn": arn, "Format": text}


def log_group(arn: str) -> LogGroup | None:
    try:
        place = arns.parse(arn)
    except ValueError:
        return None
    found = GROUP.fullmatch(place.resource)
    if place.service != "logs" or found is None:
        return None
    return LogGroup(place.account, place.region, found[1])


def log_line(text: str, values: dict[str, str]) -> str:
    """The format with a request's values in it, `-` for those that it does not have.

    They are escaped as in JSON strings: no client writes quotes or lines into the log.
    """
    return VARIABLE.sub(lambda found: msgspec.json.encode(values.get(found[1], "-")).decode()[1:-1], text)
