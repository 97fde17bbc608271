"""Damaged requests: whatever arrives is decoded, or refused with a ServiceError that can be written."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Request, Route
from oncue.protocol.model import catalog
from tests.protocol.shape_samples import Impossible, Samples, botocore_model, parsed, request_of

ROUNDS = 4
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    1e300,
    "",
    "x",
    "\x00\r\n",
    "é" * 300,
    [],
    [None],
    {},
    {"x": [{}]},
]
BYTES = b'\x00\xff&=.%{}[]",:1a'


def damaged_json(value: Any, dice: random.Random) -> Any:
    """The same value with one of its parts replaced by something odd, or with one part more."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        return value | {dice.choice([key, key, key, "Odd"]): damaged_json(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        place = dice.randrange(len(value))
        return [*value[:place], damaged_json(value[place], dice), *value[place + 1 :]]
    return dice.choice(ODD)


def damaged_bytes(body: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(body) + 1)
    some = bytes(dice.choices(BYTES, k=dice.randint(0, 3)))
    return body[:place] + some + body[place + dice.randint(0, 2) :]


def damaged(request: Request, dice: random.Random) -> Request:
    match dice.choice(("json", "body", "query", "path")):
        case "json" if request.body.startswith(b"{") and request.body.endswith(b"}"):
            return replace(request, body=json.dumps(damaged_json(json.loads(request.body), dice)).encode())
        case "query" if request.query:
            return replace(request, query=damaged_bytes(request.query.encode(), dice).decode("latin-1"))
        case "path" if len(request.path) > 1:
            return replace(request, path=damaged_bytes(request.path.encode(), dice).decode("latin-1"))
        case _:
            return replace(request, body=damaged_bytes(request.body, dice))


@pytest.mark.parametrize("service", list(catalog()))
def test_damaged_requests(service: str) -> None:
    refused = 0
    for name in botocore_model(service).operation_names:
        operation = botocore_model(service).operation_model(name)
        for number in range(ROUNDS):
            seed = f"damage {service} {name} {number}"
            try:
                whole = request_of(operation, Samples(seed).of(operation.input_shape))
            except Impossible:
                continue
            request = damaged(whole, random.Random(seed))
            route: Route | None = None
            try:
                route = protocol.route(request, catalog()[service]["signingName"])
                assert isinstance(protocol.decode(route, request), dict)
            except ServiceError as error:
                refused += 1
                reply = protocol.encode_error(route, request, error, "id-1")
                assert 400 <= reply.status < 600
                read = parsed(operation, reply, error=True)
                assert read["Error"]["Code"]
                assert read["Error"]["Message"]
    assert refused > 10
