"""Golden files: what a pure writer wrote, kept beside the tests.

``UPDATE_GOLDENS=1 make test`` writes them anew; the diff is then to be read.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDENS") == "1":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), (
        f"{name} is not as it was: UPDATE_GOLDENS=1 if it should"
    )
