"""`oncue aws`: becomes the AWS CLI, pointed at our server."""

import os
import shutil
import sys
from pathlib import Path

import click

from oncue import config
from oncue.errors import SetupError

OPTION = "--endpoint-url"


def find() -> str:
    """The AWS CLI beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name("aws")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("aws")
    if found is None:
        raise SetupError("The AWS CLI is not installed: pip install awscli")
    return found


def arguments(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """(endpoint, what follows `aws`). An endpoint that the words name is kept; every service gets one."""
    named = None
    for position, word in enumerate(words):
        if word == OPTION and position + 1 < len(words):
            named = words[position + 1]
        elif word.startswith(f"{OPTION}="):
            named = word.partition("=")[2]
    endpoint = config.client_endpoint(named)
    return endpoint, list(words) if named else [OPTION, endpoint, *words]


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def aws(words: tuple[str, ...]) -> None:
    """The AWS CLI with our endpoint, a region and credentials: oncue aws sqs list-queues"""
    program = find()
    endpoint, rest = arguments(words)
    sys.stdout.flush()
    os.execve(program, ["aws", *rest], config.client_environment(endpoint))
