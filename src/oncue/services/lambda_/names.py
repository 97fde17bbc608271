"""Function names as callers write them: a name, a partial ARN or an ARN, each with or without a qualifier."""

import re
from dataclasses import dataclass

from oncue import arns
from oncue.errors import ServiceError

LATEST = "$LATEST"
NAME_CHARACTERS_MAX = 64
WRITTEN = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_-]+)"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """One function of one owner; `qualifier` is None where the caller wrote none."""

    account: str
    region: str
    name: str
    qualifier: str | None

    @property
    def arn(self) -> str:
        return arns.build("lambda", self.region, self.account, f"function:{self.name}")

    @property
    def version(self) -> str:
        return self.qualifier or LATEST

    @property
    def asked_arn(self) -> str:
        """The ARN with the qualifier that was asked for."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn


def read(text: str, account: str, region: str, qualifier: str | None = None) -> FunctionName:
    """What a FunctionName and a Qualifier mean to a caller in `account` and `region`. ServiceError."""
    match = WRITTEN.fullmatch(text)
    if match is None:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {WRITTEN.pattern}",
        )
    written = match["qualifier"]
    if written and qualifier and written != qualifier:
        raise ServiceError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
            Type="User",
        )
    if match["region"] and match["region"] != region:
        raise ServiceError(
            "ResourceNotFoundException",
            f"Functions from '{match['region']}' are not reachable in this region ('{region}')",
            404,
            Type="User",
        )
    found = FunctionName(match["account"] or account, region, match["name"], qualifier or written)
    if found.account != account:
        raise not_found(found)
    return found


def not_found(name: FunctionName) -> ServiceError:
    return ServiceError(
        "ResourceNotFoundException", f"Function not found: {name.asked_arn}", 404, Type="User"
    )
