"""`oncue deploy`: a template becomes a running stack."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from oncue.cli import deploying
from oncue.cli.clients import Clients
from oncue.cli.deploying import Deployed, DeployFailed
from oncue.errors import SetupError
from oncue.services.cloudformation.plan import Change, has_changes

SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "unchanged": "="}
COLOURS = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red", "unchanged": "dim"}
WORDS = {"replace": "replace (a new one is made, the old one deleted)"}


class Printer:
    """Tells people how it goes: a table and colours on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, *, yes: bool) -> None:
        self.console = console
        self.yes = yes

    def note(self, text: str) -> None:
        self.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def planned(self, changes: list[Change]) -> bool:
        if not has_changes(changes):
            return True
        if self.console.is_terminal:
            self.console.print(self._table(changes))
        else:
            for change in changes:
                what = f" ({', '.join(change.properties)})" if change.properties else ""
                self._line(f"{SIGNS[change.action]} {change.logical_id} {change.type}{what}")
        lost = [change.logical_id for change in changes if change.action in ("delete", "replace")]
        return not lost or self.yes or self.agreed(f"This deletes or replaces {', '.join(lost)}.")

    def agreed(self, text: str) -> bool:
        if not sys.stdin.isatty():
            raise SetupError(f"{text} Say --yes if that is wanted.")
        return click.confirm(f"{text} Go on?")

    def _table(self, changes: list[Change]) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("", "resource", "type", "what changes"):
            table.add_column(name)
        for change in changes:
            what = WORDS.get(change.action, "")
            if change.properties:
                what = f"{', '.join(change.properties)}{': ' + what if what else ''}"
            style = COLOURS[change.action]
            table.add_row(SIGNS[change.action], change.logical_id, change.type, what, style=style)
        return table

    def happened(self, event: dict[str, Any]) -> None:
        status = event["ResourceStatus"]
        style = (
            "red"
            if "FAILED" in status or "ROLLBACK" in status
            else "green"
            if "COMPLETE" in status
            else "dim"
        )
        reason = f"  {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
        self._line(f"{status:<36} {event['LogicalResourceId']:<28} {event['ResourceType']}{reason}", style)

    def _line(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def done(self, result: Deployed) -> None:
        self._line(f"{result.stack_name}: " + (result.status if result.changed else "no changes"), "bold")
        width = max((len(name) for name in result.outputs), default=0)
        for name, value in result.outputs.items():
            self._line(f"  {name:<{width}}  {value}")


def overrides(words: tuple[str, ...]) -> dict[str, str]:
    """`K=V` words as a mapping; several may stand in one word, divided by spaces, as the AWS CLI has them."""
    values = {}
    for word in " ".join(words).split():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{word} is not NAME=VALUE", param_hint="--parameter-overrides")
        values[key] = value
    return values


@click.command()
@click.argument("template", type=click.Path(path_type=Path), default="template.yaml")
@click.option("--stack-name", help="Name of the stack.  [default: the name of the template's folder]")
@click.option("--region", help="Region to deploy to.  [default: AWS_REGION, AWS_DEFAULT_REGION, us-east-1]")
@click.option("--endpoint-url", help="The server.  [default: AWS_ENDPOINT_URL or http://127.0.0.1:4566]")
@click.option(
    "--parameter-overrides", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
)
@click.option("--delete", is_flag=True, help="Delete the stack and everything in it.")
@click.option("--yes", is_flag=True, help="Do not ask before something is deleted or replaced.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end and nothing else.")
def deploy(
    template: Path,
    stack_name: str | None,
    region: str | None,
    endpoint_url: str | None,
    parameter_overrides: tuple[str, ...],
    delete: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a stack what TEMPLATE (SAM or CloudFormation) says, and wait until it is."""
    printer = Printer(Console(quiet=as_json), yes=yes)
    parameters = overrides(parameter_overrides)
    name = stack_name or deploying.stack_name_of(template)
    try:
        if delete:
            _delete(name, Clients(endpoint_url, region), printer, as_json)
            return
        if not template.exists():
            raise SetupError(f"There is no template {template}. Name one: oncue deploy PATH/template.yaml")
        clients = Clients(endpoint_url, region)
        result = deploying.deploy_stack(
            template, name, clients=clients, parameters=parameters, audience=printer
        )
    except DeployFailed as error:
        if as_json:
            print(msgspec.json.encode({"stack": name, "error": str(error)}).decode())
        raise click.ClickException(str(error)) from None
    if as_json:
        print(msgspec.json.encode(shown(result)).decode())
    elif result.status:
        printer.done(result)
    else:
        printer.note("nothing was changed")


def _delete(name: str, clients: Clients, printer: Printer, as_json: bool) -> None:
    if not printer.yes and not printer.agreed(f"This deletes the stack {name} and everything in it."):
        return
    gone = deploying.delete_stack(name, clients=clients, audience=printer)
    if as_json:
        print(msgspec.json.encode({"stack": name, "deleted": gone}).decode())
    else:
        printer.note(f"{name}: {'deleted' if gone else 'there is no such stack'}")


def shown(result: Deployed) -> dict[str, Any]:
    """The object that --json prints."""
    return {
        "stack": result.stack_name,
        "status": result.status,
        "changed": result.changed,
        "changes": [
            {"resource": c.logical_id, "type": c.type, "action": c.action, "properties": list(c.properties)}
            for c in result.changes
        ],
        "outputs": result.outputs,
    }
