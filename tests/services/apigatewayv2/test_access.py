"""Who may pass a route: tokens of an issuer, functions that decide, and signatures."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from oncue import clock
from oncue.errors import ServiceError
from oncue.services.apigatewayv2 import policies, tokens
from oncue.services.apigatewayv2.web import Signer, WebReply
from tests.services.apigatewayv2.conftest import ACCOUNT, FUNCTION, REGION, House

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key: rsa.RSAPrivateKey, name: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    parts = {"n": numbers.n, "e": numbers.e}
    shown = {k: text_of(v.to_bytes((v.bit_length() + 7) // 8)) for k, v in parts.items()}
    return {"kty": "RSA", "kid": name, "alg": "RS256", "use": "sig", **shown}


class Issuer:
    """Signs tokens, and tells its keys over HTTP; `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[dict[str, str]] = [{"kty": "EC", "kid": "e"}, jwk(KEY, "k1")]
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/pool"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        pages = {
            "/pool/.well-known/openid-configuration": {"jwks_uri": f"{self.url}/keys"},
            "/pool/keys": {"keys": self.keys},
        }
        body = json.dumps(pages.get(path)).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        )
        writer.close()

    def token(
        self, *, key: rsa.RSAPrivateKey = KEY, kid: Any = "k1", alg: str = "RS256", **claims: Any
    ) -> str:
        now = clock.now()
        told = {
            "iss": self.url,
            "aud": ["app", "b"],
            "exp": now + 60,
            "iat": now - 1,
            "sub": "me",
            "n": 7,
            **claims,
        }
        head = {"alg": alg, "kid": kid}
        given = {name: value for name, value in told.items() if value is not None}
        signed = ".".join(text_of(json.dumps(part).encode()) for part in (head, given))
        return f"{signed}.{text_of(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.port = server.sockets[0].getsockname()[1]
    yield issuer
    server.close()


async def guard(house: House, api: str, kind: str, authorizer: dict[str, Any] | None, **members: Any) -> None:
    """Put the API's only route behind an authorizer."""
    (route,) = (await house.do("GetRoutes", ApiId=api))["Items"]
    if authorizer is not None:
        made = await house.do("CreateAuthorizer", ApiId=api, Name="a", **authorizer)
        members["AuthorizerId"] = made["AuthorizerId"]
    await house.do("UpdateRoute", ApiId=api, RouteId=route["RouteId"], AuthorizationType=kind, **members)


def jwt(issuer: Issuer) -> dict[str, Any]:
    return {
        "AuthorizerType": "JWT",
        "IdentitySource": ["$request.header.Authorization"],
        "JwtConfiguration": {"Issuer": issuer.url, "Audience": ["app"]},
    }


def asking(version: str, **members: Any) -> dict[str, Any]:
    return {
        "AuthorizerType": "REQUEST",
        "IdentitySource": ["$request.header.x-key"],
        "AuthorizerUri": FUNCTION,
        "AuthorizerPayloadFormatVersion": version,
        **members,
    }


def reason(reply: WebReply) -> str:
    return dict(reply.headers).get("www-authenticate", "")


async def test_a_token_lets_in(house: House, issuer: Issuer) -> None:
    api = await house.api("GET /a")
    await guard(house, api, "JWT", jwt(issuer))
    for written in (f"Bearer {issuer.token()}", issuer.token(), f"bearer {issuer.token(aud='app')}"):
        assert (await house.ask(api, "/a", authorization=written)).status == 200
    context = house.function.events[0]["requestContext"]["authorizer"]["jwt"]
    assert context["scopes"] is None
    assert (context["claims"]["sub"], context["claims"]["n"], context["claims"]["aud"]) == (
        "me",
        "7",
        "[app b]",
    )
    assert issuer.asked == ["/pool/.well-known/openid-configuration", "/pool/keys"], "kept"
    assert (await house.ask(api, "/a", authorization=issuer.token(aud=None, client_id="app"))).status == 200


async def test_tokens_that_do_not_let_in(house: House, issuer: Issuer) -> None:
    api = await house.api("GET /a")
    await guard(house, api, "JWT", jwt(issuer))
    missing = await house.ask(api, "/a")
    assert (missing.status, missing.body, reason(missing)) == (401, b'{"message":"Unauthorized"}', "Bearer")
    now = clock.now()
    wrong = {
        issuer.token(aud="other"): "the token does not have a valid audience",
        issuer.token(iss="http://elsewhere"): "the token does not have a valid issuer",
        issuer.token(exp=now - 1): "the token has expired",
        issuer.token(exp=None): "the token has expired",
        issuer.token(nbf=now + 60): "the token is not valid yet",
        issuer.token(key=OTHER_KEY): "the token's signature is invalid",
        issuer.token(kid="k9"): "unable to find a signing key that matches the token's key id",
        issuer.token(kid=None): "the token does not have a key id",
        issuer.token(alg="none"): "signing method none is invalid",
        issuer.token(alg="HS256"): "signing method HS256 is invalid",
        "x.y": "token contains an invalid number of segments",
        "x.y.z": "the token is malformed",
        f"{text_of(b'[' * 3_000)}.{text_of(b'{}')}.z": "the token is malformed",
        "": "",
    }
    for text, why in wrong.items():
        reply = await house.ask(api, "/a", authorization=f"Bearer {text}")
        assert (reply.status, reply.body) == (401, b'{"message":"Unauthorized"}')
        assert f'error="invalid_token" error_description="{why}' in reason(reply)
    assert house.function.events == []


async def test_scopes(house: House, issuer: Issuer) -> None:
    api = await house.api("GET /a")
    await guard(house, api, "JWT", jwt(issuer), AuthorizationScopes=["read", "write"])
    refused = await house.ask(api, "/a", authorization=issuer.token(scope="else"))
    assert (refused.status, refused.body) == (403, b'{"message":"Forbidden"}')
    assert reason(refused).startswith('Bearer scope="read write" error="insufficient_scope"')
    assert (await house.ask(api, "/a", authorization=issuer.token(scope="else read"))).status == 200
    assert house.function.events[0]["requestContext"]["authorizer"]["jwt"]["scopes"] == ["read"]
    assert (await house.ask(api, "/a", authorization=issuer.token(scp=["write"]))).status == 200


async def test_an_issuer_that_cannot_be_asked(house: House, issuer: Issuer) -> None:
    api = await house.api("GET /a")
    await guard(house, api, "JWT", jwt(issuer))
    issuer.keys.clear()
    reply = await house.ask(api, "/a", authorization=issuer.token())
    assert reply.status == 401
    assert "OIDC discovery endpoint communication error" in reason(reply)
    asked = len(issuer.asked)
    await house.ask(api, "/a", authorization=issuer.token())
    assert len(issuer.asked) == asked, "nobody makes us ask all the time"


def test_keys_that_are_not_taken() -> None:
    with pytest.raises(ValueError, match="bits"):
        tokens.keys_of(json.dumps({"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}]}).encode())
    for document in (b"x", b"[]", b'{"keys":1}'):
        with pytest.raises(ValueError):
            tokens.keys_of(document)


async def test_a_function_decides_simply(house: House) -> None:
    api = await house.api("GET /a/{id}")
    await guard(house, api, "CUSTOM", asking("2.0", EnableSimpleResponses=True))
    missing = await house.ask(api, "/a/1")
    assert (missing.status, missing.body, house.function.events) == (401, b'{"message":"Unauthorized"}', [])
    house.function.result = {"Payload": b'{"isAuthorized":true,"context":{"user":"u","n":[1]}}'}
    assert (await house.ask(api, "/a/1?q=1", x_key="k")).status == 200
    asked, event = house.function.events
    assert (asked["version"], asked["type"], asked["identitySource"]) == ("2.0", "REQUEST", ["k"])
    assert asked["routeArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/$default/GET/a/1"
    assert asked["pathParameters"] == {"id": "1"}
    assert "body" not in asked
    assert event["requestContext"]["authorizer"] == {"lambda": {"user": "u", "n": [1]}}
    house.function.result = {"Payload": b'{"isAuthorized":false}'}
    denied = await house.ask(api, "/a/1", x_key="k")
    assert (denied.status, denied.body) == (403, b'{"message":"Forbidden"}')


@pytest.mark.parametrize(
    "result",
    [
        {"Payload": b"null"},
        {"Payload": b'{"isAuthorized":"yes"}'},
        {"Payload": b'{"isAuthorized":true,"context":[]}'},
        {"Payload": b'{"isAuthorized":true}', "FunctionError": "Unhandled"},
    ],
)
async def test_a_function_that_does_not_decide(house: House, result: dict[str, Any]) -> None:
    api = await house.api("GET /a")
    await guard(house, api, "CUSTOM", asking("2.0", EnableSimpleResponses=True))
    house.function.result = result
    reply = await house.ask(api, "/a", x_key="k")
    assert (reply.status, reply.body) == (500, b'{"message":"Internal Server Error"}')
    house.function.refusal = ServiceError("ResourceNotFoundException", "Function not found", 404)
    assert (await house.ask(api, "/a", x_key="k")).status == 500


def policy(effect: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource, **more}


async def test_a_policy_is_asked_for_each_route_and_kept(house: House) -> None:
    api = await house.api("GET /a/{proxy+}", PayloadFormatVersion="1.0")
    await guard(house, api, "CUSTOM", asking("1.0", AuthorizerResultTtlInSeconds=60))
    place = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}"
    statements = [policy("Allow", f"{place}/*/GET/a/*"), policy("Deny", f"{place}/*/a/secret?")]
    found = {"principalId": "p", "policyDocument": {"Statement": statements}, "context": {"user": "u"}}
    house.function.result = {"statusCode": 200, "Payload": json.dumps(found | {"statusCode": 200}).encode()}
    assert (await house.ask(api, "/a/b", x_key="k")).status == 200
    asked, event = house.function.events
    assert (asked["type"], asked["identitySource"], asked["authorizationToken"]) == ("REQUEST", "k", "k")
    assert asked["methodArn"] == f"{place}/$default/GET/a/b"
    assert event["requestContext"]["authorizer"] == {"principalId": "p", "user": "u"}
    assert (await house.ask(api, "/a/secrets", x_key="k")).status == 403
    assert (await house.ask(api, "/a/c", x_key="k")).status == 200
    assert len(house.function.events) == 3, "decided once, and two requests that passed"
    await house.ask(api, "/a/c", x_key="other")
    assert len(house.function.events) == 5, "another identity is another decision"


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([policy("Allow", "*")], True),
        ([policy("Allow", "*"), policy("Deny", "*")], False),
        ([policy("Allow", "*", Action="execute-api:invok?")], True),
        ([policy("Allow", "*", Action=["s3:*", "*"])], True),
        ([policy("Allow", "*", Action="execute-api:Manage")], False),
        ([policy("Allow", "arn:aws:execute-api:r:1:api/*/GET/?")], True),
        ([policy("Allow", "arn:aws:execute-api:r:1:api/*/POST/*")], False),
        ([policy("Allow", "arn:aws:execute-api:r:1:api")], False),
        (policy("Allow", "*"), True),
    ],
)
def test_policies(statements: Any, allowed: bool) -> None:
    assert policies.allows({"Statement": statements}, "arn:aws:execute-api:r:1:api/prod/GET/a") is allowed


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"Statement": ["x"]},
        {"Statement": policy("Perhaps", "*")},
        {"Statement": policy("Allow", "*", Resource=1)},
        {"Statement": policy("Allow", "*", Condition={})},
        {"Statement": {"Effect": "Allow", "Action": "*"}},
    ],
)
def test_documents_that_are_no_policy(document: Any) -> None:
    with pytest.raises(policies.MalformedPolicyError):
        policies.allows(document, "arn")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_a_signature(house: House, version: str) -> None:
    api = await house.api("GET /a", PayloadFormatVersion=version)
    house.function.result = {"Payload": b'{"statusCode":200}'}
    await guard(house, api, "AWS_IAM", None)
    for signer in (None, Signer("AKID", "999999999999")):
        house.signer = signer
        reply = await house.ask(api, "/a")
        assert (reply.status, reply.body) == (403, b'{"message":"Forbidden"}')
    house.signer = Signer("AKID", ACCOUNT)
    assert (await house.ask(api, "/a")).status == 200
    context = house.function.events[0]["requestContext"]
    if version == "2.0":
        assert context["authorizer"]["iam"]["accessKey"] == "AKID"
    else:
        assert (context["identity"]["accessKey"], context["identity"]["accountId"]) == ("AKID", ACCOUNT)


def schemes_of_sam(issuer: str) -> dict[str, Any]:
    return {
        "J": {
            "type": "oauth2",
            "x-amazon-apigateway-authorizer": {
                "type": "jwt",
                "jwtConfiguration": {"issuer": issuer, "audience": ["app"]},
                "identitySource": "$request.header.Authorization",
            },
        },
        "L": {
            "type": "apiKey",
            "name": "Unused",
            "in": "header",
            "x-amazon-apigateway-authorizer": {
                "type": "request",
                "authorizerUri": FUNCTION,
                "authorizerPayloadFormatVersion": "2.0",
                "enableSimpleResponses": True,
                "identitySource": "$request.header.a, $request.querystring.b",
                "authorizerResultTtlInSeconds": 30,
            },
        },
        "AWS_IAM": {"type": "apiKey", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"},
    }


async def test_authorizers_in_a_document(house: House, issuer: Issuer) -> None:
    """As SAM writes them, exported and imported again."""
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": FUNCTION, "payloadFormatVersion": "2.0"}
    schemes = schemes_of_sam(issuer.url)
    paths = {
        path: {"get": {"security": security, "x-amazon-apigateway-integration": integration}}
        for path, security in {
            "/j": [{"J": ["read"]}],
            "/l/{id}": [{"L": []}],
            "/i": [{"AWS_IAM": []}],
            "/open": [{"NONE": []}],
        }.items()
    }
    document = {
        "openapi": "3.0.1",
        "info": {"title": "t"},
        "components": {"securitySchemes": schemes},
        "paths": paths,
    }
    api = (await house.do("ImportApi", Body=json.dumps(document)))["ApiId"]
    for stage in ("$default", "prod"):
        await house.do("CreateStage", ApiId=api, StageName=stage, AutoDeploy=True)
    routes = {one["RouteKey"]: one for one in (await house.do("GetRoutes", ApiId=api))["Items"]}
    kinds = {key: one["AuthorizationType"] for key, one in routes.items()}
    assert kinds == {"GET /j": "JWT", "GET /l/{id}": "CUSTOM", "GET /i": "AWS_IAM", "GET /open": "NONE"}
    assert routes["GET /j"]["AuthorizationScopes"] == ["read"]
    for path, status in (("/j", 401), ("/l/1", 401), ("/i", 403), ("/open", 200)):
        assert (await house.ask(api, path)).status == status
    export = {"ApiId": api, "Specification": "OAS30", "OutputType": "JSON"}
    exported = (await house.do("ExportApi", **export))["body"]
    again = (await house.do("ImportApi", Body=exported.decode()))["ApiId"]
    assert (await house.do("ExportApi", **export | {"ApiId": again}))["body"] == exported
    assert (await house.do("ExportApi", **export, StageName="prod"))["body"] == exported
    bare = json.loads((await house.do("ExportApi", **export, IncludeExtensions=False))["body"])
    assert "components" not in bare
    assert "x-amazon" not in json.dumps(bare)
    for wrong in ({"Specification": "OAS20"}, {"OutputType": "YAML"}):
        with pytest.raises(ServiceError):
            await house.do("ExportApi", **export | wrong)
    for unknown in ([{"X": []}], [{"J": []}, {"L": []}], "J"):
        paths["/j"]["get"]["security"] = unknown
        with pytest.raises(ServiceError):
            await house.do("ImportApi", Body=json.dumps(document))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Allow", "Deny", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Action", "Resource", "alg", "kid", "iss", "aud", "exp", "nbf"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES, JSON_VALUES, st.binary(max_size=20))
def test_tokens_of_any_content_are_read_or_refused(head: Any, claims: Any, signature: bytes) -> None:
    parts = (json.dumps(head).encode(), json.dumps(claims).encode(), signature)
    with contextlib.suppress(tokens.TokenError):
        token = tokens.read(".".join(text_of(part) for part in parts))
        tokens.check_claims(token.claims, "i", ["a"], 1.0)
    if isinstance(claims, dict):
        tokens.scopes_of(claims)
        assert all(isinstance(value, str) for value in tokens.shown(claims).values())
        with contextlib.suppress(tokens.TokenError):
            tokens.check_claims({**claims, "iss": "i"}, "i", ["a"], 1.0)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES)
def test_any_document_is_a_policy_or_none(document: Any) -> None:
    with contextlib.suppress(policies.MalformedPolicyError):
        assert policies.allows(document, "arn:aws:execute-api:r:1:api/prod/GET/a") in (True, False)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_token_or_none(text: str) -> None:
    with contextlib.suppress(tokens.TokenError):
        tokens.read(text)
