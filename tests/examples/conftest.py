"""What runs only where there is a browser; where there is none, one line says so."""

import importlib.util
import pathlib

import pytest

CHROMIUM = pathlib.Path("/usr/bin/chromium")
missing = [
    what
    for what, there in (
        ("the package playwright", importlib.util.find_spec("playwright") is not None),
        (f"{CHROMIUM} (make browser, as root)", CHROMIUM.exists()),
    )
    if not there
]
collect_ignore = ["test_drafts_page.py"] if missing else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing:
        terminalreporter.write_line(
            f"not run: the drafts page in a browser, for want of {' and '.join(missing)}"
        )
