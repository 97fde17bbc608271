"""Events of payload format 1.0 and 2.0 for functions, and what their results mean as replies. Pure.

Source: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs". Observed on AWS
beyond the guide: the path arrives decoded and with the stage's prefix, and `cookie` is not among the headers
of format 2.0.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from oncue.services.apigatewayv2.web import WebReply, WebRequest

TEXT_TYPE = re.compile(r"text/.*|application/(?:json|xml|javascript|.*\+json|.*\+xml)")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
TITLED = {
    name.lower(): name
    for name in (
        "Content-Length",
        "Host",
        "User-Agent",
        "X-Amzn-Trace-Id",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
    )
}
BODILESS = frozenset({204, 304})
FIELDS_MAX = 10_000


class MalformedError(Exception):
    """The function's result is not a reply."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request on its way through one route of one API; `at` is in epoch seconds."""

    request: WebRequest
    account: str
    api_id: str
    stage: str
    route_key: str
    variables: Mapping[str, str]
    stage_variables: Mapping[str, str]
    request_id: str
    at: float
    rest: str = "/"  # the path without the stage, still encoded
    authorizer: Mapping[str, Any] | None = None  # {"jwt": …}, {"lambda": …} or {"iam": …}

    @property
    def path(self) -> str:
        return unquote(self.request.path)

    @property
    def resource(self) -> str:
        """The path of the route key; `$default` stays as it is."""
        return self.route_key.partition(" ")[2] or self.route_key

    @property
    def time(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")

    @property
    def domain(self) -> str:
        return self.request.host.rsplit(":", 1)[0] if ":" in self.request.host else self.request.host

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.request.query, keep_blank_values=True, max_num_fields=FIELDS_MAX)

    @property
    def agent(self) -> str:
        return self.request.header("user-agent") or ""


def joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Each name once, its values joined with commas in the order of arrival."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def body_text(request: WebRequest) -> tuple[str | None, bool]:
    """(body, isBase64Encoded): text stays text when its type says so and it is UTF-8; all else is base64."""
    if not request.body:
        return None, False
    kind = (request.header("content-type") or "").split(";")[0].strip().lower()
    if (not kind or TEXT_TYPE.fullmatch(kind)) and request.header("content-encoding") is None:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass  # what is not text travels as bytes, whatever its type says
    return base64.b64encode(request.body).decode(), True


def event_v2(visit: Visit) -> dict[str, Any]:
    request = visit.request
    body, encoded = body_text(request)
    cookies = [part.strip() for part in (request.header("cookie") or "").replace(",", ";").split(";")]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": visit.route_key,
        "rawPath": visit.path,
        "rawQueryString": request.query,
        "cookies": [cookie for cookie in cookies if cookie] or None,
        "headers": joined([pair for pair in request.headers if pair[0] != "cookie"]),
        "queryStringParameters": joined(visit.query) or None,
        "requestContext": {
            "accountId": visit.account,
            "apiId": visit.api_id,
            **({"authorizer": visit.authorizer} if visit.authorizer else {}),
            "domainName": visit.domain,
            "domainPrefix": visit.domain.partition(".")[0],
            "http": {
                "method": request.method,
                "path": visit.path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": visit.agent,
            },
            "requestId": visit.request_id,
            "routeKey": visit.route_key,
            "stage": visit.stage,
            "time": visit.time,
            "timeEpoch": int(visit.at * 1000),
        },
        "pathParameters": dict(visit.variables) or None,
        "stageVariables": dict(visit.stage_variables) or None,
        "body": body,
        "isBase64Encoded": encoded,
    }
    return {name: value for name, value in event.items() if value is not None}


def asked_v2(visit: Visit, arn: str, identity: list[str]) -> dict[str, Any]:
    """What a Lambda authorizer is asked in format 2.0: the request without its body."""
    event = {
        name: value for name, value in event_v2(visit).items() if name not in ("body", "isBase64Encoded")
    }
    return {**event, "type": "REQUEST", "routeArn": arn, "identitySource": identity or None}


def asked_v1(visit: Visit, arn: str, identity: list[str]) -> dict[str, Any]:
    """What a Lambda authorizer is asked in format 1.0."""
    left_out = ("body", "isBase64Encoded", "multiValueHeaders", "multiValueQueryStringParameters")
    event = {name: value for name, value in event_v1(visit).items() if name not in left_out}
    joined_identity = ",".join(identity)
    return {
        **event,
        "type": "REQUEST",
        "methodArn": arn,
        "identitySource": joined_identity,
        "authorizationToken": joined_identity,
    }


def event_v1(visit: Visit) -> dict[str, Any]:
    request = visit.request
    body, encoded = body_text(request)
    headers = [(TITLED.get(name, name), value) for name, value in request.headers]
    return {
        "version": "1.0",
        "resource": visit.resource,
        "path": visit.path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _grouped(headers),
        "queryStringParameters": dict(visit.query) or None,
        "multiValueQueryStringParameters": _grouped(visit.query) or None,
        "requestContext": _context_v1(visit),
        "pathParameters": dict(visit.variables) or None,
        "stageVariables": dict(visit.stage_variables) or None,
        "body": body,
        "isBase64Encoded": encoded,
    }


def _context_v1(visit: Visit) -> dict[str, Any]:
    nobody = dict.fromkeys(
        (
            "accessKey",
            "accountId",
            "caller",
            "cognitoAuthenticationProvider",
            "cognitoAuthenticationType",
            "cognitoIdentityId",
            "cognitoIdentityPoolId",
            "principalOrgId",
            "user",
            "userArn",
        )
    )
    authorizer = visit.authorizer or {}
    signer = authorizer.get("iam") or {}
    known = {"accessKey": "accessKey", "accountId": "accountId", "caller": "callerId", "user": "userId"}
    somebody = {name: signer.get(member) for name, member in (*known.items(), ("userArn", "userArn"))}
    said = authorizer.get("jwt") or authorizer.get("lambda")
    return {
        "accountId": visit.account,
        "apiId": visit.api_id,
        **({"authorizer": said} if said else {}),
        "domainName": visit.domain,
        "domainPrefix": visit.domain.partition(".")[0],
        "extendedRequestId": visit.request_id,
        "httpMethod": visit.request.method,
        "identity": {**nobody, **somebody, "sourceIp": visit.request.source_ip, "userAgent": visit.agent},
        "path": visit.path,
        "protocol": visit.request.protocol,
        "requestId": visit.request_id,
        "requestTime": visit.time,
        "requestTimeEpoch": int(visit.at * 1000),
        "resourceId": visit.route_key,
        "resourcePath": visit.resource,
        "stage": visit.stage,
    }


def reply_of(payload: bytes, version: str) -> WebReply:
    """A function's result as a reply. MalformedError when it cannot be one.

    Format 2.0 without `statusCode` means 200 with the whole JSON value as the body; 1.0 requires it.
    """
    try:
        result = msgspec.json.decode(payload or b"null")
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(str(error)) from error
    if not isinstance(result, dict) or "statusCode" not in result:
        if version != "2.0":
            raise MalformedError("the result has no statusCode")
        return WebReply(200, [("content-type", "application/json")], payload or b"null")
    status = _status(result["statusCode"])
    headers = _headers(result, version)
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain; charset=utf-8"))
    return WebReply(status, headers, b"" if status in BODILESS else _body(result))


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 200 <= value <= 599:
        raise MalformedError(f"statusCode {value!r}")
    return value


def _body(result: dict[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedError("the body is not a string")
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(str(error)) from error


def _headers(result: dict[str, Any], version: str) -> list[tuple[str, str]]:
    single, many, cookies = result.get("headers"), result.get("multiValueHeaders"), result.get("cookies")
    pairs = [(name, value) for name, value in _members(single).items()]
    if version == "1.0":
        several = _members(many)
        taken = {name.lower() for name in several}
        pairs = [pair for pair in pairs if pair[0].lower() not in taken]
        pairs += [(name, value) for name, values in several.items() for value in _list(values)]
    else:
        pairs += [("set-cookie", cookie) for cookie in _list(cookies)]
    return [
        (name.lower(), _header_value(name, value))
        for name, value in pairs
        if name.lower() not in HOP_BY_HOP and value is not None
    ]


def _members(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise MalformedError("headers are not an object")
    return value or {}


def _list(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise MalformedError("a list was expected")
    return value or []


def _header_value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = str(value) if isinstance(value, str | int | float) else None
    if text is None or not TOKEN.fullmatch(name) or any(ord(c) < 32 and c != "\t" for c in text):
        raise MalformedError(f"header {name!r}")
    return text.strip()
