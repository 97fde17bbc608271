"""Document paths, `a.b[3]`: what they reach in an item, and how an item looks through several of them."""

from collections.abc import Iterable
from typing import Any

from oncue.services.dynamodb.refusals import invalid
from oncue.services.dynamodb.values import Item, Value

Path = tuple[str | int, ...]  # the first part is an attribute's name; an int is a list's index
Tree = dict[str | int, Any]  # part -> Tree, or None where a path ends

NOT_FOR_UPDATE = "The document path provided in the update expression is invalid for update"


def show(path: Path) -> str:
    """As refusals write it: `[a, b, [3]]`."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"


def get(item: Item, path: Path) -> Value | None:
    value: Value | None = {"M": item}
    for part in path:
        value = _step(value, part) if value is not None else None
    return value


def _step(value: Value, part: str | int) -> Value | None:
    found: Value | None
    if isinstance(part, int):
        members = value.get("L")
        return members[part] if members is not None and part < len(members) else None
    found = value["M"].get(part) if "M" in value else None
    return found


def tree(paths: Iterable[Path]) -> Tree:
    """The paths as one tree. ValueError (AWS's sentence) where two overlap or contradict each other."""
    root: Tree = {}
    for path in paths:
        node = root
        for depth, part in enumerate(path):
            other = next(iter(node), part)
            if isinstance(other, int) != isinstance(part, int):
                raise ValueError(_clash("conflict", (*path[:depth], *_first(node)), path))
            last = depth == len(path) - 1
            if part not in node:
                node[part] = None if last else {}
            elif last or node[part] is None:
                earlier = (*path[: depth + 1], *_first(node[part]))
                raise ValueError(_clash("overlap", earlier, path))
            if not last:
                node = node[part]
    return root


def _first(node: Tree | None) -> Path:
    parts: list[str | int] = []
    while node:
        part = next(iter(node))
        parts.append(part)
        node = node[part]
    return tuple(parts)


def _clash(how: str, earlier: Path, later: Path) -> str:
    return (
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {show(earlier)}, path two: {show(later)}"
    )


def project(item: Item, wanted: Tree) -> Item:
    """Only what the paths reach; list elements close ranks, in their own order."""
    found = _project({"M": item}, wanted)
    return found["M"] if found else {}


def _project(value: Value, wanted: Tree) -> Value | None:
    pairs = []
    for part in sorted(wanted) if isinstance(next(iter(wanted)), int) else wanted:
        inner = _step(value, part)
        if inner is not None and wanted[part] is not None:
            inner = _project(inner, wanted[part])
        if inner is not None:
            pairs.append((part, inner))
    if not pairs:
        return None
    if isinstance(pairs[0][0], int):
        return {"L": [inner for _, inner in pairs]}
    return {"M": dict(pairs)}


def put(item: Item, path: Path, value: Value) -> None:
    """Set in place; an index beyond the end appends. Refused where the path's parent is missing."""
    *_, last = path
    parent = get(item, path[:-1])
    if parent is not None and isinstance(last, int) and "L" in parent:
        members = parent["L"]
        members[last : last + 1] = [value]
    elif parent is not None and isinstance(last, str) and "M" in parent:
        parent["M"][last] = value
    else:
        raise invalid(NOT_FOR_UPDATE)


def remove(item: Item, path: Path) -> None:
    """Remove in place what is there; a missing last part is left alone, a missing parent is refused."""
    *_, last = path
    parent = get(item, path[:-1])
    if parent is not None and isinstance(last, int) and "L" in parent:
        del parent["L"][last : last + 1]
    elif parent is not None and isinstance(last, str) and "M" in parent:
        parent["M"].pop(last, None)
    else:
        raise invalid(NOT_FOR_UPDATE)
