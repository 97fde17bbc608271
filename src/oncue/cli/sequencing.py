"""`oncue sequencing` and `oncue why`: which rule holds, and what became of a key or of a message."""

from typing import Any
from urllib.parse import quote, urlencode

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oncue import clock
from oncue.cli.clients import Clients

PAGE = "/_oncue/sequencing"
UUID_CHARS = 36
STYLES = {
    "done": "green",
    "running": "cyan",
    "parked": "cyan",
    "superseded": "dim",
    "duplicate": "dim",
    "dlq": "red",
    "late": "yellow",
    "invalid": "red",
    "expired": "yellow",
}
ENDPOINT = click.option(
    "--endpoint-url", help="The server.  [default: AWS_ENDPOINT_URL or http://127.0.0.1:4566]"
)
REGION = click.option("--region", help="The mapping's region.")
MAPPING = click.option("--mapping", help="A mapping's UUID, or its function's name.")


@click.group()
def sequencing() -> None:
    """Set, show and reset the sequencing of mappings and keys."""


@sequencing.command("set")
@click.argument("mapping")
@click.argument("rule", nargs=-1, required=True)
@REGION
@ENDPOINT
def set_rule(mapping: str, rule: tuple[str, ...], region: str | None, endpoint_url: str | None) -> None:
    """Sequence MAPPING (a UUID, or its function's name) by RULE, before all tags; `off` takes that back.

    For example: oncue sequencing set SaveDrafts latest key=/post version=/version type=semver
    """
    clients = Clients(endpoint_url, region, command="sequencing")
    page = f"{PAGE}/{quote(_uuid(clients, mapping))}"
    if rule == ("off",):
        left = clients.ask("DELETE", page)["Rule"]
        click.echo(f"The tags hold again: {left}" if left else "Not sequenced any more.")
        return
    click.echo(clients.ask("PUT", page, " ".join(rule).encode())["Rule"])


@sequencing.command()
@click.argument("key", required=False)
@MAPPING
@REGION
@ENDPOINT
def show(key: str | None, mapping: str | None, region: str | None, endpoint_url: str | None) -> None:
    """The time line of KEY; without one, what is sequenced and how its messages ended."""
    clients = Clients(endpoint_url, region, command="sequencing")
    console = Console()
    if key is None:
        for one in clients.ask("GET", PAGE)["Sequences"]:
            counts = ", ".join(f"{count} {name}" for name, count in one["Counts"].items() if count)
            source = one["EventSourceArn"].rsplit(":", 1)[-1]
            console.print(f"{one['Mapping']}  {source}\n  {one['Rule']}\n  {counts}", soft_wrap=True)
        return
    query = {"key": key} | ({"mapping": _uuid(clients, mapping)} if mapping else {})
    for one in clients.ask("GET", f"{PAGE}?{urlencode(query)}")["Keys"]:
        applied = f"applied {one['Applied']}" if one["Applied"] else "nothing applied yet"
        console.print(
            f"{one['Rule']}\n{key}: {applied}, fence {one['Fence']}, {one['State']}", soft_wrap=True
        )
        console.print(time_line(one["Timeline"]))


@sequencing.command()
@click.argument("key", required=False)
@click.option("--mapping", required=True, help="A mapping's UUID, or its function's name.")
@click.option("--to", help="The version that counts as its last success.  [default: none]")
@click.option("--all", "every", is_flag=True, help="All keys: everything that is known is forgotten.")
@REGION
@ENDPOINT
def reset(
    key: str | None,
    mapping: str,
    to: str | None,
    every: bool,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """Let KEY start anew, or go on after --to. A key that poison has stopped goes on."""
    if (key is None) != every:
        raise click.UsageError("Say a KEY, or --all.")
    clients = Clients(endpoint_url, region, command="sequencing")
    page = f"{PAGE}/{quote(_uuid(clients, mapping))}/keys"
    if key is not None:
        page += f"/{quote(key, safe='')}" + (f"?{urlencode({'to': to})}" if to else "")
    clients.ask("POST", page)
    click.echo("Every key starts anew." if every else f"{key} goes on after {to or 'nothing'}.")


@click.command()
@click.argument("message_id")
@REGION
@ENDPOINT
def why(message_id: str, region: str | None, endpoint_url: str | None) -> None:
    """What became of MESSAGE_ID, and why it did not run if it did not."""
    clients = Clients(endpoint_url, region, command="why")
    for one in clients.ask("GET", f"{PAGE}?{urlencode({'message': message_id})}")["Arrivals"]:
        click.echo(f"{one['Key']} {one['Version']}: {sentence(one)} ({one['Rule']})")


def time_line(arrivals: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("arrived", "version", "what became of it", "message"):
        table.add_column(head)
    for one in arrivals:
        text = Text(sentence(one), STYLES.get(one["Outcome"], ""))
        table.add_row(clock.iso_ms(one["ArrivedAt"])[11:-1], one["Version"], text, one["MessageId"])
    return table


def sentence(one: dict[str, Any]) -> str:
    """`superseded by v1.2`, `ran 41 ms, done`: one arrival in words."""
    outcome = str(one["Outcome"])
    if outcome == "done":
        tries = f" at attempt {one['Attempts']}" if one["Attempts"] > 1 else ""
        outcome = f"ran {(one['EndedAt'] - one['StartedAt']) * 1000:.0f} ms, done{tries}"
    elif outcome in ("superseded", "duplicate", "late") and one.get("ByVersion"):
        word = {"superseded": "superseded by", "duplicate": "duplicate of", "late": "late, after"}[outcome]
        outcome = f"{word} {one['ByVersion']}"
    elif outcome == "dlq":
        outcome = f"failed {one['Attempts']} times, now a dead letter"
    elif outcome == "expired":
        outcome = "expired or purged before it could run"
    elif outcome == "running":
        outcome = f"running, attempt {one['Attempts']}"
    return f"{outcome}: {one['Detail']}" if one.get("Detail") else outcome


def _uuid(clients: Clients, mapping: str) -> str:
    """Of a mapping that is named by its UUID or its function."""
    if len(mapping) == UUID_CHARS and mapping.count("-") == 4:
        return mapping
    with clients.answering():
        reply = clients.client("lambda").list_event_source_mappings(FunctionName=mapping)
    found = [one["UUID"] for one in reply["EventSourceMappings"]]
    if len(found) != 1:
        raise click.ClickException(
            f"{mapping} has {len(found)} mappings, not one. Name it by its UUID. {' '.join(found)}"
        )
    return str(found[0])
