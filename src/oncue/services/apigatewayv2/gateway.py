"""The gateway: takes a request to an HTTP API through its stage, route, throttles, authorizer and
integration.

The order is AWS's: CORS preflight, size limits, route, throttling, authorization, integration.
"""

import base64
import logging
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from oncue import clock
from oncue.services import Call
from oncue.services.apigatewayv2 import (
    buckets,
    cors,
    parameters,
    proxies,
    queues,
    routing,
    settings,
    variables,
)
from oncue.services.apigatewayv2.access import Access, Refused
from oncue.services.apigatewayv2.access_logs import AccessLogs
from oncue.services.apigatewayv2.buckets import Limit
from oncue.services.apigatewayv2.functions import Functions
from oncue.services.apigatewayv2.payloads import Visit, joined
from oncue.services.apigatewayv2.tables import unpacked
from oncue.services.apigatewayv2.throttles import Throttles
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
        self.authorizers: dict[str, dict[str, Any]] = content["authorizers"]
        self.rules: dict[str, dict[str, Any]] = content["routes"]  # the members of each route by its key
        self.routes = routing.RoutingTable(routing.parse_route_key(key) for key in self.rules)

    def integration(self, key: str) -> dict[str, Any] | None:
        target = self.rules[key].get("Target") or ""
        return self.integrations.get(target.removeprefix("integrations/"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request has arrived: the API's members, the stage and its members, the rest of the path, the
    deployment."""

    api: dict[str, Any]
    stage: str
    path: str
    members: dict[str, Any]
    deployment_id: str
    deployed: Deployed

    @property
    def variables(self) -> dict[str, str]:
        found: dict[str, str] = self.members.get("StageVariables", {})
        return found


@dataclass(slots=True)
class Trail:
    """What happens to one request, for its line in the access log; times are monotonic."""

    request_id: str
    began: float
    visit: Visit | None = None
    place: Place | None = None
    marks: dict[str, str] = field(default_factory=dict)


class Gateway:
    def __init__(self, account_limit: Limit) -> None:
        self._account_limit = account_limit
        self._kept: OrderedDict[tuple[str, str], Deployed] = OrderedDict()
        self._owners: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._functions = Functions()
        self._access = Access(self._functions)
        self._logs = AccessLogs()
        self.throttles = Throttles()

    async def stop(self) -> None:
        await self.throttles.stop()
        await self._functions.stop()
        await self._logs.stop()

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
        trail = Trail(request_id, clock.monotonic())
        try:
            reply = await self._answer(call, api_id, request, trail)
        except Exception:
            LOG.exception("a request to the API %s failed, its id is %s", api_id, request_id)
            reply = said(500, "Internal Server Error")
        if trail.place and "AccessLogSettings" in trail.place.members:
            self._log(call, api_id, request, trail, reply)
        return WebReply(reply.status, [*reply.headers, ("apigw-requestid", request_id)], reply.body)

    async def _answer(self, call: Call, api_id: str, request: WebRequest, trail: Trail) -> WebReply:
        place = await call.transact(lambda inner: self._find(inner, api_id, request.path), reads_only=True)
        if place is None or place.api.get("DisableExecuteApiEndpoint"):
            return said(404, "Not Found")
        trail.place = place
        self._keep(api_id, place)
        rules = place.api.get("CorsConfiguration")
        if rules and cors.is_preflight(request):
            return cors.preflight(rules, request)
        if len(request.body) > BODY_BYTES_MAX:
            reply = said(413, "Request Entity Too Large")
        elif _head_bytes(request) > HEAD_BYTES_MAX:
            reply = said(431, "Request Header Fields Too Large")
        else:
            reply = await self._route(call, api_id, place, request, trail)
        return cors.dress(rules, request, reply) if rules else reply

    async def _route(
        self, call: Call, api_id: str, place: Place, request: WebRequest, trail: Trail
    ) -> WebReply:
        match = place.deployed.routes.match(request.method, place.path)
        if match is None:
            return said(404, "Not Found")
        key = match.route.key
        visit = trail.visit = Visit(
            request=_forwarded(call, request),
            account=call.account,
            api_id=api_id,
            stage=place.stage,
            route_key=key,
            variables=match.variables,
            stage_variables=place.variables,
            request_id=trail.request_id,
            at=clock.now(),
            rest=place.path,
        )
        wait_s = await self.throttles.admit(call, self._limits(call, api_id, place, key))
        if wait_s is not None:
            return _throttled(wait_s)
        rule = place.deployed.rules[key]
        if rule.get("AuthorizationType", "NONE") != "NONE":
            authorizer = place.deployed.authorizers.get(rule.get("AuthorizerId", ""))
            try:
                visit = trail.visit = await self._access.admit(call, visit, rule, authorizer)
            except Refused as refused:
                trail.marks["authorizer.error"] = refused.reason
                return refused.reply
        integration = place.deployed.integration(key)
        if integration is None:
            LOG.warning("The route %s of the API %s has no integration", key, api_id)
            return said(500, "Internal Server Error")
        return await self._integrate(call, integration, visit, trail)

    def _limits(self, call: Call, api_id: str, place: Place, key: str) -> list[tuple[str, Limit]]:
        """The narrowest first: a route's own limit, or that of the stage's other routes; then the
        account's."""
        limits = []
        own = place.members.get("RouteSettings", {}).get(key)
        if own and (limit := settings.limit_of(own, self._account_limit)):
            limits.append((f"{api_id}/{place.stage}/{key}", limit))
        elif limit := settings.limit_of(place.members.get("DefaultRouteSettings", {}), self._account_limit):
            limits.append((f"{api_id}/{place.stage}", limit))
        limits.append((f"{call.account}/{call.region}", self._account_limit))
        return limits

    async def _integrate(
        self, call: Call, integration: dict[str, Any], visit: Visit, trail: Trail
    ) -> WebReply:
        began = clock.monotonic()
        changes = integration.get("RequestParameters") or {}
        changed_responses = integration.get("ResponseParameters") or {}
        subtype = integration.get("IntegrationSubtype")
        sources = variables.sources(visit) if subtype or changes or changed_responses else None
        if subtype:
            assert sources is not None, "a subtype needs sources"
            reply = await queues.perform(call, integration, sources, visit.request_id)
        else:
            seen = parameters.changed_visit(visit, changes, sources) if sources and changes else visit
            if integration["IntegrationType"] == "HTTP_PROXY":
                reply = await proxies.answer(integration, seen)
            else:
                reply = await self._functions.answer(call, integration, seen)
        spent = str(int((clock.monotonic() - began) * 1000))
        trail.marks |= {"integrationLatency": spent, "integration.latency": spent}
        for name in ("integrationStatus", "integration.integrationStatus", "integration.status"):
            trail.marks[name] = str(reply.status)
        changes = parameters.wanted(integration, reply.status)
        if sources and changes:
            about = parameters.response_sources(sources, reply, joined(reply.headers))
            reply = parameters.changed_reply(reply, changes, about)
        return reply

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
                return Place(unpacked(api), row["name"], rest, unpacked(row), row["deployment_id"], deployed)
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

    def _log(self, call: Call, api_id: str, request: WebRequest, trail: Trail, reply: WebReply) -> None:
        """One line about a request that has been answered; a request without a route has none of its own."""
        assert trail.place is not None, "only what reached a stage has a log"
        logs = trail.place.members["AccessLogSettings"]
        group = settings.log_group(logs["DestinationArn"])
        assert group is not None, "a log group was stored"
        visit = trail.visit or Visit(
            request, call.account, api_id, trail.place.stage, "-", {}, {}, trail.request_id, clock.now()
        )
        values = variables.context(visit) | trail.marks
        values |= {
            "status": str(reply.status),
            "responseLength": str(len(reply.body)),
            "dataProcessed": str(len(request.body) + len(reply.body)),
            "responseLatency": str(int((clock.monotonic() - trail.began) * 1000)),
        }
        if reply.status >= 400 and "integrationStatus" not in trail.marks:
            message = reply.body.decode(errors="replace")
            values |= {
                "error.messageString": message,
                "error.message": message.strip("{}").partition(":")[2].strip('"'),
            }
            values["error.responseType"] = RESPONSE_TYPES.get(reply.status, "DEFAULT_5XX")
        stream = f"{api_id}_{trail.place.stage.strip('$')}_{self.throttles.node[:8]}"
        self._logs.write(call, group, stream, settings.log_line(logs["Format"], values))


RESPONSE_TYPES = {
    401: "UNAUTHORIZED",
    403: "ACCESS_DENIED",
    404: "MISSING_ROUTE",
    413: "REQUEST_TOO_LARGE",
    429: "THROTTLED",
    431: "REQUEST_TOO_LARGE",
}


def _throttled(wait_s: float) -> WebReply:
    """429, with the time after which another try is worth it, where there is one."""
    reply = said(429, "Too Many Requests")
    if wait_s == float("inf"):
        return reply
    after = ("retry-after", str(buckets.retry_after_s(wait_s)))
    return WebReply(reply.status, [*reply.headers, after], reply.body)


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
