"""The command line: arguments in, one of our own functions called. Commands are loaded when they are used."""

from importlib import import_module

import click

COMMANDS = {
    "serve": ("oncue.cli.serve", "Run a server until SIGTERM."),
    "demo": ("oncue.cli.demo", "Play the story of the README: drafts saved by events, and nothing lost."),
    "deploy": ("oncue.cli.deploy", "Deploy a SAM or CloudFormation template to a running server."),
    "logs": ("oncue.cli.logs", "Show what a function has logged."),
    "sequencing": ("oncue.cli.sequencing", "Set, show and reset the sequencing of mappings and keys."),
    "why": ("oncue.cli.sequencing", "Say what became of a message."),
    "aws": ("oncue.cli.aws", "The AWS CLI, pointed at our server."),
}


class Commands(click.Group):
    """Finds a command's module by its name, so that `oncue serve` does not wait for what deploy imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=Commands)
@click.version_option(package_name="oncue")
def commands() -> None:
    """Oncue runs event-driven serverless applications on machines you own."""
