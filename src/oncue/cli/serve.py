"""`oncue serve`: one node, until SIGTERM."""

from pathlib import Path
from typing import Any

import click

from oncue import config

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 4566]")
@click.option("--store", help="sqlite:///PATH or postgresql://…  [default: sqlite:///.oncue/oncue.db]")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Where function code is unpacked.  [default: .oncue]"
)
@click.option(
    "--auth", type=FILE, help="TOML file with the keys that may sign; then every signature is checked."
)
@click.option("--workers", type=int, help="Function workers at once.  [default: 64]")
@click.option("--idle-s", type=float, help="Seconds that a worker without work is kept.  [default: 300]")
@click.option(
    "--queue-waits/--no-queue-waits", default=None, help="The 60 s waits after DeleteQueue and PurgeQueue."
)
@click.option(
    "--throttle-rate", type=float, help="Requests per second to an account's HTTP APIs.  [default: 10000]"
)
@click.option("--throttle-burst", type=int, help="As many of them at once after a rest.  [default: 5000]")
@click.option("--call-once/--no-call-once", default=None, help="Answer repeated SDK calls from kept replies.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--config", "file", type=FILE, help="TOML file with any of these settings.")
def serve(file: Path | None, **flags: Any) -> None:
    """Run a server until SIGTERM. Each option may also stand in the environment, as ONCUE_PORT, or in a
    file."""
    from oncue.app import serve as run

    run(config.load(flags, file))
