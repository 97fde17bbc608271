"""What DynamoDB answers when it refuses, in its own sentences."""

from typing import Any

from oncue.errors import ServiceError

PARAMETERS = "One or more parameter values were invalid: "


def invalid(sentence: str) -> ServiceError:
    return ServiceError("ValidationException", sentence)


def bad_parameters(sentence: str) -> ServiceError:
    return invalid(PARAMETERS + sentence)


def wrong_key() -> ServiceError:
    return invalid("The provided key element does not match the schema")


def no_table(name: str | None = None) -> ServiceError:
    """Data operations do not name the table that is missing, control operations do."""
    suffix = "" if name is None else f": Table: {name} not found"
    return ServiceError("ResourceNotFoundException", f"Requested resource not found{suffix}")


def condition_failed(item: dict[str, Any] | None) -> ServiceError:
    """`item` is the item as it was, where the caller asked for it."""
    fields: dict[str, Any] = {"Item": item} if item else {}
    return ServiceError("ConditionalCheckFailedException", "The conditional request failed", **fields)
