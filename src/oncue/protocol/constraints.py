"""The constraints of the models (required, length, range, pattern, enum), and AWS's sentences about them."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from oncue.protocol.model import Model, Operation, Shape
from oncue.protocol.shapes import Shapes

Rule = tuple[Callable[[Any], bool], str]  # whether a value is good, and what it "must"
Check = Callable[[Any, str, list["Violation"]], None]  # value, its path, what was found so far

VIOLATIONS_MAX = 10  # AWS lists no more either
VALUE_CHARACTERS_MAX = 8192
Violation = tuple[str | None, str, str]  # the value as text (None: not to be shown), its path, what it "must"


def sentence(violations: list[Violation]) -> str:
    """`1 validation error detected: Value 'x' at 'name' failed to satisfy constraint: Member must ...`"""
    listed = violations[:VIOLATIONS_MAX]
    errors = "error" if len(listed) == 1 else "errors"
    texts = (
        f"Value {shown} at '{path}' failed to satisfy constraint: {must}"
        if shown is not None
        else f"Value at '{path}' failed to satisfy constraint: {must}"
        for shown, path, must in listed
    )
    return f"{len(listed)} validation {errors} detected: {'; '.join(texts)}"


def checker(operation: Operation) -> Callable[[Mapping[str, Any]], list[Violation]]:
    check = Checks(operation.model).of(operation.input_shape)

    def violations(parameters: Mapping[str, Any]) -> list[Violation]:
        found: list[Violation] = []
        check(parameters, "", found)
        return found

    return violations


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern of the models, which are Java's; None for the few (with \\p{..}) that Python lacks."""
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None


def rules(shape: Shape) -> list[Rule]:
    """What a shape itself demands, in the order in which AWS lists it for the members of a list or map."""
    kind = shape["type"]
    found: list[Rule] = []
    if kind in ("string", "blob", "list", "map"):
        found += bounds(shape, "length", len)
    elif kind != "timestamp":
        found += bounds(shape, "value", lambda value: value)
    if kind == "string" and (pattern := shape.get("pattern")) and (expression := compiled(pattern)):
        fits = expression.fullmatch
        must = f"Member must satisfy regular expression pattern: {pattern}"
        found.append((lambda value: fits(value) is not None, must))
    if allowed := shape.get("enum"):
        must = f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        found.append((frozenset(allowed).__contains__, must))
    return found


def bounds(shape: Shape, what: str, measure: Callable[[Any], Any]) -> Iterable[Rule]:
    if (high := shape.get("max")) is not None:
        yield lambda value: measure(value) <= high, f"Member must have {what} less than or equal to {high}"
    if (low := shape.get("min")) is not None:
        yield lambda value: measure(value) >= low, f"Member must have {what} greater than or equal to {low}"


def nothing(value: Any, path: str, found: list[Violation]) -> None:
    """The check of a shape that demands nothing."""


def is_secret(shape: Shape, *parts: Shape) -> bool:
    """Whether AWS would not repeat the value in an error."""
    return any(part.get("sensitive") for part in (shape, *parts))


def show(value: Any) -> str:
    """A value as Java would print it, in quotes."""
    text = java(value)
    return f"'{text[:VALUE_CHARACTERS_MAX]}'"


def java(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
        case dict():
            return "{" + ", ".join(f"{key}={java(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(java(item) for item in value) + "]"
        case _:
            return str(value)


class Checks(Shapes[Check]):
    """Closures that append to `found` what a value violates. A container tells of its members' own rules (AWS
    repeats the whole container then); of what is inside them the error names the place."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.not_null = ", Member must not be null" if model.service == "lambda" else ""

    def structure(self, shape: Shape) -> Check:
        if shape.get("document"):
            return nothing
        required = frozenset(shape.get("required", ()))
        members = []
        for name, reference in shape["members"].items():
            check = self.of(self.model.follow(reference))
            if check is not nothing or name in required:
                members.append((name, name[0].lower() + name[1:], name in required, check))
        if not members:
            return nothing

        def checks(value: Any, path: str, found: list[Violation]) -> None:
            prefix = f"{path}." if path else ""
            for name, shown, needed, check in members:
                item = value.get(name)
                if item is not None:
                    if check is not nothing:
                        check(item, prefix + shown, found)
                elif needed:
                    found.append(("null", prefix + shown, "Member must not be null"))

        return checks

    def scalar(self, shape: Shape) -> Check:
        demands = sorted(rules(shape), key=lambda rule: "pattern" not in rule[1])
        return broken(demands, is_secret(shape)) if demands else nothing

    def list(self, shape: Shape) -> Check:
        member = self.model.follow(shape["member"])
        return both(broken(rules(shape), is_secret(shape, member)), self.parts(shape))

    def map(self, shape: Shape) -> Check:
        members = (self.model.follow(shape[part]) for part in ("key", "value"))
        return both(broken(rules(shape), is_secret(shape, *members)), self.parts(shape))

    def parts(self, shape: Shape) -> Check:
        """What the members of a list or map must be, and what is inside them."""
        if shape["type"] == "list":
            member = self.model.follow(shape["member"])
            secret = is_secret(shape, member)
            demands = rules(member)
            own = of_all(demands, "Member must satisfy constraint: ", self.not_null, list, secret)
            return both(own, each_item(self.inside(member)))
        key, member = self.model.follow(shape["key"]), self.model.follow(shape["value"])
        secret = is_secret(shape, key, member)
        own = both(
            of_all(rules(key), "Map keys must satisfy constraint: ", "", list, secret),
            of_all(rules(member), "Map value must satisfy constraint: ", "", dict.values, secret),
        )
        return both(own, each_entry(self.inside(member)))

    def inside(self, member: Shape) -> Check:
        if member["type"] == "structure":
            return self.of(member)
        return self.parts(member) if member["type"] in ("list", "map") else nothing


def both(first: Check, second: Check) -> Check:
    if first is nothing or second is nothing:
        return second if first is nothing else first

    def checks(value: Any, path: str, found: list[Violation]) -> None:
        first(value, path, found)
        second(value, path, found)

    return checks


def broken(demands: list[Rule], secret: bool) -> Check:
    """One violation for each rule that the value itself breaks."""
    if not demands:
        return nothing

    def checks(value: Any, path: str, found: list[Violation]) -> None:
        for good, must in demands:
            if not good(value):
                found.append((None if secret else show(value), path, must))

    return checks


def of_all(
    demands: list[Rule], lead: str, tail: str, members: Callable[[Any], Iterable[Any]], secret: bool
) -> Check:
    """One violation for the whole container when any of its members (or keys) breaks a rule."""
    if not demands:
        return nothing
    must = f"{lead}[{', '.join(must for _, must in demands)}{tail}]"

    def checks(value: Any, path: str, found: list[Violation]) -> None:
        if not all(good(item) for item in members(value) for good, _ in demands):
            found.append((None if secret else show(value), path, must))

    return checks


def each_item(inside: Check) -> Check:
    if inside is nothing:
        return nothing

    def checks(value: Any, path: str, found: list[Violation]) -> None:
        for number, item in enumerate(value, 1):
            inside(item, f"{path}.{number}.member", found)

    return checks


def each_entry(inside: Check) -> Check:
    if inside is nothing:
        return nothing

    def checks(value: Any, path: str, found: list[Violation]) -> None:
        for key, item in value.items():
            inside(item, f"{path}.{key}.member", found)

    return checks


def first_missing(operation: Operation) -> Callable[[Mapping[str, Any]], str | None]:
    """For SQS, which words it in its own way: the first required parameter that is not there, also in an
    entry of a batch (`SendMessageBatchRequestEntry.1.Id`)."""
    model, shape = operation.model, operation.input_shape
    entries = []
    for name, reference in shape["members"].items():
        if (member := model.follow(reference))["type"] == "list":
            item = model.follow(member["member"])
            if item.get("required"):
                entries.append((name, item["name"], item["required"]))

    def missing(parameters: Mapping[str, Any]) -> str | None:
        for name in shape.get("required", ()):
            if name not in parameters:
                return str(name)
        for name, shown, required in entries:
            for number, entry in enumerate(parameters.get(name, ()), 1):
                for part in required:
                    if part not in entry:
                        return f"{shown}.{number}.{part}"
        return None

    return missing
