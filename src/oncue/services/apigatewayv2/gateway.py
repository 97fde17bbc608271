"""The gateway: takes a request to an HTTP API through its stage, route and integration to a reply."""

import base64
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from oncue import clock
from oncue.services import Call
from oncue.services.apigatewayv2 import cors, mapping, routing, send_message
from oncue.services.apigatewayv2.functions import Functions
from oncue.services.apigatewayv2.payloads import Visit, joined
from oncue.services.apigatewayv2.tables import unpacked
from oncue.services.apigatewayv2.web import WebReply, WebRequest, said
from oncue.store import Row

BODY_BYTES_MAX = 10 * 1024 * 1024  # quota of HTTP APIs, not adjustable
HEAD_BYTES_MAX = 10_240  # request line and header values together
DEPLOYMENTS_CACHED = 256
OWNERS_CACHED = 4_096
FINDS_MAX = 5  # a stage may be moved, and its former deployment go, while it is being read
LOG = logging.getLogger(__name__)


class Deployed:
    """What one deployment serves; a deployment never changes, so this may be kept."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.integrations: dict[str, dict[str, Any]] = content["integrations"]
        self.targets: dict[str, str | None] = dict(content["routes"])
        self.routes = routing.RoutingTable(routing.parse_route_key(key) for key in self.targets)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request has arrived: the API's members, the stage, the rest of the path, the deployment."""

    api: dict[str, Any]
    stage: str
    path: str
    variables: dict[str, str]
    deployment_id: str
    deployed: Deployed


class Gateway:
    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Deployed] = OrderedDict()
        self._owners: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._functions = Functions()

    async def stop(self) -> None:
        await self._functions.stop()

    async def owner(self, call: Call, api_id: str) -> tuple[str, str] | None:
        """An id is never given again, so an answer holds for ever; whether the API lives, `handle` sees."""
        if known := self._owners.get(api_id):
            return known
        row = await call.transact(
            lambda inner: inner.tx.one(
                "SELECT account, region FROM apigatewayv2_apis WHERE id = :id", id=api_id
            ),
            reads_only=True,
        )
        if row is None:
            return None
        self._owners[api_id] = row["account"], row["region"]
        if len(self._owners) > OWNERS_CACHED:
            self._owners.popitem(last=False)
        return self._owners[api_id]

    async def handle(self, call: Call, api_id: str, request: WebRequest) -> WebReply:
        """The reply to one request; every reply carries its id in `apigw-requestid`."""
        request_id = base64.b64encode(bytes.fromhex(clock.token(11))).decode()
        try:
            reply = await self._answer(call, api_id, request, request_id)
        except Exception:
            LOG.exception("a request to the API %s failed, its id is %s", api_id, request_id)
            reply = said(500, "Internal Server Error")
        return WebReply(reply.status, [*reply.headers, ("apigw-requestid", request_id)], reply.body)

    async def _answer(self, call: Call, api_id: str, request: WebRequest, request_id: str) -> WebReply:
        place = await call.transact(lambda inner: self._find(inner, api_id, request.path), reads_only=True)
        if place is None or place.api.get("DisableExecuteApiEndpoint"):
            return said(404, "Not Found")
        self._keep(api_id, place)
        rules = place.api.get("CorsConfiguration")
        if rules and cors.is_preflight(request):
            return cors.preflight(rules, request)
        if len(request.body) > BODY_BYTES_MAX:
            reply = said(413, "Request Entity Too Large")
        elif _head_bytes(request) > HEAD_BYTES_MAX:
            reply = said(431, "Request Header Fields Too Large")
        else:
            reply = await self._route(call, api_id, place, request, request_id)
        return cors.dress(rules, request, reply) if rules else reply

    async def _route(
        self, call: Call, api_id: str, place: Place, request: WebRequest, request_id: str
    ) -> WebReply:
        match = place.deployed.routes.match(request.method, place.path)
        if match is None:
            return said(404, "Not Found")
        target = place.deployed.targets[match.route.key]
        integration = place.deployed.integrations.get(target) if target else None
        if integration is None:
            LOG.warning("The route %s of the API %s has no integration", match.route.key, api_id)
            return said(500, "Internal Server Error")
        visit = Visit(
            request=_forwarded(call, request),
            account=call.account,
            api_id=api_id,
            stage=place.stage,
            route_key=match.route.key,
            variables=match.variables,
            stage_variables=place.variables,
            request_id=request_id,
            at=clock.now(),
        )
        if integration.get("IntegrationSubtype"):
            return await send_message.perform(call, integration, _sources(visit), request_id)
        return await self._functions.answer(call, integration, visit)

    def _find(self, call: Call, api_id: str, path: str) -> Place | None:
        api = call.tx.one("SELECT * FROM apigatewayv2_apis WHERE id = :id", id=api_id)
        if api is None or (api["account"], api["region"]) != (call.account, call.region):
            return None
        for _ in range(FINDS_MAX):
            stage = _stage(call, api_id, path)
            if stage is None:
                return None
            row, rest = stage
            deployed = self._deployed(call, api_id, row["deployment_id"])
            if deployed:
                variables = unpacked(row).get("StageVariables", {})
                return Place(unpacked(api), row["name"], rest, variables, row["deployment_id"], deployed)
        raise AssertionError(f"the stages of the API {api_id} name deployments that are not there")

    def _deployed(self, call: Call, api_id: str, deployment: str) -> Deployed | None:
        kept = self._kept.get((api_id, deployment))
        return kept or _stored(call, api_id, deployment)

    def _keep(self, api_id: str, place: Place) -> None:
        key = (api_id, place.deployment_id)
        self._kept[key] = place.deployed
        self._kept.move_to_end(key)
        if len(self._kept) > DEPLOYMENTS_CACHED:
            self._kept.popitem(last=False)


def _stage(call: Call, api_id: str, path: str) -> tuple[Row, str] | None:
    """The stage that takes the path, and the rest of the path. A stage without a deployment takes none."""
    rows = call.tx.all("SELECT * FROM apigatewayv2_stages WHERE api_id = :api", api=api_id)
    stages = {row["name"]: row for row in rows if row["deployment_id"]}
    choice = routing.choose_stage(path, stages)
    return (stages[choice[0]], choice[1]) if choice else None


def _stored(call: Call, api_id: str, deployment: str) -> Deployed | None:
    row = call.tx.one(
        "SELECT content FROM apigatewayv2_deployments WHERE api_id = :api AND id = :id",
        api=api_id,
        id=deployment,
    )
    return Deployed(unpacked(row, "content")) if row else None


def _head_bytes(request: WebRequest) -> int:
    values = sum(len(value) for _, value in request.headers)
    return len(request.method) + len(request.path) + len(request.query) + values


def _forwarded(call: Call, request: WebRequest) -> WebRequest:
    """The request with the headers that API Gateway adds on the way."""
    came = urlsplit(call.base_url)
    before = request.header("x-forwarded-for")
    fresh = {
        "x-forwarded-for": f"{before}, {request.source_ip}" if before else request.source_ip,
        "x-forwarded-port": str(came.port or (443 if came.scheme == "https" else 80)),
        "x-forwarded-proto": came.scheme or "http",
    }
    if request.header("x-amzn-trace-id") is None:
        fresh["x-amzn-trace-id"] = f"Root=1-{int(clock.now()):08x}-{clock.token(12)}"
    kept = [pair for pair in request.headers if pair[0] not in fresh]
    return replace(request, headers=[*kept, *fresh.items()])


def _sources(visit: Visit) -> mapping.Sources:
    request = visit.request
    return mapping.Sources(
        headers=joined(request.headers),
        query=joined(visit.query),
        path=visit.variables,
        context={
            "accountId": visit.account,
            "apiId": visit.api_id,
            "domainName": visit.domain,
            "domainPrefix": visit.domain.partition(".")[0],
            "extendedRequestId": visit.request_id,
            "httpMethod": request.method,
            "identity.sourceIp": request.source_ip,
            "identity.userAgent": visit.agent,
            "path": visit.path,
            "protocol": request.protocol,
            "requestId": visit.request_id,
            "requestTime": visit.time,
            "requestTimeEpoch": str(int(visit.at * 1000)),
            "routeKey": visit.route_key,
            "stage": visit.stage,
        },
        stage_variables=visit.stage_variables,
        body=request.body,
    )
