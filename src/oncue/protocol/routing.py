"""Which operation a request asks for: by its target header, its Action field or its path, in this order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qsl, unquote

from oncue.errors import ServiceError
from oncue.protocol import query, rest_json
from oncue.protocol.malformed import Malformed
from oncue.protocol.message import Request, Route
from oncue.protocol.model import Operation, catalog, query_model, service_model

UNKNOWN_STATUS = 501


def route(request: Request, signing_name: str | None) -> Route:
    """The operation that a request asks for. `signing_name` is the service in its credential scope, if any.

    ServiceError UnknownOperationException or InvalidAction (501) for an operation that no model has,
    UnknownService (404) for a request that belongs to no service we know.
    """
    target = request.headers.get("x-amz-target")
    if target is not None:
        found = _targets.get(target)
        return found or _by_target(target)
    if query.names_an_action(request):
        try:
            form = query.fields_of(request)
        except Malformed as error:
            raise ServiceError("MalformedInput", str(error)) from None
        return _by_action(form, signing_name)
    return _by_path(request, signing_name)


_targets: dict[str, Route] = {}  # every target seen that exists: at most as many as there are operations


@cache
def _prefixes() -> Mapping[str, str]:
    return {told["targetPrefix"]: name for name, told in catalog().items() if "targetPrefix" in told}


def _by_target(target: str) -> Route:
    prefix, _, name = target.rpartition(".")
    service = _prefixes().get(prefix)
    if service is None:
        raise unknown_service(f"no service with the X-Amz-Target {target!r}")
    operation = service_model(service).operations.get(name)
    if operation is None:
        raise ServiceError(
            "UnknownOperationException", f"The service {service} has no operation {name!r}.", UNKNOWN_STATUS
        )
    return _targets.setdefault(target, Route(service, operation, "json"))


def unknown_service(what: str) -> ServiceError:
    return ServiceError(
        "UnknownService",
        f"Oncue has {what}. Check the endpoint, the service and the version of your client.",
        404,
    )


@cache
def _query_services() -> Mapping[str, str]:
    """Version -> service, of those that speak the query protocol."""
    return {
        t["apiVersion"]: name for name, t in catalog().items() if t["protocol"] == "query" or name == "sqs"
    }


def _by_action(form: Mapping[str, str], signing_name: str | None) -> Route:
    action, version = form["Action"], form.get("Version", "")
    services = _query_services()
    if signing_name in services.values():
        service: str | None = signing_name
    elif signing_name is not None:
        raise unknown_service(f"no service {signing_name!r} with the action {action!r}")
    else:
        service = services.get(version) or _only_service_with(action)
    if service is None:
        raise unknown_service(f"no service with the action {action!r} in version {version!r}")
    operation = query_model(service).operations.get(action)
    if operation is None:
        raise ServiceError(
            "InvalidAction", f"The service {service} has no action {action!r}.", UNKNOWN_STATUS
        )
    return Route(service, operation, "query", form=form)


def _only_service_with(action: str) -> str | None:
    having = [name for name in _query_services().values() if action in query_model(name).operations]
    return having[0] if len(having) == 1 else None


@cache
def _rest_services() -> Mapping[str, str]:
    """Signing name -> service, of those that speak rest-json."""
    return {t["signingName"]: name for name, t in catalog().items() if t["protocol"] == "rest-json"}


def _by_path(request: Request, signing_name: str | None) -> Route:
    services = _rest_services()
    if signing_name is None:
        candidates = list(services.values())
    elif signing_name in services:
        candidates = [services[signing_name]]
    elif signing_name in _query_services().values():
        raise ServiceError("MissingAction", "The request is missing an action or a required parameter.")
    else:
        raise unknown_service(
            f"no operation for {request.method} {request.path} signed for {signing_name!r}, "
            "without X-Amz-Target and without Action"
        )
    matches = []
    for service in candidates:
        matches += [(match, service) for match in _paths(service).find(request)]
    if not matches:
        whose = f" of {candidates[0]}" if signing_name else ""
        raise ServiceError(
            "UnknownOperationException", f"No operation{whose} answers {request.method} {request.path}.", 404
        )
    path = unquote(request.path)  # an unsigned /tags/{arn} is told apart by its ARN only
    best, service = max(matches, key=lambda match: (match[0].literal, f":{match[1]}:" in path))
    return Route(service, best.operation, "rest-json", labels=best.labels)


@dataclass(frozen=True, slots=True)
class Match:
    """An operation whose URI fits. `literal` orders matches: how much of the URI is fixed."""

    operation: Operation
    labels: Mapping[str, str]
    literal: tuple[int, int]


@dataclass(slots=True)
class Node:
    """One segment of the paths of a service: what may follow it, and what may end here."""

    literal: dict[str, "Node"] = field(default_factory=dict)
    label: "Node | None" = None
    greedy: "Node | None" = None
    ends: list[tuple[str, tuple[str, ...], frozenset[tuple[str, str]], Operation]] = field(
        default_factory=list
    )


class Paths:
    """The REST paths of one service as a tree of segments. A slash at the end makes no difference."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self.root = Node()
        for operation in operations.values():
            self._add(operation)

    def _add(self, operation: Operation) -> None:
        path, _, fixed = operation.uri.partition("?")
        node, labels = self.root, []
        for segment in segments(path):
            if segment.startswith("{"):
                labels.append(segment.strip("{+}"))
                if segment.endswith("+}"):
                    node.greedy = node = node.greedy or Node()
                else:
                    node.label = node = node.label or Node()
            else:
                node = node.literal.setdefault(segment, Node())
        pairs = frozenset(parse_qsl(fixed, keep_blank_values=True))
        node.ends.append((operation.method, tuple(labels), pairs, operation))

    def find(self, request: Request) -> Iterator[Match]:
        """Every operation that fits a request's method, path and query."""
        try:
            values = rest_json.query_of(request.query)
        except Malformed as error:
            raise ServiceError("SerializationException", str(error)) from None
        pairs = {(name, value) for name, several in values.items() for value in several}
        parts = segments(request.path)
        for node, raw, literal in walk(self.root, parts):
            for method, labels, fixed, operation in node.ends:
                if method == request.method and fixed <= pairs:
                    yield Match(operation, dict(zip(labels, raw, strict=True)), (literal, len(fixed)))


def segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")


def walk(
    node: Node, parts: list[str], raw: tuple[str, ...] = (), literal: int = 0
) -> Iterator[tuple[Node, tuple[str, ...], int]]:
    """The nodes at which a path may end, with its raw labels and how many of its segments are literal."""
    if not parts:
        yield node, raw, literal
        return
    first, rest = parts[0], parts[1:]
    if first in node.literal:
        yield from walk(node.literal[first], rest, raw, literal + 1)
    if node.label and first:
        yield from walk(node.label, rest, (*raw, first), literal)
    if node.greedy and first:
        for taken in range(1, len(parts) + 1):
            yield from walk(node.greedy, parts[taken:], (*raw, "/".join(parts[:taken])), literal)


@cache
def _paths(service: str) -> Paths:
    return Paths(service_model(service).operations)
