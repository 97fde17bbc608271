"""A server that does nothing: it parses each request and answers a constant. Run by limits.py."""

import asyncio
import hashlib
import sys

import httptools
import uvloop

MD5 = hashlib.md5(b"x" * 1024).hexdigest().encode()
ANSWER = b'{"MD5OfMessageBody":"%b","MessageId":"00000000-0000-0000-0000-000000000000"}' % MD5
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
WHOLE = HEAD % len(ANSWER) + ANSWER


class Empty(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(WHOLE)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Empty, "127.0.0.1", port)
    await server.serve_forever()


uvloop.run(serve(int(sys.argv[1])))
