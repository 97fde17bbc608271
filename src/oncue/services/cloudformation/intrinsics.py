"""Evaluates a template's intrinsic functions in a scope of parameters, mappings, conditions and resources."""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from oncue.services.cloudformation.documents import Path, TemplateError
from oncue.services.cloudformation.parameters import as_text
from oncue.services.cloudformation.template import SUBSTITUTION, Template, getatt_parts

Lookup = Callable[[str, str | None], Any]
CIDR_BLOCKS_MAX = 256


class _NoValue:
    """AWS::NoValue: the property that holds it is taken away."""


NO_VALUE = _NoValue()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is known only after `resources` exist; equal when the same expression gives it."""

    expression: str
    resources: frozenset[str] = frozenset()


@dataclass(slots=True)
class Scope:
    """Where names are looked up. `lookup(logical id, attribute or None)` answers for resources."""

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    lookup: Lookup
    _conditions: dict[str, bool | None] = field(default_factory=dict)

    def condition(self, name: str, path: Path) -> bool:
        """The value of a named condition. TemplateError when it depends on itself."""
        if name not in self.template.conditions:
            raise TemplateError(f"Template error: unresolved condition dependency {name}", path)
        if name not in self._conditions:
            self._conditions[name] = None
            self._conditions[name] = self.truth(self.template.conditions[name], ("Conditions", name))
        known = self._conditions[name]
        if known is None:
            message = f"Template error: the condition {name} depends on itself"
            raise TemplateError(message, ("Conditions", name))
        return known

    def truth(self, value: Any, path: Path) -> bool:
        result = evaluate(value, self, path)
        if isinstance(result, bool):
            return result
        if isinstance(result, str) and result in ("true", "false"):
            return result == "true"
        raise TemplateError("Template error: every condition must be true or false", path)


def evaluate(value: Any, scope: Scope, path: Path) -> Any:
    """`value` with every function carried out; members that are AWS::NoValue disappear."""
    if isinstance(value, list):
        items = [evaluate(item, scope, (*path, i)) for i, item in enumerate(value)]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, argument = next(iter(value.items()))
        if name in FUNCTIONS:
            return FUNCTIONS[name](argument, scope, path)
        if name.startswith("Fn::"):
            raise TemplateError(f"Template error: Oncue does not support the function {name}", path)
    result = {key: evaluate(item, scope, (*path, key)) for key, item in value.items()}
    return {key: item for key, item in result.items() if item is not NO_VALUE}


def unknown_in(value: Any) -> frozenset[str] | None:
    """The resources that the unknown parts of a value wait for; None when all of it is known."""
    if isinstance(value, Unknown):
        return value.resources
    parts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    found = [resources for resources in map(unknown_in, parts) if resources is not None]
    return frozenset().union(*found) if found else None


def _deferred(name: str, argument: Any) -> Unknown | None:
    waits = unknown_in(argument)
    if waits is None:
        return None
    return Unknown(f"{name}({_written(argument)})", waits)


def _written(value: Any) -> str:
    def text(item: Any) -> Any:
        if isinstance(item, Unknown):
            return f"<{item.expression}>"
        raise TypeError(type(item).__name__)

    return msgspec.json.encode(value, enc_hook=text, order="sorted").decode()


def _fail(path: Path, sentence: str) -> TemplateError:
    return TemplateError(f"Template error: {sentence}", path)


def _text(value: Any, path: Path, function: str) -> str:
    if isinstance(value, (str, int, float)):
        return as_text(value)
    raise _fail(path, f"every {function} value must be text")


def _ref(argument: Any, scope: Scope, path: Path) -> Any:
    if argument == "AWS::NoValue":
        return NO_VALUE
    if argument in scope.pseudo:
        return scope.pseudo[argument]
    if argument in scope.parameters:
        return scope.parameters[argument]
    if argument in scope.template.resources:
        return scope.lookup(argument, None)
    raise _fail(path, f"unresolved reference {argument}")


def _getatt(argument: Any, scope: Scope, path: Path) -> Any:
    name, attribute = getatt_parts(argument)
    if name not in scope.template.resources:
        raise _fail(path, f"instance of Fn::GetAtt references undefined resource {name}")
    try:
        return scope.lookup(name, attribute)
    except TemplateError as error:
        raise TemplateError(error.message, path) from None


def _sub(argument: Any, scope: Scope, path: Path) -> Any:
    text, own = (
        (argument[0], argument[1]) if isinstance(argument, list) and len(argument) == 2 else (argument, {})
    )
    if not isinstance(text, str) or not isinstance(own, dict):
        raise _fail(
            path,
            "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as "
            "first argument, and an optional second argument to specify a mapping of values to replace in "
            "the string",
        )
    values = {key: evaluate(item, scope, path) for key, item in own.items()}
    parts: list[Any] = []
    position = 0
    for match in SUBSTITUTION.finditer(text):
        parts.append(text[position : match.start()])
        position = match.end()
        name = match.group(1)
        if name.startswith("!"):
            parts.append("${" + name[1:] + "}")
        elif name in values:
            parts.append(values[name])
        else:
            first, dot, attribute = name.strip().partition(".")
            parts.append(_getatt([first, attribute], scope, path) if dot else _ref(first, scope, path))
    parts.append(text[position:])
    return _deferred("Fn::Sub", parts) or "".join(_text(part, path, "Fn::Sub") for part in parts)


def _join(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
        raise _fail(
            path,
            "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of "
            "strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be "
            "joined.",
        )
    items = evaluate(argument[1], scope, path)
    deferred = _deferred("Fn::Join", [argument[0], items])
    if deferred is not None:
        return deferred
    if not isinstance(items, list):
        raise _fail(path, "the second parameter of Fn::Join must be a list")
    return argument[0].join(_text(item, path, "Fn::Join") for item in items)


def _select(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 2:
        raise _fail(path, "every Fn::Select object requires two parameters, an index and a list")
    index, items = evaluate(argument, scope, path)
    if isinstance(items, Unknown) or isinstance(index, Unknown):
        return _deferred("Fn::Select", [index, items])
    try:
        return items[_index(index, items)]
    except (ValueError, TypeError, IndexError):
        raise _fail(path, f"Fn::Select cannot select nonexistent value at index {index}") from None


def _index(index: Any, items: Any) -> int:
    number = int(index)
    if not isinstance(items, list) or not 0 <= number < len(items):
        raise IndexError(index)
    return number


def _split(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
        raise _fail(
            path, "every Fn::Split object requires two parameters, a string delimiter and a string to split"
        )
    source = evaluate(argument[1], scope, path)
    return _deferred("Fn::Split", [argument[0], source]) or _text(source, path, "Fn::Split").split(
        argument[0]
    )


def _if(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
        raise _fail(path, "Fn::If requires a list argument with the first element being a condition")
    chosen = argument[1] if scope.condition(argument[0], path) else argument[2]
    return evaluate(chosen, scope, path)


def _equals(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 2:
        raise _fail(path, "every Fn::Equals object requires a list of 2 string parameters.")
    left, right = (evaluate(item, scope, path) for item in argument)
    simple = all(isinstance(side, (str, int, float)) for side in (left, right))
    return as_text(left) == as_text(right) if simple else left == right


def _truths(argument: Any, scope: Scope, path: Path, name: str) -> list[bool]:
    if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
        raise _fail(
            path, f"every {name} object requires a list of at least 2 and at most 10 boolean parameters."
        )
    return [scope.truth(item, path) for item in argument]


def _and(argument: Any, scope: Scope, path: Path) -> Any:
    return all(_truths(argument, scope, path, "Fn::And"))


def _or(argument: Any, scope: Scope, path: Path) -> Any:
    return any(_truths(argument, scope, path, "Fn::Or"))


def _not(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) != 1:
        raise _fail(path, "every Fn::Not object requires one boolean parameter.")
    return not scope.truth(argument[0], path)


def _condition(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, str):
        return {"Condition": evaluate(argument, scope, path)}  # a policy statement's, not a function
    return scope.condition(argument, path)


def _find_in_map(argument: Any, scope: Scope, path: Path) -> Any:
    if not isinstance(argument, list) or len(argument) not in (3, 4):
        raise _fail(
            path,
            "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute",
        )
    names = [evaluate(item, scope, path) for item in argument[:3]]
    value: Any = scope.template.mappings
    for name in names:
        key = as_text(name)
        if not isinstance(value, dict) or key not in value:
            if len(argument) == 4 and isinstance(argument[3], dict) and "DefaultValue" in argument[3]:
                return evaluate(argument[3]["DefaultValue"], scope, path)
            raise _fail(path, f"Unable to get mapping for {'::'.join(as_text(item) for item in names)}")
        value = value[key]
    return value


def _base64(argument: Any, scope: Scope, path: Path) -> Any:
    value = evaluate(argument, scope, path)
    deferred = _deferred("Fn::Base64", value)
    return deferred or base64.b64encode(_text(value, path, "Fn::Base64").encode()).decode()


def _cidr(argument: Any, scope: Scope, path: Path) -> Any:
    values = evaluate(argument, scope, path)
    deferred = _deferred("Fn::Cidr", values)
    if deferred is not None:
        return deferred
    try:
        network = ipaddress.ip_network(values[0])
        count = int(values[1])
        bits = int(values[2]) if len(values) > 2 else 32 - network.prefixlen
        if not 1 <= count <= CIDR_BLOCKS_MAX:
            raise ValueError(count)
        blocks = network.subnets(new_prefix=network.max_prefixlen - bits)
        return [str(next(blocks)) for _ in range(count)]
    except (ValueError, TypeError, IndexError, StopIteration):
        raise _fail(
            path, "every Fn::Cidr object requires an address block, a count of 1-256 and bits"
        ) from None


def _get_azs(argument: Any, scope: Scope, path: Path) -> Any:
    region = as_text(evaluate(argument, scope, path)) or scope.pseudo["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


def _length(argument: Any, scope: Scope, path: Path) -> Any:
    value = evaluate(argument, scope, path)
    if isinstance(value, Unknown):
        return _deferred("Fn::Length", value)
    if not isinstance(value, list):
        raise _fail(path, "Fn::Length needs a list")
    return len(value)


def _to_json_string(argument: Any, scope: Scope, path: Path) -> Any:
    value = evaluate(argument, scope, path)
    return _deferred("Fn::ToJsonString", value) or msgspec.json.encode(value).decode()


FUNCTIONS: dict[str, Callable[[Any, Scope, Path], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _getatt,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::And": _and,
    "Fn::Or": _or,
    "Fn::Not": _not,
    "Condition": _condition,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::GetAZs": _get_azs,
    "Fn::Length": _length,
    "Fn::ToJsonString": _to_json_string,
}
