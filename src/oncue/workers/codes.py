"""The code of functions on this node's disk: unpacked once, used until the machine restarts."""

import asyncio
import hashlib
import shutil
from pathlib import Path

from oncue import clock
from oncue.workers.archive import unpack

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Codes:
    """Folders below `<data>/code/<boot id>/`.

    Nothing is synced to the disk: the archives are kept elsewhere, and after a restart of the machine, which
    could have lost parts of what was written, its new boot id makes everything be unpacked again.
    """

    def __init__(self, data_dir: Path) -> None:
        self._parent = data_dir.resolve() / "code"
        self._folder = self._parent / BOOT_ID.read_text().strip()
        self._names: dict[str, frozenset[str]] = {}

    async def start(self) -> None:
        """Remove what an earlier boot or a killed server has left half done."""
        await asyncio.to_thread(self._tidy)

    def has(self, code_sha256: str) -> bool:
        return self.root(code_sha256).is_dir()

    def root(self, code_sha256: str) -> Path:
        """Where the code is or will be. The name is a hash because a key may hold any characters."""
        return self._folder / hashlib.sha256(code_sha256.encode()).hexdigest()[:40]

    def names(self, code_sha256: str) -> frozenset[str]:
        """The top-level modules that the package brings itself."""
        found = self._names.get(code_sha256)
        if found is None:
            found = frozenset(entry.name.partition(".")[0] for entry in self.root(code_sha256).iterdir())
            self._names[code_sha256] = found
        return found

    async def install(self, code_sha256: str, archive: bytes) -> None:
        if not self.has(code_sha256):
            await asyncio.to_thread(self._install, self.root(code_sha256), archive)

    def _install(self, root: Path, archive: bytes) -> None:
        partial = root.with_suffix(f".{clock.token()}")
        try:
            unpack(archive, partial)
            partial.rename(root)
        except OSError:
            if not root.is_dir():  # otherwise someone else was faster
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _tidy(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for boot in self._parent.iterdir():
            if boot != self._folder:
                shutil.rmtree(boot, ignore_errors=True)
        for partial in self._folder.glob("*.*"):
            shutil.rmtree(partial, ignore_errors=True)
