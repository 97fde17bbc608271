"""Refusals, in AWS's vocabulary."""

from typing import Any


class ServiceError(Exception):
    """One refused call: `code` is the error shape's name in the service's model (or a bare AWS code where the
    model has no shape for it), `message` AWS's sentence, `status` the HTTP status, `fields` further members
    of the error shape (for example Reason, CancellationReasons, Item)."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


class SetupError(Exception):
    """The program cannot start or go on as it was asked to; the text says what to do next."""
