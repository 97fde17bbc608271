"""What `#name` and `:value` stand for in one request, and that each of them is used."""

import re
from typing import Any

from oncue.errors import ServiceError
from oncue.services.dynamodb import values
from oncue.services.dynamodb.refusals import invalid
from oncue.services.dynamodb.values import Value

NAME = re.compile(r"#[A-Za-z0-9_]+")
VALUE = re.compile(r":[A-Za-z0-9_]+")
PLACEHOLDER_BYTES_MAX = 255
VALUES_BYTES_MAX = 2 * 1024 * 1024


class Placeholders:
    """The two maps of a request; `unused()` after its last expression has been read."""

    def __init__(
        self, names: dict[str, str] | None, given: dict[str, Any] | None, **expressions: str | None
    ) -> None:
        """`expressions`: all that the operation has, None where the request has it not."""
        self.names = names or {}
        self.values: dict[str, Value] = {}
        self.unused = set[str]()
        if names is not None and not any(text is not None for text in expressions.values()):
            raise invalid("ExpressionAttributeNames can only be specified when using expressions")
        usable = [name for name in expressions if name != "ProjectionExpression"]
        if given is not None and all(expressions[name] is None for name in usable):
            raise invalid(
                "ExpressionAttributeValues can only be specified when using expressions: "
                f"{' and '.join(usable)} {'are' if len(usable) > 1 else 'is'} null"
            )
        self._check_keys("ExpressionAttributeNames", names, NAME)
        self._check_keys("ExpressionAttributeValues", given, VALUE)
        for key, value in (given or {}).items():
            try:
                self.values[key] = values.admit(value)
            except ServiceError as error:
                raise invalid(
                    f"ExpressionAttributeValues contains invalid value: {error.message} for key {key}"
                ) from None
        if values.item_size(self.values) > VALUES_BYTES_MAX:
            raise invalid("ExpressionAttributeValues exceeds max size")
        self.unused.update(self.names, self.values)

    @staticmethod
    def _check_keys(member: str, given: dict[str, Any] | None, key: re.Pattern[str]) -> None:
        if given is None:
            return
        if not given:
            raise invalid(f"{member} must not be empty")
        for text in given:
            if not key.fullmatch(text) or len(text.encode()) > PLACEHOLDER_BYTES_MAX:
                raise invalid(f'{member} contains invalid key: Syntax error; key: "{text}"')

    def name(self, text: str) -> str | None:
        self.unused.discard(text)
        return self.names.get(text)

    def value(self, text: str) -> Value | None:
        self.unused.discard(text)
        return self.values.get(text)

    def refuse_unused(self) -> None:
        """After the last expression: AWS refuses what no expression uses, values first."""
        for member, given in (
            ("ExpressionAttributeValues", self.values),
            ("ExpressionAttributeNames", self.names),
        ):
            unused = [key for key in given if key in self.unused]
            if unused:
                raise invalid(
                    f"Value provided in {member} unused in expressions: keys: {{{', '.join(unused)}}}"
                )
