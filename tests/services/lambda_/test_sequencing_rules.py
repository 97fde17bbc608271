"""The line: what is read from it, and that a wrong one is refused with the word that is wrong."""

import msgspec
import pytest

from oncue.errors import ServiceError
from oncue.services.lambda_.sequencing.pointers import Reader
from oncue.services.lambda_.sequencing.rules import Rule, check_key, read


def test_lines() -> None:
    assert read("latest key=/post_id version=/version type=semver") == Rule(
        "latest", "/post_id", ("/version",), "semver"
    )
    rule = read("in-order key=@attr/MessageGroupId version=/seq gap=30s on-gap=skip")
    assert (rule.mode, rule.key, rule.type, rule.gap_s) == ("in-order", "@attr/MessageGroupId", "int", 30.0)
    rule = read("latest key=/detail/id version=/detail/epoch+/detail/rev settle=500ms")
    assert (rule.version, rule.settle_s, rule.waits_s) == (("/detail/epoch", "/detail/rev"), 0.5, 5.0)
    assert read("serial key=/customer_id") == Rule("serial", "/customer_id")
    assert read("in-order version=/n first=any ttl=forever").first is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "''"),
        ("newest key=/a", "'newest'"),
        ("latest key=/a version=/v tipe=int", "'tipe=int'"),
        ("latest key=/a version=/v type=number", "'number'"),
        ("latest key=/a", "'latest' needs a version"),
        ("latest key=a version=/v", "'a'"),
        ("latest key=/a version=/v type", "'type'"),
        ("latest key=/a key=/b version=/v", "'key' is there twice"),
        ("latest key=/a version=/v gap=3s", "'gap' has no meaning with latest"),
        ("serial key=/a version=/v", "'version'"),
        ("latest key=/a version=/v settle=fast", "'fast'"),
        ("latest key=/a version=/v settle=29d", "'29d'"),
        ("latest key=/a version=/v max-wait=2s", "'max-wait' needs settle"),
        ("in-order key=/a version=/v type=semver", "'semver'"),
        ("in-order key=/a version=/v+/w", "cannot be counted"),
        ("in-order key=/a version=/v lateness=5s gap=1s", "'gap'"),
        ("latest key=/a version=/v+/w type=int+int+int", "'int+int+int'"),
        ("latest key=/a version=/v on-equal=maybe", "'maybe'"),
        ("in-order key=/a version=/v first=soon", "'soon'"),
        ("latest key=/a version=" + "/v" * 200, "256"),
    ],
)
def test_a_wrong_line_is_refused_with_its_word(line: str, word: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        read(line)
    assert refusal.value.code == "InvalidParameterValueException"
    assert word in refusal.value.message


def test_a_standard_queue_needs_a_key() -> None:
    line = "latest version=/v"
    check_key(read(line), line, fifo=True)
    with pytest.raises(ServiceError, match="'key' is missing"):
        check_key(read(line), line, fifo=False)


MESSAGE = {
    "Body": msgspec.json.encode(
        {"a": {"b/c": [1, {"d": "x"}]}, "Message": '{"version": 7, "id": "k"}', "n": 12.0, "t": True}
    ).decode(),
    "Attributes": {"MessageGroupId": "g"},
    "MessageAttributes": {"post": {"DataType": "String", "StringValue": "p1"}},
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/b~1c/1/d", "x"),
        ("/Message/version", 7),
        ("@sns/Message/version", 7),
        ("@attr/MessageGroupId", "g"),
        ("@msgattr/post", "p1"),
    ],
)
def test_pointers(pointer: str, value: object) -> None:
    assert Reader(MESSAGE).value(pointer) == value


@pytest.mark.parametrize("pointer", ["/a/x", "/a/b~1c/9", "@attr/None", "@msgattr/None", "/n/deeper", "/t/x"])
def test_pointers_to_nothing(pointer: str) -> None:
    with pytest.raises(ValueError, match="nothing"):
        Reader(MESSAGE).value(pointer)


def test_keys_are_texts_or_numbers() -> None:
    reader = Reader(MESSAGE)
    assert reader.key("/n") == "12"
    for pointer in ("/a", "/t"):
        with pytest.raises(ValueError, match="neither"):
            reader.key(pointer)
    deep = Reader({"Body": "[" * 100_000})
    with pytest.raises(ValueError, match="not JSON"):
        deep.value("/a")
