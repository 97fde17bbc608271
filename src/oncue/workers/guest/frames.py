"""The frames on the socket between server and worker: sizes, a JSON head and a body of bytes.

Server to worker: first {environment, root, handler, ...}, then one head per event with the event as the body.
Worker to server: {"init": true} once, then one head per answer with the answer as the body.
"""

import json
import struct
from typing import Any, BinaryIO

SIZES = struct.Struct(">II")  # bytes of the head, bytes of the body
HEAD_BYTES_MAX = 1024 * 1024


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return SIZES.pack(len(text), len(body)) + text + body


def read(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or None where the other side has gone."""
    sizes = stream.read(SIZES.size)
    if len(sizes) < SIZES.size:
        return None
    head_bytes, body_bytes = SIZES.unpack(sizes)
    head, body = stream.read(head_bytes), stream.read(body_bytes)
    if len(head) < head_bytes or len(body) < body_bytes:
        return None
    return json.loads(head), body
