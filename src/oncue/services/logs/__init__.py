"""CloudWatch Logs: groups, streams and events, as the tools that read a function's output expect them."""

from oncue.services.logs.service import Logs

__all__ = ["Logs"]
