"""Requests to other servers: what is sent, and answers that are strange, hostile, late or cut short."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from oncue import outgoing

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answered(said: bytes, method: str = "GET", **options: int) -> tuple[outgoing.Answer, bytes]:
    """The answer of a server that says `said`, and the head that it was sent."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        headers = [("x-a", "1"), ("Host", "theirs"), ("content-length", "9")]
        url = f"http://127.0.0.1:{port}/p?q=1"
        return await outgoing.ask(method, url, headers, b"", timeout_s=5.0, **options), heads[0]
    finally:
        server.close()


OK = b"HTTP/1.1 200 OK\r\n"


async def test_what_is_sent_and_how_bodies_end() -> None:
    answer, head = await answered(OK + b"X-B: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nhi and more")
    assert answer == outgoing.Answer(200, [("x-b", "1"), ("x-b", "2"), ("content-length", "2")], b"hi")
    assert re.match(rb"GET /p\?q=1 HTTP/1.1\r\nhost: 127.0.0.1:\d+\r\ncontent-length: 0\r\n", head)
    assert (head.count(b"host:"), head.lower().count(b"content-length"), b"x-a: 1" in head) == (1, 1, True)
    chunked = OK + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n lo\r\n0\r\n\r\n"
    assert (await answered(chunked))[0].body == b"hi lo"
    assert (await answered(OK + b"\r\nuntil the end"))[0].body == b"until the end"
    assert (await answered(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n"))[0].status == 200
    assert (await answered(OK + b"content-length: 5\r\n\r\n", "HEAD"))[0].body == b""
    assert (await answered(b"HTTP/1.1 204 No\r\n\r\n"))[0].status == 204


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 many\r\n\r\n",
        OK,
        OK + b"content-length: 5\r\n\r\nhi",
        OK + b"content-length: -5\r\n\r\nhi",
        OK + b"content-length: 50\r\n\r\n" + b"x" * 50,
        OK + b"\r\n" + b"x" * 50,
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n32\r\n" + b"x" * 50,
        OK + b"x: " + b"y" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    ],
)
async def test_answers_that_are_none(said: bytes) -> None:
    with pytest.raises(outgoing.Unreachable):
        await answered(said, body_bytes_max=20)


async def test_a_server_that_says_nothing() -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(outgoing.Unreachable, match=r"no answer within 0\.05 seconds"):
        await outgoing.ask("GET", f"http://127.0.0.1:{port}/", timeout_s=0.05)
    await asyncio.wait_for(ended.wait(), 5.0)  # and our end is closed
    server.close()


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/", []),
        ("http:///x", []),
        ("http://127.0.0.1:99999/", []),
        ("http://127.0.0.1:1/", []),
        ("http://127.0.0.1:1/", [("x", "a\r\nInjected: yes")]),
        ("http://127.0.0.1:1/a b", []),
        ("http://127.0.0.1:1/", [("x", "€")]),
    ],
)
async def test_addresses_and_headers_that_cannot_be(url: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(outgoing.Unreachable):
        await outgoing.ask("GET", url, headers, timeout_s=5.0)
