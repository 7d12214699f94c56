"""Reference matching: a programme's mid and side through the linear-phase match of its curve.

What the curve is, ``mastering.match`` decides, from the profiles of the programme and of its
reference. Linear phase rings before a transient as well as after it; the curve's smoothing
bounds for how long (``match.Guards.smoothing_hz``), and the filter is just long enough for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from audio_processor.dsp.fir import MidSideFir, linear_phase
from audio_processor.mastering.match import FLAT, MatchCurve, design
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.profile import Profile
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

HALF_S = 0.1857
"""Half the filter's length: 8192 frames at 44.1 kHz."""


@dataclass(frozen=True, slots=True)
class ReferenceMatch:
    """A stage that is neutral until ``toward`` gives it the curve of a programme."""

    name: ClassVar[str] = "reference_match"

    strength_percent: float = parameter(
        100.0, 0.0, 100.0, "How much of the way to the reference's spectrum to go."
    )
    curve: MatchCurve = FLAT
    """What ``design`` gave for this programme at this strength."""

    def __post_init__(self) -> None:
        hold_ranges(self)

    def toward(self, source: Profile, reference: Profile) -> ReferenceMatch:
        """Return the stage for the programme that ``source`` is the profile of.

        Raises ``MasteringRejected`` for a reference without loudness.
        """
        return replace(self, curve=design(source, reference, self.strength_percent))

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the matched stream; a flat curve hands the blocks on as they are."""
        del tally  # a filter takes no gain off for a time
        curve = self.curve
        if curve.is_flat:
            return blocks
        mid, side = (
            linear_phase(curve.frequencies_hz, gain_db, sample_rate_hz, HALF_S)
            for gain_db in (curve.mid_db, curve.side_db)
        )
        return MidSideFir(mid, side)(blocks, sample_rate_hz)
