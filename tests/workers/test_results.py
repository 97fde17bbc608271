"""What a handler gets and what comes back: events, results, context, variables, logs."""

import asyncio
import json
import logging
import re
from pathlib import Path

import pytest

from oncue.errors import ServiceError
from oncue.workers.pool import EVENT_BYTES_MAX, Pool
from oncue.workers.worker import LOG_BYTES_MAX
from tests.workers.conftest import ACCOUNT, deploy

pytestmark = pytest.mark.asyncio(loop_scope="session")
ECHO = "def handler(event, context): return event"


async def test_an_event_comes_back_as_it_was(shared: Pool) -> None:
    event = {
        "text": "Grüße 🚀",
        "numbers": [1, 2.5, -0.0, 10**20],
        "none": None,
        "yes": True,
        "nested": {"": []},
    }
    assert await (await deploy(shared, ECHO)).value(event) == event


async def test_an_empty_event_is_an_empty_object(shared: Pool) -> None:
    function = await deploy(shared, ECHO)
    result = await shared.invoke(function.version, b"", request_id="r", invoked_arn="a")
    assert result.payload == b"{}"


@pytest.mark.parametrize(
    ("runtime", "written"), [("python3.11", b'{"a": "\\u00fc"}'), ("python3.12", '{"a": "ü"}'.encode())]
)
async def test_unicode_is_written_as_the_runtime_does(shared: Pool, runtime: str, written: bytes) -> None:
    function = await deploy(shared, ECHO, runtime=runtime)
    assert (await function({"a": "ü"})).payload == written


async def test_decimals_are_written_digit_for_digit(shared: Pool) -> None:
    source = """
        from decimal import Decimal
        def handler(event, context):
            return [Decimal("1.10"), Decimal("12345678901234567890.5"), {"a": Decimal("-3")}, "decimal 5"]
    """
    result = await (await deploy(shared, source))()
    assert result.payload == b'[1.10, 12345678901234567890.5, {"a": -3}, "decimal 5"]'


async def test_the_largest_event_passes_and_a_larger_one_does_not(shared: Pool) -> None:
    function = await deploy(shared, "def handler(event, context): return len(event)", memory_mb=512)
    assert await function.value("x" * (EVENT_BYTES_MAX - 2)) == EVENT_BYTES_MAX - 2
    with pytest.raises(
        ServiceError, match="6291457 byte payload is too large for the RequestResponse"
    ) as refused:
        await function("x" * (EVENT_BYTES_MAX - 1))
    assert (refused.value.code, refused.value.status) == ("RequestTooLargeException", 413)


async def test_the_largest_result_passes_and_a_larger_one_does_not(shared: Pool) -> None:
    function = await deploy(shared, "def handler(event, context): return 'x' * event", memory_mb=512)
    largest = await function(6_291_554)
    assert largest.error is None
    assert len(largest.payload) == 6_291_556
    larger = await function(6_291_555)
    assert larger.error == "Unhandled"
    assert json.loads(larger.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert larger.log_stream == largest.log_stream


CONTEXT = """
    def handler(event, context):
        names = ("function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb",
                 "aws_request_id", "log_group_name", "log_stream_name")
        values = {name: getattr(context, name) for name in names}
        sent = context.client_context
        context.log("by the context")
        return values | {
            "remaining": context.get_remaining_time_in_millis(),
            "identity": context.identity.cognito_identity_id,
            "client": sent and [sent.custom, sent.env, sent.client.app_title, sent.client.installation_id],
        }
"""


async def test_the_context_is_that_of_lambda(shared: Pool) -> None:
    function = await deploy(shared, CONTEXT, name="told", version="7", memory_mb=256, timeout_s=9)
    client = {"custom": {"a": "1"}, "env": {"locale": "de"}, "client": {"app_title": "shop"}}
    arguments = {"request_id": "the-id", "invoked_arn": function.version.arn + ":live"}
    result = await function(**arguments, client_context=json.dumps(client).encode())
    value = json.loads(result.payload)
    assert 8_000 < value.pop("remaining") <= 9_000
    assert value == {
        "function_name": "told",
        "function_version": "7",
        "invoked_function_arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:told:live",
        "memory_limit_in_mb": "256",
        "aws_request_id": "the-id",
        "log_group_name": "/aws/lambda/told",
        "log_stream_name": result.log_stream,
        "identity": None,
        "client": [{"a": "1"}, {"locale": "de"}, "shop", None],
    }
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}", result.log_stream)
    assert b"by the context" in result.log
    assert (await function.value())["client"] is None


VARIABLES = """
    import os, tempfile, time
    def handler(event, context):
        with open(os.path.join(tempfile.gettempdir(), "a"), "w") as f:
            f.write("x")
        return {"env": dict(os.environ), "cwd": os.getcwd(), "tmp": tempfile.gettempdir(),
                "home": os.path.expanduser("~"), "zone": time.tzname[0]}
"""


async def test_the_variables_are_those_of_lambda_and_nothing_of_the_server_leaks(
    shared: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    own = {"STAGE": "test", "LANG": "C", "AWS_REGION": "mars"}
    function = await deploy(shared, VARIABLES, environment=own, name="told")
    value = await function.value(trace_id="Root=1-2-3")
    env = value["env"]
    root = env["LAMBDA_TASK_ROOT"]
    expected = {
        "STAGE": "test",
        "LANG": "C",
        "AWS_REGION": "eu-west-1",  # reserved: the function's own value does not count
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://oncue.test",
        "AWS_ACCESS_KEY_ID": f"key-of-{ACCOUNT}",
        "AWS_SECRET_ACCESS_KEY": f"secret-of-{ACCOUNT}",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_NAME": "told",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/told",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "_HANDLER": "app.handler",
        "_X_AMZN_TRACE_ID": "Root=1-2-3",
        "TZ": ":UTC",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert "SECRET_OF_THE_SERVER" not in env
    assert value["cwd"] == root
    assert (Path(root) / "app.py").is_file()
    assert value["tmp"] == env["TMPDIR"] == value["home"]
    assert value["zone"] == "UTC"


async def test_every_invocation_has_a_trace_id(shared: Pool) -> None:
    function = await deploy(
        shared, "import os\ndef handler(event, context): return os.environ['_X_AMZN_TRACE_ID']"
    )
    first, second = await function.value(), await function.value()
    assert first != second
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", first)


async def test_boto3_is_there_and_the_server_is_not(shared: Pool) -> None:
    source = """
        import boto3, importlib, sys
        def there(name):
            try:
                importlib.import_module(name)
                return True
            except ImportError:
                return False
        def handler(event, context):
            client = boto3.client("sqs")
            return [client.meta.endpoint_url, client.meta.region_name,
                    boto3.Session().get_credentials().access_key,
                    {name: there(name) for name in ("oncue", "msgspec", "granian", "six", "jmespath")}]
    """
    function = await deploy(shared, source)
    endpoint, region, key, there = await function.value()
    assert (endpoint, region, key) == ("http://oncue.test", "eu-west-1", f"key-of-{ACCOUNT}")
    assert there == {"oncue": False, "msgspec": False, "granian": False, "six": True, "jmespath": True}


@pytest.mark.parametrize("handler", ["pkg/deep/mod.run", "pkg.deep.mod.run"])
async def test_handlers_may_live_in_folders(shared: Pool, handler: str) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/deep/__init__.py": "",
        "pkg/deep/mod.py": "def run(e, c): return __name__",
    }
    assert await (await deploy(shared, files, handler=handler)).value() == "pkg.deep.mod"


LOGS = """
    import logging, os, subprocess, sys
    print("while importing")
    logging.getLogger().setLevel(logging.INFO)
    def handler(event, context):
        print("out", event)
        print("err", event, file=sys.stderr)
        logging.getLogger("mine").info("logged %s", event)
        logging.debug("not shown")
        subprocess.run(["echo", "child", str(event)])
        os.write(1, b"last without an end")
"""


async def test_a_line_belongs_to_the_invocation_that_wrote_it(shared: Pool) -> None:
    function = await deploy(shared, LOGS)
    first = await function(1, request_id="id-1")
    second = await function(2, request_id="id-2")
    lines = first.log.decode().split("\n")
    assert lines[0].startswith("INIT_START Runtime Version: python:")
    assert lines[1:5] == ["while importing", "START RequestId: id-1 Version: $LATEST", "out 1", "err 1"]
    assert re.fullmatch(r"\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tid-1\tlogged 1", lines[5])
    assert lines[6:9] == ["child 1", "last without an end", "END RequestId: id-1"]
    assert re.fullmatch(
        r"REPORT RequestId: id-1\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t",
        lines[9],
    )
    lines = second.log.decode().split("\n")
    assert lines[:3] == ["START RequestId: id-2 Version: $LATEST", "out 2", "err 2"]
    assert lines[6] == "END RequestId: id-2"
    assert "Init Duration" not in lines[7]
    assert first.log_stream == second.log_stream
    assert first.init_ms is not None
    assert second.init_ms is None
    assert first.billed_ms >= first.init_ms
    assert 0 < second.duration_ms <= second.billed_ms < second.duration_ms + 1
    assert 10 < second.memory_used_mb <= 128


async def test_more_log_than_is_kept_is_cut_and_said_so(shared: Pool) -> None:
    function = await deploy(shared, "def handler(event, context): print('x' * event)")
    cut = await function(LOG_BYTES_MAX + 1_000)
    kept = cut.log.split(b"\n")[2:4]  # after INIT_START and START
    assert kept[0] == b"x" * LOG_BYTES_MAX
    assert kept[1] == b"[oncue] 1001 more bytes were cut: 1048576 are kept."
    assert b"were cut" not in (await function(10)).log


async def test_nothing_is_complained_about(shared: Pool, caplog: pytest.LogCaptureFixture) -> None:
    function = await deploy(shared, ECHO)
    with caplog.at_level(logging.WARNING):
        assert await asyncio.gather(*(function.value(n) for n in range(20))) == list(range(20))
    assert not caplog.records
