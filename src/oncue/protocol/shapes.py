"""Closures compiled from the shapes of a model: made once, able to meet themselves in recursive ones."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from oncue.protocol.model import Model, Shape

F = TypeVar("F", bound=Callable[..., Any])

TRAITS = ("timestampFormat", "jsonvalue", "flattened", "enum")  # what a reference may change of its shape


class Shapes(Generic[F]):
    """One closure per shape; a subclass says how to make it from the shape's type."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.made: dict[tuple[Any, ...], F] = {}

    def of(self, shape: Shape) -> F:
        key = (shape["name"], *(str(shape.get(trait)) for trait in TRAITS))
        if key not in self.made:
            late: list[F] = []
            self.made[key] = cast(F, lambda *arguments: late[0](*arguments))
            late.append(self.make(shape))
            self.made[key] = late[0]
        return self.made[key]

    def make(self, shape: Shape) -> F:
        match shape["type"]:
            case "structure":
                return self.structure(shape)
            case "list":
                return self.list(shape)
            case "map":
                return self.map(shape)
            case _:
                return self.scalar(shape)

    def structure(self, shape: Shape) -> F:
        raise AssertionError("for a subclass to say")

    def list(self, shape: Shape) -> F:
        raise AssertionError("for a subclass to say")

    def map(self, shape: Shape) -> F:
        raise AssertionError("for a subclass to say")

    def scalar(self, shape: Shape) -> F:
        raise AssertionError("for a subclass to say")
