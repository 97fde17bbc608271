"""Which stage and which route of an HTTP API a request belongs to. Pure.

Source: API Gateway developer guide, "Create routes for HTTP APIs": a full match before a greedy path variable
before `$default`; among equals a literal segment before `{variable}` and a named method before ANY.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

DEFAULT = "$default"
METHODS = frozenset({"ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
VARIABLE = re.compile(r"\{([A-Za-z0-9_.:-]+)(\+?)\}")
LITERAL, NAMED, GREEDY = 0, 1, 2
KEYS_CACHED = 4_096


@dataclass(frozen=True, slots=True)
class Segment:
    """One part between slashes: LITERAL text, a NAMED variable, or the GREEDY rest."""

    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Route:
    """A route key taken apart."""

    key: str
    method: str
    segments: tuple[Segment, ...]

    @property
    def greedy(self) -> bool:
        return bool(self.segments) and self.segments[-1].kind == GREEDY

    @property
    def rank(self) -> tuple[bool, tuple[int, ...], bool]:
        """Sorts the more specific route first."""
        return self.greedy, tuple(part.kind for part in self.segments), self.method == "ANY"

    def variables(self, parts: list[str]) -> dict[str, str] | None:
        """The path variables (still encoded) when these segments match, else None."""
        if len(parts) < len(self.segments) or (len(parts) > len(self.segments) and not self.greedy):
            return None
        found: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.kind == LITERAL:
                if unquote(parts[index]) != segment.text:
                    return None
            elif segment.kind == NAMED:
                if not parts[index]:
                    return None
                found[segment.text] = parts[index]
            else:
                rest = "/".join(parts[index:])
                if not rest:
                    return None
                found[segment.text] = rest
        return found


@dataclass(frozen=True, slots=True)
class Match:
    """The chosen route and its path variables, decoded."""

    route: Route
    variables: dict[str, str]


@lru_cache(maxsize=KEYS_CACHED)
def parse_route_key(key: str) -> Route:
    """Take `GET /pets/{id}` or `$default` apart. ValueError when it is neither."""
    if key == DEFAULT:
        return Route(key, "ANY", ())
    method, space, path = key.partition(" ")
    if not space or method not in METHODS or not path.startswith("/") or " " in path:
        raise ValueError(key)
    segments = tuple(_segment(part) for part in path[1:].split("/")) if path != "/" else ()
    if any(part.kind == GREEDY for part in segments[:-1]):
        raise ValueError(key)
    names = [part.text for part in segments if part.kind != LITERAL]
    if len(names) != len(set(names)):
        raise ValueError(key)
    return Route(key, method, segments)


def _segment(text: str) -> Segment:
    variable = VARIABLE.fullmatch(text)
    if variable:
        return Segment(GREEDY if variable[2] else NAMED, variable[1])
    if "{" in text or "}" in text:
        raise ValueError(text)
    return Segment(LITERAL, unquote(text))


def contradict(one: Route, other: Route) -> bool:
    """Whether two routes of a method name the variable at the same place differently."""
    if one.method != other.method:
        return False
    for mine, theirs in zip(one.segments, other.segments, strict=False):
        if mine != theirs:
            return mine.kind == theirs.kind != LITERAL
    return False


class RoutingTable:
    """The routes of one deployment, most specific first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        everything = list(routes)
        self._default = next((route for route in everything if route.key == DEFAULT), None)
        self._routes = sorted((r for r in everything if r.key != DEFAULT), key=lambda route: route.rank)

    def match(self, method: str, path: str) -> Match | None:
        """`path` is raw, without the stage; None when no route takes the request."""
        parts = path[1:].split("/") if path not in ("", "/") else []
        for route in self._routes:
            if route.method not in ("ANY", method):
                continue
            variables = route.variables(parts)
            if variables is not None:
                return Match(route, {name: unquote(value) for name, value in variables.items()})
        return Match(self._default, {}) if self._default else None


def choose_stage(path: str, stages: Iterable[str]) -> tuple[str, str] | None:
    """(stage, path without its prefix): the first segment if it names a stage, else `$default`, else None."""
    names = set(stages)
    head, slash, rest = path[1:].partition("/")
    first = unquote(head)
    if first != DEFAULT and first in names:
        return first, f"/{rest}" if slash else "/"
    return (DEFAULT, path or "/") if DEFAULT in names else None
