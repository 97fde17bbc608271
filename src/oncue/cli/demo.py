"""`oncue demo`: the story of the README on a real server, by real HTTP."""

import http.client
import json
import queue
import re
import shutil
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table

from oncue import clock, config
from oncue.cli import deploying, sequencing
from oncue.cli.clients import Clients
from oncue.errors import SetupError
from oncue.http import ports
from oncue.workers.child import Child

FOLDER = Path(".oncue/demo")
EXAMPLE = "drafts"
STACK = "drafts"
ORDER = ("v1.2", "v1.0", "v1.1")  # the newest first: what a network may well do
COPIES = 2
EVENTS = 1_000
CLIENTS = 16
KILL_AT = 400  # events acknowledged
READY_S = 30.0
WAIT_S = 120.0
STOP_S = 15.0
LOOK_EVERY_S = 0.02
FONTS = re.compile(r"@font-face \{.*?\n    \}\n", re.S)  # which a picture would fetch from a network
WAYS = {"naive": "/naive/posts", "correct": "/posts"}
SEQUENCED = "/sequenced/posts"  # the naive handler and one tag


@click.command()
@click.option(
    "--port", type=int, help="Port of the server.  [default: 4566, or a free one when that is taken]"
)
@click.option(
    "--events", type=click.IntRange(1, 100_000), default=EVENTS, show_default=True, help="Size of the burst."
)
@click.option("--stay/--leave", default=None, help="Keep the server at the end.  [default: at a terminal]")
@click.option(
    "--picture", type=click.Path(path_type=Path), hidden=True, help="Where to save what was shown, as SVG."
)
def demo(port: int | None, events: int, stay: bool | None, picture: Path | None) -> None:
    """Play the story of the README: drafts saved by events, and nothing lost."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave a server behind
        signal.signal(number, lambda *_: sys.exit(1))
    console = Console(
        highlight=False, soft_wrap=True, record=picture is not None, width=100 if picture else None
    )
    stage = Stage(console, port or ports.free(config.PORT_DEFAULT))
    try:
        stage.start()
        api = stage.deploy()
        two_ways(console, api)
        wrong_order(console, stage, api)
        power_cut(console, stage, api, events)
        if picture is not None:
            drawn = console.export_svg(title="make demo")
            picture.write_text(FONTS.sub("", drawn), encoding="utf-8")
        if stay if stay is not None else console.is_terminal:
            stage.play_on(api)
    finally:
        stage.stop()


class Stage:
    """The server of the demo, on an empty store of its own."""

    def __init__(self, console: Console, port: int) -> None:
        self._console = console
        self.port = port
        self._child: Child | None = None
        self._function = ""
        self._clients = Clients(self.endpoint, command="demo")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
        FOLDER.mkdir(parents=True)
        taken_s = self._begin()
        self._console.print(
            f"[bold]1. A server[/] on {self.endpoint}, everything in one file: {FOLDER}/oncue.db"
        )
        self._console.print(f"   ready after {taken_s * 1000:.0f} ms")

    def restart_after_kill(self) -> float:
        assert self._child is not None
        return self._begin()

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()

    def _begin(self) -> float:
        begun = clock.monotonic()
        store = f"sqlite:///{FOLDER}/oncue.db"
        arguments = ["serve", "--port", str(self.port), "--store", store, "--data", str(FOLDER)]
        self._child = Child(arguments, FOLDER / "server.log")
        while not self._answers():
            if not self._child.running or clock.monotonic() > begun + READY_S:
                raise SetupError(f"The server did not start:\n{self._child.output.read_text()[-2000:]}")
            clock.pause(LOOK_EVERY_S)
        return clock.monotonic() - begun

    def _answers(self) -> bool:
        assert self._child is not None
        return (
            self._child.output.read_text().rstrip().endswith("Ready.")
            and ports.refusal("127.0.0.1", self.port) is not None
        )

    def deploy(self) -> "Api":
        begun = clock.monotonic()
        deployed = deploying.deploy_stack(example_folder() / "template.yaml", STACK, clients=self._clients)
        taken_s = clock.monotonic() - begun
        self._console.print(
            f"\n[bold]2. An application[/]: examples/{EXAMPLE}/template.yaml, a plain SAM template, "
            f"deployed in {taken_s:.1f} s"
        )
        self._function = deployed.outputs["SaveDraftsFunction"]
        return Api(deployed.outputs["ApiEndpoint"], self.port)

    def play_on(self, api: "Api") -> None:
        program = Path(sys.argv[0]) if sys.argv[0].endswith("oncue") else Path("oncue")
        url = f"{self.endpoint}/_aws/execute-api/{api.host.partition('.')[0]}"
        self._console.print(f"\n[bold]The server goes on[/] at {self.endpoint}. In another terminal:\n")
        body = """{"version": "v1.3", "text": "…"}"""
        for line in (
            f"curl -X POST '{url}/posts/story/drafts' -d '{body}'",
            f"curl '{url}/posts/story'",
            f"{program} logs -f {self._function} --endpoint-url {self.endpoint}",
            f"{program} aws --endpoint-url {self.endpoint} sqs list-queues",
        ):
            self._console.print(f"   {line}", soft_wrap=True)
        self._console.print("\nCtrl-C ends it.")
        try:
            while self._child is not None and self._child.running:
                clock.pause(LOOK_EVERY_S * 10)
        except KeyboardInterrupt:
            self._console.print()

    def timeline(self, key: str) -> list[dict[str, Any]]:
        """What became of the messages of a sequenced key, in the order of their arrival; [] before the
        first."""
        try:
            found = self._clients.ask("GET", f"/_oncue/sequencing?key={key}")["Keys"][0]["Timeline"]
        except SetupError:
            return []
        return [one for one in found if one.get("EndedAt")]

    def stop(self) -> None:
        if self._child is not None and self._child.running:
            self._child.stop(STOP_S)


class Api:
    """The application's HTTP API, reached as a browser would: by its host name, on this machine."""

    def __init__(self, url: str, port: int) -> None:
        self.host = urlsplit(url).netloc
        self._port = port

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

    def ask(
        self, method: str, path: str, body: Any = None, connection: http.client.HTTPConnection | None = None
    ) -> Any:
        """The JSON answer. OSError or HTTPException when nobody knows whether it arrived."""
        connection = connection or self.connection()
        headers = {"Host": self.host, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 500:
            raise http.client.HTTPException(f"{response.status} {text[:200]!r}")
        if response.status != 200:
            raise SetupError(f"{method} {path} answered {response.status}: {text[:500]!r}")
        return json.loads(text) if text[:1] in (b"{", b"[") else text

    def history(self, way: str, post: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask("GET", f"{WAYS[way]}/{post}/history")
        return answer


def two_ways(console: Console, api: Api) -> None:
    """The same draft by a plain request and as an event: how long until the writer may go on."""
    api.ask("PUT", "/posts/warm", {"version": "v1.0", "text": "warm"})
    times = {}
    for method, path in (("PUT", "/posts/two-ways"), ("POST", "/posts/two-ways/drafts")):
        begun = clock.monotonic()
        api.ask(method, path, {"version": "v1.0", "text": "Hello"})
        times[method] = (clock.monotonic() - begun) * 1000
    console.print("\n[bold]3. Two ways to save a draft[/]")
    console.print(
        f"   PUT  /posts/two-ways         the server way: API → function → table   {times['PUT']:6.1f} ms"
    )
    console.print(
        f"   POST /posts/two-ways/drafts  the event way:  API → queue, on disk     {times['POST']:6.1f} ms"
    )


def wrong_order(console: Console, stage: Stage, api: Api) -> None:
    """v1.2, v1.0, v1.1, twice each, to a handler that overwrites, to one that compares, and to the first one
    with a tag."""
    versions = [version for version in ORDER for _ in range(COPIES)]
    for number, version in enumerate(versions, 1):
        for way, path in WAYS.items():
            api.ask("POST", f"{path}/story/drafts", {"version": version, "text": f"the text of {version}"})

            _await(lambda way=way, number=number: len(api.history(way, "story")["arrivals"]) >= number)
        api.ask("POST", f"{SEQUENCED}/story/drafts", {"version": version, "text": f"the text of {version}"})
        _await(lambda number=number: len(stage.timeline("story")) >= number)
    histories = {way: api.history(way, "story") for way in WAYS}
    readers = {way: api.ask("GET", f"{path}/story")["version"] for way, path in WAYS.items()}
    readers["sequenced"] = api.ask("GET", f"{SEQUENCED}/story")["version"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    heads = "overwrites", "compares", "overwrites, a tag"
    for name in ("arrived", "draft", *heads):
        table.add_column(name, justify="right" if name == "arrived" else "left")
    start = histories["naive"]["arrivals"][0]["arrived_ms"]
    arrivals = [histories[way]["arrivals"] for way in WAYS]
    for naive, correct, tagged in zip(*arrivals, stage.timeline("story"), strict=True):
        outcomes = naive["outcome"], correct["outcome"], sequencing.sentence(tagged)
        table.add_row(f"+{naive['arrived_ms'] - start} ms", naive["version"], *outcomes)
    table.add_section()
    table.add_row(
        "",
        "[bold]reader[/]",
        f"[red]sees {readers['naive']}: wrong[/]",
        f"[green]sees {readers['correct']}[/]",
        f"[green]sees {readers['sequenced']}[/]",
    )
    console.print(
        f"\n[bold]4. Events in the wrong order[/]: {', '.join(ORDER)}, each {COPIES} times, to a handler that"
    )
    console.print(Padding(table, (0, 0, 0, 3)))
    for way in ("correct", "sequenced"):
        if readers[way] != max(ORDER):
            raise SetupError(f"The reader should see {max(ORDER)} and sees {readers[way]}.")


@dataclass
class Burst:
    """What the clients of the burst know."""

    waiting: "queue.SimpleQueue[int]" = field(default_factory=queue.SimpleQueue)
    acknowledged: set[int] = field(default_factory=set)
    unanswered: int = 0
    alive: threading.Event = field(default_factory=threading.Event)
    enough: threading.Event = field(default_factory=threading.Event)


def power_cut(console: Console, stage: Stage, api: Api, events: int) -> None:
    """kill -9 in the middle of a burst; clients send again what was never answered, as HTTP clients do."""
    console.print(f"\n[bold]5. kill -9[/] in the middle of {events:,} events from {CLIENTS} clients")
    burst = Burst()
    for number in range(1, events + 1):
        burst.waiting.put(number)
    burst.alive.set()
    kill_at = min(KILL_AT, events // 2)
    threads = [threading.Thread(target=_client, args=(api, burst, events, kill_at)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    burst.enough.wait(WAIT_S)
    burst.alive.clear()
    stage.kill()
    at_kill = len(burst.acknowledged)
    console.print(f"   SIGKILL after {at_kill} acknowledged events")
    taken_s = stage.restart_after_kill()
    console.print(f"   the same command again: ready after {taken_s * 1000:.0f} ms")
    burst.alive.set()
    saved = _progress(console, api, events)
    for thread in threads:
        thread.join(WAIT_S)
    missing = {f"v1.{number}" for number in burst.acknowledged} - saved
    console.print(
        f"   {len(burst.acknowledged):,} acknowledged ({burst.unanswered} sent again, unanswered at the "
        f"kill), "
        f"{len(saved):,} processed, [bold green]{len(missing)} missing[/]"
    )
    if missing or len(saved) != events:
        raise SetupError(f"{len(missing)} acknowledged events are missing; please report this.")


def _client(api: Api, burst: Burst, events: int, kill_at: int) -> None:
    connection = api.connection()
    while len(burst.acknowledged) < events:
        try:
            number = burst.waiting.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            continue
        burst.alive.wait(WAIT_S)
        body = {"version": f"v1.{number}", "text": f"event {number}"}
        try:
            api.ask("POST", "/posts/burst/drafts", body, connection)
        except (OSError, http.client.HTTPException):
            burst.unanswered += 1
            burst.waiting.put(number)
            connection = api.connection()
            clock.pause(LOOK_EVERY_S)
            continue
        burst.acknowledged.add(number)
        if len(burst.acknowledged) >= kill_at:
            burst.enough.set()


def _progress(console: Console, api: Api, events: int) -> set[str]:
    """Waits until every event has been processed; the versions that were."""
    deadline = clock.monotonic() + WAIT_S
    saved: set[str] = set()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("   processed", total=events)
        while len(saved) < events and clock.monotonic() < deadline:
            saved = set(api.history("correct", "burst")["versions"])
            progress.update(task, completed=len(saved))
            clock.pause(LOOK_EVERY_S * 10)
    return saved


def _await(condition: Any) -> None:
    deadline = clock.monotonic() + WAIT_S
    while not condition():
        if clock.monotonic() > deadline:
            raise SetupError(
                "An event was not processed in time; the server's log is in .oncue/demo/server.log."
            )
        clock.pause(LOOK_EVERY_S)


def example_folder() -> Path:
    """The example's folder: beside the sources in a checkout, inside the package when installed."""
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "examples" / EXAMPLE, here.parent.parent / "examples" / EXAMPLE):
        if (folder / "template.yaml").is_file():
            return folder
    raise SetupError(f"examples/{EXAMPLE} is not there; run this from a checkout of Oncue.")
