"""Operations on HTTP APIs as a whole, OpenAPI documents and tags among them."""

from typing import Any

import msgspec

from oncue.services import Call, reads_only
from oncue.services.apigatewayv2 import changes, exports, openapi, replies, routing, tables, tags
from oncue.services.apigatewayv2.tables import refusal, unpacked


class Apis:
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
            RouteSelectionExpression=RouteSelectionExpression,
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
            RouteSelectionExpression=RouteSelectionExpression,
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

    @reads_only
    def export_api(
        self,
        call: Call,
        *,
        ApiId: str,
        OutputType: str,
        Specification: str,
        ExportVersion: str | None = None,
        IncludeExtensions: bool | None = None,
        StageName: str | None = None,
    ) -> dict[str, Any]:
        """The API as it is, or as the stage serves it."""
        if Specification != "OAS30" or ExportVersion not in (None, "1.0"):
            raise refusal("Specification has to be OAS30, and ExportVersion 1.0.")
        if OutputType != "JSON":
            raise refusal(
                f"Oncue does not support the OutputType {OutputType}; JSON, which YAML contains, is there."
            )
        api = tables.api_row(call, ApiId)
        content = tables.content(call, ApiId)
        if StageName is not None:
            deployed = tables.stage_row(call, ApiId, StageName)["deployment_id"]
            if deployed is None:
                raise refusal(f"The stage {StageName} has no deployment.")
            content = unpacked(tables.deployment_row(call, ApiId, deployed), "content")
        found = exports.document(unpacked(api), **content, extensions=IncludeExtensions is not False)
        return {"body": msgspec.json.encode(found)}

    # Tags

    def tag_resource(self, call: Call, *, ResourceArn: str, Tags: dict[str, str] | None = None) -> None:
        tags.change(call, ResourceArn, lambda former: {**former, **(Tags or {})})

    def untag_resource(self, call: Call, *, ResourceArn: str, TagKeys: list[str]) -> None:
        tags.change(call, ResourceArn, lambda former: {k: v for k, v in former.items() if k not in TagKeys})

    @reads_only
    def get_tags(self, call: Call, *, ResourceArn: str) -> dict[str, Any]:
        return {"Tags": tags.of(call, ResourceArn)}
