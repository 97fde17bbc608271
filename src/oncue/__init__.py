"""Oncue: event-driven serverless applications on machines you own."""

__version__ = "0.1.0"
