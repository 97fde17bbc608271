"""Which worker gets an event: reuse, revisions, the limit of the node and its queue, idle time, own boto3."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oncue.errors import ServiceError
from oncue.workers import pool as pools
from oncue.workers.pool import Pool
from tests.workers.conftest import DEADLINE_S, Function, Gate, deploy, settings

PID = "import os\ndef handler(event, context): return os.getpid()"
KNOCKING = (
    Gate.SOURCE
    + """
        def handler(event, context):
            if event: knock(event["gate"], name=event["name"], pid=os.getpid())
            return os.getpid()
"""
)


@pytest.fixture
async def single(tmp_path: Path) -> AsyncIterator[Pool]:
    """A pool of one worker."""
    made = Pool(settings(tmp_path, workers_max=1))
    await made.start()
    yield made
    await made.stop()


async def meet(gate: Gate) -> Any:
    return await asyncio.to_thread(gate.meet)


def knock(function: Function, gate: Gate, name: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(function.value({"gate": gate.path, "name": name}))


async def test_a_warm_worker_is_used_again_the_last_one_first(pool: Pool, gate: Gate) -> None:
    function = await deploy(pool, KNOCKING)
    both = [knock(function, gate, "a"), knock(function, gate, "b")]
    await meet(gate)
    await meet(gate)
    gate.open()
    early = await next(asyncio.as_completed(both))
    gate.open()
    pids = await asyncio.gather(*both)
    late = next(pid for pid in pids if pid != early)
    assert [await function.value() for _ in range(3)] == [late] * 3
    assert pool.counts() == pools.Counts(workers=2, idle=2, waiting=0)


async def test_functions_do_not_share_workers_and_versions_do_not_either(pool: Pool) -> None:
    first, second = await deploy(pool, PID), await deploy(pool, PID)
    published = first.changed(version="1")
    pids = {await function.value() for function in (first, second, published)}
    assert len(pids) == 3


async def test_a_new_revision_ends_the_idle_workers_of_the_old_one(pool: Pool, watch: Any) -> None:
    function = await deploy(pool, PID)
    pid = await function.value()
    old = watch(pid)
    assert await function.changed(revision="2").value() != pid
    assert old.ended()


async def test_a_worker_busy_with_an_old_revision_ends_when_it_has_answered(
    pool: Pool, gate: Gate, watch: Any
) -> None:
    function = await deploy(pool, KNOCKING)
    task = knock(function, gate, "old")
    old = watch((await meet(gate))["pid"])
    await function.changed(revision="2").value()
    assert not old.ended(0)
    gate.open()
    await task
    assert await asyncio.to_thread(old.ended)
    assert pool.counts().idle == 1


async def test_retiring_a_function_ends_its_workers(pool: Pool, gate: Gate, watch: Any) -> None:
    function, other = await deploy(pool, KNOCKING), await deploy(pool, PID)
    kept = await other.value()
    busy = knock(function, gate, "busy")
    await meet(gate)
    idle = watch(await function.value())
    await pool.retire(function.version.arn)
    assert idle.ended(0)
    gate.open()
    await busy
    assert pool.counts().idle == 1
    assert await other.value() == kept


async def test_a_full_node_serves_in_the_order_of_arrival(single: Pool, gate: Gate) -> None:
    first, second = await deploy(single, KNOCKING), await deploy(single, KNOCKING)
    order = [(first, "0"), (second, "1"), (first, "2"), (first, "3"), (second, "4")]
    tasks = []
    for function, name in order:
        tasks.append(knock(function, gate, name))
        await asyncio.sleep(0)
    seen = []
    for _ in order:
        seen.append((await meet(gate))["name"])
        assert single.counts().workers == 1
        gate.open()
    await asyncio.gather(*tasks)
    assert seen == ["0", "1", "2", "3", "4"]


async def test_an_idle_worker_of_another_function_makes_room(single: Pool, watch: Any) -> None:
    first, second = await deploy(single, PID), await deploy(single, PID)
    old = watch(await first.value())
    await second.value()
    assert old.ended(0)
    assert single.counts() == pools.Counts(workers=1, idle=1, waiting=0)


async def test_the_queue_has_an_end(single: Pool, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WAITING_MAX", 1)
    function = await deploy(single, KNOCKING)
    running = knock(function, gate, "running")
    await meet(gate)
    waiting = asyncio.create_task(function.value())
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match=r"Rate Exceeded\.") as refused:
        await function()
    assert (refused.value.code, refused.value.status) == ("TooManyRequestsException", 429)
    assert refused.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"
    gate.open()
    await asyncio.gather(running, waiting)


async def test_who_gives_up_while_waiting_leaves_the_queue(single: Pool, gate: Gate) -> None:
    function = await deploy(single, KNOCKING)
    running = knock(function, gate, "running")
    await meet(gate)
    given_up = knock(function, gate, "given up")
    behind = knock(function, gate, "behind")
    await asyncio.sleep(0)
    given_up.cancel()
    gate.open()
    assert (await meet(gate))["name"] == "behind"
    gate.open()
    assert await behind == await running
    assert single.counts() == pools.Counts(workers=1, idle=1, waiting=0)


async def test_an_invocation_goes_on_without_its_caller(single: Pool, gate: Gate) -> None:
    function = await deploy(single, KNOCKING)
    pid = await function.value()
    task = knock(function, gate, "alone")
    await meet(gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    after = asyncio.create_task(function.value())
    await asyncio.sleep(0)
    assert single.counts().waiting == 1
    gate.open()
    assert await after == pid


async def test_a_worker_without_work_ends(tmp_path: Path, watch: Any) -> None:
    pool = Pool(settings(tmp_path, idle_s=0.3))
    await pool.start()
    function = await deploy(pool, PID)
    process = watch(await function.value())
    assert await asyncio.to_thread(process.ended)
    assert await function.value() > 0
    await pool.stop()


async def test_a_worker_that_dies_while_idle_is_replaced(pool: Pool, watch: Any) -> None:
    function = await deploy(pool, PID)
    pid = await function.value()
    process = watch(pid)
    gone = next(iter(pool._idle)).exited
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.to_thread(process.ended)
    await asyncio.wait_for(gone, DEADLINE_S)
    assert await function.value() != pid


async def test_a_package_that_brings_its_own_boto3_gets_it(pool: Pool) -> None:
    handler = "import boto3\ndef handler(event, context): return boto3.__version__"
    own = await deploy(pool, {"app.py": handler, "boto3/__init__.py": "__version__ = 'mine'"})
    ours = await deploy(pool, {"app.py": handler})
    assert await own.value() == "mine"
    assert (await ours.value())[0].isdigit()
    assert await own.value() == "mine"


@pytest.mark.parametrize("name", ["urllib3", "queue", "email", "six", "random"])
async def test_a_package_may_have_modules_named_like_those_we_have_loaded(pool: Pool, name: str) -> None:
    source = f"import {name}\ndef handler(event, context): return {name}.WHOSE"
    function = await deploy(pool, {"app.py": source, f"{name}.py": "WHOSE = 'mine'"})
    assert await function.value() == "mine"


async def test_the_temporary_folder_is_private_and_goes_with_the_worker(pool: Pool, tmp_path: Path) -> None:
    source = """
        import os, pathlib
        def handler(event, context):
            folder = pathlib.Path(os.environ["TMPDIR"])
            before = sorted(entry.name for entry in folder.iterdir())
            (folder / event).touch()
            return [before, str(folder), oct(folder.stat().st_mode & 0o777)]
    """
    function = await deploy(pool, source)
    assert (await function.value("a"))[0] == []
    before, folder, mode = await function.value("b")
    assert before == ["a"]
    assert mode == "0o700"
    assert (await function.changed(revision="2").value("c"))[0] == []
    await pool.stop()
    assert not Path(folder).exists()


async def test_a_lost_zygote_is_replaced(pool: Pool, gate: Gate) -> None:
    function = await deploy(pool, KNOCKING)
    task = knock(function, gate, "lost")
    await meet(gate)
    os.kill(pool._zygotes[True].pid, signal.SIGKILL)
    with pytest.raises(ServiceError, match="ServiceException"):
        await asyncio.wait_for(task, DEADLINE_S)
    assert await function.value() > 0
    assert pool.counts() == pools.Counts(workers=1, idle=1, waiting=0)


async def test_stopping_answers_who_runs_and_who_waits(tmp_path: Path, gate: Gate) -> None:
    pool = Pool(settings(tmp_path, workers_max=1))
    await pool.start()
    function = await deploy(pool, KNOCKING)
    tasks = [knock(function, gate, "runs"), knock(function, gate, "waits")]
    await meet(gate)
    await pool.stop()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, ServiceError)
        assert (outcome.code, outcome.status) == ("ServiceException", 500)
    assert pool.counts() == pools.Counts(workers=0, idle=0, waiting=0)
    with pytest.raises(ServiceError, match="ServiceException"):
        await function()


async def test_many_at_once(pool: Pool) -> None:
    functions = [await deploy(pool, PID) for _ in range(6)]
    calls = [functions[number % 6].value(number) for number in range(60)]
    assert len(await asyncio.gather(*calls)) == 60
    assert pool.counts().workers <= 4
    assert json.dumps(pool.counts().waiting) == "0"
