"""Who is asking."""

from collections.abc import Callable
from typing import Any


def test_the_caller_is_the_account_s_root(client: Callable[..., Any], account: str) -> None:
    caller = client("sts").get_caller_identity()
    assert caller["Account"] == account
    assert caller["Arn"] == f"arn:aws:iam::{account}:root"
    assert caller["UserId"] == account
