"""The HTTP server: bytes and connections. The only module that knows granian."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server as Granian

from oncue.errors import SetupError
from oncue.http import ports
from oncue.http.web import BODY_BYTES_MAX, Door, Headers, Incoming, Outgoing, refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEAD_BYTES_MAX = 64 * 1024
CONNECTIONS_WAITING_MAX = 4_096
REQUESTS_MAX = 20_000  # at once, long polls included
STOP_S = 10
LISTEN_S = 10.0
LOOK_AGAIN_S = 0.005
log = logging.getLogger("oncue")


class Unreadable(Exception):
    """The bytes themselves are not acceptable; carries the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = refused(status, message, ("connection", "close"))


class Server:
    """Serves one door on one address until stopped."""

    def __init__(self, door: Door, host: str, port: int) -> None:
        self._door = door
        self._address = (host, port)
        self._granian = Granian(
            self._answer,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=CONNECTIONS_WAITING_MAX,
            backpressure=REQUESTS_MAX,
            http1_settings=HTTP1Settings(max_buffer_size=HEAD_BYTES_MAX),
            log_enabled=False,
            log_level=LogLevels.critical,
        )
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """SetupError when the address is taken: granian itself would share the port with another process."""
        host, port = self._address
        if reason := ports.refusal(host, port):
            raise SetupError(
                f"Cannot listen on {host}:{port}: {reason}. "
                "Stop what listens there, or choose another --port."
            )
        await self._granian.serve()

    async def listening(self) -> None:
        """Returns when connections are accepted."""
        host, port = self._address
        target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        async with asyncio.timeout(LISTEN_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(target, port)
                    writer.close()
                    return
                await asyncio.sleep(LOOK_AGAIN_S)

    async def stop(self) -> None:
        """Sends the waiting ones home, lets the working ones finish, but not for ever."""
        self._stopping.set()
        try:
            await asyncio.wait_for(self._idle.wait(), STOP_S)
        except TimeoutError:
            log.warning("%d requests did not end within %d s; stopped without them", self._active, STOP_S)
        self._granian.stop()  # type: ignore[no-untyped-call]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._active += 1
        self._idle.clear()
        try:
            outgoing = await self._outgoing(scope, receive)
            headers = [(name.encode(), value.encode()) for name, value in outgoing.headers]
            headers.append((b"content-length", str(len(outgoing.body)).encode()))
            await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
            await send({"type": "http.response.body", "body": outgoing.body})
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _outgoing(self, scope: Scope, receive: Receive) -> Outgoing:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        try:
            body = await _body(headers, receive)
        except Unreadable as unreadable:
            return unreadable.answer
        incoming = Incoming(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1") or "/",
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            scheme=scope["scheme"],
            protocol=f"HTTP/{scope['http_version']}",
            source_ip=scope["client"][0] if scope.get("client") else "",
        )

        async def gone() -> None:
            leaving = asyncio.ensure_future(_disconnected(receive))
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait({leaving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                stopping.cancel()

        return await self._door.answer(incoming, gone)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body, unpacked when it says that it is gzip. Refused 413 beyond the limit, 400 when cut
    short."""
    stated = next((value for name, value in headers if name == "content-length"), "")
    if stated.isdigit() and int(stated) > BODY_BYTES_MAX:
        raise Unreadable(413, f"The request body has more than {BODY_BYTES_MAX} bytes.")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable(400, "The client closed the connection within the body.")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise Unreadable(413, f"The request body has more than {BODY_BYTES_MAX} bytes.")
        if part:
            parts.append(part)
        if not message.get("more_body"):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)
