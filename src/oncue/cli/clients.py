"""The command line as an AWS client: boto3 against our endpoint, and the words for when nobody answers."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from oncue import config
from oncue.errors import SetupError

TIMEOUT_S = 60
REFUSAL_BYTES_MAX = 10_000
MISSING = "`oncue {}` needs packages that are not installed: pip install 'oncue[deploy]'."


def silent(endpoint: str) -> SetupError:
    return SetupError(
        f"No server answers at {endpoint}. Start one with `oncue serve`, or name another with --endpoint-url."
    )


class Clients:
    """boto3 clients for one endpoint, with the region and the credentials of the environment."""

    def __init__(
        self, endpoint: str | None = None, region: str | None = None, *, command: str = "deploy"
    ) -> None:
        try:
            import boto3
        except ImportError:
            raise SetupError(MISSING.format(command)) from None
        self.endpoint = config.client_endpoint(endpoint)
        told = config.client_environment(self.endpoint)
        self.region = region or told.get("AWS_REGION") or told["AWS_DEFAULT_REGION"]
        self.session = boto3.Session(
            aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=told.get("AWS_SESSION_TOKEN"),
            region_name=self.region,
        )

    def client(self, service: str) -> Any:
        from botocore.config import Config

        settings = Config(retries={"total_max_attempts": 2}, read_timeout=TIMEOUT_S, connect_timeout=5)
        return self.session.client(service, endpoint_url=self.endpoint, config=settings)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns an unreachable server into one sentence."""
        from botocore.exceptions import EndpointConnectionError, HTTPClientError

        try:
            yield
        except (EndpointConnectionError, HTTPClientError, urllib.error.URLError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError):
                detail = error.read(1_000).decode(errors="replace")
                raise SetupError(f"{self.endpoint} refused: {error.code} {detail}") from None
            raise silent(self.endpoint) from None

    def upload(self, name: str, data: bytes) -> bool:
        """Keep a package under its SHA-256; False when the server had it already."""
        address = f"{self.endpoint}/_oncue/artifacts/{name}"
        with self.answering():
            try:
                self._send("HEAD", address, b"")
                return False
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            self._send("PUT", address, data)
        return True

    def ask(self, method: str, path: str, data: bytes = b"") -> dict[str, Any]:
        """One of our own pages that answers in JSON. A refusal is its sentence."""
        with self.answering():
            try:
                reply: dict[str, Any] = json.loads(self._send(method, f"{self.endpoint}{path}", data))
                return reply
            except urllib.error.HTTPError as error:
                detail = error.read(REFUSAL_BYTES_MAX)
                try:
                    sentence = str(json.loads(detail)["message"])
                except (ValueError, KeyError):
                    raise SetupError(f"{self.endpoint} refused: {error.code}") from None
                raise SetupError(sentence) from None

    def _send(self, method: str, address: str, data: bytes) -> bytes:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        signed = AWSRequest(method, address, data=data)
        SigV4Auth(self.session.get_credentials().get_frozen_credentials(), "oncue", self.region).add_auth(
            signed
        )
        body = data if method == "PUT" else None
        request = urllib.request.Request(
            address, data=body, method=method, headers=dict(signed.headers.items())
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            content: bytes = reply.read()
        return content
