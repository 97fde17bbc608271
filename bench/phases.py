"""One run from beginning to end: start everything, measure in interleaved rounds, then count syncs."""

import argparse
import asyncio
import os
import platform
import shutil
import signal
import time
import traceback
from pathlib import Path

import functions
import limits
import peers
import report
from peers import Cores, Server
from workloads import QUEUES, Sample, Workload, kept_after_kill, warm

MEASUREMENT_S_MAX = 45.0
SLOW_S = 10.0  # what took longer is measured once, not in every round
SETTLE_S = 1.0
KILL_AFTER_S = 0.3
CEILINGS = (1, 32)
SYNCS_AT = (1, 32)
STARTUP = "start-up"


class Session:
    """The servers of one run, what has been measured, and what could not be."""

    def __init__(self, chosen: argparse.Namespace, missing: dict[str, str]) -> None:
        self.options = chosen
        self.cores = Cores()
        self.effects = functions.Effects()
        self.servers: dict[str, Server] = {}
        self.not_run = dict(missing)
        self.samples: dict[str, dict[str, list[Sample | None]]] = {}
        self.cannot: dict[str, dict[str, str]] = {}
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.limits: dict[str, list[float]] = {}
        self.pressure: list[str] = []
        self.durability: dict[str, dict[str, object]] = {}
        self.until = time.perf_counter() + chosen.budget

    async def run(self) -> dict:
        """Everything; returns the results as JSON."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)
        shutil.rmtree(peers.SCRATCH, ignore_errors=True)
        try:
            await self.effects.listen()
            await self.start()
            for number in range(self.options.rounds):
                if number and time.perf_counter() > self.until:
                    self.note(f"only {number} of {self.options.rounds} rounds fitted into the time allowed")
                    break
                await self.round(number)
            await self.count_syncs()
            return self.results()
        finally:
            peers.kill_all()

    async def start(self) -> None:
        """Each server in its turn, warmed up, then frozen."""
        wanted = [name.strip().lower() for name in (self.options.peers or "").split(",") if name.strip()]
        for peer in peers.known():
            if wanted and peer.name.lower() not in wanted:
                self.not_run.setdefault(peer.name, "left out by --peers")
            if peer.name in self.not_run:
                print(f"{peer.name}: not run: {self.not_run[peer.name]}", flush=True)
                continue
            server = Server(peer, peers.SCRATCH / peer.name, self.cores)
            try:
                peers.only(None)
                server.start()
                await asyncio.wait_for(warm(server), MEASUREMENT_S_MAX)
            except Exception as error:
                self.not_run[peer.name] = said(error)
                server.kill()
                print(f"{peer.name}: not run: {said(error)}", flush=True)
                continue
            self.servers[peer.name] = server
            print(f"{peer.name} {peer.version()}: runs, {peer.durability}", flush=True)
        peers.only(None)

    async def round(self, number: int) -> None:
        """Every workload on every server, one after the other, and what the machine itself can do."""
        self.pressure.append(pressure())
        print(f"round {number + 1} of {self.options.rounds}; {self.pressure[-1]}", flush=True)
        took_us = limits.fdatasync_us(peers.SCRATCH / "disk")
        self.limits.setdefault("fdatasync of 1 KiB, µs", []).append(took_us)
        for c in CEILINGS:
            rate = await limits.ceiling(self.cores, c, min(0.5, self.options.seconds))
            self.limits.setdefault(f"empty server, c={c}, answers/s", []).append(rate)
        if self.wanted(STARTUP):
            await self.startups(number)
        for workload in [*QUEUES, *functions.workloads(self.cores, self.effects)]:
            if self.wanted(workload.name):
                await self.beside(workload, number)

    def wanted(self, name: str) -> bool:
        parts = [part.strip() for part in (self.options.only or "").split(",") if part.strip()]
        return not parts or any(part in name for part in parts)

    async def beside(self, workload: Workload, number: int) -> None:
        """One workload on each server: a line of numbers."""
        line = []
        for name, server in self.servers.items():
            cannot = self.cannot.setdefault(workload.name, {})
            if workload.functions and server.peer.functions:
                cannot[name] = f"cannot run: {server.peer.functions}"
            if name in cannot or (number and time.perf_counter() > self.until):
                self.keep(workload.name, name, None)
                continue
            begun = time.perf_counter()
            peers.only(server)
            try:
                async with asyncio.timeout(MEASUREMENT_S_MAX):
                    result = await workload.measure(server, self.options.seconds)
            except TimeoutError:
                cannot[name] = f"did not finish within {MEASUREMENT_S_MAX:g} s"
                self.keep(workload.name, name, None)
            except Exception as error:
                cannot[name] = f"failed: {said(error)}"
                self.failures.append(f"{workload.name}, {name}: {said(error)}")
                self.keep(workload.name, name, None)
                if os.environ.get("BENCH_DEBUG"):
                    traceback.print_exc()
            else:
                self.keep(workload.name, name, result)
                if time.perf_counter() - begun > SLOW_S:
                    cannot[name] = ""  # measured, and not again
            line.append(f"{name} {report.brief(self.samples[workload.name][name][-1], cannot.get(name))}")
        print(f"  {workload.name:26} {workload.unit:10} " + "; ".join(line), flush=True)

    def keep(self, workload: str, name: str, result: Sample | None) -> None:
        self.samples.setdefault(workload, {}).setdefault(name, []).append(result)

    async def startups(self, number: int) -> None:
        """From the command to the first answer and the memory of a server that has done nothing; in the first
        round also what is left after SIGKILL."""
        peers.only(None)
        line = []
        for name, first in self.servers.items():
            server = Server(first.peer, peers.SCRATCH / f"{name}-{number}", self.cores)
            try:
                server.start()
                await asyncio.sleep(SETTLE_S)
                memory = server.memory_mib()
                self.keep(STARTUP, name, Sample(server.ready_s, more=memory))
                line.append(f"{name} {server.ready_s:.2f} s {memory['pss']:.0f} MiB")
                if not number:
                    acked, kept = await kept_after_kill(server, KILL_AFTER_S)
                    self.durability[name] = {"acknowledged": acked, "kept": kept}
                    line[-1] += f", kept {kept} of {acked} after kill -9"
                    if first.peer.durability.startswith("durable") and kept < acked:
                        self.failures.append(f"{name} lost {acked - kept} acknowledged messages")
            except Exception as error:
                self.failures.append(f"{STARTUP}, {name}: {said(error)}")
            finally:
                server.kill()
        print(f"  {STARTUP:37} " + "; ".join(line), flush=True)

    async def count_syncs(self) -> None:
        """fsyncs per message, apart from the measurements, because strace slows what it watches."""
        if self.options.only and not self.wanted("fsync"):
            return
        for name, server in self.servers.items():
            peers.only(server)
            counted = {}
            for c in SYNCS_AT:
                try:
                    counted[f"c={c}"] = await asyncio.wait_for(limits.syncs(server, c), MEASUREMENT_S_MAX)
                except Exception as error:
                    counted[f"c={c}"] = said(error)
            self.durability.setdefault(name, {})["syncs per message"] = counted
            print(f"  fsyncs per message: {name} {counted}", flush=True)

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(text, flush=True)

    def results(self) -> dict:
        """All that was measured, and where."""
        every = {w.name: w for w in [*QUEUES, *functions.workloads(self.cores, self.effects)]}
        return {
            "commit": peers.commit(),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine(),
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "cores": {"server": sorted(self.cores.server), "client": sorted(self.cores.client)},
            "peers": {
                name: {
                    "version": server.peer.version(),
                    "durability": server.peer.durability,
                    "peak_mib": round(server.memory_mib()["peak"], 1),
                    **self.durability.get(name, {}),
                }
                for name, server in self.servers.items()
            },
            "not_run": self.not_run,
            "limits": self.limits,
            "pressure": self.pressure,
            "workloads": {
                name: {
                    "unit": every[name].unit if name in every else "s",
                    "faster_is": every[name].faster_is if name in every else "less",
                    "cannot": {k: v for k, v in self.cannot.get(name, {}).items() if v},
                    "samples": {
                        peer: [None if s is None else vars(s) for s in samples]
                        for peer, samples in of.items()
                    },
                }
                for name, of in self.samples.items()
            },
            "failures": self.failures,
            "notes": self.notes,
        }


def said(error: BaseException) -> str:
    """The first sentence of what went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300].replace("\n", " ").replace("|", "/")


def pressure() -> str:
    """How busy the machine is with other things."""
    parts = [f"load {os.getloadavg()[0]:.1f}"]
    for what in ("cpu", "io"):
        file = Path(f"/proc/pressure/{what}")
        if file.exists():
            parts.append(f"{what} pressure {file.read_text().split('avg10=')[1].split()[0]} %")
    return ", ".join(parts)


def machine() -> dict[str, str]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = next(
        int(x.split()[1]) for x in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in x
    )
    return {
        "cpu": f"{len(os.sched_getaffinity(0)) and os.cpu_count()} x {model}",
        "memory": f"{memory / 2**20:.0f} GiB",
        "disk": filesystem(peers.PEERS),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def filesystem(path: Path) -> str:
    """The type and the device of the file system that holds `path`."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    held = [m for m in mounts if path.resolve().is_relative_to(m[1])]
    device, _, kind, *_ = max(held, key=lambda m: len(m[1]))
    return f"{kind} on {device}"
