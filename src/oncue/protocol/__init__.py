"""The translator: HTTP bytes <-> Python dicts, driven by service models. Pure."""

from oncue.protocol.codecs import decode, encode
from oncue.protocol.faults import encode as encode_error
from oncue.protocol.message import Reply, Request, Route
from oncue.protocol.model import Model, Operation, service_model
from oncue.protocol.routing import route

__all__ = [
    "Model",
    "Operation",
    "Reply",
    "Request",
    "Route",
    "decode",
    "encode",
    "encode_error",
    "route",
    "service_model",
]
