"""Form fields -> parameters, as the query protocol numbers and nests them."""

from collections.abc import Callable, Mapping
from typing import Any

from oncue.protocol.malformed import Malformed, Undeclared
from oncue.protocol.model import Model, Shape
from oncue.protocol.shapes import Shapes
from oncue.protocol.texts import text_reader

Read = Callable[[Any], Any]  # a text, or a tree of texts by the parts of their dotted names -> a parameter

NOT_PARAMETERS = frozenset(
    {"Action", "Version", "AWSAccessKeyId", "Expires", "SecurityToken", "Signature", "SignatureMethod"}
    | {"SignatureVersion", "Timestamp"}
)


def tree_of(form: Mapping[str, str]) -> dict[str, Any]:
    """`{"A.1.B": "x"}` -> `{"A": {"1": {"B": "x"}}}`, without what is not a parameter."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        if name in NOT_PARAMETERS or name.startswith("X-Amz-"):
            continue
        *branch, leaf = name.split(".")
        node: Any = tree
        for step in branch:
            node = node.setdefault(step, {})
            if not isinstance(node, dict):
                raise Malformed(f"The parameter {name} contradicts another one.")
        if isinstance(node.get(leaf), dict):
            raise Malformed(f"The parameter {name} contradicts another one.")
        node[leaf] = value
    return tree


def numbered(node: Any) -> list[Any]:
    """The values of `{"1": ..., "2": ...}` in the order of their numbers."""
    if not isinstance(node, dict):
        raise Malformed("Expected list or null")
    if not all(key.isascii() and key.isdigit() and len(key) <= 9 for key in node):
        raise Malformed("The members of a list must be numbered.")
    return [node[key] for key in sorted(node, key=int)]


class Reader(Shapes[Read]):
    """Form trees -> parameters. Raises Malformed and Undeclared."""

    def structure(self, shape: Shape) -> Read:
        wire: dict[str, tuple[str, Read]] = {}
        for name, reference in shape["members"].items():
            member = self.model.follow(reference)
            read_member = self.of(member)
            wire[wire_name(self.model, member, name)] = (name, read_member)
            wire.setdefault(
                str(member.get("locationName", name)), (name, read_member)
            )  # an empty list's name
        where, alone = shape["name"], shape.get("union", False)

        def read(node: Any) -> dict[str, Any]:
            if node == "":
                return {}
            if not isinstance(node, dict):
                raise Malformed("Expected null")
            read: dict[str, Any] = {}
            for key, child in node.items():
                if key not in wire:
                    raise Undeclared(key, where)
                name, convert = wire[key]
                read[name] = convert(child)
            if alone and len(read) != 1:
                raise Malformed(f"Exactly one member of the union {where} must be set.")
            return read

        return read

    def list(self, shape: Shape) -> Read:
        member = self.model.follow(shape["member"])
        item, item_name = self.of(member), member.get("locationName", "member")
        flattened = shape.get("flattened", False)

        def read(node: Any) -> list[Any]:
            if node == "":
                return []
            if flattened:
                return [item(node)] if isinstance(node, str) else [item(child) for child in numbered(node)]
            return [item(child) for child in numbered(only(node, item_name))]

        return read

    def map(self, shape: Shape) -> Read:
        key, value = self.model.follow(shape["key"]), self.model.follow(shape["value"])
        key_name, value_name = key.get("locationName", "key"), value.get("locationName", "value")
        read_key, read_value = self.of(key), self.of(value)
        flattened = shape.get("flattened", False)

        def read(node: Any) -> dict[str, Any]:
            if node == "":
                return {}
            read: dict[str, Any] = {}
            for entry in numbered(node if flattened else only(node, "entry")):
                if not isinstance(entry, dict) or entry.keys() != {key_name, value_name}:
                    raise Malformed(f"An entry of a map must have a {key_name} and a {value_name}.")
                read[read_key(entry[key_name])] = read_value(entry[value_name])
            return read

        return read

    def scalar(self, shape: Shape) -> Read:
        convert = text_reader(shape, "iso8601")

        def read(node: Any) -> Any:
            if not isinstance(node, str):
                raise Malformed("Start of structure or map found where not expected.")
            return convert(node)

        return read


def only(node: Any, name: str) -> Any:
    if not isinstance(node, dict) or node.keys() != {name}:
        raise Malformed("Expected list or null")
    return node[name]


def wire_name(model: Model, member: Shape, name: str) -> str:
    """How a member is called on the wire: a flattened list after its items."""
    if member["type"] == "list" and member.get("flattened"):
        named: str | None = model.follow(member["member"]).get("locationName")
        if named:
            return named
    return str(member.get("locationName", name))
