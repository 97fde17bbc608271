"""Names, ARNs and selectors of parameters. Pure.

Source: PutParameter in the SSM API reference ("Name": characters, hierarchy, reserved words).
"""

import re
from dataclasses import dataclass

from oncue import arns
from oncue.errors import ServiceError

NAME = re.compile(r"[A-Za-z0-9_.\-/]+")
RESERVED = re.compile(r"/?(aws|ssm)", re.IGNORECASE)
ARN = re.compile(r"arn:aws:ssm:[a-z0-9-]+:\d{12}:parameter(?P<path>/.+)")
LEVELS_MAX = 15


@dataclass(frozen=True, slots=True)
class Selected:
    """A name as a client wrote it: `name`, or `name:3` for a version of it."""

    name: str
    version: int | None

    @property
    def selector(self) -> str | None:
        return f":{self.version}" if self.version is not None else None


def refusal(sentence: str) -> ServiceError:
    return ServiceError("ValidationException", sentence)


def check_new(name: str) -> None:
    """Whether a parameter may be called so."""
    if RESERVED.match(name):
        raise refusal(f"No access to reserved parameter name: {name}.")
    if not NAME.fullmatch(name):
        raise refusal(
            "Only a mix of letters, numbers and the following 4 symbols .-_/ are allowed in a parameter name."
        )
    if ("/" in name and not name.startswith("/")) or name.endswith("/") or "//" in name:
        raise refusal("Parameter name must be a fully qualified name.")
    if name.count("/") > LEVELS_MAX:
        raise ServiceError(
            "HierarchyLevelLimitExceededException",
            f"A parameter name can have at most {LEVELS_MAX} levels.",
        )


def select(text: str) -> Selected:
    """The name, of an ARN too, and the version after a colon. ValidationException for a label."""
    found = ARN.fullmatch(text)
    name, colon, version = (found["path"] if found else text).partition(":")
    if colon and not version.isdecimal():
        raise refusal(f"Oncue does not support parameter labels: {text}")
    return Selected(name, int(version) if colon else None)


def candidates(selected: Selected) -> tuple[str, ...]:
    """The names to look under: an ARN writes `/name` for `name` and for `/name` alike."""
    name = selected.name
    return (name, name[1:]) if name.startswith("/") and name.count("/") == 1 else (name,)


def arn(region: str, account: str, name: str) -> str:
    return arns.build("ssm", region, account, f"parameter{name if name.startswith('/') else '/' + name}")
