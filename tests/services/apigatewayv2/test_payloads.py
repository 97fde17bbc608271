"""Events for functions, and their results as replies."""

import base64
from typing import Any

import pytest

from oncue.services.apigatewayv2.payloads import MalformedError, Visit, event_v1, event_v2, reply_of
from oncue.services.apigatewayv2.web import WebRequest


def visit(**changes: Any) -> Visit:
    request = {
        "method": "POST",
        "path": "/prod/pets/a%20b",
        "query": "x=1&x=2&y=%C3%A9+z&empty=",
        "headers": [
            ("host", "abc.execute-api.us-east-1.localhost:80"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("cookie", "k=v; l=w"),
            ("user-agent", "curl"),
            ("content-type", "application/json; charset=utf-8"),
        ],
        "body": b'{"n":1}',
        "source_ip": "10.1.2.3",
        "host": "abc.execute-api.us-east-1.localhost:80",
        "protocol": "HTTP/1.1",
    }
    return Visit(
        request=WebRequest(**{**request, **changes}),
        account="123456789012",
        api_id="abc",
        stage="prod",
        route_key="POST /pets/{id}",
        variables={"id": "a b"},
        stage_variables={},
        request_id="rid=",
        at=1583348638.390,
    )


def test_format_2() -> None:
    event = event_v2(visit())
    assert event == {
        "version": "2.0",
        "routeKey": "POST /pets/{id}",
        "rawPath": "/prod/pets/a b",
        "rawQueryString": "x=1&x=2&y=%C3%A9+z&empty=",
        "cookies": ["k=v", "l=w"],
        "headers": {
            "host": "abc.execute-api.us-east-1.localhost:80",
            "x-a": "1,2",
            "user-agent": "curl",
            "content-type": "application/json; charset=utf-8",
        },
        "queryStringParameters": {"x": "1,2", "y": "é z", "empty": ""},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "domainName": "abc.execute-api.us-east-1.localhost",
            "domainPrefix": "abc",
            "http": {
                "method": "POST",
                "path": "/prod/pets/a b",
                "protocol": "HTTP/1.1",
                "sourceIp": "10.1.2.3",
                "userAgent": "curl",
            },
            "requestId": "rid=",
            "routeKey": "POST /pets/{id}",
            "stage": "prod",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"id": "a b"},
        "body": '{"n":1}',
        "isBase64Encoded": False,
    }


def test_format_2_leaves_out_what_is_empty() -> None:
    event = event_v2(visit(body=b"", query="", headers=[]))
    assert not {"body", "cookies", "queryStringParameters", "stageVariables"} & event.keys()
    assert event["isBase64Encoded"] is False
    assert event["rawQueryString"] == ""


def test_format_1() -> None:
    event = event_v1(visit())
    assert event["version"] == "1.0"
    assert event["resource"] == event["requestContext"]["resourcePath"] == "/pets/{id}"
    assert event["path"] == event["requestContext"]["path"] == "/prod/pets/a b"
    assert event["headers"]["x-a"] == "2"
    assert event["headers"]["cookie"] == "k=v; l=w"
    assert event["headers"]["User-Agent"] == "curl"
    assert event["multiValueHeaders"]["x-a"] == ["1", "2"]
    assert event["queryStringParameters"] == {"x": "2", "y": "é z", "empty": ""}
    assert event["multiValueQueryStringParameters"]["x"] == ["1", "2"]
    assert event["requestContext"]["identity"]["sourceIp"] == "10.1.2.3"
    assert event["requestContext"]["requestTimeEpoch"] == 1583348638390
    assert event["stageVariables"] is None


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ([("content-type", "text/plain")], b"a", "a"),
        ([("content-type", "application/problem+json")], b"{}", "{}"),
        ([], b"a", "a"),
        ([("content-type", "application/x-www-form-urlencoded")], b"a=1", None),
        ([("content-type", "image/png")], b"\x89PNG", None),
        ([("content-type", "application/json")], b"\xff", None),
        ([("content-type", "text/plain"), ("content-encoding", "gzip")], b"a", None),
    ],
)
def test_bodies_that_are_not_text_are_base64(
    headers: list[tuple[str, str]], body: bytes, text: str | None
) -> None:
    for event in (event_v1(visit(headers=headers, body=body)), event_v2(visit(headers=headers, body=body))):
        assert event["isBase64Encoded"] is (text is None)
        assert event["body"] == (base64.b64encode(body).decode() if text is None else text)


@pytest.mark.parametrize("payload", [b'"Hello"', b'{"message":"x"}', b"[1]", b"null", b"17"])
def test_format_2_makes_a_reply_of_any_value(payload: bytes) -> None:
    reply = reply_of(payload, "2.0")
    assert (reply.status, reply.headers, reply.body) == (
        200,
        [("content-type", "application/json")],
        payload,
    )
    with pytest.raises(MalformedError):
        reply_of(payload, "1.0")


def test_a_full_reply() -> None:
    reply = reply_of(
        b'{"statusCode":"201","headers":{"X-A":1,"Content-Length":"9","X-B":true},"cookies":["a=1","b=2"],'
        b'"body":"aGk=","isBase64Encoded":true}',
        "2.0",
    )
    assert reply.status == 201
    assert reply.body == b"hi"
    assert reply.headers == [
        ("x-a", "1"),
        ("x-b", "true"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("content-type", "text/plain; charset=utf-8"),
    ]


def test_format_1_has_many_values_and_no_cookies() -> None:
    reply = reply_of(
        b'{"statusCode":200,"headers":{"x-a":"0","Content-Type":"text/css"},'
        b'"multiValueHeaders":{"X-A":["1","2"]},"cookies":["a=1"]}',
        "1.0",
    )
    assert reply.headers == [("content-type", "text/css"), ("x-a", "1"), ("x-a", "2")]
    assert reply.body == b""


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b'{"statusCode":"abc"}',
        b'{"statusCode":99}',
        b'{"statusCode":101}',
        b'{"statusCode":true}',
        b'{"statusCode":200,"body":{"a":1}}',
        b'{"statusCode":200,"body":"%%","isBase64Encoded":true}',
        b'{"statusCode":200,"headers":["a"]}',
        b'{"statusCode":200,"headers":{"a":"x\\r\\nset-cookie: y"}}',
        b'{"statusCode":200,"headers":{"a b":"x"}}',
        b'{"statusCode":200,"headers":{"a":{}}}',
    ],
)
def test_what_is_no_reply(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        reply_of(payload, "2.0")


@pytest.mark.parametrize("status", [204, 304])
def test_a_reply_that_may_have_no_body(status: int) -> None:
    assert reply_of(f'{{"statusCode":{status},"body":"x"}}'.encode(), "2.0").body == b""
