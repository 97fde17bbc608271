"""The sentences with which SQS refuses, by the shape names of its JSON model."""

from oncue.errors import ServiceError

WRONG_TYPE = "The request include parameter that is not valid for this queue type."
QUERY_CODES = {  # the entries of a batch name their faults in the words of the query protocol
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
}


def invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", sentence)


def invalid_value(parameter: str, value: object, reason: str) -> ServiceError:
    return invalid(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def missing(parameter: str) -> ServiceError:
    return ServiceError(
        "MissingRequiredParameterException", f"The request must contain the parameter {parameter}."
    )


def no_queue() -> ServiceError:
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def unknown_attribute(name: str) -> ServiceError:
    return ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")


def bad_attribute(name: str, reason: str = "") -> ServiceError:
    tail = f" Reason: {reason}" if reason else ""
    return ServiceError("InvalidAttributeValue", f"Invalid value for the parameter {name}.{tail}")


def bad_receipt(handle: str) -> ServiceError:
    return ServiceError(
        "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.'
    )


def over_limit(sentence: str) -> ServiceError:
    return ServiceError("OverLimit", sentence, 403)


def not_in_flight() -> ServiceError:
    return ServiceError("MessageNotInflight", "The specified message isn't in flight.")
