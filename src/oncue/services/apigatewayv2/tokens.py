"""JSON Web Tokens: taken apart, and checked against keys, issuer, audience and time. Pure.

Source: API Gateway developer guide, "Control access to HTTP APIs with JWT authorizers"; RFC 7519, RFC 7518.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}
TOKEN_CHARACTERS_MAX = 10_240  # no header can be longer
KEY_BITS_MIN, KEY_BITS_MAX = 2_048, 16_384  # RFC 7518, 3.3; above, one check would cost too much
Keys = Mapping[str, RSAPublicKey]


class TokenError(Exception):
    """The token lets nobody in; the text is for `error_description`."""


@dataclass(frozen=True, slots=True)
class Token:
    """`signed` is what the signature is over."""

    algorithm: str
    key_id: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def read(text: str) -> Token:
    """A token's parts, nothing of which is to be believed yet."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > TOKEN_CHARACTERS_MAX:
        raise TokenError("token contains an invalid number of segments")
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in DIGESTS:
        raise TokenError(f"signing method {_plain(algorithm)} is invalid")
    if not isinstance(key_id, str):
        raise TokenError("the token does not have a key id")
    return Token(algorithm, key_id, claims, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))


def check_signature(token: Token, key: RSAPublicKey) -> None:
    try:
        key.verify(token.signature, token.signed, PKCS1v15(), DIGESTS[token.algorithm])
    except InvalidSignature:
        raise TokenError("the token's signature is invalid") from None


def check_claims(claims: Mapping[str, Any], issuer: str, audience: list[str], now: float) -> None:
    """`aud` counts, and `client_id` only where there is no `aud`."""
    if claims.get("iss") != issuer:
        raise TokenError("the token does not have a valid issuer")
    named = claims.get("aud", claims.get("client_id"))
    if not set(_texts(named)) & set(audience):
        raise TokenError("the token does not have a valid audience")
    if not (_is_time(claims.get("exp")) and claims["exp"] > now):
        raise TokenError("the token has expired")
    if "nbf" in claims and not (_is_time(claims["nbf"]) and claims["nbf"] <= now):
        raise TokenError("the token is not valid yet")
    if "iat" in claims and not (_is_time(claims["iat"]) and claims["iat"] <= now):
        raise TokenError("the token was issued in the future")


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """What `scope` (or else `scp`) grants: words of one text, or a list of texts."""
    value = claims.get("scope", claims.get("scp"))
    return value.split() if isinstance(value, str) else _texts(value)


def shown(claims: Mapping[str, Any]) -> dict[str, str]:
    """The claims as functions see them: texts, lists as `[a b]`."""
    return {name: _shown(value) for name, value in claims.items()}


def keys_of(document: bytes) -> dict[str, RSAPublicKey]:
    """The RSA keys of a JWK set by their id; others are passed over. ValueError when it is no JWK set."""
    try:
        listed = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(listed, list):
        raise ValueError("the document has no keys")
    found = {}
    for key in listed:
        if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str):
            found[key["kid"]] = _key(key)
    return found


def _key(key: dict[str, Any]) -> RSAPublicKey:
    try:
        modulus, exponent = (int.from_bytes(_bytes(str(key.get(name)))) for name in ("n", "e"))
    except TokenError as error:
        raise ValueError(str(error)) from None
    if not KEY_BITS_MIN <= modulus.bit_length() <= KEY_BITS_MAX:
        raise ValueError(f"an RSA key has {KEY_BITS_MIN} to {KEY_BITS_MAX} bits")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(_shown(one) for one in value)}]"
    return msgspec.json.encode(value).decode()


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_bytes(text), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise TokenError("the token is malformed") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenError("the token is malformed") from None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value.isalnum() and len(value) < 20 else "none"
