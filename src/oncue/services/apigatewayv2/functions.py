"""Lambda proxy integrations: a function is asked, and what it says becomes the reply."""

import asyncio
import logging
from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.apigatewayv2 import integrations, payloads
from oncue.services.apigatewayv2.payloads import Visit
from oncue.services.apigatewayv2.web import WebReply, said

LOG = logging.getLogger(__name__)
Answer = dict[str, Any]


class LateError(Exception):
    """The function did not answer in time; it is left to finish."""


class Functions:
    """Asks functions. One that is late is left to finish, as on AWS: its client has been told 503 by then."""

    def __init__(self) -> None:
        self._asked: set[asyncio.Task[Answer]] = set()

    async def stop(self) -> None:
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    async def answer(self, call: Call, integration: dict[str, Any], visit: Visit) -> WebReply:
        """A function's failure is 500 and its lateness 503, with nothing of its own words."""
        version = integration["PayloadFormatVersion"]
        event = payloads.event_v2(visit) if version == "2.0" else payloads.event_v1(visit)
        arn = integrations.function_arn(integration["IntegrationUri"])
        assert arn is not None, "an integration without a function was stored"
        try:
            timeout_s = integration["TimeoutInMillis"] / 1000
            return _reply(await self.ask(call, arn, msgspec.json.encode(event), timeout_s), version)
        except LateError:
            LOG.warning("%s did not answer %s in time", arn, visit.route_key)
            return said(503, "Service Unavailable")
        except ServiceError as refused:
            LOG.warning("%s could not be asked for %s: %s", arn, visit.route_key, refused)
            return _refused(refused)
        except payloads.MalformedError as malformed:
            LOG.warning("%s answered %s with what is no reply: %s", arn, visit.route_key, malformed)
            return said(500, "Internal Server Error")

    async def ask(self, call: Call, arn: str, event: bytes, timeout_s: float) -> Answer:
        """What Invoke answers. Raises LateError, or the ServiceError of Invoke."""
        asked = self._ask(call, arn, event)
        await asyncio.wait({asked}, timeout=timeout_s)
        if not asked.done():
            raise LateError(f"{arn} did not answer within {timeout_s:g} s")
        return await asked

    def _ask(self, call: Call, arn: str, event: bytes) -> asyncio.Task[Answer]:
        place = arns.parse(arn)
        asker = call.on_behalf(place.account, place.region)
        work = asker.lambda_.invoke(FunctionName=arn, InvocationType="RequestResponse", Payload=event)
        task: asyncio.Task[Answer] = asyncio.ensure_future(work)
        self._asked.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Answer]) -> None:
        self._asked.discard(task)
        if not task.cancelled() and (error := task.exception()):
            LOG.debug("an invocation ended with %r", error)  # whoever still waited for it has it too


def _reply(result: Answer, version: str) -> WebReply:
    if result.get("FunctionError"):
        return said(500, "Internal Server Error")
    return payloads.reply_of(bytes(result.get("Payload") or b""), version)


def _refused(refused: ServiceError) -> WebReply:
    if refused.code == "RequestTooLargeException":
        return said(413, "Request Entity Too Large")
    if refused.code == "TooManyRequestsException":
        return said(503, "Service Unavailable")
    return said(500, "Internal Server Error")
