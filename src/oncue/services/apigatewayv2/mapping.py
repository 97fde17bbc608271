"""Parameter mapping: expressions such as `$request.body.order.id` over one request. Pure.

Source: API Gateway developer guide, "Create AWS service integrations for HTTP APIs" and "Transform API
requests and responses": header names ignore case, many values are joined with commas, a JSON path has
neither recursive descent nor filters and sees bodies up to 100 KB.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

SELECTABLE_BODY_BYTES_MAX = 100 * 1024
SOURCE = re.compile(
    r"(?P<kind>request\.(?:header|querystring|path)|response\.header|context|stageVariables)"
    r"\.(?P<name>[A-Za-z0-9_.:$-]+)"
    r"|request\.(?P<whole>path)"
    r"|(?P<body>request|response)\.body(?P<path>(?:\.[A-Za-z0-9_$-]+|\[(?:\d+|'[^'\]]*'|\"[^\"\]]*\")\])*)"
)
STEP = re.compile(r"\.([A-Za-z0-9_$-]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
EMBEDDED = re.compile(r"\$\{([^{}]*)\}")


class UnresolvedError(Exception):
    """The request does not have what the expression names."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What expressions can see. Header names are lower-case; names in `context` may have dots; `whole_path`
    is without the stage."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    path: Mapping[str, str]
    context: Mapping[str, str]
    stage_variables: Mapping[str, str]
    body: bytes
    whole_path: str = "/"
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = b""


def is_expression(text: str, *, about: str = "request") -> bool:
    """Whether `text` could be mapped: a source, text around `${sources}`, or plain text without a dollar.

    `about` says which message may be named, "request" or "response".
    """
    if text.startswith("$") and not text.startswith("${"):
        return _is_source(text[1:], about)
    return all(_is_source(inner, about) for inner in EMBEDDED.findall(text)) and (
        "${" not in EMBEDDED.sub("", text)
    )


def _is_source(text: str, about: str) -> bool:
    other = "response." if about == "request" else "request."
    return SOURCE.fullmatch(text) is not None and not text.startswith(other)


def resolve(text: str, sources: Sources) -> str:
    """The value of an expression for one request. UnresolvedError when it has none."""
    if text.startswith("$") and not text.startswith("${"):
        return _value(text[1:], sources)
    return EMBEDDED.sub(lambda found: _value(found[1], sources), text)


def _value(expression: str, sources: Sources) -> str:
    source = SOURCE.fullmatch(expression)
    if source is None:
        raise UnresolvedError(expression)
    if source["whole"]:
        return sources.whole_path
    if source["body"]:
        return _body(source["path"], sources.body if source["body"] == "request" else sources.response_body)
    places = {
        "request.header": sources.headers,
        "response.header": sources.response_headers,
        "request.querystring": sources.query,
        "request.path": sources.path,
        "context": sources.context,
        "stageVariables": sources.stage_variables,
    }
    name = source["name"].lower() if source["kind"].endswith(".header") else source["name"]
    value = places[source["kind"]].get(name)
    if value is None:
        raise UnresolvedError(expression)
    return value


def _body(path: str, body: bytes) -> str:
    """The whole body as it came, or the JSON value that `path` selects: strings bare, all else as JSON."""
    if not body:
        raise UnresolvedError("there is no body")
    try:
        if not path:
            return body.decode()
        if len(body) > SELECTABLE_BODY_BYTES_MAX:
            raise UnresolvedError("the body is too long to select from")
        value: Any = msgspec.json.decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise UnresolvedError(str(error)) from error
    for step in STEP.finditer(path):
        name, index, *quoted = step.groups()
        try:
            value = value[int(index)] if index else value[name or quoted[0] or quoted[1]]
        except (KeyError, IndexError, TypeError) as error:
            raise UnresolvedError(path) from error
    if value is None:
        raise UnresolvedError(path)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
