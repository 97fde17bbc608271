"""The sentences with which SNS refuses."""

from oncue.errors import ServiceError


def invalid(what: str, reason: str = "") -> ServiceError:
    """`Invalid parameter: what`, with `Reason: reason` where AWS gives one."""
    tail = f" Reason: {reason}" if reason else ""
    return ServiceError("InvalidParameter", f"Invalid parameter: {what}{tail}")


def bad_value(sentence: str) -> ServiceError:
    """For the attributes of a message, which have a code of their own."""
    return ServiceError("ParameterValueInvalid", sentence)


def no_topic() -> ServiceError:
    return ServiceError("NotFound", "Topic does not exist", 404)


def no_subscription() -> ServiceError:
    return ServiceError("NotFound", "Subscription does not exist", 404)


def no_resource() -> ServiceError:
    return ServiceError("ResourceNotFound", "Resource does not exist", 404)


def unsupported_attribute(name: str) -> ServiceError:
    return invalid("AttributeName", f"Oncue does not support the attribute {name}.")
