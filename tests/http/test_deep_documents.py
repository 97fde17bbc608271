"""JSON inside of parameters, nested without end, is refused like any other bad text."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

DEEP = "[" * 50_000 + "]" * 50_000
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "queue": ("sqs", "create_queue", {"QueueName": "q", "Attributes": {"RedrivePolicy": DEEP}}),
    "role": ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": DEEP}),
    "topic": ("sns", "create_topic", {"Name": "t", "Attributes": {"DeliveryPolicy": DEEP}}),
    "stack": ("cloudformation", "validate_template", {"TemplateBody": '{"a":' + DEEP[:20_000] + "}"}),
    "move": ("sqs", "cancel_message_move_task", {"TaskHandle": base64.b64encode(DEEP.encode()).decode()}),
    "logs": (
        "logs",
        "describe_log_groups",
        {"nextToken": base64.urlsafe_b64encode(DEEP[:1_500].encode()).decode()},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_depth_is_the_clients_fault(client: Callable[..., Any], name: str) -> None:
    service, operation, parameters = CALLS[name]
    with pytest.raises(ClientError) as caught:
        getattr(client(service), operation)(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
