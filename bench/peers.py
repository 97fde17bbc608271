"""Starts the servers that are compared, lets one run while the others are frozen, reads their cost."""

import http.client
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from install import PEERS, ROOT

HOST = "127.0.0.1"
READY_S_MAX = 60.0
POLL_S = 0.005
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
KIB = 1024
SCRATCH = PEERS / "run"
ONCUE = ROOT / ".venv" / "bin" / "oncue"
FAUXQS = "import { startFauxqs } from 'fauxqs'; startFauxqs({ port: %d, host: '127.0.0.1', logger: false });"


@dataclass(frozen=True)
class Peer:
    """A server to measure. `functions` says why it cannot run functions, or is empty when it can."""

    name: str
    durability: str
    health: str
    command: Callable[[int, Path], list[str]]
    environment: Callable[[int, Path], Mapping[str, str]]
    version: Callable[[], str]
    functions: str = ""
    warm_s: float = 1.0
    depth: int = 5_000  # messages in a queue that is emptied
    drained: Mapping[int, int] | None = None  # batch size -> messages for queue -> function


def known() -> list[Peer]:
    """Oncue first: the ratios are taken against it."""
    return [
        Peer(
            name="Oncue",
            durability="durable: fsync before the answer (SQLite, WAL, synchronous=FULL)",
            health="/health",
            command=lambda port, home: [
                str(ONCUE),
                *("serve", "--port", str(port)),
                *("--store", f"sqlite:///{home}/oncue.db", "--data", str(home)),
            ],
            environment=lambda port, home: {"PYTHONPATH": str(ROOT / "src")},
            version=commit,
            drained={1: 2_000, 10: 10_000},
        ),
        Peer(
            name="moto",
            durability="not durable: in memory",
            health="/moto-api/",
            command=lambda port, home: [str(PEERS / "bin/moto_server"), "-H", HOST, "-p", str(port)],
            environment=lambda port, home: {},
            version=lambda: importlib.metadata.version("moto"),
            functions="its Lambda needs Docker",
            depth=300,
        ),
        Peer(
            name="MiniStack",
            durability="not durable: in memory",
            health="/_ministack/health",
            command=lambda port, home: [str(PEERS / "bin/ministack")],
            environment=lambda port, home: {
                "GATEWAY_PORT": str(port),
                "BIND_HOST": HOST,
                "MINISTACK_HOST": HOST,
                "LOG_LEVEL": "WARNING",
                "PATH": f"{PEERS / 'bin'}:{os.environ['PATH']}",
            },
            version=lambda: importlib.metadata.version("ministack"),
            drained={1: 300, 10: 2_000},
        ),
        Peer(
            name="fauxqs",
            durability="not durable: in memory",
            health="/health",
            command=lambda port, home: [
                str(node()),
                *("--input-type=module", "-e", FAUXQS % port),
            ],
            environment=lambda port, home: {},
            version=fauxqs_version,
            functions="it has no Lambda",
            warm_s=3.0,  # V8 compiles hot code only after seconds of load
        ),
    ]


def commit() -> str:
    """The commit that is checked out, marked when the tree differs from it."""
    out = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return out.stdout.strip() or "unknown commit"


def node() -> Path:
    """The Node that is locked beside fauxqs: it needs a newer one than many machines have."""
    return next(PEERS.glob("node_modules/node-linux-*/bin/node"))


def fauxqs_version() -> str:
    found = [PEERS / "node_modules/fauxqs", node().parent.parent]
    version, runtime = (json.loads((home / "package.json").read_text())["version"] for home in found)
    return f"{version} on Node {runtime}"


class Server:
    """One process tree that answers on a port of its own."""

    running: ClassVar[list["Server"]] = []

    def __init__(self, peer: Peer, home: Path, cores: "Cores") -> None:
        self.peer = peer
        self.home = home
        self.cores = cores
        self.port = 0
        self.ready_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start on the server's core and wait for the health answer. Raises RuntimeError when it does not
        come, or when another process gives it."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ONCUE_", "PYTHON"))}
        environment = {**kept, "TMPDIR": str(self.home), **self.peer.environment(self.port, self.home)}
        log = self.home / "server.log"
        with self.cores.as_server(), log.open("ab") as out:
            begun = time.perf_counter()
            self.process = subprocess.Popen(
                self.peer.command(self.port, self.home),
                cwd=PEERS,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        Server.running.append(self)
        while not self._answers():
            if self.process.poll() is not None or time.perf_counter() - begun > READY_S_MAX:
                tail = log.read_text(errors="replace").strip().splitlines()[-3:]
                self.kill()
                raise RuntimeError("did not start: " + " / ".join(tail)[-300:])
            time.sleep(POLL_S)
        self.ready_s = time.perf_counter() - begun
        if not self._owns_port():
            self.kill()
            raise RuntimeError(f"another process answers on port {self.port}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", self.peer.health)
            return connection.getresponse().status == 200
        except OSError:
            return False
        except http.client.HTTPException:
            return False
        finally:
            connection.close()

    def _owns_port(self) -> bool:
        """Is the listening socket one that this process tree holds?"""
        wanted = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
                columns = line.split()
                if columns[3] == "0A" and int(columns[1].rsplit(":", 1)[1], 16) == self.port:
                    wanted.add(f"socket:[{columns[9]}]")
        held = set()
        for pid in tree(self.pid):
            try:
                held |= {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
            except OSError:
                continue
        return bool(wanted & held)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to the whole tree, found by descent and by session."""
        if self.process is None:
            return
        self._signal(signal.SIGKILL)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass
        self.process.wait()
        if self in Server.running:
            Server.running.remove(self)

    def _signal(self, number: int) -> None:
        """Until no process is found that has not had it: one may fork meanwhile."""
        told: set[int] = set()
        while new := set(tree(self.pid)) - told:
            for pid in new:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
            told |= new

    def cpu_s(self) -> float:
        """User and system seconds of the tree so far, with those of children that have ended."""
        return sum(sum(stat[11:15]) for stat in stats(self.pid).values()) / TICKS_PER_S

    def memory_mib(self) -> dict[str, float]:
        """`rss` and `peak` summed over the tree; `pss` counts a page that is shared only once."""
        fields = {"Rss": "rss", "Pss": "pss", "VmHWM": "peak"}
        total = dict.fromkeys(fields.values(), 0.0)
        for pid in tree(self.pid):
            for source in ("smaps_rollup", "status"):
                try:
                    lines = Path(f"/proc/{pid}/{source}").read_text().splitlines()
                except OSError:
                    continue
                for line in lines:
                    key, _, value = line.partition(":")
                    if key in fields:
                        total[fields[key]] += int(value.split()[0]) / KIB
        return total


class Cores:
    """Which core the client has and which the servers; the same one when there is only one."""

    def __init__(self) -> None:
        self.all = sorted(os.sched_getaffinity(0))
        self.server = {self.all[0]}
        self.client = {self.all[-1]}
        os.sched_setaffinity(0, self.client)

    def as_server(self) -> "Cores._Moved":
        return Cores._Moved(self.server, self.client)

    class _Moved:
        """While it lasts, what is started is born on the server's core."""

        def __init__(self, there: set[int], back: set[int]) -> None:
            self.there, self.back = there, back

        def __enter__(self) -> None:
            os.sched_setaffinity(0, self.there)

        def __exit__(self, *_: object) -> None:
            os.sched_setaffinity(0, self.back)

    def spread(self, server: Server, wide: bool) -> None:
        """Give the server's tree every core (the client is idle then), or its own core again."""
        for pid in tree(server.pid):
            try:
                threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
            except OSError:
                continue
            for thread in threads:
                try:
                    os.sched_setaffinity(thread, self.all if wide else self.server)
                except OSError:
                    pass


def only(chosen: Server | None) -> None:
    """Freeze every server but one: an emulator that is idle still takes CPU time."""
    for server in Server.running:
        if server is not chosen:
            server.freeze()
    if chosen is not None:
        chosen.thaw()


def stats(root: int) -> dict[int, list[int]]:
    """/proc/PID/stat after the name, as numbers, of every process of the tree."""
    every: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                columns = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            every[int(entry.name)] = [0, *map(int, columns[1:15])]
    chosen: dict[int, list[int]] = {}
    found = {pid for pid, stat in every.items() if pid == root or stat[3] == root}  # by session
    while found:
        chosen |= {pid: every[pid] for pid in found if pid in every}
        found = {pid for pid, stat in every.items() if stat[1] in chosen and pid not in chosen}
    return chosen


def tree(root: int) -> list[int]:
    return list(stats(root))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def kill_all() -> None:
    for server in list(Server.running):
        server.kill()
    shutil.rmtree(SCRATCH, ignore_errors=True)
