"""The composition root: builds the store, the workers, the services and the server. The only one that knows
all."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from oncue import arns, clock
from oncue.config import Config
from oncue.errors import SetupError
from oncue.http.artifacts import Artifacts
from oncue.http.dispatch import Dispatch
from oncue.http.keys import Keys
from oncue.http.keys import read as read_keys
from oncue.http.sequencing import Sequencing
from oncue.http.server import Server
from oncue.http.web import Door
from oncue.services import Call, Service
from oncue.services.apigatewayv2 import Apigatewayv2
from oncue.services.apigatewayv2.buckets import Limit
from oncue.services.cloudformation import Cloudformation
from oncue.services.dynamodb import Dynamodb
from oncue.services.iam import Iam
from oncue.services.lambda_ import Lambda
from oncue.services.logs import Logs
from oncue.services.sns import Sns
from oncue.services.sqs import Sqs
from oncue.services.ssm import Ssm
from oncue.services.sts import Sts
from oncue.store import Migration, Store, backlog, calls, migrations
from oncue.workers import Settings
from oncue.workers.pool import Pool

SQLITE = "sqlite:///"
EXPIRE_EVERY_S = 5.0
STRETCHES_MAX = 4  # at a time: a million items are seen through in a few minutes
ROOMS: tuple[type[Service], ...] = (
    Sqs,
    Sns,
    Lambda,
    Logs,
    Dynamodb,
    Apigatewayv2,
    Iam,
    Sts,
    Ssm,
    Cloudformation,
)
log = logging.getLogger("oncue")


class App:
    """One node: everything that a running server is made of."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = read_keys(config.auth) if config.auth else Keys()
        self.store = open_store(config.store, schema())
        self.endpoint = f"http://{_reachable(config.host)}:{config.port}"
        self.pool = Pool(
            Settings(
                data_dir=config.data,
                endpoint_url=lambda: self.endpoint,
                access_key=lambda account: self.keys.of_functions(account)[0],
                secret_key=lambda account: self.keys.of_functions(account)[1],
                idle_s=config.idle_s,
                workers_max=config.workers,
            )
        )
        apis = Apigatewayv2(account_limit=Limit(config.throttle_rate, config.throttle_burst))
        sns = Sns()
        rooms: list[Service] = [
            Sqs(waits=config.queue_waits),
            sns,
            Lambda(self.pool),
            Logs(),
            Dynamodb(),
            apis,
            Iam(),
            Sts(),
            Ssm(),
            Cloudformation(),
        ]
        self.services = {room.name: room for room in rooms}
        self.call = Call(
            arns.ACCOUNT_DEFAULT, arns.REGION_DEFAULT, self.services, self.store, base_url=self.endpoint
        )
        dispatch = Dispatch(self.services, self.store, self.keys, call_once=config.call_once)
        artifacts = Artifacts(self.store, self.keys)
        sequencing = Sequencing(self.call, self.keys)
        door = Door(dispatch, self.call, apis, sns, artifacts, sequencing, self.keys)
        self.server = Server(door, config.host, config.port)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called when requests are answered."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        async with AsyncExitStack() as running:
            await self.store.start()
            running.push_async_callback(self.store.stop)
            await self.pool.start()
            running.push_async_callback(self.pool.stop)
            # functions call us back: the door is open before work that was left over is taken up again
            serving = asyncio.create_task(self.server.serve())
            await asyncio.wait(
                {serving, asyncio.create_task(self.server.listening())}, return_when=asyncio.FIRST_COMPLETED
            )
            if serving.done():
                await serving
            for service in self.services.values():
                await service.start(self.call)
                running.push_async_callback(service.stop)
            running.callback(asyncio.create_task(self._expire()).cancel)
            ready()
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await self.server.stop()
            await serving

    async def _expire(self) -> None:
        """Walks through the backlog and deletes what has outlived its retention. Losing a round costs disk
        space, nothing else."""
        after = 0
        while True:
            await asyncio.sleep(EXPIRE_EVERY_S)
            try:
                await self._expire_replies()
                for _ in range(STRETCHES_MAX):
                    after = await self._expire_stretch(after)
                    if not after:
                        break
            except Exception:
                log.exception("what has expired could not be deleted; tried again in %g s", EXPIRE_EVERY_S)

    async def _expire_replies(self) -> None:
        slots = calls.SHARED if self.store.shared else calls.ALONE
        while await self.store.transact(lambda tx: calls.expire(tx, slots, clock.now()), durable=False):
            pass

    async def _expire_stretch(self, after: int) -> int:
        """The id up to which there is nothing expired any more, 0 at the end."""
        found = await self.store.transact(lambda tx: backlog.stretch(tx, after), reads_only=True)
        if found is None:
            return 0
        last, soonest = found
        if soonest is not None and soonest <= clock.now():
            await self.store.transact(lambda tx: backlog.expire(tx, clock.now(), after, last))
        return last


def schema() -> list[Migration]:
    """Every schema step of the store and of all rooms."""
    steps = schema_of_the_store()
    for room in ROOMS:
        package = room.__module__.rpartition(".")[0]
        steps += migrations.of_package(package, room.name)
    return steps


def schema_of_the_store() -> list[Migration]:
    return migrations.of_package("oncue.store", "store")


def open_store(url: str, steps: Sequence[Migration]) -> Store:
    """The store that `url` names: `sqlite:///PATH` (relative, or with a fourth slash absolute) or
    `postgresql://…`."""
    if url.startswith(SQLITE):
        from oncue.store import sqlite

        return sqlite.SqliteStore(Path(url.removeprefix(SQLITE)), steps, on_broken_disk=sqlite.stop_process)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from oncue.store.postgres import PostgresStore
        except ImportError:
            raise SetupError("The PostgreSQL driver is missing: pip install 'oncue[postgres]'.") from None
        return PostgresStore(url, steps)
    raise SetupError(f"--store takes sqlite:///PATH or postgresql://…, not {url!r}.")


def serve(config: Config) -> None:
    """Run a node in this process until it is told to stop."""
    logging.basicConfig(
        stream=sys.stderr,
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    app = App(config)

    def ready() -> None:
        print(f"Oncue listens on {app.endpoint} and keeps everything in {config.store}", flush=True)
        print("Ready.", flush=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.run(ready))


def _reachable(host: str) -> str:
    """An address by which functions on this machine reach a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
