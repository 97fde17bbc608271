"""API Gateway v2: the operations on HTTP APIs, and the way in for their requests."""

from oncue.services import Call, Service
from oncue.services.apigatewayv2 import throttles
from oncue.services.apigatewayv2.apis import Apis
from oncue.services.apigatewayv2.backends import Integrations
from oncue.services.apigatewayv2.buckets import Limit
from oncue.services.apigatewayv2.gateway import Gateway
from oncue.services.apigatewayv2.guards import Authorizers
from oncue.services.apigatewayv2.routes import Routes
from oncue.services.apigatewayv2.stages import Stages
from oncue.services.apigatewayv2.throttles import ACCOUNT_LIMIT
from oncue.services.apigatewayv2.web import WebReply, WebRequest


class Apigatewayv2(Apis, Integrations, Routes, Authorizers, Stages, Service):
    """`account_limit` holds for all HTTP APIs of one account in one region together."""

    name = "apigatewayv2"
    refusal = "BadRequestException"

    def __init__(self, *, account_limit: Limit = ACCOUNT_LIMIT) -> None:
        self._gateway = Gateway(account_limit)

    async def start(self, call: Call) -> None:
        if not call.store.shared:
            await call.transact(throttles.begin_anew)

    async def stop(self) -> None:
        await self._gateway.stop()

    def throttles(self) -> dict[str, tuple[int, int]]:
        """(requests, refused ones) of each limit in use on this node; see Throttles."""
        return self._gateway.throttles.counts()

    async def owner(self, call: Call, api_id: str) -> tuple[str, str] | None:
        """(account, region) of an API, whoever asks; None when there is no such API."""
        return await self._gateway.owner(call, api_id)

    async def handle(self, call: Call, api_id: str, request: WebRequest) -> WebReply:
        """Answer one request to an API. `call` speaks for the API's owner."""
        return await self._gateway.handle(call, api_id, request)
