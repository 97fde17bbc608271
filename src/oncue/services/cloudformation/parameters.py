"""The values of a template's parameters: given, kept from before, or default; checked against their rules."""

import re
from collections.abc import Mapping
from typing import Any

from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.template import Template

LISTS = ("CommaDelimitedList", "List<")
VALUE_LENGTH_MAX = 4096
HIDDEN = "****"


def resolve(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Each declared parameter's text. TemplateError in AWS's words for missing, unknown and forbidden
    values."""
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    missing = []
    for name, rules in template.parameters.items():
        if name in given:
            values[name] = given[name]
        elif "Default" in rules:
            values[name] = as_text(rules["Default"])
        else:
            missing.append(name)
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check(name, value, template.parameters[name])
    return values


def typed(template: Template, values: Mapping[str, str]) -> dict[str, Any]:
    """What Ref gives for each parameter: a list for the list types, else the text."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        kind = str(template.parameters[name].get("Type"))
        result[name] = [part.strip() for part in value.split(",")] if kind.startswith(LISTS) else value
    return result


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it into text: booleans in lower case, whole floats without `.0`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def shown(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    """The list of DescribeStacks; NoEcho values are hidden."""
    rows = []
    for name, value in values.items():
        hidden = as_text(template.parameters.get(name, {}).get("NoEcho", False)) == "true"
        rows.append({"ParameterKey": name, "ParameterValue": HIDDEN if hidden else value})
    return rows


def _check(name: str, value: str, rules: Mapping[str, Any]) -> None:
    path = ("Parameters", name)
    explained = rules.get("ConstraintDescription")

    def refuse(rule: str) -> None:
        text = str(explained) if explained else rule
        raise TemplateError(
            f"Parameter '{name}' {'failed to satisfy constraint: ' if explained else ''}{text}", path
        )

    kind = str(rules.get("Type"))
    if "AllowedValues" in rules and value not in [as_text(item) for item in rules["AllowedValues"]]:
        refuse("must be one of AllowedValues")
    if kind in ("Number", "List<Number>"):
        _check_numbers(value, rules, refuse)
        return
    if len(value) > VALUE_LENGTH_MAX:
        refuse(f"must contain at most {VALUE_LENGTH_MAX} characters")
    pattern = rules.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(str(pattern), value):
        refuse(f"must match pattern {pattern}")
    if "MinLength" in rules and len(value) < int(rules["MinLength"]):
        refuse(f"must contain at least {rules['MinLength']} characters")
    if "MaxLength" in rules and len(value) > int(rules["MaxLength"]):
        refuse(f"must contain at most {rules['MaxLength']} characters")


def _check_numbers(value: str, rules: Mapping[str, Any], refuse: Any) -> None:
    parts = value.split(",") if str(rules.get("Type")).startswith("List") else [value]
    for part in parts:
        try:
            number = float(part)
        except ValueError:
            refuse("must be a number")
            return
        if "MinValue" in rules and number < float(rules["MinValue"]):
            refuse(f"must be a number not less than {rules['MinValue']}")
        if "MaxValue" in rules and number > float(rules["MaxValue"]):
            refuse(f"must be a number not greater than {rules['MaxValue']}")
