"""Changes to HTTP APIs that several operations share, and the rules that they keep."""

import re
from collections.abc import Iterable
from typing import Any

from oncue.services import Call
from oncue.services.apigatewayv2 import (
    authorizers,
    cors,
    integrations,
    openapi,
    routing,
    settings,
    tables,
    tags,
)
from oncue.services.apigatewayv2.tables import refusal
from oncue.store import Row

SCOPE = re.compile(r"[!#-\[\]-~]{1,64}")
STAGE_NAME = re.compile(r"\$default|[A-Za-z0-9_-]{1,128}")
NAME_CHARACTERS_MAX = 128
APIS_MAX = 600  # quota: APIs per account and region
STAGE_VARIABLES_MAX = 100
SELECTION = "${request.method} ${request.path}"
SELECTION_WITHOUT_BRACES = "$request.method $request.path"  # the same, as Terraform writes it
AUTHORIZERS_OF = {"JWT": "JWT", "CUSTOM": "REQUEST"}  # the types of authorizers by those of routes
API_KEY_SELECTION = "$request.header.x-api-key"


def given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def apis(call: Call) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM apigatewayv2_apis WHERE account = :account AND region = :region"
        " ORDER BY id LIMIT :most",
        account=call.account,
        region=call.region,
        most=APIS_MAX,
    )


def add_api(call: Call, members: dict[str, Any]) -> str:
    check_api(members)
    if len(apis(call)) >= APIS_MAX:
        raise refusal(f"Maximum number of APIs for this account has been reached: {APIS_MAX}")
    api_id = tables.short_id(tables.API_ID_CHARACTERS)
    call.tx.run(
        "INSERT INTO apigatewayv2_apis (id, account, region, created_at, members)"
        " VALUES (:id, :account, :region, :now, :members)",
        id=api_id,
        account=call.account,
        region=call.region,
        now=call.now,
        members=tables.packed(members),
    )
    return api_id


def add_stage(
    call: Call, api_id: str, name: str, automatic: bool, deployment_id: str | None, members: dict[str, Any]
) -> None:
    if not STAGE_NAME.fullmatch(name):
        raise refusal("Stage name only allows a-zA-Z0-9_- and $default")
    check_variables(members.get("StageVariables", {}))
    tags.check(members.get("Tags", {}))
    check_deployment(call, api_id, automatic, deployment_id)
    tables.require_room(call, "stages", api_id, tables.STAGES_MAX)
    added = call.tx.run(
        "INSERT INTO apigatewayv2_stages"
        " (api_id, name, auto_deploy, deployment_id, created_at, updated_at, members)"
        " VALUES (:api, :name, :automatic, :deployment, :now, :now, :members) ON CONFLICT DO NOTHING",
        api=api_id,
        name=name,
        automatic=int(automatic),
        deployment=deployment_id,
        now=call.now,
        members=tables.packed(members),
    )
    if not added:
        raise tables.conflict("Stage already exists")
    if automatic:
        tables.redeploy(call, api_id)


def stage_settings(
    call: Call,
    api_id: str,
    former: dict[str, Any],
    logs: dict[str, Any] | None,
    defaults: dict[str, Any] | None,
    by_route: dict[str, dict[str, Any]] | None,
) -> dict[str, Any]:
    """The members of a stage that its settings change; what is given for a route or the rest is added to what
    was said."""
    members: dict[str, Any] = {}
    if logs is not None:
        members["AccessLogSettings"] = settings.checked_logs(logs)
    if defaults is not None:
        members["DefaultRouteSettings"] = settings.checked(
            {**former.get("DefaultRouteSettings", {}), **defaults}
        )
    if by_route is not None:
        settings.check_routes(by_route, route_keys(call, api_id))
        there = former.get("RouteSettings", {})
        fresh = {key: settings.checked({**there.get(key, {}), **given}) for key, given in by_route.items()}
        members["RouteSettings"] = there | fresh
    return members


def quick_create(call: Call, api_id: str, key: str, target: str, credentials: str | None) -> None:
    """One integration, one route and an automatically deployed default stage, all managed by API Gateway."""
    members = {"IntegrationType": "AWS_PROXY", "IntegrationUri": target, "PayloadFormatVersion": "2.0"}
    if target.startswith(("http://", "https://")):
        members = {"IntegrationType": "HTTP_PROXY", "IntegrationUri": target, "IntegrationMethod": "ANY"}
    members |= given(CredentialsArn=credentials)
    check_route_key(key, ())
    managed = {"ApiGatewayManaged": True}
    integration = tables.add_integration(call, api_id, integrations.checked(members) | managed)
    tables.add_route(call, api_id, key, {"Target": f"integrations/{integration}"} | managed)
    add_stage(call, api_id, routing.DEFAULT, True, None, dict(managed))


def add_imported(call: Call, api_id: str, imported: openapi.Imported) -> None:
    """Add a document's routes and integrations to an API that has none."""
    keys: list[str] = []
    ids = {
        name: tables.add_authorizer(call, api_id, authorizers.checked(members))
        for name, members in imported.authorizers.items()
    }
    for route in imported.routes:
        check_route_key(route.key, keys)
        keys.append(route.key)
        members = dict(route.members)
        if route.authorizer is not None:
            members["AuthorizerId"] = ids[route.authorizer]
        if route.integration is not None:
            added = tables.add_integration(call, api_id, integrations.checked(route.integration))
            members["Target"] = f"integrations/{added}"
        tables.add_route(call, api_id, route.key, authorized(call, api_id, members))
    tables.redeploy(call, api_id)


def check_api(members: dict[str, Any]) -> None:
    if not 1 <= len(members["Name"]) <= NAME_CHARACTERS_MAX:
        raise refusal(f"Invalid API name specified: it has 1 to {NAME_CHARACTERS_MAX} characters")
    tags.check(members.get("Tags", {}))
    complaint = cors.complaint(members.get("CorsConfiguration", {}))
    if complaint:
        raise refusal(f"Invalid CORS configuration: {complaint}")


def check_selection(route: str | None, api_key: str | None) -> None:
    if route not in (None, SELECTION, SELECTION_WITHOUT_BRACES):
        raise refusal(f"RouteSelectionExpression of an HTTP API must be {SELECTION}")
    if api_key not in (None, API_KEY_SELECTION):
        raise refusal(f"ApiKeySelectionExpression of an HTTP API must be {API_KEY_SELECTION}")


def check_basepath(basepath: str | None) -> None:
    if basepath not in (None, "ignore"):
        raise refusal(f"Oncue does not support Basepath {basepath}; ignore, the default, is there.")


def check_variables(variables: dict[str, str]) -> None:
    if len(variables) > STAGE_VARIABLES_MAX:
        raise refusal(f"A stage has at most {STAGE_VARIABLES_MAX} stage variables")


def check_deployment(call: Call, api_id: str, automatic: bool, deployment_id: str | None) -> None:
    if deployment_id is None:
        return
    if automatic:
        raise refusal("DeploymentId cannot be set for a stage with AutoDeploy.")
    tables.deployment_row(call, api_id, deployment_id)


def check_no_key(key_required: bool | None) -> None:
    if key_required:
        raise refusal("ApiKeyRequired is not supported for HTTP APIs")


def authorized(call: Call, api_id: str, members: dict[str, Any]) -> dict[str, Any]:
    """A route's members when its authorizer is there and of the right kind. BadRequestException otherwise."""
    kind = members.get("AuthorizationType", "NONE")
    authorizer_id = members.get("AuthorizerId")
    scopes = members.get("AuthorizationScopes") or []
    if scopes and kind != "JWT":
        raise refusal("AuthorizationScopes are only supported for routes with the AuthorizationType JWT")
    if not all(SCOPE.fullmatch(scope) for scope in scopes):
        raise refusal("AuthorizationScopes have neither spaces nor quotes (RFC 6749, 3.3)")
    wanted = AUTHORIZERS_OF.get(kind)
    if wanted is None:
        if authorizer_id:
            raise refusal(f"AuthorizerId is not supported with the AuthorizationType {kind}")
        return members
    if not authorizer_id:
        raise refusal(f"AuthorizerId is required for the AuthorizationType {kind}")
    there = tables.unpacked(tables.authorizer_row(call, api_id, authorizer_id))
    if there["AuthorizerType"] != wanted:
        raise refusal(f"The AuthorizationType {kind} needs an authorizer of the type {wanted}")
    return members


def route_keys(call: Call, api_id: str, besides: str | None = None) -> list[str]:
    return [row["route_key"] for row in tables.rows_of(call, "routes", api_id) if row["id"] != besides]


def check_route_key(key: str, others: Iterable[str]) -> None:
    try:
        route = routing.parse_route_key(key)
    except ValueError:
        raise refusal(
            "The provided route key is not formatted properly for HTTP protocol. "
            'Format should be "<HTTP METHOD> /<RESOURCE PATH>" or "$default"'
        ) from None
    for other in others:
        if other == key:
            raise tables.conflict(f"Route with key {key} already exists for this API")
        if routing.contradict(route, routing.parse_route_key(other)):
            raise tables.conflict(
                f'The provided route key "{key}" has a conflicting variable on the same hierarchical level '
                f'as "{other}"'
            )


def check_target(call: Call, api_id: str, target: str | None) -> None:
    if target is None:
        return
    kind, slash, integration_id = target.partition("/")
    if kind != "integrations" or not slash:
        raise refusal(f"Invalid target specified: {target}. It should be integrations/<integration id>")
    tables.integration_row(call, api_id, integration_id)
