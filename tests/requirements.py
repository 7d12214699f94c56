"""What a test says when a real part it needs (a server, a browser, music) cannot be had."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE_ALL = "AUDIO_PROCESSOR_REQUIRE_ALL"


def missing(reason: str) -> NoReturn:
    """Skip with one line that says what and why; fail where everything is required (CI)."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason} ({REQUIRE_ALL}=1 makes this a failure)", pytrace=False)
    pytest.skip(reason)
