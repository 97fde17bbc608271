"""Tags of HTTP APIs and their stages, by ARN."""

import re
from collections.abc import Callable

from oncue.services import Call
from oncue.services.apigatewayv2 import tables
from oncue.services.apigatewayv2.tables import refusal, unpacked

RESOURCE = re.compile(
    r"arn:aws:apigateway:(?P<region>[a-z0-9-]+)::/apis/(?P<api>[^/]+)(?:/stages/(?P<stage>.+))?"
)
TAGS_MAX = 50
KEY_CHARACTERS_MAX, VALUE_CHARACTERS_MAX = 128, 256


def check(tags: dict[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise refusal(f"The number of tags exceeds the limit of {TAGS_MAX}")
    for key, value in tags.items():
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX or key.lower().startswith("aws:"):
            raise refusal(f"Invalid tag key specified: {key}")
        if len(value) > VALUE_CHARACTERS_MAX:
            raise refusal(f"Invalid tag value specified for the key {key}")


def of(call: Call, arn: str) -> dict[str, str]:
    api_id, stage = _place(call, arn)
    row = tables.stage_row(call, api_id, stage) if stage else tables.api_row(call, api_id)
    found: dict[str, str] = unpacked(row).get("Tags", {})
    return found


def change(call: Call, arn: str, step: Callable[[dict[str, str]], dict[str, str]]) -> None:
    api_id, stage = _place(call, arn)
    row = tables.locked_api(call, api_id)
    if stage:
        row = tables.stage_row(call, api_id, stage)
    members = unpacked(row)
    members["Tags"] = step(members.get("Tags", {}))
    check(members["Tags"])
    if stage:
        tables.save_stage(call, api_id, stage, members)
    else:
        tables.save_api(call, api_id, members)


def _place(call: Call, arn: str) -> tuple[str, str | None]:
    """(API, stage or None) that an ARN names, both known to be there."""
    found = RESOURCE.fullmatch(arn)
    if found is None or found["region"] != call.region:
        raise refusal(f"Invalid resource ARN specified: {arn}")
    tables.api_row(call, found["api"])
    return found["api"], found["stage"]
