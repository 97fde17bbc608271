"""One codec for each operation and protocol, compiled on its first use: decode, check, encode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from oncue.errors import ServiceError
from oncue.protocol import constraints, faults, json_rpc, query, rest_json
from oncue.protocol.malformed import Malformed, Undeclared
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import Operation, Shape

TOO_DEEP = "The request is nested too deeply."


@dataclass(frozen=True, slots=True)
class Codec:
    read: Callable[[Request, Route], dict[str, Any]]
    check: Callable[[Mapping[str, Any]], None]  # raises the ServiceError of what the model forbids
    write: Callable[[Mapping[str, Any], str], Reply]


def decode(route: Route, request: Request) -> dict[str, Any]:
    """The parameters of a request: the types are right and the model's constraints hold. Blobs are bytes,
    moments are epoch seconds, members that are absent or null are left out. Raises ServiceError."""
    codec = codec_of(route.operation)
    try:
        parameters = codec.read(request, route)
        codec.check(parameters)
    except Malformed as error:
        raise faults.malformed(route.protocol, str(error)) from None
    except Undeclared as error:
        raise ServiceError(faults.constraint_code(route.service), str(error)) from None
    except RecursionError:
        raise faults.malformed(route.protocol, TOO_DEEP) from None
    return parameters


def encode(route: Route, output: Mapping[str, Any], request_id: str) -> Reply:
    """The reply for a result: model member names, epoch seconds or datetimes, bytes; None is left out.
    A result that is not of the operation's shape is a broken invariant: AssertionError."""
    return codec_of(route.operation).write(output, request_id)


@cache
def codec_of(operation: Operation) -> Codec:
    if streams(operation, operation.input_shape) or streams(operation, operation.output_shape):
        raise ServiceError(
            "UnknownOperationException",
            f"Oncue does not speak event streams, which {operation.model.service} {operation.name} needs.",
            501,
        )
    module = {"json": json_rpc, "query": query, "rest-json": rest_json}[operation.model.protocol]
    return Codec(module.reader(operation), check(operation), module.writer(operation))


def streams(operation: Operation, shape: Shape) -> bool:
    members = (operation.model.follow(reference) for reference in shape["members"].values())
    return any(member.get("eventstream") for member in members)


def check(operation: Operation) -> Callable[[Mapping[str, Any]], None]:
    service = operation.model.service
    if service == "sqs":  # it checks ranges itself, in words of its own
        return _sqs_check(operation)
    violations_of = constraints.checker(operation)
    code = faults.constraint_code(service)

    def checks(parameters: Mapping[str, Any]) -> None:
        if violations := violations_of(parameters):
            raise ServiceError(code, constraints.sentence(violations))

    return checks


def _sqs_check(operation: Operation) -> Callable[[Mapping[str, Any]], None]:
    missing = constraints.first_missing(operation)

    def checks(parameters: Mapping[str, Any]) -> None:
        if name := missing(parameters):
            raise ServiceError(
                "MissingRequiredParameterException", f"The request must contain the parameter {name}."
            )

    return checks
