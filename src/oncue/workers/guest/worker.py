"""The life of a worker: take on one function, import its code, answer its events one by one."""

import atexit
import importlib
import io
import os
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from . import encoding, faults, frames, logs, process
from .context import LambdaContext

FAILED = 70  # exit status where the runtime itself failed
THREAD_STACK_BYTES = 2 * 1024 * 1024  # stacks count as memory while they are only reserved
Handler = Callable[[object, LambdaContext], object]


def run(link: int, output: int, started_with: frozenset[str]) -> None:
    """Serve the socket `link` until its other end is closed, and never return."""
    logs.redirect(output)
    channel = socket.socket(fileno=link)
    channel.set_inheritable(False)
    stream = io.BufferedReader(channel.makefile("rb", buffering=0), 65_536)
    configured = frames.read(stream)
    if configured is None:
        os._exit(0)
    configuration = configured[0]
    status = 0
    try:
        take_on(configuration, started_with)
        serve(channel, stream, configuration)
    except SystemExit as asked:
        status = _status(asked)
        atexit._run_exitfuncs()
    except BaseException as error:
        status = 1
        traceback.print_exception(type(error), error, _own(error))
    finally:
        logs.flush()
        os._exit(status)


def take_on(configuration: dict[str, Any], started_with: frozenset[str]) -> None:
    """Become the process of this function: its variables, folders, limits and place on sys.path."""
    environment, root = configuration["environment"], configuration["root"]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    Path(environment["TMPDIR"]).mkdir(parents=True, exist_ok=True, mode=0o700)
    tempfile.tempdir = None
    os.chdir(root)
    sys.argv = [""]
    own_path = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = [root, *own_path, *sys.path]
    sys.modules["__main__"] = type(sys)("__main__")
    forget({entry.name.partition(".")[0] for entry in Path(root).iterdir()} - started_with)
    logs.set_up()
    threading.stack_size(THREAD_STACK_BYTES)
    process.limit(configuration["memory_mb"])


def loaded() -> frozenset[str]:
    """The top-level names in sys.modules."""
    return frozenset(name.partition(".")[0] for name in sys.modules)


def forget(names: set[str]) -> None:
    """Unload modules that the function's package brings itself, so that it gets its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]


def serve(channel: socket.socket, stream: BinaryIO, configuration: dict[str, Any]) -> None:
    """Import once, then one answer per event."""
    encoder = encoding.Encoder(configuration["minor"])
    process_id = os.getpid()
    try:
        handler = find_handler(configuration["handler"])
    except Exception as error:
        answer(channel, {"init": True}, error, request_id="")
        return
    logs.flush()
    channel.sendall(frames.pack({"init": True, "memory_kb": process.memory_kb()}))
    while (frame := frames.read(stream)) is not None:
        head, event = frame
        logs.request_id = head["request_id"]
        os.environ["_X_AMZN_TRACE_ID"] = head["trace_id"]
        try:
            body = encoder.encode(handler(encoding.decode(event), LambdaContext(head)))
        except Exception as error:
            _only(process_id)
            answer(channel, {}, error, logs.request_id)
        else:
            _only(process_id)
            logs.flush()
            told: dict[str, Any] = {"memory_kb": process.memory_kb()}
            if len(body) > encoding.RESPONSE_BYTES_MAX:
                told, body = told | {"too_large": True}, b""
            channel.sendall(frames.pack(told, body))
            del body
        del frame, event  # a large event must not stay until the next one comes


def answer(channel: socket.socket, head: dict[str, Any], error: Exception, request_id: str) -> None:
    """An error instead of a result: to the log and to the server."""
    out_of_memory = isinstance(error, MemoryError)
    if out_of_memory:
        process.use_reserve()
    fault = faults.payload(error, request_id)
    faults.log(fault)
    logs.flush()
    head |= {"error": fault["errorType"], "out_of_memory": out_of_memory, "memory_kb": process.memory_kb()}
    channel.sendall(frames.pack(head, faults.encode(fault)))


def find_handler(text: str) -> Handler:
    """`module.function`, with folders as dots or slashes. Raises Fault in the words of AWS."""
    try:
        module_name, function_name = text.rsplit(".", 1)
    except ValueError as error:
        raise faults.Fault("Runtime.MalformedHandlerName", f"Bad handler '{text}': {error}") from None
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise faults.Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise faults.Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise faults.Fault("Runtime.UserCodeSyntaxError", message, trace) from None
    handler: Handler | None = getattr(module, function_name, None)
    if handler is None:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise faults.Fault("Runtime.HandlerNotFound", message)
    return handler


def _only(process_id: int) -> None:
    """A copy of this process that a handler forked and let return must not answer in our place."""
    if os.getpid() != process_id:
        logs.flush()
        os._exit(0)


def _status(asked: SystemExit) -> int:
    """The exit status as the interpreter would choose it."""
    if asked.code is None:
        return 0
    if isinstance(asked.code, int):
        return asked.code & 0xFF
    print(asked.code, file=sys.stderr)
    return 1


def _own(error: BaseException) -> Any:
    """The traceback without the frames of the runtime."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(faults.HERE):
        trace = trace.tb_next
    return trace
