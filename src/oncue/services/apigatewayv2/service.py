"""API Gateway v2: the operations on HTTP APIs, and the way in for their requests."""

from typing import Any

from oncue.services import Call, Service, reads_only
from oncue.services.apigatewayv2 import (
    changes,
    gateway,
    integrations,
    openapi,
    replies,
    routing,
    tables,
    tags,
)
from oncue.services.apigatewayv2.tables import refusal, unpacked
from oncue.services.apigatewayv2.web import WebReply, WebRequest


class Apigatewayv2(Service):
    name = "apigatewayv2"
    refusal = "BadRequestException"

    def __init__(self) -> None:
        self._gateway = gateway.Gateway()

    async def stop(self) -> None:
        await self._gateway.stop()

    async def owner(self, call: Call, api_id: str) -> tuple[str, str] | None:
        """(account, region) of an API, whoever asks; None when there is no such API."""
        return await self._gateway.owner(call, api_id)

    async def handle(self, call: Call, api_id: str, request: WebRequest) -> WebReply:
        """Answer one request to an API. `call` speaks for the API's owner."""
        return await self._gateway.handle(call, api_id, request)

    # APIs

    def create_api(
        self,
        call: Call,
        *,
        Name: str,
        ProtocolType: str,
        ApiKeySelectionExpression: str | None = None,
        CorsConfiguration: dict[str, Any] | None = None,
        CredentialsArn: str | None = None,
        Description: str | None = None,
        DisableExecuteApiEndpoint: bool | None = None,
        IpAddressType: str | None = None,
        RouteKey: str | None = None,
        RouteSelectionExpression: str | None = None,
        Tags: dict[str, str] | None = None,
        Target: str | None = None,
        Version: str | None = None,
    ) -> dict[str, Any]:
        if ProtocolType != "HTTP":
            raise refusal(f"Oncue does not support APIs of the protocol type {ProtocolType}; HTTP is there.")
        changes.check_selection(RouteSelectionExpression, ApiKeySelectionExpression)
        members = changes.given(
            Name=Name,
            CorsConfiguration=CorsConfiguration,
            Description=Description,
            DisableExecuteApiEndpoint=DisableExecuteApiEndpoint,
            IpAddressType=IpAddressType,
            Tags=Tags,
            Version=Version,
        )
        api_id = changes.add_api(call, members)
        if Target is not None:
            changes.quick_create(call, api_id, RouteKey or routing.DEFAULT, Target, CredentialsArn)
        elif RouteKey is not None or CredentialsArn is not None:
            raise refusal("RouteKey and CredentialsArn are for quick create, which needs a Target.")
        return replies.api(call, tables.api_row(call, api_id))

    @reads_only
    def get_api(self, call: Call, *, ApiId: str) -> dict[str, Any]:
        return replies.api(call, tables.api_row(call, ApiId))

    @reads_only
    def get_apis(
        self, call: Call, *, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        return replies.page(changes.apis(call), lambda row: replies.api(call, row), MaxResults, NextToken)

    def update_api(
        self,
        call: Call,
        *,
        ApiId: str,
        ApiKeySelectionExpression: str | None = None,
        CorsConfiguration: dict[str, Any] | None = None,
        Description: str | None = None,
        DisableExecuteApiEndpoint: bool | None = None,
        IpAddressType: str | None = None,
        Name: str | None = None,
        RouteSelectionExpression: str | None = None,
        Version: str | None = None,
    ) -> dict[str, Any]:
        members = unpacked(tables.locked_api(call, ApiId))
        changes.check_selection(RouteSelectionExpression, ApiKeySelectionExpression)
        members |= changes.given(
            Name=Name,
            CorsConfiguration=CorsConfiguration,
            Description=Description,
            DisableExecuteApiEndpoint=DisableExecuteApiEndpoint,
            IpAddressType=IpAddressType,
            Version=Version,
        )
        changes.check_api(members)
        tables.save_api(call, ApiId, members)
        return replies.api(call, tables.api_row(call, ApiId))

    def delete_cors_configuration(self, call: Call, *, ApiId: str) -> None:
        members = unpacked(tables.locked_api(call, ApiId))
        members.pop("CorsConfiguration", None)
        tables.save_api(call, ApiId, members)

    def delete_api(self, call: Call, *, ApiId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.clear_parts(call, ApiId)
        for table in ("stages", "deployments"):
            call.tx.run(f"DELETE FROM apigatewayv2_{table} WHERE api_id = :api", api=ApiId)
        call.tx.run("DELETE FROM apigatewayv2_apis WHERE id = :id", id=ApiId)

    def import_api(
        self, call: Call, *, Body: str, Basepath: str | None = None, FailOnWarnings: bool | None = None
    ) -> dict[str, Any]:
        changes.check_basepath(Basepath)
        imported = openapi.read(Body)
        api_id = changes.add_api(call, imported.api)
        changes.add_imported(call, api_id, imported)
        return replies.api(call, tables.api_row(call, api_id))

    def reimport_api(
        self,
        call: Call,
        *,
        ApiId: str,
        Body: str,
        Basepath: str | None = None,
        FailOnWarnings: bool | None = None,
    ) -> dict[str, Any]:
        """The document takes the place of every route and integration; stages stay."""
        changes.check_basepath(Basepath)
        former = unpacked(tables.locked_api(call, ApiId))
        imported = openapi.read(Body)
        lasting = ("DisableExecuteApiEndpoint", "Tags")
        members = {name: value for name, value in former.items() if name in lasting} | imported.api
        changes.check_api(members)
        tables.save_api(call, ApiId, members)
        tables.clear_parts(call, ApiId)
        changes.add_imported(call, ApiId, imported)
        return replies.api(call, tables.api_row(call, ApiId))

    # Integrations

    def create_integration(
        self,
        call: Call,
        *,
        ApiId: str,
        IntegrationType: str,
        ConnectionType: str | None = None,
        CredentialsArn: str | None = None,
        Description: str | None = None,
        IntegrationMethod: str | None = None,
        IntegrationSubtype: str | None = None,
        IntegrationUri: str | None = None,
        PassthroughBehavior: str | None = None,
        PayloadFormatVersion: str | None = None,
        RequestParameters: dict[str, str] | None = None,
        TimeoutInMillis: int | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        members = changes.given(
            IntegrationType=IntegrationType,
            ConnectionType=ConnectionType,
            CredentialsArn=CredentialsArn,
            Description=Description,
            IntegrationMethod=IntegrationMethod,
            IntegrationSubtype=IntegrationSubtype,
            IntegrationUri=IntegrationUri,
            PassthroughBehavior=PassthroughBehavior,
            PayloadFormatVersion=PayloadFormatVersion,
            RequestParameters=RequestParameters,
            TimeoutInMillis=TimeoutInMillis,
        )
        new_id = tables.add_integration(call, ApiId, integrations.checked(members))
        tables.redeploy(call, ApiId)
        return replies.integration(tables.integration_row(call, ApiId, new_id))

    @reads_only
    def get_integration(self, call: Call, *, ApiId: str, IntegrationId: str) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.integration(tables.integration_row(call, ApiId, IntegrationId))

    @reads_only
    def get_integrations(
        self, call: Call, *, ApiId: str, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        rows = tables.rows_of(call, "integrations", ApiId)
        return replies.page(rows, replies.integration, MaxResults, NextToken)

    def update_integration(
        self,
        call: Call,
        *,
        ApiId: str,
        IntegrationId: str,
        ConnectionType: str | None = None,
        CredentialsArn: str | None = None,
        Description: str | None = None,
        IntegrationMethod: str | None = None,
        IntegrationSubtype: str | None = None,
        IntegrationType: str | None = None,
        IntegrationUri: str | None = None,
        PassthroughBehavior: str | None = None,
        PayloadFormatVersion: str | None = None,
        RequestParameters: dict[str, str] | None = None,
        TimeoutInMillis: int | None = None,
    ) -> dict[str, Any]:
        """Members that are given replace; a request parameter set to "" goes."""
        tables.locked_api(call, ApiId)
        members = unpacked(tables.integration_row(call, ApiId, IntegrationId))
        parameters = {**members.get("RequestParameters", {}), **(RequestParameters or {})}
        members |= changes.given(
            IntegrationType=IntegrationType,
            ConnectionType=ConnectionType,
            CredentialsArn=CredentialsArn,
            Description=Description,
            IntegrationMethod=IntegrationMethod,
            IntegrationSubtype=IntegrationSubtype,
            IntegrationUri=IntegrationUri,
            PassthroughBehavior=PassthroughBehavior,
            PayloadFormatVersion=PayloadFormatVersion,
            RequestParameters={name: value for name, value in parameters.items() if value} or None,
            TimeoutInMillis=TimeoutInMillis,
        )
        tables.save(call, "integrations", ApiId, IntegrationId, integrations.checked(members))
        tables.redeploy(call, ApiId)
        return replies.integration(tables.integration_row(call, ApiId, IntegrationId))

    def delete_integration(self, call: Call, *, ApiId: str, IntegrationId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.integration_row(call, ApiId, IntegrationId)
        target = f"integrations/{IntegrationId}"
        users = [
            row["id"]
            for row in tables.rows_of(call, "routes", ApiId)
            if unpacked(row).get("Target") == target
        ]
        if users:
            raise tables.conflict(
                "Cannot delete Integration because it is referenced by the following Routes with Ids: "
                f"[{', '.join(users)}]"
            )
        call.tx.run(
            "DELETE FROM apigatewayv2_integrations WHERE api_id = :api AND id = :id",
            api=ApiId,
            id=IntegrationId,
        )
        tables.redeploy(call, ApiId)

    # Routes

    def create_route(
        self,
        call: Call,
        *,
        ApiId: str,
        RouteKey: str,
        ApiKeyRequired: bool | None = None,
        AuthorizationType: str | None = None,
        OperationName: str | None = None,
        Target: str | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        changes.check_openness(ApiKeyRequired, AuthorizationType)
        changes.check_route_key(RouteKey, changes.route_keys(call, ApiId))
        changes.check_target(call, ApiId, Target)
        new_id = tables.add_route(
            call, ApiId, RouteKey, changes.given(OperationName=OperationName, Target=Target)
        )
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
        AuthorizationType: str | None = None,
        OperationName: str | None = None,
        RouteKey: str | None = None,
        Target: str | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        row = tables.route_row(call, ApiId, RouteId)
        changes.check_openness(ApiKeyRequired, AuthorizationType)
        changes.check_target(call, ApiId, Target)
        if RouteKey is not None and RouteKey != row["route_key"]:
            changes.check_route_key(RouteKey, changes.route_keys(call, ApiId, besides=RouteId))
            call.tx.run(
                "UPDATE apigatewayv2_routes SET route_key = :key WHERE api_id = :api AND id = :id",
                api=ApiId,
                id=RouteId,
                key=RouteKey,
            )
        members = {**unpacked(row), **changes.given(OperationName=OperationName, Target=Target)}
        tables.save(call, "routes", ApiId, RouteId, members)
        tables.redeploy(call, ApiId)
        return replies.route(tables.route_row(call, ApiId, RouteId))

    def delete_route(self, call: Call, *, ApiId: str, RouteId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.route_row(call, ApiId, RouteId)
        call.tx.run("DELETE FROM apigatewayv2_routes WHERE api_id = :api AND id = :id", api=ApiId, id=RouteId)
        tables.redeploy(call, ApiId)

    # Stages

    def create_stage(
        self,
        call: Call,
        *,
        ApiId: str,
        StageName: str,
        AutoDeploy: bool | None = None,
        DeploymentId: str | None = None,
        Description: str | None = None,
        StageVariables: dict[str, str] | None = None,
        Tags: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        members = changes.given(Description=Description, StageVariables=StageVariables, Tags=Tags)
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
        AutoDeploy: bool | None = None,
        DeploymentId: str | None = None,
        Description: str | None = None,
        StageVariables: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Members that are given replace; a stage variable set to "" goes."""
        tables.locked_api(call, ApiId)
        row = tables.stage_row(call, ApiId, StageName)
        members = unpacked(row)
        variables = {**members.get("StageVariables", {}), **(StageVariables or {})}
        members |= changes.given(Description=Description)
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

    # Tags

    def tag_resource(self, call: Call, *, ResourceArn: str, Tags: dict[str, str] | None = None) -> None:
        tags.change(call, ResourceArn, lambda former: {**former, **(Tags or {})})

    def untag_resource(self, call: Call, *, ResourceArn: str, TagKeys: list[str]) -> None:
        tags.change(call, ResourceArn, lambda former: {k: v for k, v in former.items() if k not in TagKeys})

    @reads_only
    def get_tags(self, call: Call, *, ResourceArn: str) -> dict[str, Any]:
        return {"Tags": tags.of(call, ResourceArn)}
