"""Service models: the operations of an AWS service and the shapes of what they take and give."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

from oncue.protocol import sqs_names

Shape = Mapping[str, Any]  # {"type": ..., "members" | "member" | "key" + "value": references, and traits}

TABLES = Path(__file__).parent / "models"
NOTHING: Shape = {"type": "structure", "members": {}, "name": "Nothing"}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """`uri` keeps its `{Label}`s and its fixed query; `wrapper` is the XML element of the result."""

    model: "Model"
    name: str
    method: str
    uri: str
    status: int
    input: str | None
    output: str | None
    wrapper: str | None

    @property
    def input_shape(self) -> Shape:
        return self.model.shape(self.input) if self.input else NOTHING

    @property
    def output_shape(self) -> Shape:
        return self.model.shape(self.output) if self.output else NOTHING


class Model:
    """The table of one service, as one protocol speaks it."""

    def __init__(self, service: str, table: Mapping[str, Any]) -> None:
        self.service = service
        self.metadata: Mapping[str, str] = table["metadata"]
        self.protocol = self.metadata["protocol"]
        self.shapes: Mapping[str, Shape] = table["shapes"]
        self.operations = {name: self._operation(name, row) for name, row in table["operations"].items()}

    def shape(self, name: str) -> Shape:
        return {"name": name, **self.shapes[name]}

    def follow(self, reference: Mapping[str, Any]) -> Shape:
        """The shape that a member refers to; the reference's own traits win over the shape's."""
        return {"name": reference["shape"], **self.shapes[reference["shape"]], **reference}

    @cached_property
    def errors(self) -> Mapping[str, Shape]:
        """Error shapes, by the shape's name and by the code that the wire shows for it."""
        shapes = {name: self.shape(name) for name, row in self.shapes.items() if row.get("exception")}
        codes = {code: shape for shape in shapes.values() if (code := shape.get("error", {}).get("code"))}
        return codes | shapes

    def _operation(self, name: str, row: Mapping[str, Any]) -> Operation:
        http = row["http"]
        return Operation(
            self,
            name,
            http["method"],
            http["requestUri"],
            http.get("responseCode", 200),
            row.get("input"),
            row.get("output"),
            row.get("resultWrapper"),
        )


def _table(name: str) -> Any:
    return msgspec.json.decode((TABLES / f"{name}.json").read_bytes())


@cache
def catalog() -> Mapping[str, Mapping[str, str]]:
    """The metadata of every service that we have a model of, by boto3's names."""
    table = _table("catalog")
    del table["botocore"]
    return table  # type: ignore[no-any-return]


@cache
def service_model(name: str) -> Model:
    """The model of a service by its boto3 name. KeyError when there is none."""
    if name not in catalog():
        raise KeyError(name)
    return Model(name, _table(name))


@cache
def query_model(name: str) -> Model:
    """The model that the query protocol uses: SQS has moved on to JSON, so it gets its old names back."""
    if name == "sqs":
        return Model(name, sqs_names.with_query_names(_table(name)))
    return service_model(name)
