"""What was probably meant by a name that does not exist. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MAX_LISTED = 24


def hint(name: str, known: Iterable[str]) -> str:
    """Return ``: did you mean '…'?``, or ``; there is …``, or nothing where there is nothing."""
    known = tuple(known)
    if near := difflib.get_close_matches(name[:100], known, n=1, cutoff=0.6):
        return f": did you mean '{near[0]}'?"
    listed = (*known[:_MAX_LISTED], *(["…"] if len(known) > _MAX_LISTED else []))
    return f"; there is {', '.join(listed)}" if known else ""
