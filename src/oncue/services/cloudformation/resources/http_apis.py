"""AWS::ApiGatewayV2::Api, ::Stage, ::Integration, ::Route and ::Authorizer."""

from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props, shapes

SETTINGS = [
    "Description",
    "CorsConfiguration",
    "RouteSelectionExpression",
    "Version",
    "DisableExecuteApiEndpoint",
    "ApiKeySelectionExpression",
    "IpAddressType",
]


def openapi(properties: Properties) -> str:
    return msgspec.json.encode(properties["Body"]).decode()


def tag_map(properties: Properties) -> dict[str, str]:
    """In API Gateway v2 the Tags of a template are a map, not a list."""
    tags = properties.get("Tags") or {}
    return {key: str(value) for key, value in tags.items()}


class Api(Kind):
    """Ref: the API's id. GetAtt: ApiEndpoint, ApiId. A Body is an OpenAPI document: import, reimport."""

    type = "AWS::ApiGatewayV2::Api"
    attributes = frozenset({"ApiEndpoint", "ApiId"})
    properties = shapes(
        props(
            "text",
            "Name Description RouteSelectionExpression Version ApiKeySelectionExpression IpAddressType",
        ),
        props("text", "ProtocolType", replaces=True),
        props("map", "Body CorsConfiguration Tags"),
        props("boolean", "DisableExecuteApiEndpoint FailOnWarnings"),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        given = subject.properties
        settings = {key: given[key] for key in SETTINGS if key in given}
        tags = tag_map(given)
        if "Body" in given:
            answer = call.apigatewayv2.import_api(Body=openapi(given), **self.strict(given))
            self.adjust(call, answer["ApiId"], {**settings, **self.named(given)})
            if tags:
                self.tag(call, answer["ApiId"], tags)
        else:
            answer = call.apigatewayv2.create_api(
                Name=given.get("Name", subject.name),
                ProtocolType=given.get("ProtocolType", "HTTP"),
                **settings,
                **({"Tags": tags} if tags else {}),
            )
        return Made(answer["ApiId"], {"ApiEndpoint": answer.get("ApiEndpoint", ""), "ApiId": answer["ApiId"]})

    def strict(self, given: Properties) -> dict[str, Any]:
        return {"FailOnWarnings": given["FailOnWarnings"]} if "FailOnWarnings" in given else {}

    def named(self, given: Properties) -> dict[str, Any]:
        return {"Name": given["Name"]} if "Name" in given else {}

    def adjust(self, call: Call, api_id: str, settings: dict[str, Any]) -> None:
        if settings:
            call.apigatewayv2.update_api(ApiId=api_id, **settings)

    def tag(self, call: Call, api_id: str, tags: dict[str, str]) -> None:
        call.apigatewayv2.tag_resource(ResourceArn=self.arn(call, api_id), Tags=tags)

    def arn(self, call: Call, api_id: str) -> str:
        return f"arn:aws:apigateway:{call.region}::/apis/{api_id}"

    def update(self, call: Call, subject: Subject) -> Made:
        api_id, before, after = subject.physical_id, subject.before, subject.properties
        if "Body" in after and before.get("Body") != after["Body"]:
            call.apigatewayv2.reimport_api(ApiId=api_id, Body=openapi(after), **self.strict(after))
        changed = {key: after[key] for key in (*SETTINGS, "Name") if key in after}
        if "CorsConfiguration" in before and "CorsConfiguration" not in after:
            call.apigatewayv2.delete_cors_configuration(ApiId=api_id)
        self.adjust(call, api_id, changed)
        had, wants = tag_map(before), tag_map(after)
        if had.keys() - wants.keys():
            call.apigatewayv2.untag_resource(
                ResourceArn=self.arn(call, api_id), TagKeys=sorted(had.keys() - wants.keys())
            )
        if wants and wants != had:
            self.tag(call, api_id, wants)
        return Made(api_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.apigatewayv2.delete_api(ApiId=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


class Part(Kind):
    """Something inside an API. Its ApiId and, for a stage, its name replace it; the rest is updated in
    place."""

    made_by: str
    id_member: str  # the member of the answer that Ref gives, and the parameter by which it is addressed
    fixed: frozenset[str] = frozenset()

    def wanted(self, properties: Properties) -> dict[str, Any]:
        given = dict(properties)
        if "Tags" in given:
            given["Tags"] = tag_map(given)
        return given

    def create(self, call: Call, subject: Subject) -> Made:
        answer = getattr(call.apigatewayv2, f"create_{self.made_by}")(**self.wanted(subject.properties))
        physical_id = answer[self.id_member]
        return Made(physical_id, {self.id_member: physical_id})

    def update(self, call: Call, subject: Subject) -> Made:
        left = sorted(subject.before.keys() - subject.properties.keys())
        if left or subject.before.get("Tags") != subject.properties.get("Tags"):
            what = ", ".join(left) or "Tags"
            raise ServiceError(
                "ValidationError",
                f"Oncue does not take {what} away from, or change it on, a {self.type} that is there.",
            )
        given = {
            key: value
            for key, value in self.wanted(subject.properties).items()
            if key not in ("Tags", self.id_member)
        }
        getattr(call.apigatewayv2, f"update_{self.made_by}")(**{self.id_member: subject.physical_id}, **given)
        return Made(subject.physical_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        address = {"ApiId": subject.properties["ApiId"], self.id_member: subject.physical_id}
        try:
            getattr(call.apigatewayv2, f"delete_{self.made_by}")(**address)
        except ServiceError as error:
            if not gone(error.code):
                raise


class Stage(Part):
    type = "AWS::ApiGatewayV2::Stage"
    made_by = "stage"
    id_member = "StageName"
    attributes = frozenset({"StageName"})
    properties = shapes(
        props("text", "ApiId StageName", required=True, replaces=True),
        props("text", "Description DeploymentId"),
        props("boolean", "AutoDeploy"),
        props("map", "DefaultRouteSettings RouteSettings StageVariables AccessLogSettings Tags"),
    )


class Integration(Part):
    type = "AWS::ApiGatewayV2::Integration"
    made_by = "integration"
    id_member = "IntegrationId"
    attributes = frozenset({"IntegrationId"})
    properties = shapes(
        props("text", "ApiId", required=True, replaces=True),
        props("text", "IntegrationType", required=True),
        props(
            "text",
            "ConnectionId ConnectionType CredentialsArn Description IntegrationMethod IntegrationSubtype "
            "IntegrationUri PassthroughBehavior PayloadFormatVersion TemplateSelectionExpression",
        ),
        props("integer", "TimeoutInMillis"),
        props("map", "RequestParameters RequestTemplates ResponseParameters TlsConfig"),
    )

    def wanted(self, properties: Properties) -> dict[str, Any]:
        """CloudFormation lists response parameters where the API maps them."""
        given = super().wanted(properties)
        by_status = given.get("ResponseParameters") or {}
        if by_status:
            given["ResponseParameters"] = {
                status: {one["Destination"]: one["Source"] for one in changes.get("ResponseParameters", [])}
                for status, changes in by_status.items()
            }
        return given


class Route(Part):
    type = "AWS::ApiGatewayV2::Route"
    made_by = "route"
    id_member = "RouteId"
    attributes = frozenset({"RouteId"})
    properties = shapes(
        props("text", "ApiId", required=True, replaces=True),
        props("text", "RouteKey", required=True),
        props("text", "AuthorizationType AuthorizerId OperationName Target"),
        props("boolean", "ApiKeyRequired"),
        props("list", "AuthorizationScopes"),
    )


class Authorizer(Part):
    type = "AWS::ApiGatewayV2::Authorizer"
    made_by = "authorizer"
    id_member = "AuthorizerId"
    attributes = frozenset({"AuthorizerId"})
    properties = shapes(
        props("text", "ApiId AuthorizerType", required=True, replaces=True),
        props("text", "Name", required=True),
        props(
            "text",
            "AuthorizerCredentialsArn AuthorizerPayloadFormatVersion AuthorizerUri "
            "IdentityValidationExpression",
        ),
        props("integer", "AuthorizerResultTtlInSeconds"),
        props("boolean", "EnableSimpleResponses"),
        props("list", "IdentitySource"),
        props("map", "JwtConfiguration"),
    )


KINDS: tuple[Kind, ...] = (Api(), Stage(), Integration(), Route(), Authorizer())
