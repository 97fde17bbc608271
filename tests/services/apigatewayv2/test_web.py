"""Plain web requests to a running server: by host name and by path, to a real queue."""

import http.client
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

MakeClient = Callable[..., Any]
SQS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
ROLE = "arn:aws:iam::123456789012:role/r"


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()


@pytest.fixture
def queue(client: MakeClient) -> str:
    return str(client("sqs").create_queue(QueueName="orders")["QueueUrl"])


@pytest.fixture
def api(client: MakeClient, queue: str) -> Any:
    """An API that posts orders into the queue."""
    gateway = client("apigatewayv2")
    made = gateway.create_api(Name="shop", ProtocolType="HTTP")
    integration = gateway.create_integration(
        ApiId=made["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationSubtype="SQS-SendMessage",
        PayloadFormatVersion="1.0",
        CredentialsArn=ROLE,
        RequestParameters={
            "QueueUrl": queue,
            "MessageBody": "$request.body",
            "MessageAttributes": '{"id":{"DataType":"String","StringValue":"${request.path.id}"}}',
        },
    )
    gateway.create_route(
        ApiId=made["ApiId"],
        RouteKey="POST /orders/{id}",
        Target=f"integrations/{integration['IntegrationId']}",
    )
    for stage in ("$default", "prod"):
        gateway.create_stage(ApiId=made["ApiId"], StageName=stage, AutoDeploy=True)
    return made


def post(server: Any, path: str, body: bytes, host: str | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    if host:
        headers["Host"] = host
    connection.request("POST", path, body, headers)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


@pytest.mark.parametrize("way", ["host", "path"])
def test_an_order_reaches_the_queue(
    way: str, server: Any, client: MakeClient, api: dict[str, Any], queue: str
) -> None:
    if way == "host":
        host = urlsplit(api["ApiEndpoint"]).netloc
        assert host == f"{api['ApiId']}.execute-api.us-east-1.localhost:{server.port}"
        answer = post(server, "/prod/orders/a%20b", b'{"n": 1}', host)
    else:
        answer = post(server, f"/_aws/execute-api/{api['ApiId']}/prod/orders/a%20b", b'{"n": 1}')
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/xml"
    assert answer.headers["apigw-requestid"]
    sent = ElementTree.fromstring(answer.body).findtext(f"{SQS}SendMessageResult/{SQS}MessageId")
    got = client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"][0]
    assert (got["MessageId"], got["Body"]) == (sent, '{"n": 1}')
    assert got["MessageAttributes"]["id"]["StringValue"] == "a b"


def test_an_order_that_sqs_refuses(server: Any, client: MakeClient, api: dict[str, Any], queue: str) -> None:
    host = urlsplit(api["ApiEndpoint"]).netloc
    client("sqs").delete_queue(QueueUrl=queue)
    answer = post(server, "/orders/1", b"x", host)
    assert answer.status == 400
    code = ElementTree.fromstring(answer.body).findtext(f"{SQS}Error/{SQS}Code")
    assert code == "AWS.SimpleQueueService.NonExistentQueue"


def test_an_order_without_a_body(server: Any, api: dict[str, Any]) -> None:
    answer = post(server, "/orders/1", b"", urlsplit(api["ApiEndpoint"]).netloc)
    assert answer.status == 400
    assert json.loads(answer.body)["message"].startswith("Unable to resolve property MessageBody")


def test_nowhere(server: Any, client: MakeClient, api: dict[str, Any]) -> None:
    host = urlsplit(api["ApiEndpoint"]).netloc
    for path, name in (("/other", host), ("/orders/1", f"nowhere000.{host.partition('.')[2]}")):
        answer = post(server, path, b"x", name)
        assert (answer.status, json.loads(answer.body)) == (404, {"message": "Not Found"})
    client("apigatewayv2").delete_api(ApiId=api["ApiId"])
    assert post(server, "/orders/1", b"x", host).status == 404
