"""A real function behind an HTTP API: asked over HTTP, answering from its own process."""

import base64
import http.client
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

MakeClient = Callable[..., Any]
CODE = """
import os


def handler(event, context):
    path = event["rawPath"]
    if path == "/fails":
        raise ValueError("secret")
    if path == "/nonsense":
        return {"statusCode": "many"}
    if path == "/inferred":
        return [1, "two"]
    if path == "/cookies":
        return {"statusCode": 201, "headers": {"X-A": "1"}, "cookies": ["a=1", "b=2"], "body": "made"}
    if path == "/bytes":
        return {"statusCode": 200, "isBase64Encoded": True, "body": event["body"],
                "headers": {"content-type": "image/png"}}
    return event
"""


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("app.py", CODE)
    return file.getvalue()


@pytest.fixture
def api(client: MakeClient, account: str) -> str:
    """The id of an API whose every request reaches the function."""
    function = client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{account}:role/r",
        Handler="app.handler",
        Code={"ZipFile": archive()},
    )
    client("lambda").get_waiter("function_active_v2").wait(FunctionName="f")
    made = client("apigatewayv2").create_api(
        Name="f", ProtocolType="HTTP", Target=function["FunctionArn"], RouteKey="ANY /{all+}"
    )
    return str(made["ApiId"])


@pytest.fixture
def ask(server: Any, api: str) -> Callable[..., Any]:
    def do(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        host = f"{api}.execute-api.us-east-1.localhost:{server.port}"
        connection.request(method, path, body or None, {"Host": host, **named})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    return do


def test_the_event_and_the_replies(ask: Callable[..., Any], api: str, account: str) -> None:
    status, headers, body = ask("PUT", "/pets/a%20b?x=1&x=2", b'{"n":1}', content_type="application/json")
    event = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert event["version"] == "2.0"
    assert (event["rawPath"], event["rawQueryString"]) == ("/pets/a b", "x=1&x=2")
    assert event["pathParameters"] == {"all": "pets/a b"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"n":1}', False)
    context = event["requestContext"]
    assert (context["accountId"], context["apiId"], context["stage"]) == (account, api, "$default")
    assert context["http"]["sourceIp"] == "127.0.0.1"
    assert context["requestId"] == headers["apigw-requestid"]

    status, headers, body = ask("GET", "/cookies")
    assert (status, headers["x-a"], body) == (201, "1", b"made")
    assert headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert headers["content-type"] == "text/plain; charset=utf-8"

    picture = bytes(range(256))
    status, headers, body = ask("POST", "/bytes", picture, content_type="image/png")
    assert (status, headers["content-type"], body) == (200, "image/png", picture)
    assert json.loads(ask("POST", "/x", picture, content_type="image/png")[2])["body"] == (
        base64.b64encode(picture).decode()
    )
    assert json.loads(ask("GET", "/inferred")[2]) == [1, "two"]


def test_failures_keep_their_secrets(ask: Callable[..., Any], client: MakeClient) -> None:
    for path in ("/fails", "/nonsense"):
        status, _, body = ask("GET", path)
        assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})
    client("lambda").delete_function(FunctionName="f")
    status, _, body = ask("GET", "/inferred")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})
