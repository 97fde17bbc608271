"""Operations on authorizers."""

from typing import Any

from oncue.services import Call, reads_only
from oncue.services.apigatewayv2 import authorizers, replies, tables
from oncue.services.apigatewayv2.changes import given
from oncue.services.apigatewayv2.tables import refusal, unpacked


class Authorizers:
    def create_authorizer(
        self,
        call: Call,
        *,
        ApiId: str,
        AuthorizerType: str,
        IdentitySource: list[str],
        Name: str,
        AuthorizerCredentialsArn: str | None = None,
        AuthorizerPayloadFormatVersion: str | None = None,
        AuthorizerResultTtlInSeconds: int | None = None,
        AuthorizerUri: str | None = None,
        EnableSimpleResponses: bool | None = None,
        IdentityValidationExpression: str | None = None,
        JwtConfiguration: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`IdentityValidationExpression` is for WebSocket APIs; only an empty one is taken."""
        tables.locked_api(call, ApiId)
        authorizers.check_expression(IdentityValidationExpression)
        members = given(
            AuthorizerType=AuthorizerType,
            IdentitySource=IdentitySource,
            Name=Name,
            AuthorizerCredentialsArn=AuthorizerCredentialsArn,
            AuthorizerPayloadFormatVersion=AuthorizerPayloadFormatVersion,
            AuthorizerResultTtlInSeconds=AuthorizerResultTtlInSeconds,
            AuthorizerUri=AuthorizerUri,
            EnableSimpleResponses=EnableSimpleResponses,
            JwtConfiguration=JwtConfiguration,
        )
        new_id = tables.add_authorizer(call, ApiId, authorizers.checked(members))
        tables.redeploy(call, ApiId)
        return replies.authorizer(tables.authorizer_row(call, ApiId, new_id))

    @reads_only
    def get_authorizer(self, call: Call, *, ApiId: str, AuthorizerId: str) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        return replies.authorizer(tables.authorizer_row(call, ApiId, AuthorizerId))

    @reads_only
    def get_authorizers(
        self, call: Call, *, ApiId: str, MaxResults: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        tables.api_row(call, ApiId)
        rows = tables.rows_of(call, "authorizers", ApiId)
        return replies.page(rows, replies.authorizer, MaxResults, NextToken)

    def update_authorizer(
        self,
        call: Call,
        *,
        ApiId: str,
        AuthorizerId: str,
        AuthorizerCredentialsArn: str | None = None,
        AuthorizerPayloadFormatVersion: str | None = None,
        AuthorizerResultTtlInSeconds: int | None = None,
        AuthorizerType: str | None = None,
        AuthorizerUri: str | None = None,
        EnableSimpleResponses: bool | None = None,
        IdentitySource: list[str] | None = None,
        IdentityValidationExpression: str | None = None,
        JwtConfiguration: dict[str, Any] | None = None,
        Name: str | None = None,
    ) -> dict[str, Any]:
        tables.locked_api(call, ApiId)
        authorizers.check_expression(IdentityValidationExpression)
        members = unpacked(tables.authorizer_row(call, ApiId, AuthorizerId))
        if AuthorizerType not in (None, members["AuthorizerType"]):
            raise refusal("AuthorizerType cannot be changed.")
        members |= given(
            IdentitySource=IdentitySource,
            Name=Name,
            AuthorizerCredentialsArn=AuthorizerCredentialsArn,
            AuthorizerPayloadFormatVersion=AuthorizerPayloadFormatVersion,
            AuthorizerResultTtlInSeconds=AuthorizerResultTtlInSeconds,
            AuthorizerUri=AuthorizerUri,
            EnableSimpleResponses=EnableSimpleResponses,
            JwtConfiguration=JwtConfiguration,
        )
        tables.save_authorizer(call, ApiId, AuthorizerId, authorizers.checked(members))
        tables.redeploy(call, ApiId)
        return replies.authorizer(tables.authorizer_row(call, ApiId, AuthorizerId))

    def delete_authorizer(self, call: Call, *, ApiId: str, AuthorizerId: str) -> None:
        tables.locked_api(call, ApiId)
        tables.authorizer_row(call, ApiId, AuthorizerId)
        routes = tables.rows_of(call, "routes", ApiId)
        users = [row["id"] for row in routes if unpacked(row).get("AuthorizerId") == AuthorizerId]
        if users:
            raise tables.conflict(
                "Cannot delete Authorizer because it is referenced by the following Routes with Ids: "
                f"[{', '.join(users)}]"
            )
        call.tx.run(
            "DELETE FROM apigatewayv2_authorizers WHERE api_id = :api AND id = :id",
            api=ApiId,
            id=AuthorizerId,
        )
        tables.redeploy(call, ApiId)
