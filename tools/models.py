"""Makes the protocol tables: botocore's service models without their prose, one file a service."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

SERVICES = (
    *("sqs", "sns", "lambda", "apigatewayv2", "dynamodb", "dynamodbstreams", "stepfunctions", "events"),
    *("scheduler", "pipes", "logs", "iam", "sts", "ssm", "cloudformation"),
)
TARGET = Path(__file__).parent.parent / "src" / "oncue" / "protocol" / "models"
CATALOG = "catalog.json"

METADATA = ("apiVersion", "protocol", "jsonVersion", "targetPrefix", "xmlNamespace", "serviceId")
REFERENCE = (
    *("shape", "location", "locationName", "flattened", "jsonvalue", "timestampFormat", "enum"),
    *("idempotencyToken",),
)
SHAPE = (
    *("type", "required", "min", "max", "pattern", "enum", "payload", "flattened", "union", "document"),
    *("streaming", "eventstream", "sensitive", "jsonvalue", "timestampFormat", "exception", "fault", "error"),
)


def kept(node: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: node[name] for name in names if name in node}


def metadata(model: Mapping[str, Any]) -> dict[str, Any]:
    told = model["metadata"]
    return kept(told, METADATA) | {"signingName": told.get("signingName", told["endpointPrefix"])}


def operation(node: Mapping[str, Any]) -> dict[str, Any]:
    """How one operation is addressed, and the names of its input and output shapes."""
    stripped: dict[str, Any] = {"http": kept(node["http"], ("method", "requestUri", "responseCode"))}
    if "input" in node:
        stripped["input"] = node["input"]["shape"]
    if "output" in node:
        stripped["output"] = node["output"]["shape"]
        stripped |= kept(node["output"], ("resultWrapper",))
    return stripped


def shape(node: Mapping[str, Any]) -> dict[str, Any]:
    stripped = kept(node, SHAPE)
    if "members" in node:
        stripped["members"] = {name: kept(ref, REFERENCE) for name, ref in node["members"].items()}
    for part in ("member", "key", "value"):
        if part in node:
            stripped[part] = kept(node[part], REFERENCE)
    return stripped


def lines(section: Mapping[str, Any]) -> str:
    """One entry a line: small, and readable in a diff."""
    rows = (f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in section.items())
    return "{\n" + ",\n".join(rows) + "\n}"


def table(model: Mapping[str, Any]) -> str:
    sections = {
        "metadata": metadata(model),
        "operations": {name: operation(node) for name, node in model["operations"].items()},
        "shapes": {name: shape(node) for name, node in model["shapes"].items()},
    }
    return "{\n" + ",\n".join(f'"{name}":{lines(section)}' for name, section in sections.items()) + "\n}\n"


def tables() -> Iterator[tuple[str, str]]:
    """(file name, text) of all that the models folder holds. The catalogue says which botocore it is from."""
    loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    catalog: dict[str, Any] = {"botocore": botocore.__version__}
    for service in SERVICES:
        model = loader.load_service_model(service, "service-2")
        catalog[service] = metadata(model)
        yield f"{service}.json", table(model)
    yield CATALOG, lines(catalog) + "\n"


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for path in TARGET.glob("*.json"):
        path.unlink()
    for name, text in tables():
        (TARGET / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
