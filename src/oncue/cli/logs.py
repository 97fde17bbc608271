"""`oncue logs`: what a function has said."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from oncue import clock
from oncue.cli.clients import Clients

POLL_S = 0.5
SEEN_MAX = 20_000
OVERLAP_MS = 5_000  # events are ordered by their own time, and may come a little late
PAGES_MAX = 1_000
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "": 1}
SINCE = re.compile(r"(\d{1,9})([smhd]?)")
PLATFORM = ("START ", "END ", "REPORT ", "INIT_START ")
COLOURS = ("cyan", "magenta", "yellow", "blue", "green")


def seconds(text: str) -> int:
    """`10m` -> 600."""
    match = SINCE.fullmatch(text)
    if match is None:
        raise click.BadParameter("say 90s, 10m, 2h or 1d", param_hint="--since")
    return int(match.group(1)) * UNITS[match.group(2)]


def group_of(name: str) -> str:
    """The log group of a function's name or ARN; a name with a slash is a group already."""
    if name.startswith("arn:"):
        name = name.split(":function:")[-1].split(":")[0]
    return name if name.startswith("/") else f"/aws/lambda/{name}"


def events(client: Any, group: str, start_ms: int) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = client.filter_log_events(logGroupName=group, startTime=start_ms, **token)
        yield from page["events"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def line(event: dict[str, Any]) -> Text:
    """Time, the worker that spoke (each stream in a colour of its own) and the message."""
    message = event["message"].rstrip("\n")
    stream = event["logStreamName"]
    text = Text()
    text.append(clock.iso_ms(event["timestamp"] / 1000)[11:-1], "dim")
    text.append(f" {stream[-6:]} ", COLOURS[sum(stream.encode()) % len(COLOURS)])
    style = "dim" if message.startswith(PLATFORM) else "red" if "[ERROR]" in message else ""
    text.append(message, style)
    return text


@click.command()
@click.argument("function")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", default="10m", show_default=True, help="How far to look back: 90s, 10m, 2h, 1d.")
@click.option("--region", help="The function's region.")
@click.option("--endpoint-url", help="The server.  [default: AWS_ENDPOINT_URL or http://127.0.0.1:4566]")
def logs(function: str, follow: bool, since: str, region: str | None, endpoint_url: str | None) -> None:
    """Show what FUNCTION (a name, an ARN or a log group) has logged."""
    start_ms = int((clock.now() - seconds(since)) * 1000)
    try:
        clients = Clients(endpoint_url, region, command="logs")
        with clients.answering():
            show(clients.client("logs"), group_of(function), start_ms, follow, Console())
    except KeyboardInterrupt:
        return


def show(client: Any, group: str, start_ms: int, follow: bool, console: Console) -> None:
    """Print each event once; with `follow` ask again and again, overlapping a little for late ones."""
    from botocore.exceptions import ClientError

    pause = threading.Event()
    seen: dict[str, None] = {}
    while True:
        try:
            for event in events(client, group, start_ms):
                if event["eventId"] in seen:
                    continue
                seen[event["eventId"]] = None
                start_ms = max(start_ms, event["timestamp"] - OVERLAP_MS)
                console.print(line(event), soft_wrap=True)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code != "ResourceNotFoundException":
                raise click.ClickException(error.response["Error"].get("Message", str(error))) from None
            if not follow:
                raise click.ClickException(f"Nothing has been logged to {group} yet.") from None
        if not follow:
            return
        while len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]
        pause.wait(POLL_S)
