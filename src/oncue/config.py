"""What the program was told: one frozen value from flags, environment and file. The only reader of
os.environ."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from oncue.errors import SetupError

PORT_DEFAULT = 4566
STORE_DEFAULT = "sqlite:///.oncue/oncue.db"
PREFIX = "ONCUE_"


@dataclass(frozen=True, slots=True)
class Config:
    """Each setting may stand in the file (`port = 4566`), in the environment (`ONCUE_PORT`) or in a flag."""

    host: str = "127.0.0.1"
    port: int = PORT_DEFAULT
    store: str = STORE_DEFAULT
    data: Path = Path(".oncue")  # function code unpacked on this node; may be lost
    auth: Path | None = None  # keys that may sign; without it every signature is accepted
    workers: int = 64  # function workers on this node at once
    idle_s: float = 300.0  # how long a worker without work is kept
    # the 60 s that AWS wants between a queue's deletion and its return, and two purges
    queue_waits: bool = False
    # requests to all HTTP APIs of an account in a region: per second for ever, and at once after a rest
    throttle_rate: float = 10_000.0
    throttle_burst: int = 5_000
    call_once: bool = True  # a call that an SDK repeats is answered again, not performed again
    log_level: str = "info"


def load(flags: Mapping[str, Any], file: Path | None = None) -> Config:
    """Flags win over the environment, the environment over the file. SetupError names what cannot be read."""
    stated: dict[str, Any] = {}
    named = file or _path_of(os.environ.get(f"{PREFIX}CONFIG"))
    if named is not None:
        stated |= _of_file(named)
    stated |= {
        field.name: os.environ[f"{PREFIX}{field.name.upper()}"]
        for field in fields(Config)
        if f"{PREFIX}{field.name.upper()}" in os.environ
    }
    stated |= {name: value for name, value in flags.items() if value is not None}
    return Config(**{name: _as(name, value) for name, value in stated.items()})


def client_endpoint(flag: str | None = None) -> str:
    """Where the command line finds the server: the flag, AWS_ENDPOINT_URL, or the default address."""
    return (flag or os.environ.get("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{PORT_DEFAULT}").rstrip("/")


def client_environment(endpoint: str) -> dict[str, str]:
    """This environment with what an AWS client needs added where the user has not set it."""
    ours = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return ours | dict(os.environ) | {"AWS_ENDPOINT_URL": endpoint}


def _path_of(text: str | None) -> Path | None:
    return Path(text) if text else None


def _of_file(path: Path) -> dict[str, Any]:
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"The configuration {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"The configuration {path} is not TOML: {error}.") from None
    unknown = stated.keys() - {field.name for field in fields(Config)}
    if unknown:
        raise SetupError(
            f"The configuration {path} has settings that do not exist: {', '.join(sorted(unknown))}."
        )
    return stated


def _as(name: str, value: Any) -> Any:
    """The value in the setting's type."""
    try:
        match name:
            case "port" | "workers" | "throttle_burst":
                return int(value)
            case "idle_s" | "throttle_rate":
                return float(value)
            case "data" | "auth":
                return Path(value)
            case "queue_waits" | "call_once":
                return (
                    value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
                )
            case _:
                return str(value)
    except (ValueError, KeyError, TypeError):
        raise SetupError(f"The setting {name} cannot be {value!r}.") from None
