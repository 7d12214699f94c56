"""Input level: the programme brought to the level that level-dependent stages are set for.

A compressor's threshold and a saturation's curve are in dBFS. Uploads come at −9 LUFS and at
−30; without this, one preset would crush the first and not touch the second. The gain is the
studio's, from a survey; what is delivered is levelled by the plan, after the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from audio_processor.dsp.gain import Gain
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

CALIBRATED_LUFS = -14.0
"""The level that thresholds and curves of the presets are meant for."""
MAX_GAIN_DB, MIN_GAIN_DB = 24.0, -40.0
"""``PlanLimits.max_gain_db`` too: beyond it a noise floor becomes the programme."""


@dataclass(frozen=True, slots=True)
class InputLevel:
    """One static gain before the other stages."""

    name: ClassVar[str] = "input_level"

    gain_db: float = parameter(
        0.0, MIN_GAIN_DB, MAX_GAIN_DB, "Set from the programme's loudness, never by hand."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)

    @classmethod
    def for_loudness(cls, integrated_lufs: float | None) -> InputLevel:
        """Return the stage for a programme that measures so; neutral for one without loudness."""
        if integrated_lufs is None:
            return cls()
        return cls(min(max(CALIBRATED_LUFS - integrated_lufs, MIN_GAIN_DB), MAX_GAIN_DB))

    def __call__(
        self,
        blocks: Iterator[Block],
        sample_rate_hz: int,
        tally: StageTally | None = None,  # noqa: ARG002  # a static gain reduces nothing
    ) -> Iterator[Block]:
        """Yield the programme at its gain; at 0 dB the blocks as they came."""
        return Gain(self.gain_db)(blocks, sample_rate_hz)
