"""Packages: the same folder gives the same bytes, and only what belongs in."""

import io
import os
import pathlib
import zipfile
from typing import Any

import pytest

from oncue.cli.packaging import pack, package
from oncue.services.cloudformation.documents import Document, TemplateError


class Uploads:
    """Takes packages as a server would."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def upload(self, name: str, data: bytes) -> bool:
        fresh = name not in self.kept
        self.kept[name] = data
        return fresh


def fill(folder: pathlib.Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")


def names_in(data: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(data)).namelist()


def test_names_are_sorted_and_hidden_ones_left_out(tmp_path: pathlib.Path) -> None:
    wanted = ["b.py", "a.py", "deep/er/c.py"]
    fill(tmp_path, [*wanted, ".env", ".git/config", "__pycache__/a.pyc", "deep/__pycache__/x.py", "old.pyc"])
    assert names_in(pack(tmp_path)) == ["a.py", "b.py", "deep/er/c.py"]


def test_dates_and_order_of_creation_do_not_matter(tmp_path: pathlib.Path) -> None:
    fill(tmp_path / "one", ["a.py", "b.py"])
    fill(tmp_path / "two", ["b.py", "a.py"])
    os.utime(tmp_path / "two" / "a.py", (1, 1))
    assert pack(tmp_path / "one") == pack(tmp_path / "two")


def test_a_change_gives_another_package(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, ["a.py"])
    before = pack(tmp_path)
    (tmp_path / "a.py").write_text("# changed")
    assert pack(tmp_path) != before


def test_executables_stay_executable(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, ["bootstrap", "a.py"])
    (tmp_path / "bootstrap").chmod(0o755)
    modes = {
        i.filename: i.external_attr >> 16 & 0o777
        for i in zipfile.ZipFile(io.BytesIO(pack(tmp_path))).infolist()
    }
    assert modes == {"bootstrap": 0o755, "a.py": 0o644}


def functions(**properties: Any) -> Document:
    sam = {"Type": "AWS::Serverless::Function", "Properties": dict(properties)}
    return Document(
        {"Resources": {"F": sam, "G": {"Type": "AWS::Serverless::Function", "Properties": dict(properties)}}}
    )


def code_of(document: Document, name: str = "F") -> Any:
    return document.value["Resources"][name]["Properties"].get("CodeUri")


def test_a_folder_is_uploaded_once_for_all_its_functions(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, ["src/a.py"])
    document, uploads = functions(CodeUri="src/"), Uploads()
    lines = package(document, tmp_path, uploads)  # type: ignore[arg-type]
    (name,) = uploads.kept
    assert code_of(document) == code_of(document, "G") == {"Bucket": "oncue-artifacts", "Key": name}
    assert len(lines) == 1
    assert lines[0].endswith("uploaded")
    again = package(functions(CodeUri="src/"), tmp_path, uploads)  # type: ignore[arg-type]
    assert again[0].endswith("is there already")


def test_code_that_is_elsewhere_is_left_alone(tmp_path: pathlib.Path) -> None:
    uploads = Uploads()
    for code in ({"Bucket": "b", "Key": "k"}, "s3://b/k"):
        document = functions(CodeUri=code)
        assert package(document, tmp_path, uploads) == []  # type: ignore[arg-type]
        assert code_of(document) == code
    inline = functions(InlineCode="def handler(e, c): pass")
    assert package(inline, tmp_path, uploads) == []  # type: ignore[arg-type]
    assert code_of(inline) is None


def test_without_a_word_the_folder_of_the_template_is_taken(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, ["a.py"])
    document, uploads = functions(), Uploads()
    package(document, tmp_path, uploads)  # type: ignore[arg-type]
    assert names_in(uploads.kept[code_of(document)["Key"]]) == ["a.py"]


def test_code_that_is_not_there_names_the_function(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TemplateError) as caught:
        package(functions(CodeUri="nowhere"), tmp_path, Uploads())  # type: ignore[arg-type]
    assert caught.value.placed().startswith("resource F, property CodeUri: ")
