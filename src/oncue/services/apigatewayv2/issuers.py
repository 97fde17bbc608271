"""The signing keys of issuers: found by OpenID discovery, kept for two hours.

Source: OpenID Connect Discovery 1.0, section 4; two hours as on AWS ("JWT authorizers").
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from oncue import clock, outgoing
from oncue.services.apigatewayv2 import tokens

KEPT_S = 2 * 3600.0
AGAIN_S = 10.0  # an unknown key may be a new one, but nobody makes us ask the issuer all the time
TIMEOUT_S = 5.0  # for each of the two documents
DOCUMENT_BYTES_MAX = 1024 * 1024
ISSUERS_MAX = 256
LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Known:
    """`keys` is empty when the issuer could not be asked."""

    keys: dict[str, RSAPublicKey]
    asked_at: float


class Issuers:
    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def key(self, issuer: str, key_id: str) -> RSAPublicKey:
        """The issuer's key of that id. TokenError when it has none, or cannot be asked."""
        known = self._known.get(issuer)
        if known is None or self._is_worth_asking(known, key_id):
            lock = self._asking.setdefault(issuer, asyncio.Lock())
            async with lock:
                known = self._known.get(issuer)
                if known is None or self._is_worth_asking(known, key_id):
                    known = await self._ask(issuer, known)
            self._asking.pop(issuer, None)
        if key_id in known.keys:
            return known.keys[key_id]
        if not known.keys:
            raise tokens.TokenError("OIDC discovery endpoint communication error")
        raise tokens.TokenError("unable to find a signing key that matches the token's key id")

    def _is_worth_asking(self, known: Known, key_id: str) -> bool:
        age_s = clock.monotonic() - known.asked_at
        return age_s > KEPT_S or (key_id not in known.keys and age_s > AGAIN_S)

    async def _ask(self, issuer: str, former: Known | None) -> Known:
        """What the issuer says now; what it said before when it cannot be asked."""
        try:
            place = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            address = _address_of_keys(await _document(place))
            keys = tokens.keys_of(await _document(address))
        except (outgoing.Unreachable, ValueError) as error:
            LOG.warning("the keys of the issuer %s could not be read: %s", issuer, error)
            keys = former.keys if former else {}
        self._known[issuer] = Known(keys, clock.monotonic())
        self._known.move_to_end(issuer)
        if len(self._known) > ISSUERS_MAX:
            self._known.popitem(last=False)
        return self._known[issuer]


def _address_of_keys(document: bytes) -> str:
    try:
        address: Any = msgspec.json.decode(document, type=dict[str, Any]).get("jwks_uri")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(address, str) or urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("the discovery document has no jwks_uri")
    return address


async def _document(address: str) -> bytes:
    accepts = [("accept", "application/json")]
    answer = await outgoing.ask(
        "GET", address, accepts, timeout_s=TIMEOUT_S, body_bytes_max=DOCUMENT_BYTES_MAX
    )
    if answer.status != 200:
        raise ValueError(f"{address} answered {answer.status}")
    return answer.body
