"""Who may pass a route: JWT, Lambda and IAM authorization, each decision with what it tells the integration.

Source: "Control and manage access to HTTP APIs" in the developer guide; the words of refusals as observed on
AWS.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import integrations, mapping, payloads, policies, tokens, variables
from oncue.services.apigatewayv2.functions import Functions, LateError
from oncue.services.apigatewayv2.issuers import Issuers
from oncue.services.apigatewayv2.payloads import Visit
from oncue.services.apigatewayv2.web import WebReply, said

TIMEOUT_S = 10.0  # of a Lambda authorizer
DECISIONS_MAX = 10_000  # kept at once, of all authorizers with a time to live
BEARER = "bearer "
LOG = logging.getLogger(__name__)


class Refused(Exception):
    """The request does not pass; `reason` is for the access log."""

    def __init__(self, reply: WebReply, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What a Lambda authorizer said: yes or no, or a policy to be asked for each route."""

    allowed: bool
    policy: Any
    context: dict[str, Any]
    ends_at: float  # on the monotonic clock


class Access:
    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._issuers = Issuers()
        self._decisions: OrderedDict[tuple[str, ...], Decision] = OrderedDict()

    async def admit(
        self, call: Call, visit: Visit, rule: dict[str, Any], authorizer: dict[str, Any] | None
    ) -> Visit:
        """The visit with what its authorizer found out. Raises Refused. `rule` holds the route's members."""
        kind = rule.get("AuthorizationType", "NONE")
        if kind == "NONE":
            return visit
        if kind == "AWS_IAM":
            return replace(visit, authorizer={"iam": _signer(visit)})
        assert authorizer is not None, "a route names an authorizer that its deployment does not have"
        if kind == "JWT":
            found = await self._jwt(visit, authorizer, rule.get("AuthorizationScopes") or [])
            return replace(visit, authorizer={"jwt": found})
        context = await self._ask(call, visit, authorizer, rule["AuthorizerId"])
        return replace(visit, authorizer={"lambda": context})

    async def _jwt(self, visit: Visit, authorizer: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        text = _identity(visit, authorizer["IdentitySource"][0])
        if text is None:
            raise Refused(_unauthorized("Bearer"), "no token")
        if text.lower().startswith(BEARER):
            text = text[len(BEARER) :].strip()
        rules = authorizer["JwtConfiguration"]
        try:
            token = tokens.read(text)
            # claims are cheap to check, and what fails here need not trouble the issuer
            tokens.check_claims(token.claims, rules["Issuer"], rules["Audience"], clock.now())
            tokens.check_signature(token, await self._issuers.key(rules["Issuer"], token.key_id))
        except tokens.TokenError as error:
            header = f'Bearer scope="" error="invalid_token" error_description="{error}"'
            raise Refused(_unauthorized(header), str(error)) from None
        granted = [scope for scope in tokens.scopes_of(token.claims) if scope in wanted]
        if wanted and not granted:
            names = " ".join(wanted)
            text = "the token does not have any of the required scopes"
            header = f'Bearer scope="{names}" error="insufficient_scope" error_description="{text}"'
            raise Refused(_with(said(403, "Forbidden"), header), text)
        return {"claims": tokens.shown(token.claims), "scopes": granted or None}

    async def _ask(
        self, call: Call, visit: Visit, authorizer: dict[str, Any], authorizer_id: str
    ) -> dict[str, Any]:
        identity = [_identity(visit, source) for source in authorizer.get("IdentitySource") or []]
        if None in identity:
            raise Refused(said(401, "Unauthorized"), "an identity source is missing")
        known = [value for value in identity if value is not None]
        ttl_s = authorizer["AuthorizerResultTtlInSeconds"]
        key = (visit.api_id, visit.stage, authorizer_id, str(authorizer["AuthorizerUri"]), *known)
        decision = self._decisions.get(key) if ttl_s else None
        try:
            if decision is None or decision.ends_at <= clock.monotonic():
                decision = await self._decide(call, visit, authorizer, known)
                if ttl_s:
                    self._keep(key, decision)
            if not _allows(decision, variables.route_arn(call.region, visit)):
                raise Refused(said(403, "Forbidden"), "the authorizer denies it")
        except (MalformedDecisionError, policies.MalformedPolicyError, LateError, ServiceError) as error:
            LOG.warning("the authorizer %s of the API %s: %s", authorizer_id, visit.api_id, error)
            raise Refused(said(500, "Internal Server Error"), str(error)) from None
        return decision.context

    async def _decide(
        self, call: Call, visit: Visit, authorizer: dict[str, Any], identity: list[str]
    ) -> Decision:
        version = authorizer["AuthorizerPayloadFormatVersion"]
        arn = integrations.function_arn(authorizer["AuthorizerUri"])
        assert arn is not None, "an authorizer without a function was stored"
        shape = payloads.asked_v2 if version == "2.0" else payloads.asked_v1
        event = msgspec.json.encode(shape(visit, variables.route_arn(call.region, visit), identity))
        result = await self._functions.ask(call, arn, event, TIMEOUT_S)
        if result.get("FunctionError"):
            raise MalformedDecisionError("the function failed")
        ends_at = clock.monotonic() + authorizer["AuthorizerResultTtlInSeconds"]
        simple = bool(authorizer.get("EnableSimpleResponses"))
        return _decision(bytes(result.get("Payload") or b"null"), simple, ends_at)

    def _keep(self, key: tuple[str, ...], decision: Decision) -> None:
        self._decisions[key] = decision
        self._decisions.move_to_end(key)
        if len(self._decisions) > DECISIONS_MAX:
            self._decisions.popitem(last=False)


class MalformedDecisionError(Exception):
    """What a Lambda authorizer returned is no decision."""


def _decision(payload: bytes, simple: bool, ends_at: float) -> Decision:
    try:
        found = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise MalformedDecisionError("the function returned no object") from None
    context = found.get("context", {})
    if not isinstance(context, dict):
        raise MalformedDecisionError("context is not an object")
    if simple:
        if not isinstance(found.get("isAuthorized"), bool):
            raise MalformedDecisionError("isAuthorized is not true or false")
        return Decision(found["isAuthorized"], None, context, ends_at)
    if not isinstance(found.get("principalId"), str) or "policyDocument" not in found:
        raise MalformedDecisionError("principalId or policyDocument is missing")
    return Decision(True, found["policyDocument"], {"principalId": found["principalId"], **context}, ends_at)


def _allows(decision: Decision, arn: str) -> bool:
    return decision.allowed and (decision.policy is None or policies.allows(decision.policy, arn))


def _identity(visit: Visit, source: str) -> str | None:
    """The value of an identity source, None when the request has none."""
    try:
        return mapping.resolve(source, variables.sources(visit)) or None
    except mapping.UnresolvedError:
        return None


def _signer(visit: Visit) -> dict[str, Any]:
    """Who signed, as the request context shows it; the door has checked the signature."""
    signer = visit.request.signer
    if signer is None or signer.account != visit.account:
        raise Refused(said(403, "Forbidden"), "no valid signature")
    return {
        "accessKey": signer.access_key,
        "accountId": signer.account,
        "callerId": signer.access_key,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": arns.build("iam", "", signer.account, "root"),
        "userId": signer.account,
    }


def _unauthorized(header: str) -> WebReply:
    return _with(said(401, "Unauthorized"), header)


def _with(reply: WebReply, header: str) -> WebReply:
    return WebReply(reply.status, [*reply.headers, ("www-authenticate", header)], reply.body)
