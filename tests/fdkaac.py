"""The ``fdkaac`` that the tests use: the one on PATH, or what ``make fdkaac`` has fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.requirements import missing

FETCHED = Path(__file__).parents[1] / ".venv" / "fdkaac" / "fdkaac"


def fdkaac_path() -> Path:
    """Return its path; skips where there is none."""
    found = shutil.which("fdkaac") or (FETCHED if FETCHED.is_file() else None)
    if found is None:
        missing("no fdkaac: `make fdkaac` fetches it from Debian's contrib and non-free")
    return Path(found)
