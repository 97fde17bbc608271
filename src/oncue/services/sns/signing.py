"""Signatures of what is delivered: one RSA key for the installation, and the certificate that proves it.

Source: "Verifying the signatures of Amazon SNS messages" in the SNS Developer Guide: version 1 is SHA1 with
RSA, version 2 SHA256 with RSA (both PKCS #1 v1.5), the signature in base64. AWS's own verifiers look up the
certificate by SigningCertURL; ours is made by ourselves and has no issuer that they could know.
"""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from oncue import clock
from oncue.services import Call
from oncue.services.sns.envelopes import Sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_BITS = 2_048
KEY_ID = 1
VALID_DAYS = 36_500
KEYS_CACHED = 4
NAME = "SimpleNotificationService-{fingerprint}.pem"

Pair = tuple[bytes, bytes]  # private key and certificate, PEM


def made() -> Pair:
    """A new key and its certificate. Takes a tenth of a second or more."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = clock.as_datetime(clock.now()) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(clock.token(16), 16) >> 1 or 1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def stored(call: Call) -> Pair | None:
    row = call.tx.one("SELECT private_key, certificate FROM sns_keys WHERE id = :id", id=KEY_ID)
    return None if row is None else (bytes(row["private_key"]), bytes(row["certificate"]))


def keep(call: Call, pair: Pair) -> Pair:
    """The first pair that any node offers is everybody's; the answer is that one."""
    call.tx.run(
        """
        INSERT INTO sns_keys (id, private_key, certificate) VALUES (:id, :private_key, :certificate)
        ON CONFLICT (id) DO NOTHING
        """,
        id=KEY_ID,
        private_key=pair[0],
        certificate=pair[1],
    )
    kept = stored(call)
    assert kept is not None, "it is ours or another node's"
    return kept


async def prepare(call: Call) -> None:
    """Makes and loads the key outside of any transaction."""
    pair = await call.transact(stored, reads_only=True)
    if pair is None:
        offer = await asyncio.to_thread(made)
        pair = await call.transact(lambda inner: keep(inner, offer))
    await asyncio.to_thread(_loaded, pair[0])


def name_of(certificate: bytes) -> str:
    return NAME.format(fingerprint=hashlib.sha256(certificate).hexdigest()[:32])


def signer(call: Call, version: str) -> Sign:
    """Signs with the installation's key, in signature version "1" or "2"."""
    private, certificate = stored(call) or keep(call, made())
    url = f"{call.base_url}/{name_of(certificate)}"

    def sign(text: str) -> Mapping[str, str]:
        return {
            "SignatureVersion": version,
            "Signature": _signature(private, version, text),
            "SigningCertURL": url,
        }

    return sign


def _signature(private: bytes, version: str, text: str) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = hashes.SHA256() if version == "2" else hashes.SHA1()
    return base64.b64encode(_loaded(private).sign(text.encode(), padding.PKCS1v15(), digest)).decode()


@lru_cache(KEYS_CACHED)
def _loaded(private: bytes) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = serialization.load_pem_private_key(private, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key
