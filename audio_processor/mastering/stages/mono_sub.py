"""Mono bass: below a frequency left and right become one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from audio_processor.dsp.biquad import all_pass, high_pass
from audio_processor.dsp.cascade import Cascade
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block


@dataclass(frozen=True, slots=True)
class MonoSub:
    """The side through a Linkwitz-Riley high-pass, the mid through its all-pass.

    The side is 6 dB down at ``below_hz``, 24 an octave lower, 48 two octaves lower. A
    Linkwitz-Riley high-pass of 4th order turns the phase by twice that of the Butterworth poles
    it is made of (Linkwitz, "Active Crossover Networks for Noncoincident Drivers", JAES 24(1),
    1976), and so does the second-order all-pass of the same poles, also after the bilinear
    transform. So mid and side stay in phase at every frequency and the stereo image above the
    corner is where it was. What is heard of it on L+R is the all-pass alone: level unchanged,
    a delay of 0.45 periods of ``below_hz`` far below it, 0.54 at most (5.4 ms at 100 Hz, two
    thirds up to the corner), falling to none above.
    """

    name: ClassVar[str] = "mono_sub"

    below_hz: float = parameter(100.0, 60.0, 150.0, "Below this frequency the bass is mono.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield blocks cut as they came."""
        del tally  # its gain does not change with time
        butterworth = high_pass(sample_rate_hz, self.below_hz)
        turned = all_pass(sample_rate_hz, self.below_hz)
        cascade = Cascade.mid_side(mid=(turned,), side=(butterworth, butterworth))
        return (cascade.process(block) for block in blocks)
