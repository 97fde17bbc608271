"""Operations on stages and deployments."""

from typing import Any

from oncue.services import Call, reads_only
from oncue.services.apigatewayv2 import changes, replies, tables
from oncue.services.apigatewayv2.tables import refusal, unpacked


class Stages:
    def create_stage(
        self,
        call: Call,
        *,
        ApiId: str,
        StageName: str,
        AccessLogSettings: dict[str, Any] | None = None,
        AutoDeploy: bool | None = None,
        DefaultRouteSettings: dict[str, Any] | None = None,
        DeploymentId: str | None = None,
        Description: str | None = None,
        RouteSettings: dict[str, dict[str, Any]] | None = None,
        StageVariables: dict[str, str] | None = None,
        Tags: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        members = changes.given(Description=Description, StageVariables=StageVariables, Tags=Tags)
        members |= changes.stage_settings(
            call, ApiId, {}, AccessLogSettings, DefaultRouteSettings, RouteSettings
        )
        changes.add_stage(call, ApiId, StageName, bool(AutoDeploy), DeploymentId, members)
        return replies.stage(tables.stage_row(call, ApiId, StageName))

    @reads_only
    def get_stage(self, call: Call, *, ApiId: str, StageName: str) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.stage(tables.stage_row(call, ApiId, StageName))

    @reads_only
    def get_stages(
        self, call: Call, *, ApiId: str, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        rows = tables.rows_of(call, "stages", ApiId)
        return replies.page(rows, replies.stage, MaxResults, NextToken, key="name")

    def update_stage(
        self,
        call: Call,
        *,
        ApiId: str,
        StageName: str,
        AccessLogSettings: dict[str, Any] | None = None,
        AutoDeploy: bool | None = None,
        DefaultRouteSettings: dict[str, Any] | None = None,
        DeploymentId: str | None = None,
        Description: str | None = None,
        RouteSettings: dict[str, dict[str, Any]] | None = None,
        StageVariables: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Members that are given replace; a stage variable set to "" goes."""
        tables.locked_api(call, ApiId)
        row = tables.stage_row(call, ApiId, StageName)
        members = unpacked(row)
        variables = {**members.get("StageVariables", {}), **(StageVariables or {})}
        members |= changes.given(Description=Description)
        members |= changes.stage_settings(
            call, ApiId, members, AccessLogSettings, DefaultRouteSettings, RouteSettings
        )
        members["StageVariables"] = {name: value for name, value in variables.items() if value}
        changes.check_variables(members["StageVariables"])
        automatic = bool(row["auto_deploy"]) if AutoDeploy is None else AutoDeploy
        changes.check_deployment(call, ApiId, automatic, DeploymentId)
        call.tx.run(
            "UPDATE apigatewayv2_stages SET auto_deploy = :automatic WHERE api_id = :api AND name = :name",
            api=ApiId,
            name=StageName,
            automatic=int(automatic),
        )
        tables.save_stage(call, ApiId, StageName, members)
        if DeploymentId is not None:
            tables.point_stage(call, ApiId, StageName, DeploymentId)
        elif automatic and not row["auto_deploy"]:
            tables.redeploy(call, ApiId)
        return replies.stage(tables.stage_row(call, ApiId, StageName))

    def delete_stage(self, call: Call, *, ApiId: str, StageName: str) -> None:
        tables.locked_api(call, ApiId)
        tables.stage_row(call, ApiId, StageName)
        call.tx.run(
            "DELETE FROM apigatewayv2_stages WHERE api_id = :api AND name = :name", api=ApiId, name=StageName
        )

    def delete_route_settings(self, call: Call, *, ApiId: str, RouteKey: str, StageName: str) -> None:
        """The route falls under the stage's settings again."""
        tables.locked_api(call, ApiId)
        members = unpacked(tables.stage_row(call, ApiId, StageName))
        if RouteKey not in members.get("RouteSettings", {}):
            raise tables.missing(
                f"Unable to find Route by key {RouteKey} within the RouteSettings", "RouteSettings"
            )
        del members["RouteSettings"][RouteKey]
        tables.save_stage(call, ApiId, StageName, members)

    def delete_access_log_settings(self, call: Call, *, ApiId: str, StageName: str) -> None:
        tables.locked_api(call, ApiId)
        members = unpacked(tables.stage_row(call, ApiId, StageName))
        members.pop("AccessLogSettings", None)
        tables.save_stage(call, ApiId, StageName, members)

    # Deployments

    def create_deployment(
        self, call: Call, *, ApiId: str, Description: str | None = None, StageName: str | None = None
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        if not tables.rows_of(call, "routes", ApiId):
            raise refusal("Unable to deploy API because no routes exist in this API")
        if StageName is not None and tables.stage_row(call, ApiId, StageName)["auto_deploy"]:
            raise refusal("A stage with AutoDeploy chooses its own deployment.")
        new_id = tables.add_deployment(call, ApiId, changes.given(Description=Description), automatic=False)
        if StageName is not None:
            tables.point_stage(call, ApiId, StageName, new_id)
        return replies.deployment(tables.deployment_row(call, ApiId, new_id))

    @reads_only
    def get_deployment(self, call: Call, *, ApiId: str, DeploymentId: str) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.deployment(tables.deployment_row(call, ApiId, DeploymentId))

    @reads_only
    def get_deployments(
        self, call: Call, *, ApiId: str, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        rows = tables.rows_of(call, "deployments", ApiId)
        return replies.page(rows, replies.deployment, MaxResults, NextToken)

    def update_deployment(
        self, call: Call, *, ApiId: str, DeploymentId: str, Description: str | None = None
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        members = unpacked(tables.deployment_row(call, ApiId, DeploymentId))
        tables.save(
            call, "deployments", ApiId, DeploymentId, {**members, **changes.given(Description=Description)}
        )
        return replies.deployment(tables.deployment_row(call, ApiId, DeploymentId))

    def delete_deployment(self, call: Call, *, ApiId: str, DeploymentId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.deployment_row(call, ApiId, DeploymentId)
        if any(row["deployment_id"] == DeploymentId for row in tables.rows_of(call, "stages", ApiId)):
            raise refusal("Active stages pointing to this deployment must be moved or deleted")
        call.tx.run(
            "DELETE FROM apigatewayv2_deployments WHERE api_id = :api AND id = :id",
            api=ApiId,
            id=DeploymentId,
        )
