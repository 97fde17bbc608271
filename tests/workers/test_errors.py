"""How functions fail: AWS's words in the payload and in the log, and what becomes of the worker."""

import asyncio
import json
import re
from typing import Any

import pytest

from oncue.workers import Result
from oncue.workers import pool as pools
from oncue.workers.pool import Pool
from tests.workers.conftest import Function, Gate, deploy

pytestmark = pytest.mark.asyncio(loop_scope="session")
COUNTING = """
    import ctypes, decimal, os, signal, sys
    count = 0
    def handler(event, context):
        global count
        count += 1
        exec(event, globals())
        return count
    def deeper():
        raise KeyError("the key")
"""


def error(result: Result) -> dict[str, Any]:
    assert result.error == "Unhandled"
    found: dict[str, Any] = json.loads(result.payload)
    return found


async def test_an_exception_shows_the_functions_own_lines_and_the_worker_goes_on(shared: Pool) -> None:
    source = """
        count = 0
        def handler(event, context):
            global count
            count += 1
            if event:
                inner(event)
            return count
        def inner(event):
            raise ValueError(f"no {event}")
    """
    function = await deploy(shared, source)
    assert await function.value() == 1
    result = await function("way", request_id="the-id")
    found = error(result)
    trace = found.pop("stackTrace")
    assert found == {"errorMessage": "no way", "errorType": "ValueError", "requestId": "the-id"}
    assert len(trace) == 2
    assert re.fullmatch(r'  File "/.*/app\.py", line 7, in handler\n    inner\(event\)\n', trace[0])
    assert re.fullmatch(r'  File "/.*/app\.py", line 10, in inner\n    raise ValueError\(.*\)\n', trace[1])
    assert b"[ERROR] ValueError: no way\rTraceback (most recent call last):\r" in result.log
    assert b"Error Type" not in result.log
    assert await function.value() == 3


INIT_ERRORS = {
    "no module": (
        "gone.handler",
        "",
        "Runtime.ImportModuleError",
        "Unable to import module 'gone': No module named 'gone'",
    ),
    "its import": (
        "app.handler",
        "import nowhere",
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'nowhere'",
    ),
    "no function": (
        "app.other",
        "def handler(e, c): pass",
        "Runtime.HandlerNotFound",
        "Handler 'other' missing on module 'app'",
    ),
    "no dot": (
        "app",
        "",
        "Runtime.MalformedHandlerName",
        "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
    ),
    "built in": (
        "sys.exit",
        "",
        "Runtime.BuiltInModuleConflict",
        "Cannot use built-in module sys as a handler module",
    ),
    "syntax": (
        "app.handler",
        "x = 1\ndef handler(:\n",
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app': invalid syntax (app.py, line 2)",
    ),
    "its own": ("app.handler", "1 / 0", "ZeroDivisionError", "division by zero"),
}


@pytest.mark.parametrize("case", INIT_ERRORS)
async def test_an_error_of_initialization_is_told_to_the_invocation_that_caused_it(
    shared: Pool, case: str
) -> None:
    handler, source, kind, message = INIT_ERRORS[case]
    function = await deploy(shared, source, handler=handler)
    result = await function()
    found = error(result)
    assert (found["errorType"], found["errorMessage"], found["requestId"]) == (kind, message, "")
    assert f"[ERROR] {kind}: {message}".encode() in result.log
    if case == "syntax":
        assert 'app.py" Line 2\n    def handler(:' in found["stackTrace"][0]
    if case == "its own":
        assert found["stackTrace"][-1].endswith('app.py", line 1, in <module>\n    1 / 0\n')
    again = await function()
    assert error(again)["errorType"] == kind
    assert again.log_stream != result.log_stream  # a fresh worker each time


RESULTS = {
    "set": ("{1}", "Object of type set is not JSON serializable"),
    "object": ("object()", "Object of type object is not JSON serializable"),
    "nested bytes": ("[b'x']", "Object of type bytes is not JSON serializable"),
}


@pytest.mark.parametrize("case", RESULTS)
async def test_a_result_that_is_not_json_is_a_marshal_error(shared: Pool, case: str) -> None:
    expression, message = RESULTS[case]
    function = await deploy(shared, f"def handler(event, context): return {expression}")
    found = error(await function(request_id="the-id"))
    assert found == {
        "errorMessage": f"Unable to marshal response: {message}",
        "errorType": "Runtime.MarshalError",
        "requestId": "the-id",
        "stackTrace": [],
    }


async def test_an_event_that_is_not_json_is_an_unmarshal_error(shared: Pool) -> None:
    function = await deploy(shared, "def handler(event, context): return 1")
    result = await shared.invoke(function.version, b"{", request_id="r", invoked_arn="a")
    assert error(result)["errorType"] == "Runtime.UnmarshalError"
    assert error(result)["errorMessage"].startswith("Unable to unmarshal input: ")


EXITS = {
    "sys.exit(3)": "Runtime exited with error: exit status 3",
    "sys.exit()": "Runtime exited without providing a reason",
    "sys.exit('why')": "Runtime exited with error: exit status 1",
    "exit(4)": "Runtime exited with error: exit status 4",
    "os._exit(5)": "Runtime exited with error: exit status 5",
    "raise KeyboardInterrupt": "Runtime exited with error: exit status 1",
    "os.kill(os.getpid(), signal.SIGKILL)": "Runtime exited with error: signal: killed",
    "ctypes.string_at(0)": "Runtime exited with error: signal: segmentation fault",
    "os.closerange(3, 100)\nwhile True: pass": "Runtime exited with error: signal: killed",
}


@pytest.mark.parametrize("statement", EXITS)
async def test_a_process_that_ends_is_reported_and_replaced(shared: Pool, statement: str) -> None:
    function = await deploy(shared, COUNTING)
    assert await function.value("pass") == 1
    result = await function(f"print('before'); {statement}", request_id="the-id")
    text = f"RequestId: the-id Error: {EXITS[statement]}"
    assert error(result) == {"errorType": "Runtime.ExitError", "errorMessage": text}
    assert f"before\n{'why' if 'why' in statement else ''}".encode() in result.log
    assert f"{text}\nRuntime.ExitError\n".encode() in result.log
    assert b"Status: error\tError Type: Runtime.ExitError\t" in result.log
    assert await function.value("pass") == 1


async def test_a_process_that_ends_while_it_imports_is_reported(shared: Pool) -> None:
    result = await (await deploy(shared, "import sys; sys.exit(9)"))(request_id="the-id")
    text = "RequestId: the-id Error: Runtime exited with error: exit status 9"
    assert error(result) == {"errorType": "Runtime.ExitError", "errorMessage": text}


async def test_a_copy_of_the_process_cannot_answer_in_its_place(shared: Pool) -> None:
    source = """
        import os
        def handler(event, context):
            if event and (pid := os.fork()):
                os.waitpid(pid, 0)
            return os.getpid()
    """
    function = await deploy(shared, source)
    original = await function.value()
    assert [await function.value("copy"), await function.value()] == [original, original]


async def test_a_timeout_ends_the_worker_and_all_that_it_started(
    shared: Pool, gate: Gate, watch: Any
) -> None:
    source = (
        Gate.SOURCE
        + """
        import subprocess
        def handler(event, context):
            if not event: return "well"
            silent = ["tail", "-f", "/dev/null"]
            started = [subprocess.Popen(silent), subprocess.Popen(silent, start_new_session=True)]
            print("spinning")
            report(event, pids=[os.getpid(), *(one.pid for one in started)])
            while True: pass
    """
    )
    function = await deploy(shared, source, timeout_s=1)
    answer = asyncio.create_task(function(gate.path, request_id="the-id"))
    pids = (await asyncio.to_thread(gate.meet))["pids"]
    processes = [watch(pid) for pid in pids]
    result = await answer
    text = "Task timed out after 1.00 seconds"
    assert error(result) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: the-id Error: {text}",
    }
    assert re.search(rb"\nspinning\n\d{4}-\d\d-\d\dT[\d:.]+Z the-id " + text.encode() + rb"\n\n", result.log)
    assert b"Duration: 1000.00 ms" in result.log
    assert b"Status: timeout\t" in result.log
    assert result.duration_ms == 1000
    assert [process.ended() for process in processes] == [True] * 3
    assert await function.value() == "well"


async def test_an_initialization_that_does_not_end_times_out(
    shared: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "INIT_S", 0)
    result = await (await deploy(shared, "print('round and round')\nwhile True: pass", timeout_s=1))()
    assert error(result)["errorType"] == "Sandbox.Timedout"
    assert b"round and round\nINIT_REPORT Init Duration: " in result.log


async def test_a_slow_initialization_uses_up_the_time_of_its_first_invocation_only(
    shared: Pool, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "INIT_S", 0)
    source = (
        Gate.SOURCE + f"\n        knock({gate.path!r})\n        def handler(event, context): return 'ready'\n"
    )
    function: Function = await deploy(shared, source)
    answer = asyncio.create_task(function())
    await asyncio.to_thread(gate.meet)
    gate.open()
    result = await answer
    assert json.loads(result.payload) == "ready"
    assert b"Phase: init\tStatus: timeout\nSTART" in result.log


@pytest.mark.parametrize(
    "greedy", ["x = bytearray(300 << 20)", "x = []\nwhile True: x.append([None] * 1000)"]
)
async def test_more_memory_than_configured_is_not_given(shared: Pool, greedy: str) -> None:
    function = await deploy(shared, COUNTING)
    assert await function.value("x = bytearray(60 << 20); del x") == 1
    result = await function(greedy, request_id="the-id")
    text = "RequestId: the-id Error: Runtime exited with error: signal: killed"
    assert error(result) == {"errorType": "Runtime.OutOfMemory", "errorMessage": text}
    assert result.memory_used_mb == 128
    assert b"[ERROR] MemoryError" in result.log
    assert b"Status: error\tError Type: Runtime.OutOfMemory\t" in result.log
    assert await function.value("pass") == 1  # a fresh worker
    roomy = function.changed(memory_mb=512, revision="2")
    assert await roomy.value("x = bytearray(300 << 20)") == 1


async def test_limits_and_privileges(shared: Pool) -> None:
    source = """
        import resource
        def handler(event, context):
            privileges = [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")]
            limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
            return [*limits, privileges]
    """
    assert await (await deploy(shared, source)).value() == [[1024, 1024], [0, 0], ["NoNewPrivs:\t1\n"]]
