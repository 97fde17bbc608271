"""What is answered instead of a result: the error payload and its lines in the log, in the words of AWS."""

import json
import sys
import traceback
from types import TracebackType
from typing import Any

HERE = __file__.rpartition("/")[0] + "/"
NO_BREAK_SPACE = "\u00a0"
LINE_END = "\r"  # keeps the lines of one error together as one event of the log


class Fault(Exception):
    """An error that the runtime, not the function's own code, reports; `kind` is its errorType."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = trace or []


def payload(error: BaseException, request_id: str) -> dict[str, Any]:
    """{errorMessage, errorType, requestId, stackTrace}; an error of initialization has the request id ""."""
    if isinstance(error, Fault):
        kind, message, trace = error.kind, error.message, error.trace
    else:
        kind, message, trace = type(error).__name__, _text(error), _frames(error.__traceback__)
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def encode(fault: dict[str, Any]) -> bytes:
    return json.dumps(fault).encode()


def log(fault: dict[str, Any]) -> None:
    """`[ERROR] Type: message` and the stack, indented by no-break spaces as on AWS."""
    lines = [f"[ERROR] {fault['errorType']}: {fault['errorMessage']}", "Traceback (most recent call last):"]
    for frame in fault["stackTrace"]:
        for line in frame.splitlines():
            text = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(text)) + text)
    out = sys.__stdout__ or sys.stdout
    out.write(LINE_END.join(lines) + "\n")


def _frames(trace: TracebackType | None) -> list[str]:
    """The stack from the function's own code on. Tuples, because then no carets are drawn below the lines."""
    frames = [(f.filename, f.lineno or 0, f.name, f.line) for f in traceback.extract_tb(trace)]
    while frames and frames[0][0].startswith(HERE):
        frames.pop(0)
    return traceback.format_list(frames)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:
        return f"<str() of the exception failed: {type(other).__name__}>"
