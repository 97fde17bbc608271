"""Every operation of every model: what botocore writes we read, and what we write botocore reads."""

from typing import Any

import pytest
from botocore.model import Shape

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol.model import catalog
from tests.protocol.shape_samples import Impossible, Samples, botocore_model, parsed, plain, request_of

SAMPLES = 12
SERVICES = list(catalog())
# Operations that answer with an event stream. They are refused aloud, see test_event_streams_are_refused.
EVENT_STREAMS = {
    ("lambda", "InvokeWithResponseStream"),
    ("logs", "GetLogObject"),
    ("logs", "StartLiveTail"),
}
EMPTY = (b"", {})  # as a payload it can not be told from none, on this or on that side of the wire


def without_empty_payload(values: dict[str, Any], shape: Shape | None) -> dict[str, Any]:
    comparable: dict[str, Any] = plain(values)
    payload = shape.serialization.get("payload") if shape else None
    if payload and comparable.get(payload) in EMPTY:
        del comparable[payload]
    return comparable


def operations(service: str) -> list[str]:
    names = botocore_model(service).operation_names
    return [name for name in names if (service, name) not in EVENT_STREAMS]


def samples(service: str, name: str) -> list[Samples]:
    filled = catalog()[service]["protocol"] == "query"
    return [Samples(f"{service} {name} {number}", filled=filled) for number in range(SAMPLES)]


def test_the_models_are_those_of_fifteen_services() -> None:
    assert len(SERVICES) == 15
    assert sum(len(operations(service)) for service in SERVICES) > 950


@pytest.mark.parametrize("service", SERVICES)
def test_requests(service: str) -> None:
    for name in operations(service):
        operation = botocore_model(service).operation_model(name)
        tried = 0
        for sample in samples(service, name):
            try:
                parameters = sample.of(operation.input_shape)
            except Impossible:
                continue
            request = request_of(operation, parameters)
            route = protocol.route(request, catalog()[service]["signingName"])
            assert (route.service, route.operation.name) == (service, name)
            decoded = protocol.decode(route, request)
            shape = operation.input_shape
            assert without_empty_payload(decoded, shape) == without_empty_payload(parameters, shape), name
            tried += 1
        assert tried > SAMPLES // 2, name


@pytest.mark.parametrize("service", SERVICES)
def test_replies(service: str) -> None:
    for name in operations(service):
        operation = botocore_model(service).operation_model(name)
        ours = protocol.service_model(service).operations[name]
        route = protocol.Route(service, ours, catalog()[service]["protocol"])
        shape = operation.output_shape
        statuses = [
            member
            for member, at in (shape.members if shape else {}).items()
            if at.serialization.get("location") == "statusCode"
        ]
        tried = 0
        for sample in samples(service, name):
            try:
                output = sample.of(shape)
            except Impossible:
                continue
            reply = protocol.encode(route, output, "the-request-id")
            for member in statuses:
                assert reply.status == output.pop(member, ours.status)
            read = parsed(operation, reply)
            assert read["ResponseMetadata"]["RequestId"] == "the-request-id"
            for member in statuses:
                read.pop(member, None)
            assert without_empty_payload(read, shape) == without_empty_payload(output, shape), name
            tried += 1
        assert tried > SAMPLES // 2, name


@pytest.mark.parametrize(("service", "name"), sorted(EVENT_STREAMS))
def test_event_streams_are_refused(service: str, name: str) -> None:
    operation = botocore_model(service).operation_model(name)
    assert operation.has_event_stream_output
    request = request_of(operation, Samples("refused").of(operation.input_shape))
    route = protocol.route(request, service)
    with pytest.raises(ServiceError, match="does not speak event streams") as refused:
        protocol.decode(route, request)
    assert refused.value.status == 501


@pytest.mark.parametrize(("service", "label"), [("scheduler", "schedule-group/g"), ("pipes", "pipe/p")])
def test_an_unsigned_request_for_tags_is_told_by_its_arn(service: str, label: str) -> None:
    operation = botocore_model(service).operation_model("ListTagsForResource")
    name = next(iter(operation.input_shape.members))
    request = request_of(operation, {name: f"arn:aws:{service}:us-east-1:000000000000:{label}"})
    assert protocol.route(request, None).service == service
