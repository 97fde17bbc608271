"""The story of the README, as a new user plays it; shorter, and on a free port."""

import pathlib
import subprocess
import sys

from tests import running

TIME_S = 90


def test_the_story_ends_well_and_leaves_nothing_running(tmp_path: pathlib.Path) -> None:
    port = running.free_port()
    command = [sys.executable, "-m", "oncue", "demo", "--events", "60", "--port", str(port)]
    told = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME_S
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "sees v1.1: wrong" in told.stdout
    assert told.stdout.count("sees v1.2") == 2
    assert "superseded by v1.2" in told.stdout
    assert "60 acknowledged" in told.stdout
    assert "60 processed, 0 missing" in told.stdout
    assert (tmp_path / ".oncue/demo/oncue.db").is_file()
    assert running.free_port_again(port), "the server is still there"


def test_a_demo_on_a_taken_port_says_so(server: running.Running, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "oncue", "demo", "--port", str(server.port)]
    told = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME_S
    )
    assert told.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{server.port}" in told.stderr
    assert "Traceback" not in told.stderr
