"""Decides what a deployment does: order of resources by their references, and create, update, replace or
delete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.intrinsics import Scope, Unknown, evaluate, unknown_in
from oncue.services.cloudformation.kinds import Kind, Properties
from oncue.services.cloudformation.template import Resource, Template, references

Action = Literal["create", "update", "replace", "delete", "unchanged"]
Kinds = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Existing:
    """A deployed resource: its type, its resolved properties and, where they are known, its attributes."""

    type: str
    properties: Properties
    physical_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    logical_id: str
    type: str
    action: Action
    properties: tuple[str, ...] = ()  # what differs, for update and replace


def chosen(template: Template, scope: Scope) -> dict[str, Resource]:
    """The resources whose conditions hold."""
    return {
        key: resource
        for key, resource in template.resources.items()
        if resource.condition is None or scope.condition(resource.condition, resource.path)
    }


def needs(resource: Resource, names: Mapping[str, Any]) -> list[str]:
    """The other resources among `names` that must exist before this one."""
    found = {name for name, _ in references(resource.properties)} | set(resource.depends_on)
    return sorted(name for name in found if name in names and name != resource.logical_id)


def ordered(resources: Mapping[str, Resource]) -> list[str]:
    """Logical ids, each after what it needs, otherwise as written. TemplateError for a circle."""
    order: list[str] = []
    waiting = {key: set(needs(resource, resources)) for key, resource in resources.items()}
    for key, resource in resources.items():
        if key in {name for name, _ in references(resource.properties)}:
            raise TemplateError(f"Circular dependency between resources: [{key}]", resource.path)
    while waiting:
        ready = [key for key, needed in waiting.items() if not needed]
        if not ready:
            circle = ", ".join(sorted(_circle(waiting)))
            raise TemplateError(f"Circular dependency between resources: [{circle}]", ("Resources",))
        for key in ready:
            del waiting[key]
        for needed in waiting.values():
            needed.difference_update(ready)
        order += ready
    return order


def _circle(waiting: Mapping[str, set[str]]) -> set[str]:
    """What is on a circle: what remains when everything that only leads to one has been taken away."""
    left = dict(waiting)
    while True:
        wanted = set().union(*left.values()) if left else set()
        loose = [key for key in left if key not in wanted]
        if not loose:
            return set(left)
        for key in loose:
            del left[key]


def check(template: Template, kinds: Kinds) -> None:
    """Types, property names and Fn::GetAtt attributes, before anything is made."""
    lost = sorted({r.type for r in template.resources.values() if r.type not in kinds})
    if lost:
        named = ", ".join(f"{r.logical_id} ({r.type})" for r in template.resources.values() if r.type in lost)
        first = next(r for r in template.resources.values() if r.type in lost)
        raise TemplateError(
            f"Template format error: Unrecognized resource types: [{', '.join(lost)}]. Oncue does not "
            f"offer the type of {named}.",
            (*first.path, "Type"),
        )
    for resource in template.resources.values():
        kinds[resource.type].check(resource.logical_id, resource.properties)
        _check_attributes(template, kinds, resource.properties, resource.path)
    for key, output in template.outputs.items():
        _check_attributes(template, kinds, output["Value"], ("Outputs", key))
    ordered(template.resources)


def _check_attributes(template: Template, kinds: Kinds, value: Any, path: tuple[str | int, ...]) -> None:
    for name, attribute in references(value):
        target = template.resources.get(name)
        if attribute is not None and target is not None and attribute not in kinds[target.type].attributes:
            raise TemplateError(
                f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt",
                path,
            )


def capabilities(template: Template, kinds: Kinds) -> list[str]:
    """What the caller must acknowledge: roles and policies, and whether they have names of their own."""
    needed = ""
    for resource in template.resources.values():
        kind = kinds.get(resource.type)
        if kind is None or kind.capability is None:
            continue
        named = kind.name_property is not None and kind.name_property in resource.properties
        if named and kind.capability == "CAPABILITY_NAMED_IAM":
            return ["CAPABILITY_NAMED_IAM"]
        needed = "CAPABILITY_IAM"
    return [needed] if needed else []


def properties_of(resource: Resource, scope: Scope, kind: Kind | None = None) -> Properties:
    """The resource's properties with their functions carried out; TemplateError names the property."""
    path = (*resource.path, "Properties")
    resolved: Properties = {}
    try:
        resolved = evaluate(resource.properties, scope, path)
    except TemplateError as error:
        error.path = error.path or path
        raise
    return resolved if kind is None else kind.shaped(resource.logical_id, resolved)


def symbolic(scope_of: Callable[[Callable[[str, str | None], Any]], Scope]) -> Scope:
    """A scope whose resources are known by name only: equal expressions give equal values."""

    def lookup(name: str, attribute: str | None) -> Unknown:
        return Unknown(f"{name}.{attribute}" if attribute else name, frozenset({name}))

    return scope_of(lookup)


def symbolic_existing(template: Template, scope: Scope, kinds: Kinds) -> dict[str, Existing]:
    """What is deployed, as far as its own template tells."""
    return {
        key: Existing(resource.type, properties_of(resource, scope, kinds.get(resource.type)))
        for key, resource in chosen(template, scope).items()
    }


def plan(template: Template, scope: Scope, existing: Mapping[str, Existing], kinds: Kinds) -> list[Change]:
    """The changes in the order in which they are made; deletions come last, in reverse.

    `scope.lookup` must answer Unknown for a resource that is made or replaced by this very plan: a
    property that
    holds such a value differs from whatever is there.
    """
    wanted = chosen(template, scope)
    fresh: set[str] = set()
    changes = []
    for key in ordered(wanted):
        resource = wanted[key]
        there = existing.get(key)
        kind = kinds.get(resource.type)
        if there is None or there.type != resource.type:
            action: Action = "create" if there is None else "replace"
            fresh.add(key)
            changes.append(Change(key, resource.type, action))
            continue
        after = properties_of(resource, scope, kind)
        changed = differing(there.properties, after, fresh)
        action = "update" if changed else "unchanged"
        if changed and kind is not None and kind.replacing(changed):
            action = "replace"
            fresh.add(key)
        changes.append(Change(key, resource.type, action, tuple(sorted(changed))))
    removed = [key for key in existing if key not in wanted]
    changes += [Change(key, existing[key].type, "delete") for key in reversed(removed)]
    return changes


def differing(before: Properties, after: Properties, fresh: set[str]) -> frozenset[str]:
    """The names whose values differ, or wait for a resource that is made anew."""
    names = before.keys() | after.keys()
    return frozenset(
        name
        for name in names
        if before.get(name) != after.get(name) or ((unknown_in(after.get(name)) or frozenset()) & fresh)
    )


def has_changes(changes: list[Change]) -> bool:
    return any(change.action != "unchanged" for change in changes)
