"""The Lambda room as a whole: its operations, and what goes on in the background."""

from collections.abc import Sequence
from typing import Any, ClassVar

from oncue.services import Call, Service
from oncue.services.lambda_ import deferred, functions, invocations, names
from oncue.services.lambda_.deferred import Runner
from oncue.services.lambda_.functions import Functions
from oncue.services.lambda_.invocations import Invoker
from oncue.services.lambda_.journal import Journal
from oncue.services.lambda_.mappings import Mappings
from oncue.services.lambda_.permissions import Permissions
from oncue.services.lambda_.sequencing.operations import Sequencing
from oncue.services.lambda_.sequencing.poller import poller
from oncue.services.lambda_.sources import Sources
from oncue.workers.pool import Pool


class Lambda(Functions, Mappings, Permissions, Sequencing, Service):
    """Functions are rows, their code blobs; they run in the pool of the node that is asked.

    `retry_after_s` are the pauses before an asynchronous invocation that failed is tried again.
    """

    name: ClassVar[str] = "lambda"
    refusal: ClassVar[str] = "InvalidParameterValueException"

    def __init__(self, pool: Pool, *, retry_after_s: Sequence[float] = deferred.RETRY_AFTER_S) -> None:
        self._journal = Journal()
        self._invoker = Invoker(pool, self._journal)
        self._runner = Runner(self._invoker, retry_after_s)
        self._sources = Sources(self._invoker, poller)

    async def start(self, call: Call) -> None:
        self._journal.start(call)
        self._invoker.start(call)
        self._runner.start(call)
        self._sources.start(call)

    async def stop(self) -> None:
        await self._sources.stop()
        await self._runner.stop()
        await self._invoker.stop()
        await self._journal.stop()

    async def invoke(
        self,
        call: Call,
        *,
        FunctionName: str,
        InvocationType: str = "RequestResponse",
        LogType: str = "None",
        ClientContext: str | None = None,
        Payload: bytes | None = None,
        Qualifier: str | None = None,
    ) -> dict[str, Any]:
        """The function's answer (RequestResponse), 202 when the event is stored (Event), or 204 (DryRun)."""
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        event = invocations.checked_event(Payload or b"", InvocationType)
        context = invocations.checked_context(ClientContext)
        if InvocationType == "DryRun":
            await call.transact(lambda inner: functions.load(inner, name), reads_only=True)
            return {"StatusCode": 204}
        if InvocationType == "Event":
            await call.transact(lambda inner: deferred.accept(inner, name, event, context))
            return {"StatusCode": 202, "Payload": b""}
        target, result = await self._invoker.invoke(
            call, name, event, request_id=call.request_id, client_context=context
        )
        return invocations.reply(target, result, tail=LogType == "Tail")

    def invoke_async(self, call: Call, *, FunctionName: str, InvokeArgs: bytes) -> dict[str, Any]:
        """The old form of an Event invocation; a plain method, so that other services can hand an event over
        in their own transaction."""
        name = names.read(FunctionName, call.account, call.region)
        deferred.accept(call, name, invocations.checked_event(InvokeArgs, "Event"))
        return {"Status": 202}
