"""The context object that a handler is given, with the members that it has on AWS."""

import json
import os
import sys
import time
from typing import Any

from .faults import Fault


class Members:
    """An object with a fixed set of members, each None where nothing was sent."""

    names: tuple[str, ...] = ()

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        for name in self.names:
            setattr(self, name, (values or {}).get(name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.names)})"


class CognitoIdentity(Members):
    names = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Members):
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(Members):
    names = ("custom", "env", "client")
    client: Any

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        if self.client is not None:
            self.client = Client(self.client)


class LambdaContext:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html. The memory limit is a string."""

    def __init__(self, head: dict[str, Any]) -> None:
        variables = os.environ.get
        self.function_name = variables("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = variables("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = variables("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = variables("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = variables("AWS_LAMBDA_LOG_STREAM_NAME")
        self.aws_request_id: str = head["request_id"]
        self.invoked_function_arn: str = head["invoked_arn"]
        self.tenant_id = None
        self.identity = CognitoIdentity()
        self.client_context = _client_context(head.get("client_context"))
        self._deadline_ms: int = head["deadline_ms"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """To the function's log, as it is: no line end is added."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in vars(self).items() if name[0] != "_")
        return f"LambdaContext([{shown}])"


def _client_context(text: str | None) -> ClientContext | None:
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError as error:
        raise Fault(
            "Runtime.LambdaContextUnmarshalError", f"Unable to parse Client Context JSON: {error}"
        ) from None
    return ClientContext(values) if isinstance(values, dict) else None
