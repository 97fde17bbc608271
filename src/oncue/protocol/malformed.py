"""What is wrong with a request that does not have the shape it must have."""


class Malformed(Exception):
    """The bytes are not what the protocol or the model's types demand; the text is AWS's sentence."""


class Undeclared(Exception):
    """A parameter that the model does not know. We refuse what AWS would silently drop."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"Unknown parameter {name} in {where}.")
