"""Expressions: what they mean, and AWS's sentences for what is wrong with them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncue.errors import ServiceError
from oncue.services.dynamodb import conditions, key_conditions, paths, projections, updates
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.reserved import RESERVED

ITEM: dict[str, Any] = {
    "id": {"S": "one"},
    "n": {"N": "5"},
    "text": {"S": "hello"},
    "blurb": {"B": b"\x01\x02"},
    "yes": {"BOOL": True},
    "nil": {"NULL": True},
    "tags": {"SS": ["a", "b"]},
    "nums": {"NS": ["1", "2"]},
    "things": {"L": [{"N": "1"}, {"S": "x"}, {"M": {"deep": {"S": "down"}}}]},
    "doc": {"M": {"a": {"N": "1"}, "b": {"M": {"c": {"S": "d"}}}}},
}
VALUES: dict[str, Any] = {
    ":five": {"N": "5.0"},
    ":six": {"N": "6"},
    ":one": {"N": "1"},
    ":ten": {"N": "10"},
    ":he": {"S": "he"},
    ":hello": {"S": "hello"},
    ":a": {"S": "a"},
    ":z": {"S": "z"},
    ":raw": {"B": b"\x01"},
    ":s": {"S": "S"},
    ":m": {"S": "M"},
    ":list": {"L": [{"N": "1"}]},
    ":map": {"M": {"c": {"S": "d"}}},
    ":ba": {"SS": ["b", "a"]},
    ":true": {"BOOL": True},
    ":nil": {"NULL": True},
    ":wrong": {"S": "wrong"},
}
NAMES = {"#n": "n", "#text": "text", "#doc": "doc", "#size": "size", "#dots": "a.b"}


def placeholders() -> Placeholders:
    return Placeholders(NAMES, VALUES, ConditionExpression="")


def holds(text: str, item: dict[str, Any] = ITEM) -> bool:
    return conditions.holds(conditions.parse("ConditionExpression", text, placeholders()), item)


@pytest.mark.parametrize(
    "text",
    [
        "n = :five",
        "#n = :five",
        "n < :six AND n > :one",
        "n <> :six",
        "absent <> :six",
        "n < :ten",
        "n between :one and :six",
        "n IN (:one, :five)",
        "attribute_exists(doc.b.c)",
        "attribute_exists(#doc.b.c)",
        "attribute_not_exists(doc.b.x)",
        "attribute_not_exists(things[9])",
        "attribute_type(doc, :m)",
        "begins_with(#text, :he)",
        "begins_with(blurb, :raw)",
        "contains(tags, :a)",
        "contains(things, :one)",
        "contains(nums, :one)",
        "contains(#text, :he)",
        "contains(blurb, :raw)",
        "size(#text) = :five",
        "size(tags) < size(#text)",
        "size(things) > :one",
        "tags = :ba",
        "doc.b = :map",
        "things[2].deep <> :a",
        "things[0] = doc.a",
        "NOT n = :six",
        "not not n = :five",
        "NOT n = :five OR #text = :hello",
        "n = :six OR n = :five AND #text = :hello",
        "n = :five OR n = :six AND #text = :a",
        "(n = :five OR n = :six) AND NOT #text = :a",
        "(n) = (:five)",
        "yes = :true",
        "nil = :nil",
        "n = :five and (#text = :a or (#text = :hello and n < :six))",
    ],
)
def test_true_of_the_item(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "n = :six",
        "n = :a",
        "n < :a",
        "NOT n <> :a",
        "absent = :six",
        "absent < :six",
        "absent between :one and :six",
        "absent in (:one)",
        "n > absent",
        "attribute_exists(n.x)",
        "attribute_exists(n[0])",
        "attribute_type(doc, :s)",
        "attribute_type(absent, :s)",
        "begins_with(n, :he)",
        "contains(n, :one)",
        "contains(absent, :one)",
        "size(n) = :one",
        "size(absent) < :ten",
        "(n = :five OR n = :six) AND #text = :a",
    ],
)
def test_false_of_the_item(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The expression can not be empty;"),
        ("foo", 'Syntax error; token: "<EOF>", near: "foo"'),
        ("n = 5", 'Syntax error; token: "5", near: "= 5"'),
        ("n == :five", 'Syntax error; token: "=", near: "== :five"'),
        ("n = :five AND", 'Syntax error; token: "<EOF>", near: "AND"'),
        ("n = :five)", 'Syntax error; token: ")", near: ":five)"'),
        ("(n = :five", 'Syntax error; token: "<EOF>", near: ":five"'),
        ("n = :five = :six", 'Syntax error; token: "=", near: ":five = :six"'),
        ("n[a] = :five", 'Syntax error; token: "a", near: "[a]"'),
        ("status = :a", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("doc.Year = :a", "Attribute name is a reserved keyword; reserved keyword: Year"),
        ("foo(n)", "Invalid function name; function: foo"),
        ("Size(n) = :one", "Invalid function name; function: Size"),
        (
            "if_not_exists(n, :one)",
            "The function is not allowed in a condition expression; function: if_not_exists",
        ),
        (
            "size(#text)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "attribute_exists(n) = :true",
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "#nope = :a",
            "An expression attribute name used in the document path is not defined; attribute name: #nope",
        ),
        (
            "n = :nope",
            "An expression attribute value used in expression is not defined; attribute value: :nope",
        ),
        (
            "attribute_exists(n, nums)",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, "
            "number of operands: 2",
        ),
        (
            "attribute_exists(:a)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "attribute_type(n, :five)",
            "Incorrect operand type for operator or function; operator or function: attribute_type, "
            "operand type: N",
        ),
        (
            "attribute_type(n, :wrong)",
            "Invalid attribute type name found; type: wrong, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "begins_with(n, :five)",
            "Incorrect operand type for operator or function; operator or function: begins_with, "
            "operand type: N",
        ),
        (
            "n < :true",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        (
            "n = n",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: =, first operand: [n]",
        ),
        (
            "n BETWEEN :six AND :five",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {N:6}, upper bound operand: AttributeValue: {N:5}",
        ),
        (
            "n BETWEEN :one AND :a",
            "The BETWEEN operator requires same data type for lower and upper bounds; "
            "lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:a}",
        ),
        ("((n = :five))", "The expression has redundant parentheses;"),
    ],
)
def test_wrong_conditions(text: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        holds(text)
    assert caught.value.message == f"Invalid ConditionExpression: {sentence}"
    assert caught.value.code == "ValidationException"


def test_long_and_deep_conditions_are_read_or_refused_but_never_break_us() -> None:
    chain = "n = :five"
    for _ in range(150):  # as boto3's conditions nest
        chain = f"({chain} AND n = :five)"
    assert holds(chain)
    assert holds(" AND ".join(["n = :five"] * 150))
    for text in ("(" * 4000, "NOT " * 1000 + "n = :five", "size(" * 700, "n = " + "(" * 4000):
        with pytest.raises(ServiceError, match="Invalid ConditionExpression"):
            holds(text)
    with pytest.raises(ServiceError, match="too many operators"):
        update("SET " + ",".join(f"a{n}=n+n" for n in range(301)))
    with pytest.raises(ServiceError, match="maximum allowed size; expression size: 4097"):
        holds("n = :five".ljust(4097))


@given(st.text("n=:a ()[].,#0<>ANDORT", max_size=40))
def test_whatever_is_written_is_answered(text: str) -> None:
    with contextlib.suppress(ServiceError):
        assert holds(text) in (True, False)


def test_reserved_words_are_complete() -> None:
    assert len(RESERVED) == 573


def update(text: str, item: dict[str, Any] = ITEM) -> dict[str, Any]:
    return updates.apply(updates.parse(text, placeholders()), item)


def test_set_reads_the_old_item() -> None:
    after = update("SET n = :ten, former = n, doc.b.c = #text, things[1] = :one, things[7] = :a")
    assert after["n"] == {"N": "10"}
    assert after["former"] == {"N": "5"}
    assert after["doc"]["M"]["b"]["M"]["c"] == {"S": "hello"}
    assert after["things"]["L"][1] == {"N": "1"}
    assert after["things"]["L"][3] == {"S": "a"}
    assert ITEM["n"] == {"N": "5"}
    assert ITEM["doc"]["M"]["b"]["M"]["c"] == {"S": "d"}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("SET x = n + :one", "x", {"N": "6"}),
        ("set x = :one - n", "x", {"N": "-4"}),
        ("SET x = (n + :one)", "x", {"N": "6"}),
        ("SET x = (n) + (:one)", "x", {"N": "6"}),
        ("SET x = if_not_exists(x, :one) + :one", "x", {"N": "2"}),
        ("SET x = if_not_exists(n, :one)", "x", {"N": "5"}),
        ("SET x = if_not_exists(x, if_not_exists(y, :one))", "x", {"N": "1"}),
        ("SET x = list_append(:list, things[9])", "x", None),
        ("SET x = list_append(:list, :list)", "x", {"L": [{"N": "1"}, {"N": "1"}]}),
        ("SET x = list_append(if_not_exists(x, :list), :list)", "x", {"L": [{"N": "1"}, {"N": "1"}]}),
        ("SET #dots = :a", "a.b", {"S": "a"}),
        ("ADD n :one", "n", {"N": "6"}),
        ("ADD x :one", "x", {"N": "1"}),
        ("ADD tags :ba", "tags", {"SS": ["a", "b"]}),
        ("ADD x :ba", "x", {"SS": ["b", "a"]}),
        ("ADD doc.a :one", "doc", {"M": {"a": {"N": "2"}, "b": {"M": {"c": {"S": "d"}}}}}),
        ("DELETE tags :ba", "tags", None),
        ("DELETE x :ba", "x", None),
        ("REMOVE n", "n", None),
        ("REMOVE things[0], things[1]", "things", {"L": [{"M": {"deep": {"S": "down"}}}]}),
        ("REMOVE things[0], things[2].deep", "things", {"L": [{"S": "x"}, {"M": {}}]}),
        ("REMOVE things[9]", "things", ITEM["things"]),
        ("REMOVE doc.nothing", "doc", ITEM["doc"]),
    ],
)
def test_updates(text: str, name: str, value: Any) -> None:
    if "things[9])" in text:
        with pytest.raises(ServiceError, match="refers to an attribute that does not exist in the item"):
            update(text)
        return
    assert update(text).get(name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("whatever", 'Syntax error; token: "whatever", near: "whatever"'),
        ("SET a", 'Syntax error; token: "<EOF>", near: "a"'),
        ("SET key = VALUE 1", 'Syntax error; token: "1", near: "VALUE 1"'),
        ("SET a = b + c + d", 'Syntax error; token: "+", near: "c + d"'),
        ("SET a = (b.c).d + e", 'Syntax error; token: ".", near: ").d"'),
        ("ADD a b", 'Syntax error; token: "b", near: "a b"'),
        ("SET a = :a SET b = :a", 'The "SET" section can only be used once in an update expression;'),
        ("REMOVE Absolute", "Attribute name is a reserved keyword; reserved keyword: Absolute"),
        ("SET a = if_not_exist(b, :a)", "Invalid function name; function: if_not_exist"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        (
            "SET a = list_append(c)",
            "Incorrect number of operands for operator or function; "
            "operator or function: list_append, number of operands: 1",
        ),
        (
            "SET a = b + :a",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "SET a = list_append(b, :a)",
            "Incorrect operand type for operator or function; "
            "operator or function: list_append, operand type: S",
        ),
        ("ADD a :a", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"),
        (
            "DELETE a :one",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER",
        ),
        (
            "SET c[1].a = a, c = :a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [c, [1], a], path two: [c]",
        ),
        (
            "SET a = :a REMOVE a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a, b]",
        ),
        (
            "REMOVE a.c SET a[1] = :a",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; "
            "path one: [a, c], path two: [a, [1]]",
        ),
    ],
)
def test_wrong_updates(text: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        update(text)
    assert caught.value.message == f"Invalid UpdateExpression: {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("SET a.b = :a", "The document path provided in the update expression is invalid for update"),
        ("SET n.b = :a", "The document path provided in the update expression is invalid for update"),
        ("REMOVE a.b", "The document path provided in the update expression is invalid for update"),
        ("SET a = b", "The provided expression refers to an attribute that does not exist in the item"),
        ("SET a = #text + :one", "An operand in the update expression has an incorrect data type"),
        ("SET a = list_append(n, :list)", "An operand in the update expression has an incorrect data type"),
        ("ADD tags :one", "An operand in the update expression has an incorrect data type"),
        ("DELETE n :ba", "An operand in the update expression has an incorrect data type"),
    ],
)
def test_updates_that_the_item_does_not_bear(text: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        update(text)
    assert caught.value.message == sentence


def test_projection() -> None:
    tree = projections.parse("id, doc.b.c, things[2], things[0], absent, n.x", placeholders())
    assert tree is not None
    assert paths.project(ITEM, tree) == {
        "id": {"S": "one"},
        "doc": {"M": {"b": {"M": {"c": {"S": "d"}}}}},
        "things": {"L": [{"N": "1"}, {"M": {"deep": {"S": "down"}}}]},
    }
    with pytest.raises(ServiceError, match="Invalid ProjectionExpression: Two document paths overlap"):
        projections.parse("doc, doc.b", placeholders())
    with pytest.raises(ServiceError, match='Invalid ProjectionExpression: Syntax error; token: "<EOF>"'):
        projections.parse("id,", placeholders())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p > :a", "Query key condition not supported"),
        ("s = :a", "Query condition missed key schema element: p"),
        ("p = :a AND x = :a", "Query condition missed key schema element: s"),
        ("p = :a AND s = :a AND x = :a", "Query key condition not supported"),
        ("p = :a OR s = :a", "Invalid operator used in KeyConditionExpression: OR"),
        ("p = :a AND NOT s = :a", "Invalid operator used in KeyConditionExpression: NOT"),
        ("p = :a AND s <> :a", "Invalid operator used in KeyConditionExpression: <>"),
        ("p = :a AND s IN (:a)", "Invalid operator used in KeyConditionExpression: IN"),
        ("contains(p, :a)", "Invalid operator used in KeyConditionExpression: contains"),
        ("p = :a AND size(s) = :a", "KeyConditionExpressions cannot contain nested operations"),
        ("p = :a AND s.x = :a", "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("p = :a AND s > :a AND s < :z", "KeyConditionExpressions must only contain one condition per key"),
        (
            "p = s",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (
            "p = :one",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
    ],
)
def test_wrong_key_conditions(text: str, sentence: str) -> None:
    def check() -> None:
        asked = key_conditions.parse(text, placeholders())
        key_conditions.partition_and_range(asked, ("p", "S"), ("s", "S"))

    with pytest.raises(ServiceError) as caught:
        check()
    assert caught.value.message == sentence


def test_unused_placeholders_are_refused() -> None:
    given = Placeholders({"#a": "a", "#b": "b"}, {":x": {"S": "x"}}, ConditionExpression="")
    conditions.parse("ConditionExpression", "#a = :x", given)
    with pytest.raises(ServiceError) as caught:
        given.refuse_unused()
    assert caught.value.message == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"
    )
