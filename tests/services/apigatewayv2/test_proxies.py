"""HTTP proxies, parameter mapping, the SQS integrations beyond sending, and access logs: over real HTTP."""

import http.client
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import parameters

MakeClient = Callable[..., Any]
DEADLINE_S = 10.0
FORMAT = (
    '{"id":"$context.requestId","route":"$context.routeKey","status":$context.status,'
    '"no":"$context.authorizer.x","by":"$context.identity.userAgent"}'
)


class Backend(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked; `/status/404` answers 404, `/never` does not answer in time."""

    late = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/never"):
            self.late.wait(DEADLINE_S)
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"method": self.command, "path": self.path, "headers": headers, "body": body, "said": "hello"}
        answer = json.dumps(told).encode()
        self.send_response(404 if "/status/404" in self.path else 200)
        for name, value in (
            ("content-type", "application/json"),
            ("x-backend", "yes"),
            ("set-cookie", "a=1"),
        ):
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    Backend.late.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Backend.late.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gateway(client: MakeClient) -> Any:
    return client("apigatewayv2")


@pytest.fixture
def ask(server: Any) -> Callable[..., Any]:
    def do(api: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        host = f"{api}.execute-api.us-east-1.localhost:{server.port}"
        connection.request(method, path, body or None, {"Host": host, **named})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    return do


def serve(gateway: Any, key: str, **integration: Any) -> str:
    """An API with one route; its id."""
    api = str(gateway.create_api(Name="p", ProtocolType="HTTP")["ApiId"])
    made = gateway.create_integration(ApiId=api, PayloadFormatVersion="1.0", **integration)
    gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{made['IntegrationId']}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return api


def proxy(gateway: Any, uri: str, key: str = "ANY /p/{proxy+}", **members: Any) -> str:
    members = {"IntegrationMethod": "ANY", **members}
    return serve(gateway, key, IntegrationType="HTTP_PROXY", IntegrationUri=uri, **members)


def test_a_request_goes_through(gateway: Any, ask: Callable[..., Any], backend: str) -> None:
    api = proxy(gateway, f"{backend}/to/{{proxy}}?fixed=1")
    status, headers, body = ask(
        api, "POST", "/p/a/b%20c?x=1&x=2", b"text", x_mine="v", connection="keep-alive"
    )
    told = json.loads(body)
    assert (status, headers["x-backend"], headers["set-cookie"]) == (200, "yes", "a=1")
    assert (told["method"], told["path"], told["body"]) == ("POST", "/to/a/b%20c?fixed=1&x=1&x=2", "text")
    assert (told["headers"]["x-mine"], told["headers"]["host"]) == ("v", backend.removeprefix("http://"))
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert "for=127.0.0.1;host=" in told["headers"]["forwarded"]
    assert ask(api, "GET", "/p/status/404")[0] == 404


def test_parameters_are_mapped(gateway: Any, ask: Callable[..., Any], backend: str) -> None:
    api = proxy(
        gateway,
        f"{backend}/to",
        RequestParameters={
            "append:header.x-added": "${request.querystring.x} and ${context.stage}",
            "overwrite:header.x-mine": "$request.header.x-other",
            "remove:header.x-gone": "''",
            "overwrite:querystring.y": "$request.body.deep[0].name",
            "remove:querystring.x": "''",
            "append:querystring.path": "$request.path",
            "overwrite:header.x-unknown": "$request.header.nowhere",
        },
        ResponseParameters={
            "404": {"overwrite:statuscode": "418", "overwrite:header.x-backend": "$response.body.said"},
            "200": {"append:header.x-was": "$response.header.x-backend", "remove:header.set-cookie": "''"},
        },
    )
    body = b'{"deep":[{"name":"n m"}]}'
    status, headers, answer = ask(
        api, "POST", "/p/a?x=1", body, x_mine="1", x_other="2", x_gone="3", x_unknown="4"
    )
    told = json.loads(answer)
    assert (status, headers["x-was"], headers["set-cookie"]) == (200, "yes", None)
    assert told["path"] == "/to?y=n+m&path=%2Fp%2Fa"
    sent = told["headers"]
    assert (sent["x-added"], sent["x-mine"], sent["x-unknown"]) == ("1 and $default", "2", "4")
    assert "x-gone" not in sent
    other = proxy(
        gateway, f"{backend}/status/404", ResponseParameters={"404": {"overwrite:statuscode": "418"}}
    )
    assert ask(other, "GET", "/p/a")[0] == 418


def test_a_server_that_is_late_or_not_there(gateway: Any, ask: Callable[..., Any], backend: str) -> None:
    late = proxy(gateway, f"{backend}/never", TimeoutInMillis=100)
    absent = proxy(gateway, "http://127.0.0.1:1/x")
    for api in (late, absent):
        status, _, body = ask(api, "GET", "/p/a")
        assert (status, body) == (503, b'{"message":"Service Unavailable"}')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("append:body.x", "a"),
        ("add:header.x", "a"),
        ("overwrite:path.x", "a"),
        ("overwrite:statuscode", "200"),
        ("overwrite:header.Authorization", "a"),
        ("overwrite:header.x-amz-date", "a"),
        ("overwrite:header.a b", "a"),
        ("overwrite:header.x", "$request.nobody"),
        ("overwrite:header.x", "$response.header.x"),
    ],
)
def test_parameters_that_are_refused(key: str, value: str) -> None:
    with pytest.raises(ServiceError):
        parameters.check_request({key: value})
    with pytest.raises(ServiceError):
        parameters.check_responses({"600": {}})


def test_a_queue_is_read_and_emptied(
    gateway: Any, client: MakeClient, ask: Callable[..., Any], account: str
) -> None:
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    client("sqs").send_message(
        QueueUrl=url, MessageBody="one", MessageAttributes={"a": {"DataType": "String", "StringValue": "v"}}
    )

    def over(subtype: str, **mapped: str) -> str:
        return serve(
            gateway,
            "POST /",
            IntegrationType="AWS_PROXY",
            IntegrationSubtype=subtype,
            CredentialsArn=f"arn:aws:iam::{account}:role/r",
            RequestParameters={"QueueUrl": url, **mapped},
        )

    reading = over(
        "SQS-ReceiveMessage", MessageAttributeNames="All", MaxNumberOfMessages="$request.querystring.n"
    )
    status, headers, body = ask(reading, "POST", "/?n=5")
    assert (status, headers["content-type"]) == (200, "text/xml")
    assert b"<Body>one</Body>" in body
    assert b"<StringValue>v</StringValue>" in body
    receipt = body.split(b"<ReceiptHandle>")[1].split(b"<")[0]
    status, _, body = ask(over("SQS-DeleteMessage", ReceiptHandle="$request.body"), "POST", "/", receipt)
    assert (status, b"DeleteMessageResponse" in body) == (200, True)
    status, _, body = ask(over("SQS-PurgeQueue"), "POST", "/", b"x")
    assert (status, b"PurgeQueueResponse" in body) == (200, True)
    assert ask(reading, "POST", "/?n=many")[0] == 400


def test_access_logs(
    gateway: Any, client: MakeClient, ask: Callable[..., Any], account: str, backend: str
) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName="access")
    api = proxy(gateway, f"{backend}/x", "GET /x")
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:access"
    settings = {"DestinationArn": arn, "Format": FORMAT}
    gateway.update_stage(ApiId=api, StageName="$default", AccessLogSettings=settings)
    agent = 'a "quoted" one'
    ids = [ask(api, "GET", path, user_agent=agent)[1]["apigw-requestid"] for path in ("/x", "/nowhere")]
    deadline = time.monotonic() + DEADLINE_S
    lines: list[dict[str, Any]] = []
    while len(lines) < 2 and time.monotonic() < deadline:
        found = logs.filter_log_events(logGroupName="access")["events"]
        lines = [json.loads(event["message"]) for event in found]
    assert lines == [
        {"id": ids[0], "route": "GET /x", "status": 200, "no": "-", "by": agent},
        {"id": ids[1], "route": "-", "status": 404, "no": "-", "by": agent},
    ]
