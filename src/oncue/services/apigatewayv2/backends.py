"""Operations on integrations."""

from typing import Any

from oncue.services import Call, reads_only
from oncue.services.apigatewayv2 import changes, integrations, replies, tables
from oncue.services.apigatewayv2.tables import unpacked


class Integrations:
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
        ResponseParameters: dict[str, dict[str, str]] | None = None,
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
            ResponseParameters=ResponseParameters,
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
        ResponseParameters: dict[str, dict[str, str]] | None = None,
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
            ResponseParameters=ResponseParameters,
            TimeoutInMillis=TimeoutInMillis,
        )
        if RequestParameters is not None:
            members["RequestParameters"] = {name: value for name, value in parameters.items() if value}
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
