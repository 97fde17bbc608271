"""Receipt handles: opaque, short, and only good for the queue that gave them."""

import base64

import pytest

from oncue.errors import ServiceError
from oncue.services.sqs import receipts
from oncue.services.sqs.receipts import Receipt

RECEIPT = Receipt(7, 2**62, "0123456789abcdef", 1_800_000_000_123)


def test_a_handle_comes_back() -> None:
    handle = receipts.encode(RECEIPT)
    assert receipts.decode(handle, 7) == RECEIPT
    assert len(handle) <= receipts.HANDLE_CHARS_MAX
    assert RECEIPT.claim not in handle


@pytest.mark.parametrize(
    "handle",
    [
        "x",
        "garbage",
        "é",
        "",
        receipts.encode(RECEIPT)[:-4],
        receipts.encode(RECEIPT) + "AAAA",
        "A" + receipts.encode(RECEIPT)[1:],
        base64.b64encode(b"123456a|b|c|d").decode(),
        "A" * 5_000,
    ],
)
def test_what_we_did_not_hand_out(handle: str) -> None:
    with pytest.raises(ServiceError) as caught:
        receipts.decode(handle, 7)
    assert caught.value.code == "ReceiptHandleIsInvalid"
    assert caught.value.message == f'The input receipt handle "{handle}" is not a valid receipt handle.'


def test_a_handle_of_another_queue() -> None:
    with pytest.raises(ServiceError, match="is not a valid receipt handle"):
        receipts.decode(receipts.encode(RECEIPT), 8)
