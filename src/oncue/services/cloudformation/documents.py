"""Reads template text, JSON or YAML with CloudFormation's short tags, into plain values with line numbers."""

from typing import Any

import msgspec

from oncue.errors import SetupError

Path = tuple[str | int, ...]
NODES_MAX = 200_000  # after aliases are expanded: a small text cannot become a large template
DEPTH_MAX = 60
TOO_DEEP = "Template format error: the template is too deep or too large."
SCALAR_PARTS = "Fn::GetAtt"
PLAIN_TAGS = {"Ref": "Ref", "Condition": "Condition"}


class TemplateError(Exception):
    """A template that cannot be used: AWS's sentence, where in the document, and the line if it is known."""

    def __init__(self, message: str, path: Path = (), line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line

    def sentence(self) -> str:
        """What the API answers: AWS's sentences as they are, others with their place."""
        return self.message if self.message.startswith("Template format error") else self.placed()

    def placed(self) -> str:
        """The sentence, preceded by the resource and the property where it does not name them itself."""
        if len(self.path) < 2 or str(self.path[1]) in self.message:
            return self.message
        section = {"Resources": "resource", "Outputs": "output", "Parameters": "parameter"}.get(
            str(self.path[0])
        )
        if section is None:
            return self.message
        where = f"{section} {self.path[1]}"
        if len(self.path) > 3 and self.path[2] == "Properties":
            where += ", property " + ".".join(str(part) for part in self.path[3:])
        return f"{where}: {self.message}"


class Document:
    """A template as written: `value` is plain JSON data, `line(path)` the nearest line that we know of."""

    def __init__(self, value: Any, lines: dict[Path, int] | None = None) -> None:
        self.value = value
        self.lines = lines or {}

    def line(self, path: Path) -> int | None:
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read(text: str) -> Document:
    """JSON when the text starts like an object, else YAML. TemplateError when it is neither."""
    if text.lstrip()[:1] == "{":
        try:
            value = msgspec.json.decode(text.encode())
            _check_depth(value, 0)
            return Document(value)
        except RecursionError:
            raise TemplateError(TOO_DEEP) from None
        except msgspec.DecodeError as error:
            # A YAML flow mapping starts like JSON too; only what neither can read is refused.
            try:
                return _read_yaml(text)
            except (TemplateError, SetupError):
                raise TemplateError(f"Template format error: JSON not well-formed. ({error})") from None
    return _read_yaml(text)


def _check_depth(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TemplateError(TOO_DEEP)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, depth + 1)


def _read_yaml(text: str) -> Document:
    try:
        import yaml
    except ImportError:
        raise SetupError(
            "Reading a YAML template needs PyYAML. Install it with `pip install 'oncue[deploy]'`, "
            "or send the template as JSON."
        ) from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            reader = _Reader()
            return Document(None if node is None else reader.value(node, (), 0), reader.lines)
        finally:
            loader.dispose()
    except RecursionError:
        raise TemplateError(TOO_DEEP) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        at = f" (line {line}, column {mark.column + 1})" if mark else ""
        problem = f"Template format error: YAML not well-formed.{at} {error.problem or ''}".rstrip()
        raise TemplateError(problem, (), line) from None
    except yaml.YAMLError as error:
        raise TemplateError(f"Template format error: YAML not well-formed. {error}") from None


class _Reader:
    """Turns PyYAML's node tree into values; dates stay text, short tags become their long functions."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.nodes = 0

    def value(self, node: Any, path: Path, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODES_MAX or depth > DEPTH_MAX:
            raise TemplateError(TOO_DEEP, path)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag.startswith("!") and len(node.tag) > 1:
            return self.short(node, path, depth)
        return self.plain(node, path, depth)

    def plain(self, node: Any, path: Path, depth: int) -> Any:
        if node.id == "sequence":
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        if node.id == "mapping":
            return self.mapping(node, path, depth)
        return _scalar(node, path)

    def mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, item in node.value:
            key = key_node.value if key_node.id == "scalar" else None
            line = key_node.start_mark.line + 1
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                raise TemplateError("Template format error: a key must be plain text.", path, line)
            if key in result:
                raise TemplateError(f"Template format error: duplicate key {key}.", (*path, key), line)
            self.lines[(*path, key)] = line
            result[key] = self.value(item, (*path, key), depth + 1)
        return result

    def short(self, node: Any, path: Path, depth: int) -> Any:
        tag = node.tag[1:]
        name = PLAIN_TAGS.get(tag, f"Fn::{tag}")
        if node.id == "scalar":
            value: Any = node.value
            if name == SCALAR_PARTS:
                value = str(value).split(".", 1)
        else:
            value = self.plain(node, (*path, name), depth + 1)
        return {name: value}


def _scalar(node: Any, path: Path) -> Any:
    text: str = node.value
    kind = node.tag.rsplit(":", 1)[-1]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind in ("int", "float"):
        return _number(text, kind, path, node.start_mark.line + 1)
    return text


def _number(text: str, kind: str, path: Path, line: int) -> int | float | str:
    digits = text.replace("_", "")
    try:
        if kind == "float":
            return float(digits)
        if digits.lstrip("+-").startswith("0") and digits.lstrip("+-0").isdigit() and len(digits) > 1:
            return text  # an account number such as 012345678901 is text, not an octal number
        return int(digits, 0) if not digits.lstrip("+-").isdigit() else int(digits)
    except ValueError:
        if ":" in digits:
            return text  # YAML 1.1 would read 12:30 in base 60
        raise TemplateError(f"Template format error: {text} is not a number.", path, line) from None
