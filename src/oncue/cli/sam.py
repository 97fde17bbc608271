"""The SAM transform, run on this machine by AWS's own translator."""

import logging
from typing import Any

from oncue.errors import SetupError
from oncue.services.cloudformation.documents import Document, TemplateError
from oncue.services.cloudformation.parameters import as_text

TRANSFORM = "AWS::Serverless-2016-10-31"
# Managed policies that SAM lets one name without their ARN.
POLICIES = {
    name: f"arn:aws:iam::aws:policy/{path}{name}"
    for path, names in {
        "service-role/": "AWSLambdaBasicExecutionRole AWSLambdaSQSQueueExecutionRole "
        "AWSLambdaDynamoDBExecutionRole AWSLambdaRole AWSLambdaVPCAccessExecutionRole "
        "AWSLambdaENIManagementAccess",
        "": "AmazonSQSFullAccess AmazonDynamoDBFullAccess AmazonSNSFullAccess AmazonDynamoDBReadOnlyAccess "
        "AWSXrayWriteOnlyAccess AWSLambda_FullAccess AmazonEventBridgeFullAccess AWSStepFunctionsFullAccess",
    }.items()
    for name in names.split()
}


def uses_sam(document: Document) -> bool:
    named = document.value.get("Transform") if isinstance(document.value, dict) else None
    return TRANSFORM in (named if isinstance(named, list) else [named])


def transform(document: Document, session: Any, parameters: dict[str, str]) -> dict[str, Any]:
    """The template without its transform. TemplateError, with a line, for what SAM refuses."""
    try:
        from samtranslator.model.exceptions import InvalidDocumentException
        from samtranslator.parser.parser import Parser
        from samtranslator.translator.translator import Translator
    except ImportError:
        raise SetupError(
            "A SAM template needs AWS's translator, which is not installed: pip install 'oncue[deploy]'."
        ) from None
    logging.getLogger("samtranslator").setLevel(logging.CRITICAL)
    declared = document.value.get("Parameters") or {}
    defaults = {
        name: as_text(rules["Default"])
        for name, rules in declared.items()
        if isinstance(rules, dict) and "Default" in rules
    }
    try:
        translator = Translator(POLICIES, Parser(), boto_session=session)
        result: dict[str, Any] = translator.translate(document.value, {**defaults, **parameters})
    except InvalidDocumentException as error:
        raise _first(document, list(error.causes)) from None
    result.pop("Transform", None)
    return result


def _first(document: Document, causes: list[Any]) -> TemplateError:
    """SAM's findings as one error, placed at the first resource that it names."""
    text = "\n".join(cause.message for cause in causes)
    for cause in causes:
        name = getattr(cause, "_logical_id", None)
        if isinstance(name, str):
            path = ("Resources", name)
            return TemplateError(text, path, document.line(path))
    return TemplateError(text)
