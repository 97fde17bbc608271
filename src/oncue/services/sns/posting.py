"""One HTTP POST to a subscriber: the only place where this room opens a socket.

HTTP/1.1 over a new connection each, TLS verified by the machine's certificates, redirects not followed. Only
the status counts; of the body no more is read than politeness asks for.
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 15.0  # for everything, as on AWS
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024
PORTS = {"http": 80, "https": 443}

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


class Unreachable(Exception):
    """There was no answer; the text says why."""


async def post(url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float = TIMEOUT_S) -> int:
    """The status of the answer. Raises Unreachable."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(url, headers, body)
    except TimeoutError:
        raise Unreachable(f"no answer within {timeout_s:g} seconds") from None
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(str(error) or type(error).__name__) from None


async def _exchange(url: str, headers: Mapping[str, str], body: bytes) -> int:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or PORTS[parts.scheme]
    reader, writer = await asyncio.open_connection(
        host, port, ssl=_tls() if secure else None, limit=HEAD_BYTES_MAX
    )
    try:
        shown = f"[{host}]" if ":" in host else host
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        lines = {
            "Host": shown if port == PORTS[parts.scheme] else f"{shown}:{port}",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        await writer.drain()
        return await _status(reader)
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3:
            raise ValueError("the answer is not HTTP/1.1")
        status = int(words[1])
        if status >= 200 or status == 101:
            break
    with suppress(OSError, TimeoutError):  # so that the other side can write what it has to say
        async with asyncio.timeout(1.0):
            await reader.read(BODY_BYTES_MAX)
    return status


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
