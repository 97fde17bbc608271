"""ARNs and queue URLs: built and taken apart. Pure."""

from dataclasses import dataclass

from oncue.errors import ServiceError

ACCOUNT_DEFAULT = "000000000000"
REGION_DEFAULT = "us-east-1"


@dataclass(frozen=True, slots=True)
class Arn:
    """`arn:aws:<service>:<region>:<account>:<resource>`; `resource` keeps its own colons and slashes."""

    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:aws:{self.service}:{self.region}:{self.account}:{self.resource}"


def build(service: str, region: str, account: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def parse(text: str) -> Arn:
    """The parts of an ARN. ValueError when it has fewer than six."""
    parts = text.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        raise ValueError(f"not an ARN: {text!r}")
    return Arn(parts[2], parts[3], parts[4], parts[5])


def queue_url(base_url: str, account: str, name: str) -> str:
    """`base_url` is scheme and authority as the client wrote them (its Host header)."""
    return f"{base_url}/{account}/{name}"


def queue_of_url(url: str) -> tuple[str, str]:
    """(account, name) of a queue URL. Only the last two parts of its path count: clients reach us by any
    host.

    Raises the error of SQS for an address that cannot name a queue.
    """
    parts = url.rsplit("/", 2)
    if len(parts) < 3 or not parts[-1]:
        raise ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
    account = parts[-2] if len(parts[-2]) == 12 and parts[-2].isdigit() else ACCOUNT_DEFAULT
    return account, parts[-1]
