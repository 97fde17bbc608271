"""How often the crash tests kill: a few times in CI, more with ONCUE_TEST_ROUNDS."""

import os

import pytest

ROUNDS_DEFAULT = 3


@pytest.fixture
def rounds() -> int:
    return int(os.environ.get("ONCUE_TEST_ROUNDS", ROUNDS_DEFAULT))
