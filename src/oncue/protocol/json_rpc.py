"""The json protocol (SQS, DynamoDB, Step Functions, EventBridge, Logs, SSM): one URL, JSON both ways."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from oncue.protocol import json_shapes
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import Operation

CHECKSUMMED = frozenset({"dynamodb", "dynamodbstreams"})  # their older clients refuse a reply without it


def reader(operation: Operation) -> Callable[[Request, Route], dict[str, Any]]:
    read = json_shapes.Reader(operation.model).of(operation.input_shape)

    def decode(request: Request, route: Route) -> dict[str, Any]:
        parameters: dict[str, Any] = read(json_shapes.parse(request.body))
        return parameters

    return decode


def writer(operation: Operation) -> Callable[[Mapping[str, Any], str], Reply]:
    write = json_shapes.Writer(operation.model).of(operation.output_shape)
    service, version = operation.model.service, operation.model.metadata["jsonVersion"]
    is_void = operation.output is None

    def encode(output: Mapping[str, Any], request_id: str) -> Reply:
        written = write(output)
        return reply(200, b"" if is_void else msgspec.json.encode(written), request_id, version, service)

    return encode


def reply(status: int, body: bytes, request_id: str, version: str, service: str) -> Reply:
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amzn-requestid": request_id}
    if service in CHECKSUMMED:
        headers["x-amz-crc32"] = str(zlib.crc32(body))
    return Reply(status, headers, body)
