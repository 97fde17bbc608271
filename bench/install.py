"""Sets the peers and the load generator up in bench/.peers, from the two locks, with the standard library."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
PEERS = BENCH / ".peers"
PYTHON = PEERS / "bin" / "python"
LOCK = ROOT / "requirements" / "bench.txt"
NPM_FILES = ("package.json", "package-lock.json")
INSTALL_S_MAX = 600


def python_peers() -> None:
    """The virtual environment with moto, MiniStack, uvloop and httptools, as requirements/bench.txt says."""
    want = _digest(LOCK)
    stamp = PEERS / "python.stamp"
    if PYTHON.exists() and _text(stamp) == want:
        return
    print("bench: installing the Python peers into bench/.peers ...", flush=True)
    venv.create(PEERS, clear=True, symlinks=True, with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True, timeout=INSTALL_S_MAX)
    stamp.write_text(want)


def npm_peers() -> str | None:
    """fauxqs, as package-lock.json locks it. Returns why it cannot be used, or None."""
    npm = shutil.which("npm")
    if not npm:
        return "npm is not on this machine"
    want = _digest(*(BENCH / name for name in NPM_FILES))
    stamp = PEERS / "npm.stamp"
    if (PEERS / "node_modules" / "fauxqs").is_dir() and _text(stamp) == want:
        return None
    print("bench: installing the npm peer into bench/.peers ...", flush=True)
    for name in NPM_FILES:
        shutil.copy(BENCH / name, PEERS / name)
    command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=INSTALL_S_MAX)
    except subprocess.TimeoutExpired:
        return f"npm ci did not end within {INSTALL_S_MAX} s"
    if done.returncode:
        return "npm ci failed: " + " ".join(done.stderr.split())[:200]
    if not list(PEERS.glob("node_modules/node-linux-*/bin/node")):
        return f"no Node is locked for {platform.system()} on {platform.machine()}"
    stamp.write_text(want)
    return None


def enter() -> None:
    """Goes on in the peers' own interpreter, which has uvloop and httptools; returns when already there."""
    python_peers()
    if Path(sys.prefix).resolve() == PEERS.resolve():
        return
    os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _digest(*files: Path) -> str:
    """Of the locks, and of the Python that reads them: either one new means installing again."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
