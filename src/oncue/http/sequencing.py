"""Sequenced mappings over HTTP: what is set, what became of a key or a message, start anew."""

from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from oncue import clock
from oncue.errors import ServiceError
from oncue.http import signature
from oncue.http.keys import Keys
from oncue.protocol import Request
from oncue.services import Call

LINE_BYTES_MAX = 4_096


class Sequencing:
    """Signed like any other request when signatures are checked; the account is the signer's.

    `/_oncue/sequencing` GET: all sequenced mappings; with `?key=` what is known of a key (`&mapping=`), with
    `?message=` what became of a message. `/_oncue/sequencing/<uuid>` GET; PUT sets the line in the body
    (text, or JSON `{"Rule": line}`); DELETE takes that back. `…/<uuid>/keys` POST forgets all keys,
    `…/<uuid>/keys/<key>` one (`?to=version`).
    """

    prefix = "/_oncue/sequencing"

    def __init__(self, call: Call, keys: Keys) -> None:
        self._call = call
        self._keys = keys

    async def answer(self, request: Request) -> tuple[int, bytes]:
        signed = signature.of_request(request)
        account = signature.authenticate(self._keys, signed, request, clock.now())
        call = self._call.on_behalf(account, signed.region)
        operation, parameters = _asked(request)
        service = call.services["lambda"]
        reply = await call.perform(getattr(service, operation), parameters)
        return 200, msgspec.json.encode(reply)


def _asked(request: Request) -> tuple[str, dict[str, Any]]:
    """The operation and its parameters."""
    rest = request.path.removeprefix(Sequencing.prefix)
    if rest and not rest.startswith("/"):
        raise ServiceError("NotFound", f"There is no page {request.path}.", 404)
    parts = [unquote(part) for part in rest.strip("/").split("/", 2) if part]
    query = {name: values[0] for name, values in parse_qs(request.query).items()}
    match request.method, parts:
        case "GET", [] if "key" in query:
            mapping = {"UUID": query["mapping"]} if "mapping" in query else {}
            return "find_sequence_key", {"Key": query["key"]} | mapping
        case "GET", [] if "message" in query:
            return "explain_message", {"MessageId": query["message"]}
        case "GET", []:
            return "list_sequences", {}
        case "GET", [uuid]:
            return "get_sequence", {"UUID": uuid}
        case "PUT", [uuid]:
            return "put_sequence", {"UUID": uuid, "Rule": _line(request.body)}
        case "DELETE", [uuid]:
            return "delete_sequence", {"UUID": uuid}
        case "POST", [uuid, "keys"]:
            return "reset_sequence", {"UUID": uuid}
        case "POST", [uuid, "keys", key]:
            to = {"To": query["to"]} if "to" in query else {}
            return "reset_sequence", {"UUID": uuid, "Key": key} | to
    raise ServiceError("NotFound", f"There is no {request.method} of {request.path}.", 404)


def _line(body: bytes) -> str:
    if len(body) > LINE_BYTES_MAX:
        raise ServiceError("EntityTooLarge", f"A rule has at most {LINE_BYTES_MAX} bytes.", 413)
    try:
        text = body.decode().strip()
        line = msgspec.json.decode(text)["Rule"] if text.startswith("{") else text
    except (UnicodeDecodeError, msgspec.MsgspecError, KeyError):
        line = None
    if not isinstance(line, str) or not line:
        raise ServiceError("BadRequest", 'The body is the line, or JSON {"Rule": line}.', 400)
    return line
