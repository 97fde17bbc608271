"""HTTP/1.1 requests to other servers: over a new connection each, redirects not followed.

TLS is verified by the machine's certificates. RFC 9112 says how an answer's body ends.
"""

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 10 * 1024 * 1024
INTERIM_MAX = 16  # answers 1xx before the final one
PORTS = {"http": 80, "https": 443}
BODILESS = frozenset({204, 304})
Headers = list[tuple[str, str]]


class Unreachable(Exception):
    """There was no whole answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names in lower case, in order, duplicates kept; `body` without its transfer encoding."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


async def ask(
    method: str,
    url: str,
    headers: Headers | None = None,
    body: bytes = b"",
    *,
    timeout_s: float,
    body_bytes_max: int = BODY_BYTES_MAX,
) -> Answer:
    """The answer, within `timeout_s` for everything. `host`, `content-length` and `connection` are ours.

    Raises Unreachable when there is none, when it is no HTTP, or when it is too long.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(method, url, headers or [], body, body_bytes_max)
    except TimeoutError:
        raise Unreachable(f"no answer within {timeout_s:g} seconds") from None
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(str(error) or type(error).__name__) from None


async def _exchange(method: str, url: str, headers: Headers, body: bytes, most: int) -> Answer:
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"not an HTTP address: {url}")
    port = parts.port or PORTS[parts.scheme]
    secure = _tls() if parts.scheme == "https" else None
    head = _head(method, url, headers, body)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=HEAD_BYTES_MAX)
    try:
        writer.write(head + body)
        await writer.drain()
        return await _answer(reader, method, most)
    finally:
        writer.close()


def _head(method: str, url: str, headers: Headers, body: bytes) -> bytes:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if any(letter <= " " for letter in f"{method}{target}"):
        raise ValueError(f"not an HTTP address: {url}")
    ours = [("host", host), ("content-length", str(len(body))), ("connection", "close")]
    names = {name for name, _ in ours}
    lines = [*ours, *((name, value) for name, value in headers if name.lower() not in names)]
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    if text.count("\r") != len(lines) + 1 or text.count("\n") != len(lines) + 1:
        raise ValueError("a line break in a header or in the address")
    return f"{text}\r\n".encode("latin-1")


async def _answer(reader: asyncio.StreamReader, method: str, most: int) -> Answer:
    for _ in range(INTERIM_MAX):
        status, headers = await _head_of_answer(reader)
        if status >= 200:
            break
    else:
        raise ValueError("too many interim answers")
    if method == "HEAD" or status in BODILESS:
        return Answer(status, headers, b"")
    answer = Answer(status, headers, b"")
    if "chunked" in (answer.header("transfer-encoding") or "").lower():
        return Answer(status, headers, await _chunks(reader, most))
    length = answer.header("content-length")
    if length is None:
        return Answer(status, headers, await _rest(reader, most))
    if not length.isdecimal() or int(length) > most:
        raise ValueError(f"the body has {length} bytes, more than {most}")
    return Answer(status, headers, await reader.readexactly(int(length)))


async def _head_of_answer(reader: asyncio.StreamReader) -> tuple[int, Headers]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or len(words[1]) != 3:
        raise ValueError("the answer is not HTTP/1.1")
    pairs = [line.partition(":") for line in lines]
    return int(words[1]), [(name.strip().lower(), value.strip()) for name, _, value in pairs]


async def _chunks(reader: asyncio.StreamReader, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while count := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        size += count
        if size > most:
            raise ValueError(f"the body has more than {most} bytes")
        parts.append((await reader.readexactly(count + 2))[:-2])
    return b"".join(parts)


async def _rest(reader: asyncio.StreamReader, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(HEAD_BYTES_MAX):
        size += len(part)
        if size > most:
            raise ValueError(f"the body has more than {most} bytes")
        parts.append(part)
    return b"".join(parts)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
