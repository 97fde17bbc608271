"""The way of a request through a stage, a route and an integration."""

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import gateway
from oncue.services.apigatewayv2.gateway import BODY_BYTES_MAX, HEAD_BYTES_MAX
from oncue.services.apigatewayv2.web import WebReply
from tests.services.apigatewayv2.conftest import ACCOUNT, QUEUE_URL, REGION, House

SQS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
QUEUE: dict[str, Any] = {
    "IntegrationSubtype": "SQS-SendMessage",
    "CredentialsArn": f"arn:aws:iam::{ACCOUNT}:role/r",
    "RequestParameters": {"QueueUrl": QUEUE_URL, "MessageBody": "$request.body"},
}


def said(reply: WebReply) -> tuple[int, dict[str, str]]:
    assert dict(reply.headers)["content-type"] == "application/json"
    return reply.status, json.loads(reply.body)


async def test_a_function_answers(house: House) -> None:
    api = await house.api("GET /pets/{id}")
    reply = await house.ask(api, "/prod/pets/7?x=1")
    assert (reply.status, reply.body) == (200, b'{"ok":true}')
    event = house.function.events[0]
    assert event["rawPath"] == "/prod/pets/7"
    assert event["pathParameters"] == {"id": "7"}
    assert event["requestContext"]["stage"] == "prod"
    assert event["requestContext"]["requestId"] == dict(reply.headers)["apigw-requestid"]
    assert event["headers"]["x-forwarded-for"] == "10.0.0.9"
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")


async def test_format_1_for_those_who_ask_for_it(house: House) -> None:
    api = await house.api("GET /", PayloadFormatVersion="1.0")
    assert said(await house.ask(api, "/")) == (500, {"message": "Internal Server Error"})
    house.function.result = {"Payload": b'{"statusCode":202,"body":"x"}'}
    reply = await house.ask(api, "/")
    assert (reply.status, reply.body) == (202, b"x")
    assert house.function.events[0]["version"] == "1.0"


async def test_nowhere_to_go(house: House) -> None:
    api = await house.api("GET /pets")
    for path, method in (("/pets", "POST"), ("/other", "GET"), ("/prod", "GET")):
        assert said(await house.ask(api, path, method)) == (404, {"message": "Not Found"})
    assert said(await house.ask("nowhere000", "/pets")) == (404, {"message": "Not Found"})
    await house.do("DeleteStage", ApiId=api, StageName="$default")
    assert (await house.ask(api, "/pets")).status == 404
    assert (await house.ask(api, "/prod/pets")).status == 200
    await house.do("UpdateApi", ApiId=api, DisableExecuteApiEndpoint=True)
    assert (await house.ask(api, "/prod/pets")).status == 404
    assert house.function.events[0]["rawPath"] == "/prod/pets"
    assert len(house.function.events) == 1


async def test_an_api_is_its_owner_s(house: House) -> None:
    api = await house.api("GET /")
    assert await house.apis.owner(house.call, api) == (ACCOUNT, REGION)
    assert await house.apis.owner(house.call, "nowhere000") is None
    house.call.region = "us-east-1"
    assert (await house.ask(api, "/")).status == 404


async def test_a_function_fails(house: House) -> None:
    api = await house.api("GET /")
    house.function.result = {"Payload": b'{"errorMessage":"secret"}', "FunctionError": "Unhandled"}
    assert said(await house.ask(api, "/")) == (500, {"message": "Internal Server Error"})
    house.function.result = {"Payload": b'{"statusCode":"x"}'}
    assert said(await house.ask(api, "/")) == (500, {"message": "Internal Server Error"})


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("ResourceNotFoundException", 500, "Internal Server Error"),
        ("TooManyRequestsException", 503, "Service Unavailable"),
        ("RequestTooLargeException", 413, "Request Entity Too Large"),
    ],
)
async def test_a_function_refuses(house: House, code: str, status: int, message: str) -> None:
    api = await house.api("GET /")
    house.function.refusal = ServiceError(code, "its own words")
    assert said(await house.ask(api, "/")) == (status, {"message": message})


async def test_a_function_is_late(house: House) -> None:
    api = await house.api("GET /", TimeoutInMillis=50)
    house.function.silent = True
    assert said(await house.ask(api, "/")) == (503, {"message": "Service Unavailable"})
    assert not house.function.finished.is_set()
    house.function.speak.set()
    async with asyncio.timeout(10):
        await house.function.finished.wait()  # it was not killed, it finishes what it does


async def test_no_invocation_outlives_the_service(house: House) -> None:
    api = await house.api("GET /", TimeoutInMillis=50)
    house.function.silent = True
    await house.ask(api, "/")
    async with asyncio.timeout(10):
        await house.apis.stop()
    house.function.speak.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not house.function.finished.is_set()


async def test_a_body_is_too_long(house: House) -> None:
    api = await house.api("POST /")
    body = b"x" * (BODY_BYTES_MAX + 1)
    assert said(await house.ask(api, "/", "POST", body)) == (413, {"message": "Request Entity Too Large"})
    assert not house.function.events
    assert (await house.ask(api, "/", "POST", body[1:], content_type="text/plain")).status == 200


async def test_a_head_is_too_long(house: House) -> None:
    api = await house.api("GET /")
    long = "x" * HEAD_BYTES_MAX
    for path, headers in ((f"/?{long}", {}), ("/", {"x_long": long})):
        reply = await house.ask(api, path, **headers)
        assert said(reply) == (431, {"message": "Request Header Fields Too Large"})
    assert not house.function.events


async def test_what_nobody_expected_is_logged_and_answered(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    api = await house.api("GET /")
    house.function.refusal = ZeroDivisionError("a bug")
    reply = await house.ask(api, "/")
    assert said(reply) == (500, {"message": "Internal Server Error"})
    assert dict(reply.headers)["apigw-requestid"] in caplog.text
    assert "a bug" in caplog.text


async def test_a_message_is_sent(house: House) -> None:
    api = await house.api("POST /q", **QUEUE)
    reply = await house.ask(api, "/q", "POST", b'{"n": 1}')
    assert reply.status == 200
    assert dict(reply.headers)["content-type"] == "text/xml"
    root = ElementTree.fromstring(reply.body)
    assert root.tag == f"{SQS}SendMessageResponse"
    assert root.findtext(f"{SQS}SendMessageResult/{SQS}MessageId") == "m-1"
    assert root.findtext(f"{SQS}SendMessageResult/{SQS}MD5OfMessageBody") == "d41d"
    assert root.find(f"{SQS}SendMessageResult/{SQS}SequenceNumber") is None
    assert root.findtext(f"{SQS}ResponseMetadata/{SQS}RequestId") == dict(reply.headers)["apigw-requestid"]
    assert house.queue.sent == [(REGION, {"QueueUrl": QUEUE_URL, "MessageBody": '{"n": 1}'})]


async def test_a_message_with_everything(house: House) -> None:
    mapped = {
        "QueueUrl": "${stageVariables.base}/q.fifo",
        "MessageBody": "${request.body.n} from ${context.identity.sourceIp}",
        "DelaySeconds": "$request.querystring.delay",
        "MessageGroupId": "$request.path.group",
        "MessageDeduplicationId": "$context.requestId",
        "MessageAttributes": "$request.header.attributes",
        "Region": "us-west-2",
    }
    api = await house.api("POST /q/{group}", **{**QUEUE, "RequestParameters": mapped})
    await house.do("UpdateStage", ApiId=api, StageName="prod", StageVariables={"base": "http://h/1"})
    attributes = (
        '{"a":{"DataType":"Binary","BinaryValue":"aGk="},"b":{"DataType":"String","StringValue":"x"}}'
    )
    reply = await house.ask(api, "/prod/q/g1?delay=5", "POST", b'{"n": 1}', attributes=attributes)
    assert reply.status == 200
    region, sent = house.queue.sent[0]
    assert region == "us-west-2"
    assert sent == {
        "QueueUrl": "http://h/1/q.fifo",
        "MessageBody": "1 from 10.0.0.9",
        "DelaySeconds": 5,
        "MessageGroupId": "g1",
        "MessageDeduplicationId": dict(reply.headers)["apigw-requestid"],
        "MessageAttributes": {
            "a": {"DataType": "Binary", "BinaryValue": b"hi"},
            "b": {"DataType": "String", "StringValue": "x"},
        },
    }


async def test_what_is_mapped_is_not_there(house: House) -> None:
    api = await house.api("POST /q", **QUEUE)
    status, body = said(await house.ask(api, "/q", "POST"))
    assert status == 400
    assert body["message"].startswith(
        "Unable to resolve property MessageBody from source $request.body. Please make sure"
    )
    assert not house.queue.sent


async def test_sqs_refuses(house: House) -> None:
    api = await house.api("POST /q", **QUEUE)
    reply = await house.ask(api, "/q", "POST", b"bad")
    assert reply.status == 400
    root = ElementTree.fromstring(reply.body)
    assert root.tag == f"{SQS}ErrorResponse"
    assert root.findtext(f"{SQS}Error/{SQS}Code") == "AWS.SimpleQueueService.NonExistentQueue"
    assert root.findtext(f"{SQS}Error/{SQS}Message") == "The specified queue <q> does not exist."


async def test_cors(house: House) -> None:
    api = await house.api("GET /")
    rules = {"AllowOrigins": ["http://o"], "AllowMethods": ["GET"]}
    await house.do("UpdateApi", ApiId=api, CorsConfiguration=rules)
    asked = {"origin": "http://o", "access_control_request_method": "GET"}
    reply = await house.ask(api, "/anything", "OPTIONS", **asked)
    assert reply.status == 204
    assert dict(reply.headers)["access-control-allow-methods"] == "GET"
    reply = await house.ask(api, "/", origin="http://o")
    assert dict(reply.headers)["access-control-allow-origin"] == "http://o"
    await house.do("DeleteCorsConfiguration", ApiId=api)
    assert (await house.ask(api, "/", "OPTIONS", **asked)).status == 404


async def test_a_stage_serves_its_deployment_until_it_is_moved(house: House) -> None:
    api = await house.api("GET /one")
    first = await house.do("CreateDeployment", ApiId=api)
    await house.do("CreateStage", ApiId=api, StageName="fixed", DeploymentId=first["DeploymentId"])
    route = (await house.do("GetRoutes", ApiId=api))["Items"][0]
    await house.do("UpdateRoute", ApiId=api, RouteId=route["RouteId"], RouteKey="GET /two")
    for path, status in (("/one", 404), ("/two", 200), ("/fixed/one", 200), ("/fixed/two", 404)):
        assert (await house.ask(api, path)).status == status, path
    await house.do("CreateDeployment", ApiId=api, StageName="fixed")
    assert (await house.ask(api, "/fixed/two")).status == 200


async def test_a_deployment_goes_while_it_is_looked_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL each statement sees what is committed: the first look may find no deployment."""
    api = await house.api("GET /")
    looks: list[str] = []
    stored = gateway._stored

    def late(call: Call, api_id: str, deployment: str) -> gateway.Deployed | None:
        looks.append(deployment)
        return stored(call, api_id, deployment) if len(looks) > 1 else None

    monkeypatch.setattr(gateway, "_stored", late)
    assert (await house.ask(api, "/")).status == 200
    assert (await house.ask(api, "/")).status == 200
    assert len(looks) == 2  # and what was found is kept


async def test_a_route_without_an_integration(house: House) -> None:
    api = await house.api("GET /")
    await house.do("CreateRoute", ApiId=api, RouteKey="GET /bare")
    assert said(await house.ask(api, "/bare")) == (500, {"message": "Internal Server Error"})
