"""Content kept under its own SHA-256: function packages and other artifacts."""

import hashlib

from oncue.store import Transaction

BLOB_BYTES_MAX = 64 * 1024 * 1024


def put(tx: Transaction, data: bytes) -> str:
    """Keep `data`; the answer is its SHA-256 in hexadecimal. Putting the same content again changes
    nothing."""
    assert len(data) <= BLOB_BYTES_MAX, "the caller checks the size"
    name = hashlib.sha256(data).hexdigest()
    tx.run("INSERT INTO blobs (sha256, data) VALUES (:n, :d) ON CONFLICT (sha256) DO NOTHING", n=name, d=data)
    return name


def get(tx: Transaction, sha256: str) -> bytes | None:
    row = tx.one("SELECT data FROM blobs WHERE sha256 = :name", name=sha256)
    return bytes(row["data"]) if row else None


def has(tx: Transaction, sha256: str) -> bool:
    return tx.one("SELECT 1 AS one FROM blobs WHERE sha256 = :name", name=sha256) is not None
