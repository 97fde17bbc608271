"""Parameter mapping expressions and what they select."""

import pytest

from oncue.services.apigatewayv2.mapping import (
    SELECTABLE_BODY_BYTES_MAX,
    Sources,
    UnresolvedError,
    is_expression,
    resolve,
)

BODY = b'{"order": {"id": "o-1", "lines": [{"n": 2}], "paid": true, "note": null}, "a b": "c", "$x": 1}'


def sources(body: bytes = BODY) -> Sources:
    return Sources(
        headers={"queueurl": "http://q/1/a", "x-many": "1,2"},
        query={"Kind": "a,b"},
        path={"id": "7"},
        context={"requestId": "r-1", "identity.sourceIp": "10.0.0.1"},
        stage_variables={"color": "blue"},
        body=body,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$request.body", BODY.decode()),
        ("$request.body.order.id", "o-1"),
        ("$request.body.order.lines[0].n", "2"),
        ("$request.body.order.lines", '[{"n":2}]'),
        ("$request.body.order.paid", "true"),
        ("$request.body['a b']", "c"),
        ('$request.body["order"].id', "o-1"),
        ("$request.header.QueueUrl", "http://q/1/a"),
        ("$request.header.x-many", "1,2"),
        ("$request.querystring.Kind", "a,b"),
        ("$request.path.id", "7"),
        ("$context.requestId", "r-1"),
        ("$context.identity.sourceIp", "10.0.0.1"),
        ("$stageVariables.color", "blue"),
        ("plain", "plain"),
        ("", ""),
        ("${request.path.id}-${stageVariables.color}", "7-blue"),
        ("order ${request.body.order.id} of ${context.requestId}", "order o-1 of r-1"),
        (
            '{"n":{"DataType":"String","StringValue":"${request.path.id}"}}',
            '{"n":{"DataType":"String","StringValue":"7"}}',
        ),
    ],
)
def test_what_an_expression_selects(text: str, value: str) -> None:
    assert is_expression(text)
    assert resolve(text, sources()) == value


@pytest.mark.parametrize(
    "text",
    [
        "$request.header.missing",
        "$request.querystring.kind",
        "$request.path.other",
        "$context.unheard",
        "$stageVariables.shape",
        "$request.body.order.missing",
        "$request.body.order.note",
        "$request.body.order.lines[1]",
        "$request.body.order.id.x",
        "text ${request.body.nothing}",
    ],
)
def test_what_is_not_there(text: str) -> None:
    assert is_expression(text)
    with pytest.raises(UnresolvedError):
        resolve(text, sources())


@pytest.mark.parametrize("body", [b"", b"not json", b"[1", b"\xff\xfe"])
def test_a_body_that_nothing_can_be_selected_from(body: bytes) -> None:
    with pytest.raises(UnresolvedError):
        resolve("$request.body.order", sources(body))


def test_a_body_that_is_no_text_cannot_be_passed_on() -> None:
    with pytest.raises(UnresolvedError):
        resolve("$request.body", sources(b"\xff"))


def test_long_bodies_pass_whole_but_are_not_selected_from() -> None:
    body = b'{"a":"' + b"x" * SELECTABLE_BODY_BYTES_MAX + b'"}'
    assert resolve("$request.body", sources(body)) == body.decode()
    with pytest.raises(UnresolvedError):
        resolve("$request.body.a", sources(body))


@pytest.mark.parametrize(
    "text", ["$request", "$request.bod", "$request.body..id", "$request.body[*]", "$5", "${nothing}", "a ${b"]
)
def test_what_is_no_expression(text: str) -> None:
    assert not is_expression(text)
