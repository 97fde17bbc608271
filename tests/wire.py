"""A small, fast client for load and crash tests: the JSON protocol over one kept-alive connection, no
retries."""

import http.client
import json
from typing import Any

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential={account}/20261123/us-east-1/{service}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
TARGETS = {"sqs": "AmazonSQS", "dynamodb": "DynamoDB_20120810"}
TIMEOUT_S = 30


class Refused(Exception):
    """An answer that is an error."""


class Wire:
    """Raises OSError or http.client.HTTPException when the outcome is unknown, Refused when it is a
    refusal."""

    def __init__(self, port: int, service: str = "sqs", account: str = "test") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._target = TARGETS[service]
        self.more: dict[str, str] = {}  # headers for each request
        self._authorization = AUTHORIZATION.format(account=account, service=service)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.ask(operation, **parameters)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Refused(f"{response.status} {body[:300]!r}")
        return json.loads(body) if body else {}

    def ask(self, operation: str, **parameters: Any) -> None:
        """Sends the request and does not wait for its answer."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{self._target}.{operation}",
            "X-Amz-Date": "20261123T000000Z",
            "Authorization": self._authorization,
            **self.more,
        }
        self._connection.request("POST", "/", json.dumps(parameters), headers)

    def close(self) -> None:
        self._connection.close()
