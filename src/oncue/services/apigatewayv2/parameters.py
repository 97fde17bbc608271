"""Parameter mapping of requests and responses: headers, query and path added, replaced and removed. Pure.

Source: "Transform API requests and responses for HTTP APIs" in the developer guide. A value that a message
does not have leaves the parameter as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import mapping
from oncue.services.apigatewayv2.payloads import TOKEN, Visit
from oncue.services.apigatewayv2.web import WebReply

PARAMETERS_MAX = 100
REQUEST_KEY = re.compile(r"(append|overwrite|remove):(header|querystring)\.(.+)|(overwrite):(path)()")
RESPONSE_KEY = re.compile(r"(append|overwrite|remove):(header)\.(.+)|(overwrite):(statuscode)()")
STATUS = re.compile(r"[2-5]\d\d")
RESERVED = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-location",
        "forwarded",
        "keep-alive",
        "origin",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    }
)
RESERVED_PREFIXES = ("access-control-", "apigw-", "x-amz-", "x-amzn-")
Parameters = Mapping[str, str]


def refusal(sentence: str) -> ServiceError:
    return ServiceError("BadRequestException", sentence)


def check_request(parameters: Parameters) -> None:
    _check(parameters, REQUEST_KEY, "request")


def check_responses(parameters: Mapping[str, Parameters]) -> None:
    """`parameters` by the status of the integration's response."""
    for status, changes in parameters.items():
        if not STATUS.fullmatch(status):
            raise refusal(f"Invalid status code specified in ResponseParameters: {status}")
        _check(changes, RESPONSE_KEY, "response")


def _check(parameters: Parameters, keys: re.Pattern[str], about: str) -> None:
    if len(parameters) > PARAMETERS_MAX:
        raise refusal(f"At most {PARAMETERS_MAX} parameters can be mapped.")
    for key, source in parameters.items():
        action, place, name = _parts(keys, key)
        if place == "header" and not TOKEN.fullmatch(name):
            raise refusal(f"Invalid mapping expression specified: {key}")
        if place == "header" and (name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES)):
            raise refusal(f"Operations on header {name} are restricted")
        if action != "remove" and not mapping.is_expression(source, about=about):
            raise refusal(
                "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                f"[Invalid source: {source} specified for destination: {key}]"
            )


def _parts(keys: re.Pattern[str], key: str) -> tuple[str, str, str]:
    found = keys.fullmatch(key)
    if found is None:
        raise refusal(f"Invalid mapping expression specified: {key}")
    action, place, name = (part for part in found.groups() if part is not None)
    return action, place, name


def changed_visit(visit: Visit, parameters: Parameters, sources: mapping.Sources) -> Visit:
    """The visit as the integration sees it."""
    if not parameters:
        return visit
    headers, query = list(visit.request.headers), list(visit.query)
    path = rest = None
    for key, source in parameters.items():
        action, place, name = _parts(REQUEST_KEY, key)
        value = _value(source, sources) if action != "remove" else ""
        if value is None:
            continue
        if place == "path":
            path = rest = quote(value if value.startswith("/") else f"/{value}", safe="/%:@!$&'()*+,;=-._~")
        elif place == "header":
            headers = _changed(headers, action, name.lower(), _one_line(value))
        else:
            query = _changed(query, action, name, value)
    request = replace(
        visit.request,
        headers=headers,
        query=urlencode(query) if query != visit.query else visit.request.query,
        path=path or visit.request.path,
    )
    return replace(visit, request=request, rest=rest or visit.rest)


def changed_reply(reply: WebReply, parameters: Parameters, sources: mapping.Sources) -> WebReply:
    """The integration's response as the client gets it."""
    status, headers = reply.status, list(reply.headers)
    for key, source in parameters.items():
        action, place, name = _parts(RESPONSE_KEY, key)
        value = _value(source, sources) if action != "remove" else ""
        if value is None:
            continue
        if place == "statuscode":
            status = int(value) if STATUS.fullmatch(value) else status
        else:
            headers = _changed(headers, action, name.lower(), _one_line(value))
    return WebReply(status, headers, reply.body)


def response_sources(sources: mapping.Sources, reply: WebReply, joined: Mapping[str, str]) -> mapping.Sources:
    return replace(sources, response_headers=joined, response_body=reply.body)


def _value(source: str, sources: mapping.Sources) -> str | None:
    try:
        return mapping.resolve(source, sources)
    except mapping.UnresolvedError:
        return None


def _changed(pairs: list[tuple[str, str]], action: str, name: str, value: str) -> list[tuple[str, str]]:
    if action == "append":
        return [*pairs, (name, value)]
    kept = [pair for pair in pairs if pair[0] != name]
    return kept if action == "remove" else [*kept, (name, value)]


def _one_line(value: str) -> str:
    """No value from outside ends a header and begins another."""
    return "".join(letter if letter.isprintable() or letter == "\t" else " " for letter in value)


def wanted(integration: Mapping[str, Any], status: int) -> Parameters:
    """The response parameters for that status of the integration's response."""
    found: Parameters = (integration.get("ResponseParameters") or {}).get(str(status), {})
    return found
