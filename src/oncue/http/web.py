"""Where a request goes: to our own pages, to an HTTP API, or to an AWS operation."""

import re
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

import oncue
from oncue import clock
from oncue.errors import ServiceError
from oncue.http import signature
from oncue.http.artifacts import Artifacts
from oncue.http.dispatch import Dispatch
from oncue.http.keys import Keys
from oncue.http.sequencing import Sequencing
from oncue.protocol import Reply, Request
from oncue.services import Call
from oncue.services.apigatewayv2 import Apigatewayv2
from oncue.services.apigatewayv2.web import Signer, WebRequest
from oncue.services.sns import Sns

Gone = Callable[[], Awaitable[None]]
Headers = list[tuple[str, str]]

BODY_BYTES_MAX = 72 * 1024 * 1024  # a CreateFunction request may have 70,167,211 bytes
API_HOST = re.compile(r"^([a-z0-9]+)\.execute-api\.")
API_PATH = re.compile(r"^/_aws/execute-api/([a-z0-9]+)(/.*)?$")
THROTTLES = "/_oncue/throttles"
CERTIFICATE = "/SimpleNotificationService-"
HEALTH = ("/health", "/_localstack/health")
JSON = [("content-type", "application/json")]


@dataclass(frozen=True, slots=True)
class Incoming:
    """One HTTP request as it came: `path` still percent-encoded, header names in lower case, in order."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    scheme: str
    protocol: str  # "HTTP/1.1"
    source_ip: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Outgoing:
    status: int
    headers: Headers
    body: bytes


class Door:
    def __init__(
        self,
        dispatch: Dispatch,
        call: Call,
        apis: Apigatewayv2,
        sns: Sns,
        artifacts: Artifacts,
        sequencing: Sequencing,
        keys: Keys,
    ) -> None:
        self._dispatch = dispatch
        self._keys = keys
        self._call = call
        self._apis = apis
        self._sns = sns
        self._artifacts = artifacts
        self._sequencing = sequencing
        names = sorted(dispatch.services)
        status = ",".join(f'"{name}":"running"' for name in names)
        about = f'"edition":"oncue","version":"{oncue.__version__}"'
        self._health = Outgoing(200, JSON, f'{{"services":{{{status}}},{about}}}'.encode())

    async def answer(self, incoming: Incoming, gone: Gone) -> Outgoing:
        host = incoming.header("host")
        base_url = f"{incoming.scheme}://{host}"
        if match := API_HOST.match(host):
            return await self._api(match[1], incoming.path, incoming, base_url)
        if incoming.path.startswith("/_") or incoming.path == "/health":
            if match := API_PATH.match(incoming.path):
                return await self._api(match[1], match[2] or "/", incoming, base_url)
            return await self._own_page(incoming)
        if incoming.path.startswith(CERTIFICATE):
            return await self._certificate(incoming.path.removeprefix("/"))
        try:
            request = _request(incoming)
        except ServiceError as error:
            return refused(error.status, error.message)
        return _outgoing(await self._dispatch.answer(request, base_url, gone))

    async def _own_page(self, incoming: Incoming) -> Outgoing:
        if incoming.path in HEALTH and incoming.method in ("GET", "HEAD"):
            return self._health
        if incoming.path.startswith(self._artifacts.prefix):
            try:
                status, body = await self._artifacts.answer(_request(incoming))
            except ServiceError as error:
                return refused(error.status, error.message)
            return Outgoing(status, [("content-type", "application/octet-stream")], body)
        if incoming.path.startswith(self._sequencing.prefix):
            try:
                status, body = await self._sequencing.answer(_request(incoming))
            except ServiceError as error:
                return refused(error.status, error.message)
            return Outgoing(status, JSON, body)
        if incoming.path == THROTTLES and incoming.method == "GET":
            return self._throttles(incoming)
        return refused(404, f"There is no page {incoming.path}.")

    def _throttles(self, incoming: Incoming) -> Outgoing:
        """What the throttles of this node counted, most refusals first. Signed when signatures are
        checked."""
        request = _request(incoming)
        try:
            signature.authenticate(self._keys, signature.of_request(request), request, clock.now())
        except ServiceError as error:
            return refused(error.status, error.message)
        counts = sorted(self._apis.throttles().items(), key=lambda pair: pair[1][1], reverse=True)
        shown = [{"limit": name, "requests": asked, "refused": no} for name, (asked, no) in counts]
        return Outgoing(200, JSON, msgspec.json.encode({"throttles": shown}))

    async def _certificate(self, name: str) -> Outgoing:
        pem = await self._sns.certificate(self._call, name)
        if pem is None:
            return refused(404, f"There is no certificate {name}.")
        return Outgoing(200, [("content-type", "application/x-pem-file")], pem)

    async def _api(self, api_id: str, path: str, incoming: Incoming, base_url: str) -> Outgoing:
        owner = await self._apis.owner(self._call, api_id)
        if owner is None:
            return refused(404, "Not Found")
        call = self._call.on_behalf(*owner)
        call.base_url = base_url
        web = WebRequest(
            method=incoming.method,
            path=path,
            query=incoming.query,
            headers=incoming.headers,
            body=incoming.body,
            source_ip=incoming.source_ip,
            host=incoming.header("host"),
            protocol=incoming.protocol,
            signer=self._signer(incoming),
        )
        reply = await self._apis.handle(call, api_id, web)
        return Outgoing(reply.status, reply.headers, reply.body)

    def _signer(self, incoming: Incoming) -> Signer | None:
        """Who signed a request to an API, for routes with AWS_IAM; None when nobody did, or not rightly."""
        if (
            "aws4" not in incoming.header("authorization").lower()
            and "X-Amz-Credential=" not in incoming.query
        ):
            return None
        request = _request(incoming)
        signed = signature.of_request(request)
        if signed.service != "execute-api":
            return None
        try:
            return Signer(signed.access_key, signature.authenticate(self._keys, signed, request, clock.now()))
        except ServiceError:
            return None


def _request(incoming: Incoming) -> Request:
    headers: dict[str, str] = {}
    for name, value in incoming.headers:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    body = _unpacked(incoming.body) if headers.get("content-encoding") == "gzip" else incoming.body
    return Request(incoming.method, incoming.path, incoming.query, headers, body)


def _outgoing(reply: Reply) -> Outgoing:
    return Outgoing(reply.status, list(reply.headers.items()), reply.body)


def refused(status: int, message: str, *headers: tuple[str, str]) -> Outgoing:
    quoted = message.replace("\\", "\\\\").replace('"', '\\"')
    return Outgoing(status, [*JSON, *headers], f'{{"message":"{quoted}"}}'.encode())


def _unpacked(body: bytes) -> bytes:
    """The content of a gzip body, as the SDKs send large requests. ServiceError when it is broken or too
    large."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, BODY_BYTES_MAX)
    except zlib.error:
        raise ServiceError("SerializationException", "The request body is not valid gzip.") from None
    if not unpacker.eof:
        raise ServiceError(
            "RequestEntityTooLargeException",
            f"The request body is cut short, or has more than {BODY_BYTES_MAX} bytes unpacked.",
            413,
        )
    return plain
