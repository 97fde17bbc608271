"""The ecosystem's clients live in an environment of their own, made by `make ecosystem`."""

import pathlib

from _pytest.terminal import TerminalReporter

HERE = pathlib.Path(__file__).parent
PYTHON = HERE.parent.parent / ".venv-ecosystem" / "bin" / "python"
NODE_MODULES = HERE / "node" / "node_modules"
INSTALLED = PYTHON.exists() and NODE_MODULES.exists()
collect_ignore_glob = [] if INSTALLED else ["test_*.py"]


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    if not INSTALLED:
        terminalreporter.write_line(
            "not run: tests/ecosystem (make ecosystem installs kombu, Celery and sqs-consumer)"
        )
