"""Messages without a store: digests that SDKs recompute, what may be sent, what a receiver selects."""

from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.services.sqs import messages


def text(value: str, kind: str = "String") -> dict[str, Any]:
    return {"DataType": kind, "StringValue": value}


def md5(attributes: dict[str, dict[str, Any]]) -> str:
    return messages.md5_of_attributes(messages.packed_attributes(attributes))


@pytest.mark.parametrize(
    ("attributes", "digest"),
    [
        ({"attr1": text("99.12", "Number")}, "d302007e9aa062660afc85fd0a482472"),
        ({"Foo": text("Bar")}, "ae7155c6026991b6d54b11589678bf9c"),
        ({"Help.Me": text("Me"), "Hello": text("There"), "General": text("Kenobi")},
         "4c360f3fdafd970e05fae2f149d997f5"),
        ({"attr1": {"DataType": "Binary", "BinaryValue":
          b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"}},
         "8cbe4db156db8a94db8b801b7addb984"),
        ({"UserId": text("1234567890123456789012", "Number.bigint")}, "797ab158d73dcb5242dedc4412c8e855"),
    ],
)  # fmt: skip
def test_digests_recorded_from_aws(attributes: dict[str, dict[str, Any]], digest: str) -> None:
    assert md5(attributes) == digest


def test_no_attributes_have_no_digest() -> None:
    assert md5({}) == ""


def test_the_digest_of_the_trace_header() -> None:
    packed = {messages.TRACE_HEADER: ("String", "some-trace-id")}
    assert messages.md5_of_attributes(packed) == "fdce4f2818803f2f73becc09a54792c0"


@pytest.mark.parametrize("body", ["a", "\t\n\r ~", "é", "\ud7ff\ue000\ufffd", "\U00010000\U0010ffff"])
def test_allowed_characters(body: str) -> None:
    messages.check_body(body)


@pytest.mark.parametrize("body", ["\x00", "a\x08", "\x0b", "\x1f", "\ufffe", "\uffff", "é\x01"])
def test_forbidden_characters(body: str) -> None:
    with pytest.raises(ServiceError, match="#x10000 to #x10FFFF") as caught:
        messages.check_body(body)
    assert caught.value.code == "InvalidMessageContents"


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ({"All"}, ["General", "Hello", "Help.Me"]),
        ({".*"}, ["General", "Hello", "Help.Me"]),
        ({"Hel.*"}, ["Hello", "Help.Me"]),
        ({"Hello", "Foo"}, ["Hello"]),
        ({"hello", "He*", "*"}, []),
    ],
)
def test_selection(names: set[str], left: list[str]) -> None:
    packed = messages.packed_attributes({name: text("x") for name in ("Help.Me", "General", "Hello")})
    assert sorted(messages.selected_attributes(packed, frozenset(names))) == left


def test_size_counts_names_types_and_values() -> None:
    packed = messages.packed_attributes(
        {"né"[:1]: text("é"), "b": {"DataType": "Binary.x", "BinaryValue": b"123"}}
    )
    assert messages.bytes_of("é", packed) == 2 + (1 + 6 + 2) + (1 + 8 + 3)


def test_a_message_comes_back_as_it_was_packed() -> None:
    packed = messages.packed_attributes({"a": text("1"), "b": {"DataType": "Binary", "BinaryValue": b"\0"}})
    message = messages.Message("id", "body", "md5", "me", 1, attributes=packed, group_id="g")
    assert messages.unpack(message.pack()) == message


def test_groups_have_an_alphabet() -> None:
    messages.check_group("MessageGroupId", "Aa0!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    for bad in ("", "a b", "é", "a\n", "x" * 129):
        with pytest.raises(ServiceError, match="can only include alphanumeric and punctuation characters"):
            messages.check_group("MessageGroupId", bad)
