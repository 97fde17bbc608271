"""A plain web request and its reply, as they pass between the door and the gateway."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a request with SigV4 for `execute-api`; the door has checked the signature."""

    access_key: str
    account: str


@dataclass(frozen=True, slots=True)
class WebRequest:
    """`path` is raw (percent-encoded) and still has the stage's prefix; header names are lower-case, in
    order, duplicates kept; `query` has no question mark; `protocol` is `HTTP/1.1`."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    source_ip: str
    host: str
    protocol: str
    signer: Signer | None = None

    def header(self, name: str) -> str | None:
        """All values of a header joined with commas, or None. `name` is lower-case."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class WebReply:
    """Header names are lower-case; `content-length` is the door's business."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def said(status: int, message: str) -> WebReply:
    """The gateway's own words, in the form that API Gateway gives them."""
    body = msgspec.json.encode({"message": message})
    return WebReply(status, [("content-type", "application/json")], body)
