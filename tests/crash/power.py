"""Disks for tests: one that loses power and forgets what was not synced, and one that begins to fail."""

import contextlib
import os
import pathlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apsw

SECTOR_BYTES = 512
LOST = 0.5  # of the writes that were not synced
TORN = 0.1


@dataclass(frozen=True)
class Write:
    path: str
    offset: int
    before: bytes
    size: int  # of what was written


@dataclass(frozen=True)
class Outage:
    """The moment in which the power goes: every file as it looks to programs, and what only they can see."""

    content: dict[str, bytes]
    unsynced: list[Write]
    acknowledged: int

    def survives(self, seed: int, folder: pathlib.Path) -> None:
        """What is on the disk afterwards: of the unsynced writes some are lost, some torn, in any order."""
        chance = random.Random(seed)
        for name, content in self.content.items():
            image = bytearray(content)
            for write in reversed([one for one in self.unsynced if pathlib.Path(one.path).name == name]):
                before = write.before.ljust(write.size, b"\0")
                drawn, first = chance.random(), 0
                if drawn > LOST + TORN:
                    continue
                if drawn > LOST:
                    first = SECTOR_BYTES
                image[write.offset + first : write.offset + write.size] = before[first:]
            (folder / name).write_bytes(image)


class Disk(apsw.VFS):
    """`outages` are taken before the writes with the numbers `cuts`; `fail` raises in every sync or write."""

    def __init__(self, name: str, acknowledged: list[Any]) -> None:
        super().__init__(name, "unix", makedefault=True)
        self.acknowledged = acknowledged
        self.unsynced: list[Write] = []
        self.outages: list[Outage] = []
        self.cuts: frozenset[int] = frozenset()
        self.fail: dict[str, type[apsw.Error]] = {}  # "sync -wal": which error
        self.writes = 0

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return File(self, name, flags)

    def outage(self, path: str) -> None:
        folder = pathlib.Path(path).parent
        files = [one for one in folder.iterdir() if not one.name.endswith(("-shm", "-lock"))]
        content = {one.name: one.read_bytes() for one in files}
        self.outages.append(Outage(content, list(self.unsynced), len(self.acknowledged)))


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.disk = disk
        super().__init__("unix", name, flags)

    def _ends(self) -> str:
        return "-wal" if self.path.endswith("-wal") else ".db"

    def xWrite(self, data: bytes, offset: int) -> None:
        disk = self.disk
        if error := disk.fail.get(f"write {self._ends()}"):
            raise error("no space left")
        disk.writes += 1
        if disk.writes in disk.cuts:
            disk.outage(self.path)
        with open(self.path, "rb") as now:
            now.seek(offset)
            before = now.read(len(data))
        disk.unsynced.append(Write(self.path, offset, before, len(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if error := self.disk.fail.get(f"sync {self._ends()}"):
            raise error("the disk is broken")
        super().xSync(flags)
        self.disk.unsynced = [one for one in self.disk.unsynced if one.path != self.path]

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self.disk.unsynced = [
            one for one in self.disk.unsynced if one.path != self.path or one.offset + one.size <= size
        ]


@contextlib.contextmanager
def disk(acknowledged: list[Any] | None = None) -> Iterator[Disk]:
    """A disk under everything that SQLite opens meanwhile."""
    made = Disk(f"disk-{os.urandom(4).hex()}", [] if acknowledged is None else acknowledged)
    try:
        yield made
    finally:
        made.unregister()
