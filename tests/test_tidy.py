"""House style that no linter knows. Each rule is a sentence of CONTRIBUTING.md."""

import ast
import functools
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
GUEST = "src/oncue/workers/guest/"  # another program: it runs inside the worker
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
ONE_DOOR = {
    "time": ("src/oncue/clock.py",),
    "random": ("src/oncue/clock.py",),
    "uuid": ("src/oncue/clock.py",),
    "secrets": ("src/oncue/clock.py",),
    "subprocess": ("src/oncue/workers/",),
    "multiprocessing": (),
    "granian": ("src/oncue/http/server.py",),
    "apsw": ("src/oncue/store/sqlite.py",),
    "sqlite3": (),
    "psycopg": ("src/oncue/store/postgres.py",),
    "psycopg_pool": ("src/oncue/store/postgres.py",),
    "botocore": ("src/oncue/cli/",),
    "boto3": ("src/oncue/cli/",),
}
ONE_CALL = {
    r"\bos\.environ\b|\bos\.getenv\b": ("src/oncue/config.py",),
    r"\bos\.(fork|posix_spawn|forkpty)\b": ("src/oncue/workers/",),
    r"\bos\.urandom\b": ("src/oncue/clock.py",),
    r"\bdatetime\.(now|utcnow|today)\(": ("src/oncue/clock.py",),
    r"\b(TODO|FIXME|XXX|NotImplementedError)\b": (),
    r"\bprint\(": ("src/oncue/cli/", "src/oncue/app.py", "src/oncue/__main__.py"),
}
REGISTRIES = r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|crates\.io|repo1?\.maven"


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def text_of(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def tree_of(path: pathlib.Path) -> ast.Module:
    return ast.parse(text_of(path))


def imports_of(path: pathlib.Path) -> set[str]:
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@functools.cache
def tracked() -> list[str]:
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in out.splitlines() if (ROOT / name).is_file()]


def allowed(path: pathlib.Path, doors: tuple[str, ...]) -> bool:
    return name_of(path).startswith(GUEST) or any(name_of(path).startswith(door) for door in doors)


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 40
    assert len(TESTS) > 20


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_in_one_sentence_what_lives_there(path: pathlib.Path) -> None:
    docstring = ast.get_docstring(tree_of(path)) or ""
    first = docstring.split("\n\n")[0].strip()
    assert len(first) > 10, "no docstring"
    assert first[-1] in ".:!?", "the first paragraph is a sentence"


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name_of)
def test_sizes(path: pathlib.Path) -> None:
    assert len(text_of(path).splitlines()) <= MODULE_LINES_MAX
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_are_nouns_that_say_something(path: pathlib.Path) -> None:
    assert not VAGUE & set(path.with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_each_outside_thing_enters_through_one_door(path: pathlib.Path) -> None:
    through = [name for name in imports_of(path) if name in ONE_DOOR and not allowed(path, ONE_DOOR[name])]
    assert through == []
    called = [
        call
        for call, doors in ONE_CALL.items()
        if re.search(call, text_of(path)) and not allowed(path, doors)
    ]
    assert called == []


@pytest.mark.parametrize("path", [p for p in SOURCES if "/protocol/" in name_of(p)], ids=name_of)
def test_the_translator_does_not_wait(path: pathlib.Path) -> None:
    assert not {"asyncio", "socket", "threading"} & imports_of(path)


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_do_not_sleep_or_skip(path: pathlib.Path) -> None:
    if path == pathlib.Path(__file__):
        return
    sleeping = r"\btime\.sleep\(|asyncio\.sleep\([0-9.]*[1-9]"
    assert not re.search(sleeping, text_of(path))
    assert not re.search(r"pytest\.(mark\.)?(skip|xfail)\(", text_of(path))
    assert not re.search(r"\b4566\b", text_of(path)), "tests take free ports"


def test_no_registry_and_no_path_of_a_machine_is_committed() -> None:
    found = []
    for name in tracked():
        if name in ("tests/test_tidy.py",) or (ROOT / name).suffix in (".png", ".jpg"):
            continue
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        if re.search(REGISTRIES, text) or re.search(r"(^|[^a-zA-Z0-9_.$}])/(work|farm|root)/[a-z.]", text):
            found.append(name)
    assert found == []


def test_locks_have_hashes_and_no_addresses() -> None:
    for name in ("run.txt", "dev.txt", "ecosystem.txt"):
        lock = (ROOT / "requirements" / name).read_text()
        pinned = re.findall(r"^[a-z0-9._-]+==", lock, flags=re.M)
        assert len(pinned) > 10
        assert lock.count("--hash=sha256:") >= len(pinned)
        assert "://" not in lock


def test_tables_belong_to_one_room() -> None:
    """A service owns its tables: nobody else names them."""
    owners: dict[str, str] = {}
    for path in sorted((ROOT / "src").rglob("schema/*.sql")):
        room = path.parent.parent.name
        for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", text_of(path)):
            owners[table] = room
            assert room == "store" or table.startswith(f"{room.rstrip('_')}_"), (
                f"{table} is not named after {room}"
            )
    trespassers = [
        f"{name_of(path)} names {table}"
        for path in SOURCES
        for table, room in owners.items()
        if len(table) > 8 and path.parent.name != room and f"/{room}/" not in path.as_posix()
        if re.search(rf"\b(FROM|INTO|UPDATE|JOIN) {table}\b", text_of(path))
    ]
    assert trespassers == []
