"""Random histories of conditional writes, against a dictionary that does the same."""

import uuid
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.dynamodb.conftest import Make, item, plain

IDS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-3, 3)
CONDITIONS = st.sampled_from(["none", "absent", "present", "n < :v", "n = :v"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "add", "set", "remove", "delete"]), IDS, NUMBERS, CONDITIONS),
    max_size=12,
)
TEXTS = {"absent": "attribute_not_exists(id)", "present": "attribute_exists(id)"}


def passes(condition: str, number: int, before: dict[str, Any] | None) -> bool:
    n = (before or {}).get("n")
    return {
        "none": True,
        "absent": before is None,
        "present": before is not None,
        "n < :v": n is not None and n < number,
        "n = :v": n is not None and n == number,
    }[condition]


def expected(kind: str, id_: str, number: int, before: dict[str, Any] | None) -> dict[str, Any] | None:
    after = dict(before or {"id": id_})
    if kind == "put":
        return {"id": id_, "n": number}
    if kind == "delete":
        return None
    if kind == "add":
        return {**after, "n": after.get("n", 0) + number}
    if kind == "set":
        return {**after, "m": number}
    after.pop("n", None)
    return after if before is not None else None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_histories(dynamodb: Any, table: Make, steps: list[tuple[str, str, int, str]]) -> None:
    name = table("id:S", TableName=f"t-{uuid.uuid4()}")
    model: dict[str, Any] = {}
    for kind, id_, number, condition in steps:
        texts = {
            "add": "ADD n :n",
            "set": "SET m = :n",
            "remove": "REMOVE n",
        }
        given_values = {":n": {"N": str(number)}} if kind in ("add", "set") else {}
        parameters: dict[str, Any] = {"TableName": name}
        if kind == "put":
            parameters["Item"] = item(id=id_, n=number)
        else:
            parameters["Key"] = item(id=id_)
        if kind in texts:
            parameters["UpdateExpression"] = texts[kind]
        if condition != "none":
            parameters["ConditionExpression"] = TEXTS.get(condition, condition)
            if ":v" in condition:
                given_values[":v"] = {"N": str(number)}
        if given_values:
            parameters["ExpressionAttributeValues"] = given_values
        operation = {"put": dynamodb.put_item, "delete": dynamodb.delete_item}.get(kind, dynamodb.update_item)
        before = model.get(id_)
        try:
            operation(**parameters)
            done = True
        except ClientError as error:
            done = False
            refused = error.response["Error"]["Code"]
        assert done is passes(condition, number, before)
        if done:
            model[id_] = expected(kind, id_, number, before)
        else:
            assert refused == "ConditionalCheckFailedException"
        got = plain(dynamodb.get_item(TableName=name, Key=item(id=id_)).get("Item"))
        assert got == model.get(id_)
    everything = {one["id"]: one for one in map(plain, dynamodb.scan(TableName=name)["Items"]) if one}
    assert everything == {id_: one for id_, one in model.items() if one is not None}
