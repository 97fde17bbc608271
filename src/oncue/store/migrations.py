"""Numbered schema steps: found in the rooms' schema folders, applied in order, forward only."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from oncue.errors import SetupError
from oncue.store import Migration, Transaction

FILE_NAME = re.compile(r"^(\d{3})_[a-z0-9_]+\.sql$")
LEDGER = """
CREATE TABLE IF NOT EXISTS store_migrations (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (room, number)
)
"""


def of_package(package: str, room: str) -> list[Migration]:
    """The steps in `<package>/schema/NNN_name.sql`, in order."""
    folder = files(package).joinpath("schema")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    steps = [(match, folder.joinpath(name)) for name in names if (match := FILE_NAME.match(name))]
    return [Migration(room, int(match[1]), path.read_text(encoding="utf-8")) for match, path in steps]


def missing(tx: Transaction, known: Sequence[Migration]) -> list[Migration]:
    """What this program has and the database has not. SetupError when the database is ahead of the
    program."""
    applied = {(row["room"], row["number"]) for row in tx.all("SELECT room, number FROM store_migrations")}
    ahead = sorted(applied - {(step.room, step.number) for step in known})
    if ahead:
        room, number = ahead[-1]
        raise SetupError(
            f"This database was written by a newer Oncue (it has schema step {number:03} of {room}, "
            "which this version does not know). Start it with that version or a later one; nothing was "
            "changed."
        )
    return [step for step in known if (step.room, step.number) not in applied]


def record(tx: Transaction, step: Migration) -> None:
    tx.run("INSERT INTO store_migrations (room, number) VALUES (:r, :n)", r=step.room, n=step.number)


def statements(sql: str) -> Iterable[str]:
    """The single statements of a script: split at semicolons that end a line, comment lines dropped."""
    text = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return (part for part in (piece.strip() for piece in re.split(r";\s*$", text, flags=re.M)) if part)
