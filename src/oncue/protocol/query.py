"""The query protocol (SNS, IAM, STS, CloudFormation, older SQS clients): form fields in, XML out."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from oncue.protocol import form_shapes, xml_shapes
from oncue.protocol.malformed import Malformed
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import Operation

FIELDS_MAX = 20_000
ACTION = re.compile(rb"(?:^|&)Action=")
CONTENT_TYPE = "text/xml"


def fields_of(request: Request) -> dict[str, str]:
    """The fields of the query string and of a form body. Raises Malformed, also for a field given twice."""
    fields: dict[str, str] = {}
    texts = [request.query]
    if is_form(request):
        texts.append(utf8(request.body))
    for text in texts:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise Malformed(f"The form fields can not be read: {error}") from None
        for name, value in pairs:
            if fields.setdefault(name, value) != value:
                raise Malformed(f"The parameter {name} is given twice.")
    return fields


def names_an_action(request: Request) -> bool:
    """Whether a request speaks the query protocol: it has the field `Action`, in its query or its form."""
    return bool(
        ("Action=" in request.query and ACTION.search(request.query.encode()))
        or (is_form(request) and ACTION.search(request.body))
    )


def is_form(request: Request) -> bool:
    """Whether the body is a form; a client that does not say what it sends may send one too."""
    return not request.headers.get("content-type") or says_form(request)


def says_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Malformed("The request body is not UTF-8.") from None


def reader(operation: Operation) -> Callable[[Request, Route], dict[str, Any]]:
    read = form_shapes.Reader(operation.model).of(operation.input_shape)
    has_queue_url = "QueueUrl" in operation.input_shape["members"] and operation.model.service == "sqs"

    def decode(request: Request, route: Route) -> dict[str, Any]:
        parameters: dict[str, Any] = read(form_shapes.tree_of(route.form))
        if has_queue_url and request.path.count("/") > 1:
            host = request.headers.get("host", "localhost")
            parameters.setdefault("QueueUrl", f"http://{host}{request.path}")
        return parameters

    return decode


def writer(operation: Operation) -> Callable[[Mapping[str, Any], str], Reply]:
    write = xml_shapes.Writer(operation.model).of(operation.output_shape)
    namespace = operation.model.metadata["xmlNamespace"]
    opening = f'<?xml version="1.0"?>\n<{operation.name}Response xmlns="{namespace}">'

    def encode(output: Mapping[str, Any], request_id: str) -> Reply:
        pieces = [opening]
        if operation.wrapper:
            write(operation.wrapper, output, pieces)
        else:
            assert not output, f"{operation.name} has no output"
        pieces.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>")
        pieces.append(f"</{operation.name}Response>")
        headers = {"content-type": CONTENT_TYPE, "x-amzn-requestid": request_id}
        return Reply(200, headers, "".join(pieces).encode())

    return encode
