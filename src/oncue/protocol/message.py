"""What goes in and out of the translator: a request, the route it takes, the reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oncue.protocol.model import Operation


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came. `path` and `query` are raw (percent-encoded, no `?`); header names are
    lower case, repeated headers joined by commas."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply; the server adds content-length, date and the like."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: the service by its boto3 name, the operation, and how both are spoken ("json",
    "query" or "rest-json"). `labels` are raw parts of a REST path, `form` the fields of a query request."""

    service: str
    operation: Operation
    protocol: str
    labels: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
