"""The rest-json protocol (Lambda, API Gateway, Scheduler, Pipes): members in path, query, headers or body."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from oncue.protocol import json_shapes
from oncue.protocol.malformed import Malformed, Undeclared
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import Model, Operation, Shape
from oncue.protocol.texts import text_reader, text_writer

QUERY_FIELDS_MAX = 1000
CONTENT_TYPE = "application/json"
NOT_FOR_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
RAW = ("blob", "string")  # payloads that are the body itself

Decode = Callable[[Request, Route], dict[str, Any]]


def query_of(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise Malformed(f"The query string can not be read: {error}") from None
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def at(shape: Shape, model: Model, *places: str | None) -> dict[str, Shape]:
    """The members of a shape that travel in one of the places (None: in the body)."""
    members = {name: model.follow(reference) for name, reference in shape["members"].items()}
    return {name: member for name, member in members.items() if member.get("location") in places}


def texts_reader(shape: Shape, model: Model, time_style: str) -> Callable[[list[str]], Any]:
    """How to read a header or query parameter from its values."""
    if shape["type"] == "list":
        item = text_reader(model.follow(shape["member"]), time_style)
        return lambda values: [item(value) for value in values]
    if shape.get("jsonvalue"):
        return lambda values: json_of_base64(values[0])
    single = text_reader(shape, time_style)

    def read(values: list[str]) -> Any:
        if len(values) > 1:
            raise Malformed("A parameter of the query string is given twice.")
        return single(values[0])

    return read


def json_of_base64(text: str) -> Any:
    try:
        return json_shapes.parse(b64decode(text, validate=True))
    except ValueError:
        raise Malformed("A JSON header is not in base64.") from None


def reader(operation: Operation) -> Decode:
    shape, model = operation.input_shape, operation.model
    read_labels = label_part(at(shape, model, "uri"))
    read_query = query_part(operation, at(shape, model, "querystring"), model)
    read_headers = header_part(at(shape, model, "header", "headers"), model)
    read_body = body_part(shape, model)

    def decode(request: Request, route: Route) -> dict[str, Any]:
        parameters = read_labels(route.labels)
        parameters |= read_query(query_of(request.query))
        parameters |= read_headers(request.headers)
        parameters |= read_body(request.body)
        return parameters

    return decode


def label_part(members: Mapping[str, Shape]) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    wire = {m.get("locationName", name): (name, text_reader(m, "iso8601")) for name, m in members.items()}

    def read(labels: Mapping[str, str]) -> dict[str, Any]:
        try:
            texts = {label: unquote(raw, errors="strict") for label, raw in labels.items()}
        except UnicodeDecodeError:
            raise Malformed("The path is not percent-encoded UTF-8.") from None
        return {name: convert(texts[label]) for label, (name, convert) in wire.items()}

    return read


def query_part(
    operation: Operation, members: Mapping[str, Shape], model: Model
) -> Callable[[dict[str, list[str]]], dict[str, Any]]:
    fixed = {name for name, _ in parse_qsl(operation.uri.partition("?")[2], keep_blank_values=True)}
    wire: dict[str, tuple[str, Callable[[list[str]], Any]]] = {}
    rest: tuple[str, bool] | None = None  # the map that takes what is left: its name, and whether of lists
    for name, member in members.items():
        if member["type"] == "map":
            rest = name, model.follow(member["value"])["type"] == "list"
        else:
            wire[member.get("locationName", name)] = (name, texts_reader(member, model, "iso8601"))

    def read(query: dict[str, list[str]]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        left: dict[str, Any] = {}
        for key, values in query.items():
            if key in wire:
                name, convert = wire[key]
                read[name] = convert(values)
            elif rest:
                left[key] = values if rest[1] else values[-1]
            elif key not in fixed and not key.startswith("X-Amz-"):
                raise Undeclared(key, f"the query string of {operation.name}")
        if rest and left:
            read[rest[0]] = left
        return read

    return read


def header_part(members: Mapping[str, Shape], model: Model) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    single: dict[str, tuple[str, bool, Callable[[list[str]], Any]]] = {}
    prefixes: dict[str, str] = {}
    for name, member in members.items():
        wire = member.get("locationName", name).lower()
        if member["location"] == "headers":
            prefixes[wire] = name
        else:
            single[wire] = (name, member["type"] == "list", texts_reader(member, model, "rfc822"))

    def read(headers: Mapping[str, str]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for wire, (name, is_list, convert) in single.items():
            text = headers.get(wire)
            if text is not None:
                read[name] = convert([part.strip() for part in text.split(",")] if is_list else [text])
        for prefix, name in prefixes.items():
            found = {key[len(prefix) :]: text for key, text in headers.items() if key.startswith(prefix)}
            if found:
                read[name] = found
        return read

    return read


def body_part(shape: Shape, model: Model) -> Callable[[bytes], dict[str, Any]]:
    shapes = json_shapes.Reader(model)
    if payload := shape.get("payload"):
        member = model.follow(shape["members"][payload])
        if member["type"] in RAW:
            as_text, needed = member["type"] == "string", payload in shape.get("required", ())
            return lambda body: {payload: utf8(body) if as_text else body} if body or needed else {}
        read_payload = shapes.of(member)
        return lambda body: {payload: read_payload(json_shapes.parse(body))} if body else {}
    in_body = at(shape, model, None)
    read = shapes.members(shape, {name: shape["members"][name] for name in in_body})
    return lambda body: read(json_shapes.parse(body)) if body else {}


def utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Malformed("The request body is not UTF-8.") from None


def writer(operation: Operation) -> Callable[[Mapping[str, Any], str], Reply]:
    shape, model = operation.output_shape, operation.model
    status_members = at(shape, model, "statusCode")
    write_headers = headers_writer(at(shape, model, "header", "headers"))
    write_body = body_writer(shape, model)
    elsewhere = at(shape, model, "statusCode", "header", "headers").keys()
    is_void = operation.output is None

    def encode(output: Mapping[str, Any], request_id: str) -> Reply:
        status = next((output[name] for name in status_members if output.get(name)), operation.status)
        headers = {"content-type": CONTENT_TYPE, "x-amzn-requestid": request_id} | write_headers(output)
        body = write_body({name: value for name, value in output.items() if name not in elsewhere})
        return Reply(status, headers, b"" if is_void or status == 204 else body)

    return encode


def headers_writer(members: Mapping[str, Shape]) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    wire = [
        (name, m.get("locationName", name).lower(), None if m["location"] == "headers" else header_text(m))
        for name, m in members.items()
    ]

    def write(output: Mapping[str, Any]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, key, text in wire:
            value = output.get(name)
            if value is None:
                continue
            if text is None:
                headers |= {f"{key}{part}".lower(): item for part, item in value.items()}
            else:
                headers[key] = text(value)
        for key, value in headers.items():
            assert not NOT_FOR_HEADERS.search(key + value), f"{key}: {value!r} can not be a header"
        return headers

    return write


def header_text(shape: Shape) -> Callable[[Any], str]:
    if shape.get("jsonvalue"):
        return lambda value: b64encode(msgspec.json.encode(value)).decode("ascii")
    return text_writer(shape, "rfc822")


def body_writer(shape: Shape, model: Model) -> Callable[[Mapping[str, Any]], bytes]:
    shapes = json_shapes.Writer(model)
    if payload := shape.get("payload"):
        member = model.follow(shape["members"][payload])
        if member["type"] in RAW:
            return lambda rest: raw_body(rest.get(payload))
        write_payload = shapes.of(member)
        return lambda rest: msgspec.json.encode(write_payload(rest.get(payload, {})))
    write = shapes.members(shape, shape["members"])
    return lambda rest: msgspec.json.encode(write(rest))


def raw_body(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
