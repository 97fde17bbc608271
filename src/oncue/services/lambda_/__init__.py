"""Lambda: functions, their invocations, and the mappings that feed them from queues."""
