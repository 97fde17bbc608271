"""One AWS request: who asks, which operation of which service, performed, and answered in its own
protocol."""

import asyncio
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping

from oncue import arns, clock, protocol
from oncue.errors import ServiceError
from oncue.http import signature
from oncue.http.keys import Keys
from oncue.protocol import Reply, Request, Route
from oncue.services import Call, Invocation, Method, Service
from oncue.store import Store

Gone = Callable[[], Awaitable[None]]
INVOCATION_CHARS_MAX = 64
FIRST_ATTEMPT = re.compile(r"\battempt=1\b")
log = logging.getLogger("oncue")


class Dispatch:
    """`call_once` keeps the replies of what SDKs may ask again, and answers with them."""

    def __init__(
        self, services: Mapping[str, Service], store: Store, keys: Keys, *, call_once: bool = True
    ) -> None:
        self.services = services
        self._store = store
        self._keys = keys
        self._call_once = call_once

    async def answer(self, request: Request, base_url: str, gone: Gone) -> Reply:
        """Performs the request. `gone` returns when the client has gone away: then an operation that only
        waits (`@waits`) is given up; every other one is finished as accepted."""
        request_id = clock.new_id()
        route: Route | None = None
        try:
            signed = signature.of_request(request)
            route = protocol.route(request, signed.service)
            method = self._method(route)
            if not signed.access_key and getattr(method, "unsigned", False):
                account = arns.ACCOUNT_DEFAULT
            else:
                account = signature.authenticate(self._keys, signed, request, clock.now())
            parameters = protocol.decode(route, request)
            call = Call(
                account,
                signed.region,
                self.services,
                self._store,
                base_url=base_url,
                request_id=request_id,
                trace=request.headers.get("x-amzn-trace-id", ""),
                invocation=_invocation(request) if self._call_once else None,
            )
            work = call.perform(method, parameters)
            output = await (_unless(gone, work) if getattr(method, "waits", False) else work)
            return protocol.encode(route, output, request_id)
        except ServiceError as error:
            return protocol.encode_error(route, request, error, request_id)
        except Exception:
            name = f"{route.service}.{route.operation.name}" if route else request.path
            log.exception("%s failed, request id %s", name, request_id)
            sentence = (
                "An error that the server did not expect; its log has the details under the request id."
            )
            failure = ServiceError("InternalFailure", sentence, 500)
            return protocol.encode_error(route, request, failure, request_id)

    def _method(self, route: Route) -> Method:
        service = self.services.get(route.service)
        method = service.operation(route.operation.name) if service else None
        if method is None:
            raise ServiceError(
                "NotImplemented", f"Oncue does not offer {route.operation.name} of {route.service} yet.", 501
            )
        return method


def _invocation(request: Request) -> Invocation | None:
    """What AWS's SDKs say of a call: an id that stays the same over its attempts, and the attempt's number.
    An id that comes with another content is another call."""
    told = request.headers.get("amz-sdk-invocation-id", "")
    if not 0 < len(told) <= INVOCATION_CHARS_MAX:
        return None
    content = zlib.crc32(request.body, zlib.crc32(request.path.encode()))
    return Invocation(
        f"{told}/{content:08x}", not FIRST_ATTEMPT.search(request.headers.get("amz-sdk-request", ""))
    )


async def _unless(gone: Gone, work: Awaitable[Mapping[str, object]]) -> Mapping[str, object]:
    """The work's result; the work is cancelled when the client goes first, and nobody reads the answer
    then."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        return await working
    except asyncio.CancelledError:
        raise ServiceError("RequestAborted", "The client closed the connection.", 400) from None
    finally:
        watching.cancel()
