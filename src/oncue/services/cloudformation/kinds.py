"""What a resource type is: its properties, what changing them means, and how it is made, changed and
deleted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from oncue import clock
from oncue.services import Call
from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.intrinsics import Unknown

Shape = Literal["text", "integer", "boolean", "list", "map", "any"]
Properties = dict[str, Any]
SHAPE_NAMES = {
    "text": "String",
    "integer": "Integer",
    "boolean": "Boolean",
    "list": "JSONArray",
    "map": "JSONObject",
}
SUFFIX_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SUFFIX_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Property:
    """The shape of a property's value, whether it must be there, and whether changing it replaces the
    resource."""

    shape: Shape
    replaces: bool = False
    required: bool = False


def props(shape: Shape, names: str, *, replaces: bool = False, required: bool = False) -> dict[str, Property]:
    return {name: Property(shape, replaces, required) for name in names.split()}


def shapes(*parts: dict[str, Property]) -> dict[str, Property]:
    return {name: rule for part in parts for name, rule in part.items()}


@dataclass(frozen=True, slots=True)
class Made:
    """What a resource became: `physical_id` is what Ref gives, `attributes` what Fn::GetAtt gives."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource of one step: its name before it exists, what it is now, and what it shall be."""

    logical_id: str
    stack_name: str
    stack_id: str
    name: str  # the physical name chosen for it, stored before the first attempt
    properties: Properties
    before: Properties = field(default_factory=dict)
    physical_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


class Kind:
    """One resource type. Each verb is one transaction, the record of what it did included: a crash
    leaves nothing
    half made, and there is nothing to find again."""

    type: ClassVar[str]
    properties: ClassVar[Mapping[str, Property]]
    attributes: ClassVar[frozenset[str]] = frozenset()
    name_property: ClassVar[str | None] = None
    name_length_max: ClassVar[int] = 64
    capability: ClassVar[str | None] = None

    def create(self, call: Call, subject: Subject) -> Made:
        raise TypeError(f"{self.type} cannot be created")

    def update(self, call: Call, subject: Subject) -> Made:
        raise TypeError(f"{self.type} has only properties that replace it")

    def delete(self, call: Call, subject: Subject) -> None:
        """Deletes it; that it is gone already is not an error."""

    def name(self, stack_name: str, logical_id: str, properties: Properties) -> str:
        """The name given by its property, else `<stack>-<logical id>-<12 random>` within the length limit."""
        given = properties.get(self.name_property) if self.name_property else None
        if isinstance(given, str) and given:
            return given
        return generated_name(stack_name, logical_id, self.name_length_max)

    def check(self, logical_id: str, properties: Properties) -> None:
        """The names of the properties as written: known ones only, required ones all."""
        where = ("Resources", logical_id, "Properties")
        for name in properties:
            if name not in self.properties:
                raise TemplateError(
                    f"Resource {logical_id} ({self.type}): Encountered unsupported property {name}",
                    (*where, name),
                )
        for name, rule in self.properties.items():
            if rule.required and name not in properties:
                raise TemplateError(
                    f"Resource {logical_id} ({self.type}): Properties validation failed: #: required key "
                    f"[{name}] not found",
                    where,
                )

    def shaped(self, logical_id: str, properties: Properties) -> Properties:
        """The resolved properties with scalars brought to their shapes ("30" is 30 where a number
        belongs)."""
        result = {}
        for name, value in properties.items():
            shape = self.properties[name].shape
            fitted = fit(value, shape)
            if fitted is None:
                raise TemplateError(
                    f"Properties validation failed for resource {logical_id} with message: #/{name}: "
                    f"expected type: {SHAPE_NAMES[shape]}, found: {SHAPE_NAMES[shape_of(value)]}",
                    ("Resources", logical_id, "Properties", name),
                )
            result[name] = fitted
        return result

    def replacing(self, changed: frozenset[str]) -> bool:
        return any(self.properties[name].replaces for name in changed if name in self.properties)


def generated_name(stack_name: str, logical_id: str, length_max: int) -> str:
    suffix = random_letters(SUFFIX_LENGTH)
    room = length_max - SUFFIX_LENGTH - 2
    stack = (
        stack_name[: max(1, room - len(logical_id))]
        if len(stack_name) + len(logical_id) > room
        else stack_name
    )
    return f"{stack}-{logical_id[: room - len(stack)]}-{suffix}"


def random_letters(count: int) -> str:
    letters = ""
    number = int(clock.token(count), 16)
    for _ in range(count):
        number, index = divmod(number, len(SUFFIX_LETTERS))
        letters += SUFFIX_LETTERS[index]
    return letters


def shape_of(value: Any) -> Shape:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer"
    return "list" if isinstance(value, list) else "map" if isinstance(value, dict) else "text"


def fit(value: Any, shape: Shape) -> Any:
    """The value in the wanted shape, or None when it cannot be had; unknown values are left as they are."""
    if isinstance(value, Unknown) or shape in ("any", shape_of(value)):
        return value
    if shape == "text" and isinstance(value, (int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if shape == "integer" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if shape == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return None


def gone(code: str) -> bool:
    """Whether an error code says that the thing to delete is not there."""
    return "NotFound" in code or "NonExistent" in code or "DoesNotExist" in code or code.startswith("NoSuch")
