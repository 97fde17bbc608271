"""Deployment packages: what is unpacked, and what is refused before anything is written."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from oncue.errors import ServiceError
from oncue.workers import archive as archives
from oncue.workers import check_archive
from oncue.workers.codes import Codes
from oncue.workers.pool import Pool
from tests.workers.conftest import deploy, settings, zipped

UNZIP = r"Could not unzip uploaded file\. Please check your file, then try to upload again\."


def packed(*entries: tuple[str, bytes, int], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of (name, content, Unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = compression
            archive.writestr(info, content)
    return buffer.getvalue()


def broken() -> bytes:
    """A zip with one byte of its content changed."""
    text = bytearray(packed(("app.py", b"content", 0o644)))
    text[text.index(b"content")] ^= 1
    return bytes(text)


def encrypted() -> bytes:
    """A zip that says that it is encrypted."""
    text = bytearray(packed(("app.py", b"content", 0o644)))
    text[text.index(b"PK\x01\x02") + 8] |= 1
    text[6] |= 1
    return bytes(text)


def compressed_strangely() -> bytes:
    """A zip whose entry has the compression method 99."""
    text = bytearray(packed(("app.py", b"content", 0o644)))
    text[text.index(b"PK\x01\x02") + 10] = 99
    text[8] = 99
    return bytes(text)


ATTACKS = {
    "not a zip": b"hello",
    "nothing": b"",
    "cut off": zipped({"app.py": "x = 1\n" * 100})[:-30],
    "a changed byte": broken(),
    "encrypted": encrypted(),
    "an unknown compression": compressed_strangely(),
    "above the folder": packed(("../evil.py", b"", 0o644)),
    "above, later": packed(("a/../../evil.py", b"", 0o644)),
    "absolute": packed(("/tmp/evil.py", b"", 0o644)),
    "a link": packed(("link", b"/etc/passwd", stat.S_IFLNK | 0o777)),
    "a link and through it": packed(("d", b"/tmp", stat.S_IFLNK | 0o777), ("d/evil.py", b"", 0o644)),
    "a device": packed(("null", b"", stat.S_IFCHR | 0o666)),
    "a file that is a folder": packed(("a", b"", 0o644), ("a/b", b"", 0o644)),
    "a name that no disk takes": packed(("x" * 256, b"", 0o644)),
    "a name that is none": packed((".", b"", 0o644)),
}


@pytest.mark.parametrize("case", ATTACKS)
async def test_an_archive_that_attacks_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    codes = Codes(tmp_path)
    await codes.start()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ServiceError, match=UNZIP) as refused:
        check_archive(ATTACKS[case])
    assert (refused.value.code, refused.value.status) == ("InvalidParameterValueException", 400)
    with pytest.raises(ServiceError, match=UNZIP):
        await codes.install("code", ATTACKS[case])
    assert not codes.has("code")
    assert set(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent / "evil.py").exists()


def test_too_much_content_is_refused_by_its_size() -> None:
    bomb = packed(("zeros", b"\0" * 262_144_001, 0o644), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 300_000
    with pytest.raises(ServiceError, match="Unzipped size must be smaller than 262144000 bytes"):
        check_archive(bomb)


def test_a_size_that_is_a_lie_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNZIPPED_BYTES_MAX", 1_000)
    honest = packed(("zeros", b"\0" * 5_000, 0o644), compression=zipfile.ZIP_DEFLATED)
    lying = honest.replace((5_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    with pytest.raises(ServiceError, match=UNZIP):
        check_archive(lying)


def test_an_archive_without_files_is_refused() -> None:
    with pytest.raises(ServiceError, match="Uploaded file must be a non-empty zip"):
        check_archive(packed(("folder/", b"", 0o755)))


async def test_files_are_readable_and_executable_where_the_archive_says_so(pool: Pool) -> None:
    source = b"""
import os, subprocess
def handler(event, context):
    root = os.environ["LAMBDA_TASK_ROOT"]
    ran = subprocess.run([root + "/bin/tool"], capture_output=True, text=True).stdout
    return [ran, oct(os.stat(root + "/data").st_mode & 0o777)]
"""
    content = packed(
        ("app.py", source, 0o600), ("bin/tool", b"#!/bin/sh\necho ran", 0o755), ("data", b"", 0o000)
    )
    check_archive(content)
    function = await deploy(pool, "")
    await pool.install("with a tool", content)
    assert await function.changed(code_sha256="with a tool").value() == ["ran\n", "0o644"]


async def test_code_is_kept_across_a_restart_and_not_across_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a/key+with=odd/../characters"
    first = Pool(settings(tmp_path))
    await first.start()
    await first.install(key, zipped({"app.py": "def handler(event, context): return 'kept'"}))
    await first.stop()
    second = Pool(settings(tmp_path))
    await second.start()
    assert second.has(key)
    assert not second.has("another")
    assert await (await deploy(second, "")).changed(code_sha256=key).value() == "kept"
    await second.stop()
    boot = tmp_path / "boot"
    boot.write_text("another boot")
    monkeypatch.setattr("oncue.workers.codes.BOOT_ID", boot)
    third = Pool(settings(tmp_path))
    await third.start()
    assert not third.has(key)
    await third.stop()
    assert len(list((tmp_path / "code").iterdir())) == 1
