"""CloudWatch Logs: groups, streams and events, as the tools that read a function's output expect them."""
