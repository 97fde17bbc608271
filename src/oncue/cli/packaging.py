"""Function code as packages: a folder becomes the same bytes every time, and finds its way to the server
once."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oncue.cli.clients import Clients
from oncue.errors import SetupError
from oncue.services.cloudformation.documents import Document, TemplateError

BUCKET = "oncue-artifacts"
FILE_DATE = (1980, 1, 1, 0, 0, 0)
SKIPPED = frozenset({"__pycache__"})
UNPACKED_BYTES_MAX = 262_144_000  # Lambda's own limit
FILES_MAX = 50_000
REQUIREMENTS = "requirements.txt"
# Where a resource type keeps its code, and how that is written once the code is in the store.
PLACES = {
    "AWS::Serverless::Function": ("CodeUri", "Bucket", "Key"),
    "AWS::Lambda::Function": ("Code", "S3Bucket", "S3Key"),
}


def pack(folder: Path) -> bytes:
    """A folder as a zip: names sorted, dates fixed, nothing hidden, no caches. SetupError when it is too
    large."""
    buffer = io.BytesIO()
    size = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for count, (name, path) in enumerate(sorted(_files(folder))):
            data = path.read_bytes()
            size += len(data)
            if size > UNPACKED_BYTES_MAX or count >= FILES_MAX:
                raise SetupError(
                    f"{folder} is too large for a function: at most {UNPACKED_BYTES_MAX} bytes in "
                    f"{FILES_MAX} files."
                )
            entry = zipfile.ZipInfo(name, FILE_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED]
        for name in names:
            path = Path(root, name)
            if not name.startswith(".") and not name.endswith(".pyc") and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def package(document: Document, folder: Path, clients: Clients) -> list[str]:
    """Uploads the code of every function of a template and writes into it where the code is.

    The answer has one line for each package: its name, its size, and whether it was new to the server.
    """
    known: dict[Path, str] = {}
    lines = []
    body = document.value if isinstance(document.value, dict) else {}
    for path, holder, place in _holders(body):
        member, bucket, key = place
        local = _local(holder.get(member))
        if local is None:
            continue
        source = (folder / local).resolve()
        if source not in known:
            data = _read(source, path)
            name = hashlib.sha256(data).hexdigest()
            fresh = clients.upload(name, data)
            known[source] = name
            lines.append(f"{local} {len(data):,} B {'uploaded' if fresh else 'is there already'}")
            if (source / REQUIREMENTS).is_file():
                lines.append(
                    f"{local} has a {REQUIREMENTS}: put what it names into the folder (pip install -t)"
                )
        holder[member] = {bucket: BUCKET, key: known[source]}
    return lines


def _holders(body: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any], tuple[str, str, str]]]:
    """Every mapping that may say where code is: the globals, then each function."""
    shared = body.get("Globals")
    shared = shared.get("Function") if isinstance(shared, dict) else None
    if isinstance(shared, dict):
        yield ("Globals", "Function", "CodeUri"), shared, PLACES["AWS::Serverless::Function"]
    resources = body.get("Resources")
    for key, resource in resources.items() if isinstance(resources, dict) else ():
        place = PLACES.get(str(resource.get("Type"))) if isinstance(resource, dict) else None
        if place is None:
            continue
        properties = resource.setdefault("Properties", {})
        if not isinstance(properties, dict):
            continue
        sam = place[0] == "CodeUri"
        bare = sam and not {"CodeUri", "InlineCode", "ImageUri", "PackageType"} & properties.keys()
        if bare and not (isinstance(shared, dict) and "CodeUri" in shared):
            properties["CodeUri"] = "."  # what SAM takes when nothing is said: the template's folder
        yield ("Resources", key, "Properties", place[0]), properties, place


def _local(value: Any) -> str | None:
    """A path on this machine, or None when the code is somewhere else or not said."""
    if not isinstance(value, str) or value.startswith("s3://") or "://" in value:
        return None
    return value


def _read(source: Path, path: tuple[str, ...]) -> bytes:
    if source.is_dir():
        return pack(source)
    if source.is_file() and source.suffix in (".zip", ".jar"):
        return source.read_bytes()
    raise TemplateError(f"{source} is neither a folder nor a .zip file.", path)
