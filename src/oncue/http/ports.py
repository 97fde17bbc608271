"""Which ports are free."""

import socket


def refusal(host: str, port: int) -> str | None:
    """Why nobody can listen on the address now, or None. Finds listeners that would share the port, too."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None


def free(wanted: int, host: str = "127.0.0.1") -> int:
    """The wanted port, or any other when that one is taken."""
    if refusal(host, wanted) is None:
        return wanted
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
