"""Where an item stands: in its table by its key, and in the indexes by what it holds."""

import hashlib
from typing import NamedTuple

from oncue.services.dynamodb import numbers, values
from oncue.services.dynamodb.refusals import PARAMETERS, bad_parameters, invalid, wrong_key
from oncue.services.dynamodb.tables import Attribute, Index, Table
from oncue.services.dynamodb.values import Item, Value, kind_of

PARTITION_BYTES_MAX = 2048
SORT_BYTES_MAX = 1024
PLACE_BYTES = 20  # wide enough that two keys never meet; a B-tree of PostgreSQL could not hold all keys whole
EMPTY_KEY = "The AttributeValue for a key attribute cannot contain an empty"


class Position(NamedTuple):
    """`place`: a hash of the partition key, so that a scan goes in hash order as on AWS; `sort`: the sort
    key in bytes that compare as it does, empty where there is none."""

    place: bytes
    sort: bytes


def encode(value: Value) -> bytes:
    """Bytes that compare as values of this type do."""
    kind = kind_of(value)
    content = value[kind]
    if kind == "S":
        return bytes(content.encode())
    return numbers.encode(content) if kind == "N" else bytes(content)


def place_of(value: Value) -> bytes:
    return hashlib.blake2b(encode(value), digest_size=PLACE_BYTES).digest()


def position(key: Item, partition: Attribute, sort: Attribute | None) -> Position:
    return Position(place_of(key[partition[0]]), encode(key[sort[0]]) if sort else b"")


def of_key(table: Table, given: dict[str, Value]) -> tuple[Item, Position]:
    """A `Key` parameter, admitted: exactly the attributes of the key schema, each of its type."""
    key = values.admit_item(given)
    if key.keys() != set(table.key_names):
        raise wrong_key()
    for name, kind in _attributes(table):
        if kind_of(key[name]) != kind:
            raise wrong_key()
    _admit_content(table, key)
    return key, position(key, table.partition, table.sort)


def of_item(table: Table, item: Item) -> Position:
    """Of a whole item that is put."""
    for name, kind in _attributes(table):
        if name not in item:
            raise bad_parameters(f"Missing the key {name} in the item")
        if kind_of(item[name]) != kind:
            raise bad_parameters(
                f"Type mismatch for key {name} expected: {kind} actual: {kind_of(item[name])}"
            )
    _admit_content(table, item)
    admit_index_keys(table, item)
    return position(item, table.partition, table.sort)


def _attributes(owner: Table | Index) -> list[Attribute]:
    return [owner.partition, *([owner.sort] if owner.sort else [])]


def _admit_content(table: Table, key: Item) -> None:
    for name, kind in _attributes(table):
        content = key[name][kind]
        if content in ("", b""):
            noun = "string" if kind == "S" else "binary"
            raise invalid(
                f"One or more parameter values are not valid. {EMPTY_KEY} {noun} value. Key: {name}"
            )
    _admit_sizes(table, key)


def _admit_sizes(owner: Table | Index, item: Item) -> None:
    if values.size(item[owner.partition[0]]) > PARTITION_BYTES_MAX:  # AWS's sentence has no space there
        raise bad_parameters(
            f"Size of hashkey has exceeded the maximum size limit of{PARTITION_BYTES_MAX} bytes"
        )
    if owner.sort and values.size(item[owner.sort[0]]) > SORT_BYTES_MAX:
        raise bad_parameters(
            f"Aggregated size of all range keys has exceeded the size limit of {SORT_BYTES_MAX} bytes"
        )


def admit_index_keys(table: Table, item: Item) -> None:
    """An attribute that is a key of an index has the index's type, or is not there."""
    for index in table.indexes.values():
        for name, kind in _attributes(index):
            if name not in item:
                continue
            actual = kind_of(item[name])
            if actual != kind:
                raise invalid(
                    f"{PARAMETERS}Type mismatch for Index Key {name} Expected: {kind} Actual: {actual} "
                    f"IndexName: {index.name}"
                )
            if item[name][kind] in ("", b""):
                noun = "string" if kind == "S" else "binary"
                raise invalid(
                    "One or more parameter values are not valid. A value specified for a secondary index "
                    f"key is not supported. {EMPTY_KEY} {noun} value. IndexName: {index.name}, "
                    f"IndexKey: {name}"
                )
        if all(name in item for name in index.key_names):
            _admit_sizes(index, item)


def in_index(index: Index, item: Item | None) -> Position | None:
    """None where the item is not in the index: it lacks one of the index's keys."""
    if item is None or any(name not in item for name in index.key_names):
        return None
    return position(item, index.partition, index.sort)


def seen_through(index: Index | None, item: Item) -> Item:
    """The item with the attributes that the index projects."""
    if index is None or index.projection == "ALL":
        return item
    return {name: value for name, value in item.items() if name in index.projected}
