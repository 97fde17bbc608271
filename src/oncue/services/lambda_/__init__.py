"""Lambda: functions, their invocations, and the mappings that feed them from queues."""

from oncue.services.lambda_.service import Lambda

__all__ = ["Lambda"]
