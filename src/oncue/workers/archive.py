"""A function's deployment package: checked, and unpacked into a folder of its own."""

import io
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from oncue.errors import ServiceError

UNZIPPED_BYTES_MAX = 262_144_000
ENTRIES_MAX = 200_000
NAME_BYTES_MAX = 255
KINDS = (0, stat.S_IFREG, stat.S_IFDIR)
COPY_BYTES = 256 * 1024
READABLE = 0o444
FOLDER_MODE = 0o755
NOT_A_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes"
EMPTY = "Uploaded file must be a non-empty zip"
BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # encrypted, or a compression that zipfile does not know
    ValueError,
)


def check_archive(archive: bytes) -> None:
    """InvalidParameterValueException unless `install` can unpack it. Pure.

    It reads everything once, which takes up to two seconds for the largest package: call it in a thread.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = _members(opened)
            for member, _ in members:
                with opened.open(member) as stream:
                    while stream.read(COPY_BYTES):
                        pass
    except (*BROKEN, OSError) as error:  # OSError: a broken bzip2 stream
        raise _refusal(NOT_A_ZIP) from error


def unpack(archive: bytes, folder: Path) -> None:
    """Write the files below `folder`, readable by all, executable where the archive says so.

    Raises as check_archive does; OSError where the disk is at fault.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for member, path in _members(opened):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
                with opened.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, COPY_BYTES)
                target.chmod(((member.external_attr >> 16) & FOLDER_MODE) | READABLE | stat.S_IWUSR)
    except BROKEN as error:
        raise _refusal(NOT_A_ZIP) from error


def _members(opened: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files with their paths: relative, inside the folder, no links, no file where a folder must be."""
    entries = opened.infolist()
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    folders: set[PurePosixPath] = set()
    if len(entries) > ENTRIES_MAX:
        raise _refusal(NOT_A_ZIP)
    for entry in entries:
        path = PurePosixPath(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if path.is_absolute() or not all(map(_fits, path.parts)) or kind not in KINDS:
            raise _refusal(NOT_A_ZIP)
        folders.update(path.parents)
        if entry.is_dir():
            folders.add(path)
        elif not path.parts:
            raise _refusal(NOT_A_ZIP)
        else:
            files[path] = entry  # of two with one name the later counts, as with unzip
    if sum(entry.file_size for entry in files.values()) > UNZIPPED_BYTES_MAX:
        raise _refusal(TOO_LARGE)
    if not files:
        raise _refusal(EMPTY)
    if not folders.isdisjoint(files):
        raise _refusal(NOT_A_ZIP)
    return [(entry, path) for path, entry in files.items()]


def _fits(part: str) -> bool:
    return part != ".." and len(part.encode(errors="surrogateescape")) <= NAME_BYTES_MAX


def _refusal(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)
