"""A gateway on a started store, with a function and a queue that do as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from oncue.app import open_store, schema_of_the_store
from oncue.errors import ServiceError
from oncue.services import Call, Service
from oncue.services.apigatewayv2 import Apigatewayv2
from oncue.services.apigatewayv2.web import Signer, WebReply, WebRequest
from oncue.store import Store, migrations

ACCOUNT, REGION = "123456789012", "eu-west-1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
QUEUE_URL = f"http://localhost/{ACCOUNT}/q"


class Function(Service):
    """Answers with `result`, raises `refusal`, or is silent until told to speak."""

    name = "lambda"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {"Payload": b'{"ok":true}'}
        self.refusal: Exception | None = None
        self.silent = False
        self.speak = asyncio.Event()
        self.finished = asyncio.Event()

    async def invoke(
        self, call: Call, *, FunctionName: str, InvocationType: str, Payload: bytes
    ) -> dict[str, Any]:
        assert (FunctionName, InvocationType) == (FUNCTION, "RequestResponse")
        assert (call.account, call.region) == (ACCOUNT, REGION)
        self.events.append(json.loads(Payload))
        if self.silent:
            await self.speak.wait()
            self.finished.set()
        if self.refusal:
            raise self.refusal
        return self.result


class Queue(Service):
    """Takes what is sent in a transaction; refuses what has the body `bad`."""

    name = "sqs"

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send_message(self, call: Call, **parameters: Any) -> dict[str, Any]:
        assert call.tx is not None
        if parameters["MessageBody"] == "bad":
            raise ServiceError("QueueDoesNotExist", "The specified queue <q> does not exist.")
        self.sent.append((call.region, parameters))
        return {"MessageId": "m-1", "MD5OfMessageBody": "d41d", "SequenceNumber": None}


class House:
    """One account's way in: `do` performs an operation, `ask` sends a request to an API."""

    def __init__(self, store: Store) -> None:
        self.function, self.queue, self.apis = Function(), Queue(), Apigatewayv2()
        self.signer: Signer | None = None
        services: dict[str, Service] = {s.name: s for s in (self.function, self.queue, self.apis)}
        self.call = Call(ACCOUNT, REGION, services, store, base_url="http://127.0.0.1:80")

    async def do(self, operation: str, **parameters: Any) -> dict[str, Any]:
        method = self.apis.operation(operation)
        assert method is not None
        return await self.call.perform(method, parameters)

    async def ask(
        self, api_id: str, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> WebReply:
        path, _, query = path.partition("?")
        pairs = [("host", "h:80"), *((k.replace("_", "-"), v) for k, v in headers.items())]
        request = WebRequest(method, path, query, pairs, body, "10.0.0.9", "h:80", "HTTP/1.1", self.signer)
        return await self.apis.handle(self.call, api_id, request)

    async def api(self, *keys: str, **integration: Any) -> str:
        """An API whose routes lead to one integration, served by $default and by the stage `prod`."""
        api_id = str((await self.do("CreateApi", Name="a", ProtocolType="HTTP"))["ApiId"])
        members = {"IntegrationUri": FUNCTION, "PayloadFormatVersion": "2.0", **integration}
        if "IntegrationSubtype" in integration:
            members = integration
        made = await self.do("CreateIntegration", ApiId=api_id, IntegrationType="AWS_PROXY", **members)
        for key in keys:
            await self.do(
                "CreateRoute", ApiId=api_id, RouteKey=key, Target=f"integrations/{made['IntegrationId']}"
            )
        for stage in ("$default", "prod"):
            await self.do("CreateStage", ApiId=api_id, StageName=stage, AutoDeploy=True)
        return api_id


@pytest_asyncio.fixture
async def house(store_url: str) -> AsyncIterator[House]:
    steps = migrations.of_package("oncue.services.apigatewayv2", "apigatewayv2")
    store = open_store(store_url, schema_of_the_store() + steps)
    await store.start()
    house = House(store)
    yield house
    await house.apis.stop()
    await store.stop()


def refusal_of(error: pytest.ExceptionInfo[ServiceError]) -> tuple[str, int, str]:
    return error.value.code, error.value.status, error.value.message
