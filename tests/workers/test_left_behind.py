"""Nobody is left behind: however the server ends, its zygotes, its workers and what these started end too."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workers.conftest import DEADLINE_S, Gate

SERVER = """
import asyncio, os, signal, sys
from pathlib import Path
from oncue.workers.pool import Pool
from tests.workers.conftest import Gate, deploy, settings

BUSY = Gate.SOURCE + '''
        import subprocess, sys
        silent = ["tail", "-f", "/dev/null"]
        def handler(event, context):
            pids = [os.getpid(), os.getppid()]
            if event["children"]:
                pids.append(subprocess.Popen(silent).pid)
                pids.append(subprocess.Popen(silent, start_new_session=True).pid)
                daemon = "import os, signal; os.setsid(); print(os.getpid(), flush=True); signal.pause()"
                shell = f"{sys.executable} -c '{daemon}' &"
                started = subprocess.Popen(shell, shell=True, stdout=subprocess.PIPE)
                pids.append(int(started.stdout.readline()))
            report(event["gate"], pids=pids)
            while event["busy"]: pass
'''

async def main():
    folder, gate = Path(sys.argv[1]), sys.argv[2]
    pool = Pool(settings(folder))
    await pool.start()
    pool.warm()
    if sys.argv[3] and not os.fork():  # a copy that holds all our sockets open
        signal.alarm(60)
        signal.pause()
    function = await deploy(pool, BUSY)
    own = await deploy(pool, {"app.py": BUSY, "six.py": ""})
    await function({"gate": gate, "busy": False, "children": False})
    async with asyncio.TaskGroup() as group:
        for one in (function, own):
            group.create_task(one({"gate": gate, "busy": True, "children": True}))
        group.create_task(function({"gate": gate, "busy": True, "children": False}))

asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["the process", "the process group", "the process, its sockets held open"])
def test_a_killed_server_leaves_no_process(tmp_path: Path, gate: Gate, watch: Any, way: str) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    held = "held" if "held" in way else ""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), gate.path, held],
        env=environment,
        start_new_session=True,
    )
    try:
        pids = {pid for _ in range(4) for pid in gate.meet()["pids"]}
        assert len(pids) == 3 + 2 + 6  # three workers, a warm and a bare zygote, three children each of two
        watched = {pid: watch(pid) for pid in pids}
    finally:
        if way == "the process group":
            os.killpg(server.pid, signal.SIGKILL)
        server.kill()
        server.wait(DEADLINE_S)
    left = [pid for pid, process in watched.items() if not process.ended()]
    if held:
        os.killpg(server.pid, signal.SIGKILL)  # the copy
    assert left == []


def test_a_server_that_dies_before_the_zygote_is_ready_leaves_none(tmp_path: Path, watch: Any) -> None:
    program = """
import asyncio, os, signal, sys
from pathlib import Path
from oncue.workers.pool import Pool
from tests.workers.conftest import settings

async def main():
    pool = Pool(settings(Path(sys.argv[1])))
    await pool.start()
    pool.warm()
    print(pool._zygotes[True].pid, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with server:
        assert server.stdout is not None
        zygote = watch(int(server.stdout.readline()))
        server.kill()
    assert zygote.ended()
