"""Outputs that break the model are broken invariants; and traits that no committed model uses (yet)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from oncue import protocol
from oncue.protocol import Request, Route
from oncue.protocol.codecs import codec_of
from oncue.protocol.model import Model, query_model


def written(service: str, name: str, output: dict[str, Any]) -> protocol.Reply:
    model = protocol.service_model(service)
    return protocol.encode(Route(service, model.operations[name], model.protocol), output, "id-1")


@pytest.mark.parametrize(
    ("service", "name", "output"),
    [
        ("sqs", "SendMessage", {"messageId": "m"}),
        ("sqs", "SendMessage", {"MessageId": 1}),
        ("sqs", "GetQueueAttributes", {"Attributes": {"DelaySeconds": 1}}),
        ("dynamodb", "Query", {"Count": True}),
        ("sns", "Publish", {"messageId": "m"}),
        ("sns", "DeleteTopic", {"TopicArn": "a"}),
        ("lambda", "Invoke", {"FunctionError": "a\r\nb: c"}),
        ("lambda", "GetFunction", {"Configuration": {"Timeout": "3"}}),
    ],
)
def test_an_output_of_another_shape_is_an_assertion(service: str, name: str, output: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        written(service, name, output)


def test_moments_are_seconds_or_datetimes() -> None:
    for moment in (1700000000.5, datetime.fromtimestamp(1700000000.5, UTC)):
        reply = written("events", "DescribeArchive", {"CreationTime": moment})
        assert reply.body == b'{"CreationTime":1700000000.5}'
        reply = written("apigatewayv2", "GetApi", {"CreatedDate": moment})
        assert reply.body == b'{"createdDate":"2023-11-14T22:13:20.500Z"}'
        reply = written("cloudformation", "DescribeType", {"LastUpdated": moment})
        assert b"<LastUpdated>2023-11-14T22:13:20.500Z</LastUpdated>" in reply.body
    assert (
        written("events", "DescribeArchive", {"CreationTime": 1700000000.0}).body
        == b'{"CreationTime":1700000000}'
    )


def test_none_is_left_out() -> None:
    assert written("sqs", "SendMessage", {"MessageId": None, "MD5OfMessageBody": "m"}).body == (
        b'{"MD5OfMessageBody":"m"}'
    )
    assert b"MessageId" not in written("sns", "Publish", {"MessageId": None}).body


def test_an_operation_without_output_has_an_empty_body() -> None:
    assert written("sqs", "DeleteMessage", {}).body == b""
    reply = written("apigatewayv2", "DeleteApi", {})
    assert (reply.status, reply.body) == (204, b"")


def test_a_body_that_is_the_payload() -> None:
    output = {"StatusCode": 202, "ExecutedVersion": "$LATEST", "Payload": None}
    reply = written("lambda", "Invoke", output)
    assert (reply.status, reply.body) == (202, b"")
    assert reply.headers["x-amz-executed-version"] == "$LATEST"
    assert written("lambda", "Invoke", {"StatusCode": 200, "Payload": b"\0"}).body == b"\0"


RARE = {
    "metadata": {"protocol": "rest-json"},
    "operations": {
        "Do": {"http": {"method": "PUT", "requestUri": "/{Path+}/do"}, "input": "In", "output": "In"},
    },
    "shapes": {
        "In": {
            "type": "structure",
            "members": {
                "Path": {"shape": "Text", "location": "uri", "locationName": "Path"},
                "Rest": {"shape": "Texts", "location": "querystring"},
                "Meta": {"shape": "Texts", "location": "headers", "locationName": "x-meta-"},
                "Note": {"shape": "Text", "location": "header", "locationName": "x-note", "jsonvalue": True},
                "Many": {"shape": "List", "location": "header", "locationName": "x-many"},
                "When": {"shape": "Time", "location": "header", "locationName": "x-when"},
                "Doc": {"shape": "Document"},
                "Json": {"shape": "Text", "jsonvalue": True},
                "Not": {"shape": "Time", "timestampFormat": "rfc822"},
            },
        },
        "Text": {"type": "string"},
        "Texts": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
        "List": {"type": "list", "member": {"shape": "Text"}},
        "Time": {"type": "timestamp"},
        "Document": {"type": "structure", "members": {}, "document": True},
    },
}


def test_rare_traits() -> None:
    operation = Model("rare", RARE).operations["Do"]
    headers = {
        "x-meta-a": "1",
        "x-note": "eyJrIjpbMV19",
        "x-many": "a, b",
        "x-when": "Tue, 14 Nov 2023 22:13:20 GMT",
    }
    body = b'{"Doc":{"any":[1,null,{}]},"Json":"{\\"k\\":1}","Not":"Tue, 14 Nov 2023 22:13:20 GMT"}'
    request = Request("PUT", "/a/b/do", "q=1&r=2", headers, body)
    route = Route("rare", operation, "rest-json", {"Path": "a/b"})
    decoded = codec_of(operation).read(request, route)
    assert decoded == {
        "Path": "a/b",
        "Rest": {"q": "1", "r": "2"},
        "Meta": {"a": "1"},
        "Note": {"k": [1]},
        "Many": ["a", "b"],
        "When": 1700000000.0,
        "Doc": {"any": [1, None, {}]},
        "Json": {"k": 1},
        "Not": 1700000000.0,
    }
    for elsewhere in ("Path", "Rest", "Many"):
        del decoded[elsewhere]
    reply = codec_of(operation).write(decoded, "id-1")
    assert reply.body == body
    assert {name: reply.headers[name] for name in ("x-meta-a", "x-note", "x-when")} == {
        name: headers[name] for name in ("x-meta-a", "x-note", "x-when")
    }


def test_a_greedy_label_takes_several_segments() -> None:
    from oncue.protocol.routing import Paths

    paths = Paths(Model("rare", RARE).operations)
    [match] = paths.find(Request("PUT", "/a/b/do", "", {}, b""))
    assert match.labels == {"Path": "a/b"}
    assert list(paths.find(Request("PUT", "/do", "", {}, b""))) == []


def test_the_older_names_of_sqs_change_nothing_else() -> None:
    assert protocol.service_model("sqs").protocol == "json"
    assert query_model("sqs").protocol == "query"
    assert query_model("sns") is protocol.service_model("sns")
    with pytest.raises(KeyError):
        protocol.service_model("s3")
