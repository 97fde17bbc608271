"""Random values that fit the shapes of botocore's models, and requests as botocore writes them."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.parsers
import botocore.serialize
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from oncue.protocol import Reply, Request
from oncue.protocol.constraints import compiled
from tests.protocol.pattern_samples import fitting

TEXT = "abcXYZ019 _-.:/é€😀<&>\"'\r\n\t+%=~#?"
PLAIN = "abcXYZ019"
DEPTH_MAX = 8


@cache
def botocore_model(service: str) -> ServiceModel:
    loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


class Impossible(Exception):
    """No text was found that fits a pattern; the text of the exception is the pattern."""


class Samples:
    """Draws values that fit botocore's shapes, with their lengths, ranges, enums and patterns."""

    def __init__(self, seed: str, *, filled: bool = False) -> None:
        self.dice = random.Random(seed)
        self.filled = filled  # no structure inside is empty: the query protocol could not carry it

    def value(self, shape: Shape, above: tuple[str, ...] = ()) -> Any:
        return getattr(self, f"_{shape.type_name}")(shape, (*above, shape.name))

    def of(self, shape: Shape | None) -> dict[str, Any]:
        return self.value(shape) if shape else {}

    def _structure(self, shape: Shape, above: tuple[str, ...]) -> dict[str, Any]:
        names = list(shape.members)
        if shape.is_tagged_union:
            names = [self.dice.choice(names)]
        chosen: dict[str, Any] = {}
        self.dice.shuffle(names)
        for name in names:
            member = shape.members[name]
            if name in shape.required_members or shape.is_tagged_union:
                chosen[name] = self.value(member, above)
            elif self.dice.random() < 0.6 and member.name not in above and len(above) < DEPTH_MAX:
                try:
                    chosen[name] = self.value(member, above)
                except Impossible:
                    continue
        if self.filled and not chosen and names and len(above) > 1:
            chosen[names[0]] = self.value(shape.members[names[0]], above)
        return chosen

    def _list(self, shape: Shape, above: tuple[str, ...]) -> list[Any]:
        low = max(shape.metadata.get("min", 0), 1)
        high = max(low, min(low + 2, shape.metadata.get("max", 99)))
        if shape.member.name in above:
            return []
        return [self.value(shape.member, above) for _ in range(self.dice.randint(low, high))]

    def _map(self, shape: Shape, above: tuple[str, ...]) -> dict[str, Any]:
        if shape.value.name in above:
            return {}
        low = max(shape.metadata.get("min", 0), 1)
        entries: dict[str, Any] = {}
        while len(entries) < low:
            entries[self.value(shape.key, above)] = self.value(shape.value, above)
        return entries

    def _string(self, shape: Shape, above: tuple[str, ...]) -> str:
        if shape.enum:
            return self.dice.choice(shape.enum)
        header = shape.serialization.get("location") in ("header", "headers")
        low = max(shape.metadata.get("min", 1), 1)
        high = max(low, shape.metadata.get("max", 5000))
        pattern = shape.metadata.get("pattern")
        if pattern and compiled(pattern):
            text = fitting(pattern, self.dice, low, high, header=header)
            if text is None:
                raise Impossible(pattern)
            return text
        letters = PLAIN if header or pattern else TEXT
        return "".join(self.dice.choices(letters, k=self.dice.randint(low, min(high, low + 12))))

    def _integer(self, shape: Shape, above: tuple[str, ...]) -> int:
        if shape.serialization.get("location") == "statusCode":
            return self.dice.choice((200, 202))
        low = shape.metadata.get("min", -5)
        return self.dice.randint(low, shape.metadata.get("max", low + 10_000))

    _long = _integer

    def _float(self, shape: Shape, above: tuple[str, ...]) -> float:
        low = shape.metadata.get("min", 0)
        return float(self.dice.uniform(low, shape.metadata.get("max", low + 100)))

    _double = _float

    def _boolean(self, shape: Shape, above: tuple[str, ...]) -> bool:
        return self.dice.random() < 0.5

    def _timestamp(self, shape: Shape, above: tuple[str, ...]) -> datetime:
        return datetime.fromtimestamp(self.dice.randrange(0, 4_000_000_000), UTC)

    def _blob(self, shape: Shape, above: tuple[str, ...]) -> bytes:
        low = shape.metadata.get("min", 0)
        return self.dice.randbytes(self.dice.randint(low, low + 9))


def request_of(operation: OperationModel, parameters: Mapping[str, Any]) -> Request:
    """What boto3 would send, as our server receives it."""
    protocol = operation.service_model.metadata["protocol"]
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    sent = serializer.serialize_to_request(parameters, operation)
    sent.pop("host_prefix", None)
    prepare_request_dict(sent, "http://127.0.0.1:8080")
    parts = urlsplit(sent["url"])
    body = sent["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    return Request(
        sent["method"],
        parts.path,
        parts.query,
        {name.lower(): str(value) for name, value in sent["headers"].items()} | {"host": parts.netloc},
        body.encode() if isinstance(body, str) else bytes(body or b""),
    )


class Stream:
    """A body as botocore wants it for a streaming output."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self) -> bytes:
        return self.body


def parsed(operation: OperationModel, reply: Reply, *, error: bool = False) -> dict[str, Any]:
    """What boto3 makes of our reply."""
    shape = None if error else operation.output_shape
    body: Any = reply.body
    if not error and operation.has_streaming_output:
        body = Stream(body)
    response = {
        "status_code": reply.status,
        "headers": HeadersDict(reply.headers),
        "body": body,
        "context": {"operation_name": operation.name},
    }
    parser = botocore.parsers.create_parser(operation.service_model.metadata["protocol"])
    return parser.parse(response, shape)


def plain(value: Any) -> Any:
    """Comparable on both sides: moments as epoch seconds, streams read, the metadata gone."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.timestamp()
    return value.read() if hasattr(value, "read") else value
