"""Cross-origin rules: preflight answers and headers."""

from typing import Any

import pytest

from oncue.services.apigatewayv2 import cors
from oncue.services.apigatewayv2.web import WebReply, WebRequest

RULES = {
    "AllowOrigins": ["https://a.example", "http://*"],
    "AllowMethods": ["GET", "PUT"],
    "AllowHeaders": ["x-a"],
    "ExposeHeaders": ["x-b"],
    "AllowCredentials": True,
    "MaxAge": 60,
}


def request(method: str, **headers: str) -> WebRequest:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return WebRequest(method, "/", "", pairs, b"", "::1", "h", "HTTP/1.1")


def test_a_preflight_that_is_allowed() -> None:
    asked = request("OPTIONS", origin="https://a.example", access_control_request_method="PUT")
    assert cors.is_preflight(asked)
    reply = cors.preflight(RULES, asked)
    assert (reply.status, reply.body) == (204, b"")
    assert dict(reply.headers) == {
        "access-control-allow-origin": "https://a.example",
        "vary": "origin",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "60",
    }


def test_a_preflight_that_is_not_allowed_carries_nothing() -> None:
    asked = request("OPTIONS", origin="https://b.example", access_control_request_method="PUT")
    assert cors.preflight(RULES, asked) == WebReply(204, [], b"")


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://any.example", True), ("https://a.example.evil", False), ("null", False)]
)
def test_origins(origin: str, allowed: bool) -> None:
    reply = cors.dress(RULES, request("GET", origin=origin), WebReply(200, [], b""))
    assert (("access-control-allow-origin", origin) in reply.headers) is allowed


def test_the_integration_s_own_headers_give_way() -> None:
    own = [("Access-Control-Allow-Origin".lower(), "*"), ("x-b", "1")]
    reply = cors.dress({"AllowOrigins": ["*"]}, request("GET", origin="http://o"), WebReply(200, own, b"x"))
    assert reply.headers == [("x-b", "1"), ("access-control-allow-origin", "*")]
    assert cors.dress({"AllowOrigins": ["*"]}, request("GET"), WebReply(200, own, b"x")).headers == [
        ("x-b", "1")
    ]


def test_what_is_no_preflight() -> None:
    assert not cors.is_preflight(request("OPTIONS", origin="http://o"))
    assert not cors.is_preflight(request("OPTIONS", access_control_request_method="PUT"))
    assert not cors.is_preflight(request("GET", origin="http://o", access_control_request_method="PUT"))


@pytest.mark.parametrize(
    "rules",
    [
        {"AllowCredentials": True, "AllowOrigins": ["*"]},
        {"MaxAge": 86_401},
        {"MaxAge": -2},
        {"AllowOrigins": ["x\r\ny"]},
        {"AllowHeaders": [""]},
        {"AllowMethods": ["GET"] * 101},
    ],
)
def test_what_cannot_be_configured(rules: dict[str, Any]) -> None:
    assert cors.complaint(rules)
    assert cors.complaint(RULES) is None
