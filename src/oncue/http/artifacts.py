"""Function packages on their way in and out: PUT and GET of content by its SHA-256."""

import hashlib
import re

from oncue import clock
from oncue.errors import ServiceError
from oncue.http import signature
from oncue.http.keys import Keys
from oncue.protocol import Request
from oncue.store import Store, blobs

NAME = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """`PUT /_oncue/artifacts/<sha256>` keeps the body (201, or 200 when it was there), GET gives it back,
    HEAD asks.

    Writing is signed like any other request when signatures are checked; reading needs only the name, which
    nobody can guess (Lambda's Code.Location is such an address).
    """

    prefix = "/_oncue/artifacts/"

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    async def answer(self, request: Request) -> tuple[int, bytes]:
        name = request.path.removeprefix(self.prefix)
        if not NAME.fullmatch(name):
            raise ServiceError(
                "BadRequest", "An artifact is named by its SHA-256: 64 hexadecimal digits.", 400
            )
        if request.method == "PUT":
            return await self._put(name, request)
        if request.method not in ("GET", "HEAD"):
            raise ServiceError("MethodNotAllowed", "An artifact takes PUT, GET and HEAD.", 405)
        if request.method == "HEAD":
            found = await self._store.transact(lambda tx: blobs.has(tx, name), reads_only=True)
            return (200 if found else 404), b""
        data = await self._store.transact(lambda tx: blobs.get(tx, name), reads_only=True)
        if data is None:
            raise ServiceError("NotFound", "There is no such artifact.", 404)
        return 200, data

    async def _put(self, name: str, request: Request) -> tuple[int, bytes]:
        signature.authenticate(self._keys, signature.of_request(request), request, clock.now())
        if len(request.body) > blobs.BLOB_BYTES_MAX:
            raise ServiceError(
                "EntityTooLarge", f"An artifact has at most {blobs.BLOB_BYTES_MAX} bytes.", 413
            )
        if hashlib.sha256(request.body).hexdigest() != name:
            raise ServiceError("BadDigest", "The body's SHA-256 is not the one in the address.", 400)
        if await self._store.transact(lambda tx: blobs.has(tx, name), reads_only=True):
            return 200, b""
        await self._store.transact(lambda tx: blobs.put(tx, request.body))
        return 201, b""
