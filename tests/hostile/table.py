"""All inputs, in one table."""

from __future__ import annotations

from itertools import chain

from tests.hostile import (
    bombs,
    encrypted,
    flips,
    foreign,
    headers,
    references,
    signals,
    tagged,
    truncated,
)
from tests.hostile.inputs import HostileInput

INPUTS: tuple[HostileInput, ...] = tuple(
    chain(
        truncated.whole(),
        truncated.inputs(),
        foreign.inputs(),
        signals.inputs(),
        headers.inputs(),
        references.inputs(),
        tagged.inputs(),
        bombs.inputs(),
        encrypted.inputs(),
        flips.inputs(),
    )
)
