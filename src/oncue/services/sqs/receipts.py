"""Receipt handles: opaque text that says which claim on which item of which queue it stands for. Pure."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from oncue.services.sqs import refusals

CHECK_BYTES = 6
HANDLE_CHARS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Receipt:
    queue_id: int
    item_id: int
    claim: str
    received_ms: int


def encode(receipt: Receipt) -> str:
    text = f"{receipt.queue_id}|{receipt.item_id}|{receipt.claim}|{receipt.received_ms}".encode()
    return base64.b64encode(_check(text) + text).decode()


def decode(handle: str, queue_id: int) -> Receipt:
    """Raises ReceiptHandleIsInvalid for what we did not hand out, or handed out for another queue."""
    try:
        raw = base64.b64decode(handle[:HANDLE_CHARS_MAX], validate=True)
        check, text = raw[:CHECK_BYTES], raw[CHECK_BYTES:]
        if check != _check(text):
            raise ValueError("the check does not fit")
        queue, item, claim, received_ms = text.decode().split("|")
        receipt = Receipt(int(queue), int(item), claim, int(received_ms))
    except (ValueError, binascii.Error):
        raise refusals.bad_receipt(handle) from None
    if receipt.queue_id != queue_id:
        raise refusals.bad_receipt(handle)
    return receipt


def _check(text: bytes) -> bytes:
    """Catches mistakes; it is no signature, and a handle gives no right that its caller has not."""
    return hashlib.blake2b(text, digest_size=CHECK_BYTES, person=b"sqs-receipt").digest()
