"""An HTTP subscriber: a small server on a free port that keeps what it is sent and answers as it is told."""

import http.server
import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

DEADLINE_S = 25


@dataclass
class Got:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def kind(self) -> str:
        return self.headers["x-amz-sns-message-type"]

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.body)
        return fields


class Subscriber:
    """`statuses` are the answers to come, the last one for ever; `released` holds every answer back while it
    is not set."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[Got] = []
        self.released = threading.Event()
        self.released.set()
        self._changed = threading.Condition()
        subscriber = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                subscriber._take(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook?a=1"

    def _take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._changed:
            self.got.append(Got(handler.path, headers, body))
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            self._changed.notify_all()
        self.released.wait(DEADLINE_S)
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", self.url)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    def wait(self, count: int) -> list[Got]:
        """What has come, when that is at least so much."""
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while len(self.got) < count:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{len(self.got)} requests came, not {count}")
            return list(self.got)

    def confirm(self) -> str:
        """Visit the link of the first message; the answer is the server's XML."""
        first = self.wait(1)[0]
        assert first.kind == "SubscriptionConfirmation"
        with urllib.request.urlopen(first.fields["SubscribeURL"], timeout=DEADLINE_S) as answer:
            return str(answer.read().decode())

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
