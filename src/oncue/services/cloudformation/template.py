"""A template's parts, checked for shape: parameters, mappings, conditions, resources, outputs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from oncue.services.cloudformation.documents import Document, Path, TemplateError, read

SECTIONS = frozenset(
    [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Transform",
        "Rules",
        "Resources",
        "Outputs",
        "Hooks",
        "Globals",
    ]
)
RESOURCE_KEYS = frozenset(
    [
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "Metadata",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "CreationPolicy",
        "UpdatePolicy",
    ]
)
RESOURCES_MAX = 500
PARAMETERS_MAX = 200
OUTPUTS_MAX = 200
ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
POLICIES = ("Delete", "Retain", "RetainExceptOnCreate")
PSEUDO = frozenset(
    f"AWS::{name}"
    for name in [
        "AccountId",
        "NotificationARNs",
        "NoValue",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    ]
)
SUBSTITUTION = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as written; `properties` still holds its intrinsic functions."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    condition: str | None = None
    depends_on: tuple[str, ...] = ()
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"

    @property
    def path(self) -> Path:
        return ("Resources", self.logical_id)


@dataclass(frozen=True, slots=True)
class Template:
    document: Document
    description: str | None
    transforms: tuple[str, ...]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)


def parse(text: str) -> Template:
    """The template in `text`. TemplateError, with path and line, for what CloudFormation would not accept."""
    document = read(text)
    try:
        return build(document)
    except TemplateError as error:
        error.line = error.line or document.line(error.path)
        raise


def build(document: Document) -> Template:
    body = document.value
    if not isinstance(body, dict):
        raise TemplateError("Template format error: unsupported structure.")
    unknown = sorted(set(body) - SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]", (unknown[0],))
    for name in ("Rules", "Hooks"):
        if body.get(name):
            raise TemplateError(f"Template error: Oncue does not support the section {name}.", (name,))
    resources = {key: _resource(key, value) for key, value in _section(body, "Resources").items()}
    if not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    if len(resources) > RESOURCES_MAX:
        raise TemplateError(
            f"Template format error: Number of resources, {len(resources)}, is greater than maximum allowed, "
            f"{RESOURCES_MAX}",
            ("Resources",),
        )
    parameters = {key: _parameter(key, value) for key, value in _section(body, "Parameters").items()}
    outputs = {key: _output(key, value) for key, value in _section(body, "Outputs").items()}
    _count(parameters, PARAMETERS_MAX, "Parameters")
    _count(outputs, OUTPUTS_MAX, "Outputs")
    description = body.get("Description")
    if description is not None and not isinstance(description, str):
        message = "Template format error: Description must be text."
        raise TemplateError(message, ("Description",))
    template = Template(
        document=document,
        description=description,
        transforms=_transforms(body.get("Transform")),
        parameters=parameters,
        mappings=_section(body, "Mappings"),
        conditions=_section(body, "Conditions"),
        resources=resources,
        outputs=outputs,
    )
    _check_names(template)
    return template


def _count(section: dict[str, Any], limit: int, name: str) -> None:
    if len(section) > limit:
        message = f"Template format error: Number of {name.lower()}, {len(section)}, is greater than maximum "
        raise TemplateError(f"{message}allowed, {limit}", (name,))


def _section(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"Template format error: {name} must be an object.", (name,))
    return value


def _transforms(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(str(item.get("Name")) if isinstance(item, dict) else str(item) for item in listed if item)


def _resource(key: str, value: Any) -> Resource:
    path: Path = ("Resources", key)
    if not ALPHANUMERIC.fullmatch(key):
        raise TemplateError(f"Template format error: Resource name {key} is non alphanumeric.", path)
    if not isinstance(value, dict) or not isinstance(value.get("Type"), str):
        raise TemplateError(
            f"Template format error: [/Resources/{key}] Every Resources object must contain a Type member.",
            path,
        )
    unknown = sorted(set(value) - RESOURCE_KEYS)
    if unknown:
        raise TemplateError(f"Invalid template resource property '{unknown[0]}'", (*path, unknown[0]))
    properties = value.get("Properties") or {}
    if not isinstance(properties, dict):
        raise TemplateError("Template format error: Properties must be an object.", (*path, "Properties"))
    depends = value.get("DependsOn") or []
    depends = [depends] if isinstance(depends, str) else depends
    if not isinstance(depends, list) or not all(isinstance(item, str) for item in depends):
        raise TemplateError("Template format error: DependsOn must be a name or a list of names.", path)
    for name in ("DeletionPolicy", "UpdateReplacePolicy"):
        if value.get(name, "Delete") not in POLICIES:
            raise TemplateError(
                f"Template format error: Unresolved {name} {value[name]!r}: it must be one of {POLICIES}.",
                (*path, name),
            )
    if not isinstance(value.get("Condition", ""), str):
        raise TemplateError("Template format error: Condition must be the name of a condition.", path)
    for name in ("CreationPolicy", "UpdatePolicy"):
        if value.get(name):
            raise TemplateError(f"Template error: Oncue does not support {name}.", (*path, name))
    return Resource(
        logical_id=key,
        type=value["Type"],
        properties=properties,
        condition=value.get("Condition"),
        depends_on=tuple(depends),
        deletion_policy=value.get("DeletionPolicy", "Delete"),
        replace_policy=value.get("UpdateReplacePolicy", "Delete"),
    )


def _parameter(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "Type" not in value:
        message = f"Template format error: Every Parameters object must contain a Type member. ({key})"
        raise TemplateError(message, ("Parameters", key))
    return value


def _output(key: str, value: Any) -> dict[str, Any]:
    path: Path = ("Outputs", key)
    if not isinstance(value, dict) or "Value" not in value:
        message = "Template format error: Every Outputs member must contain a Value object"
        raise TemplateError(message, path)
    if "Export" in value:
        raise TemplateError("Oncue does not support exports between stacks.", (*path, "Export"))
    return value


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Every (name, attribute) that a value refers to by Ref, Fn::GetAtt or Fn::Sub; attribute None for
    Ref."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str) and len(value) == 1:
                yield item, None
            elif key == "Fn::GetAtt" and len(value) == 1:
                name, attribute = getatt_parts(item)
                yield name, attribute
            elif key == "Fn::Sub" and len(value) == 1:
                yield from _sub_references(item)
            else:
                yield from references(item)


def getatt_parts(item: Any) -> tuple[str, str]:
    parts = item.split(".", 1) if isinstance(item, str) else item
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise TemplateError(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, "
            "the resource name and the resource attribute"
        )
    return parts[0], parts[1]


def _sub_references(item: Any) -> Iterator[tuple[str, str | None]]:
    text, own = (item[0], item[1]) if isinstance(item, list) and len(item) == 2 else (item, {})
    if isinstance(own, dict):
        yield from references(list(own.values()))
    if isinstance(text, str):
        for name in SUBSTITUTION.findall(text):
            if not name.startswith("!") and name not in own:
                first, dot, attribute = name.strip().partition(".")
                yield first, attribute if dot else None


def conditions_in(value: Any) -> Iterator[str]:
    """The names of the conditions that a value asks for by Fn::If or Condition."""
    if isinstance(value, list):
        for item in value:
            yield from conditions_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Fn::If" and isinstance(item, list) and item and isinstance(item[0], str):
                yield item[0]
            if key == "Condition" and isinstance(item, str) and len(value) == 1:
                yield item
            yield from conditions_in(item)


def _check_names(template: Template) -> None:
    """Everything that is referred to exists: AWS's two sentences about unresolved dependencies."""
    known = PSEUDO | template.parameters.keys() | template.resources.keys()
    missing: set[str] = set()
    where: Path = ("Resources",)
    for resource in template.resources.values():
        names = {name for name, _ in _placed_references(resource)} | set(resource.depends_on)
        if names - known:
            missing |= names - known
            where = resource.path
    if missing:
        listed = ", ".join(sorted(missing))
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{listed}] in the Resources block of "
            "the template",
            where,
        )
    for key, output in template.outputs.items():
        lost = sorted({name for name, _ in references(output["Value"])} - known)
        if lost:
            listed = ", ".join(lost)
            raise TemplateError(
                f"Template format error: Unresolved resource dependencies [{listed}] in the Outputs block "
                "of the template",
                ("Outputs", key),
            )
    _check_conditions(template)


def _placed_references(resource: Resource) -> list[tuple[str, str | None]]:
    try:
        return list(references(resource.properties))
    except TemplateError as error:
        raise TemplateError(error.message, resource.path) from None


def _check_conditions(template: Template) -> None:
    uses: list[tuple[str, Path]] = [
        (name, ("Conditions", key))
        for key, value in template.conditions.items()
        for name in conditions_in(value)
    ]
    for resource in template.resources.values():
        uses += [(name, resource.path) for name in conditions_in(resource.properties) if name]
        if resource.condition is not None:
            uses.append((resource.condition, resource.path))
    for key, output in template.outputs.items():
        uses += [(name, ("Outputs", key)) for name in conditions_in(output["Value"])]
        if isinstance(output.get("Condition"), str):
            uses.append((output["Condition"], ("Outputs", key)))
    for name, path in uses:
        if name not in template.conditions:
            raise TemplateError(
                f"Template format error: Unresolved condition dependency {name} in the {path[0]} block of "
                "the template",
                path,
            )
