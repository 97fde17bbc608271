"""Projection expressions: which parts of an item a reader gets."""

from oncue.services.dynamodb import paths
from oncue.services.dynamodb.placeholders import Placeholders
from oncue.services.dynamodb.syntax import PATHS, Reader


def parse(text: str | None, placeholders: Placeholders) -> paths.Tree | None:
    """The tree of the expression's paths; None without an expression."""
    if text is None:
        return None
    reader = Reader("ProjectionExpression", text, placeholders)
    found = [reader.path()]
    while reader.accept(","):
        found.append(reader.path())
    tree: paths.Tree = {}
    try:
        tree = paths.tree(found)
    except ValueError as error:
        reader.problem(PATHS, str(error))
    reader.settle()
    return tree
