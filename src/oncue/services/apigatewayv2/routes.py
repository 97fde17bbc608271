"""Operations on routes."""

from typing import Any

from oncue.services import Call, reads_only
from oncue.services.apigatewayv2 import changes, replies, tables
from oncue.services.apigatewayv2.tables import unpacked


class Routes:
    def create_route(
        self,
        call: Call,
        *,
        ApiId: str,
        RouteKey: str,
        ApiKeyRequired: bool | None = None,
        AuthorizationScopes: list[str] | None = None,
        AuthorizationType: str | None = None,
        AuthorizerId: str | None = None,
        OperationName: str | None = None,
        Target: str | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        changes.check_no_key(ApiKeyRequired)
        changes.check_route_key(RouteKey, changes.route_keys(call, ApiId))
        changes.check_target(call, ApiId, Target)
        members = changes.given(
            AuthorizationScopes=AuthorizationScopes,
            AuthorizationType=AuthorizationType,
            AuthorizerId=AuthorizerId,
            OperationName=OperationName,
            Target=Target,
        )
        new_id = tables.add_route(call, ApiId, RouteKey, changes.authorized(call, ApiId, members))
        tables.redeploy(call, ApiId)
        return replies.route(tables.route_row(call, ApiId, new_id))

    @reads_only
    def get_route(self, call: Call, *, ApiId: str, RouteId: str) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.route(tables.route_row(call, ApiId, RouteId))

    @reads_only
    def get_routes(
        self, call: Call, *, ApiId: str, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.page(tables.rows_of(call, "routes", ApiId), replies.route, MaxResults, NextToken)

    def update_route(
        self,
        call: Call,
        *,
        ApiId: str,
        RouteId: str,
        ApiKeyRequired: bool | None = None,
        AuthorizationScopes: list[str] | None = None,
        AuthorizationType: str | None = None,
        AuthorizerId: str | None = None,
        OperationName: str | None = None,
        RouteKey: str | None = None,
        Target: str | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        row = tables.route_row(call, ApiId, RouteId)
        changes.check_no_key(ApiKeyRequired)
        changes.check_target(call, ApiId, Target)
        if RouteKey is not None and RouteKey != row["route_key"]:
            changes.check_route_key(RouteKey, changes.route_keys(call, ApiId, besides=RouteId))
            call.tx.run(
                "UPDATE apigatewayv2_routes SET route_key = :key WHERE api_id = :api AND id = :id",
                api=ApiId,
                id=RouteId,
                key=RouteKey,
            )
        members = unpacked(row) | changes.given(
            AuthorizationScopes=AuthorizationScopes,
            AuthorizationType=AuthorizationType,
            AuthorizerId=AuthorizerId,
            OperationName=OperationName,
            Target=Target,
        )
        if AuthorizationType in ("NONE", "AWS_IAM"):
            members = {k: v for k, v in members.items() if k not in ("AuthorizationScopes", "AuthorizerId")}
        tables.save(call, "routes", ApiId, RouteId, changes.authorized(call, ApiId, members))
        tables.redeploy(call, ApiId)
        return replies.route(tables.route_row(call, ApiId, RouteId))

    def delete_route(self, call: Call, *, ApiId: str, RouteId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.route_row(call, ApiId, RouteId)
        call.tx.run("DELETE FROM apigatewayv2_routes WHERE api_id = :api AND id = :id", api=ApiId, id=RouteId)
        tables.redeploy(call, ApiId)
