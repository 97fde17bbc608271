"""Runtime ids: every Python runs on the installed interpreter, and says so; others are refused."""

import pytest

from oncue.errors import ServiceError
from oncue.workers import check_runtime, report


def test_another_python_than_asked_for_is_noted_at_the_start() -> None:
    minor = report.INSTALLED.split(".")[1]
    assert report.init_start(f"python3.{minor}") == f"INIT_START Runtime Version: python:{report.INSTALLED}\n"
    other = report.init_start("python3.15" if minor != "15" else "python3.14")
    assert f"Oncue runs it on the installed Python {report.INSTALLED}\n" in other


@pytest.mark.parametrize("runtime", ["nodejs22.x", "provided.al2023", "java21", "python2.7", "python3.9", ""])
def test_other_runtimes_are_refused(runtime: str) -> None:
    with pytest.raises(ServiceError, match=r"Supported runtimes: python3\.10, .*python3\.15") as refused:
        check_runtime(runtime)
    assert refused.value.code == "InvalidParameterValueException"


@pytest.mark.parametrize("minor", range(10, 16))
def test_pythons_are_accepted(minor: int) -> None:
    check_runtime(f"python3.{minor}")
