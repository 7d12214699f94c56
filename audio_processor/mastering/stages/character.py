"""Analogue character: soft saturation and two gentle shelves, by one knob.

The curve is ``x / √(1 + (k·x)²)``: unity gain for what is quiet, so the loudness stays, and
ever rounder above; no sample can be too large for it. It is so smooth that each odd harmonic
of a full-scale sine lies 25 dB below the one before. At four times the rate the first
harmonic that can fold into the band is the ninth: that is what keeps aliases away.

Aliases, at 100 % of a full-scale sine, at any rate: below 0.464 of the rate (20.4 kHz at
44.1 kHz) each is at most −97 dBFS for any sine up to 0.43 of the rate, −94 up to 0.46 and −91 up
to 0.465. The last 8 % below half the rate are the filters' slope. A sine there, at ``f``, leaves
an alias on ``3f − rate``, above 0.39 of the rate, that reaches −36 dBFS close to the end. A
harmonic just above half the rate is folded to just below it, above 0.464 of the rate: the third
of sines from 1/6 to 0.179 of the rate at up to −35 dBFS, the fifth at −61, the seventh at −86.
Only what the saturation adds is filtered: the programme itself
passes the shelves and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from audio_processor.dsp.biquad import Cascade, high_shelf, low_shelf
from audio_processor.dsp.halfband import Decimator, Interpolator, Phases
from audio_processor.dsp.hops import Delay, through_hops
from audio_processor.dsp.jit import kernel
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

OVERSAMPLING: Final = 4
HOP_FRAMES = 4096
FULL_CURVATURE = 0.3
"""k² at 100 %: a full-scale sine's third harmonic is then 3 % of it, by which the maximum output
level of tape is defined (IEC 60094-1)."""
LOW_SHELF_HZ, LOW_SHELF_DB = 120.0, 1.0
HIGH_SHELF_HZ, HIGH_SHELF_DB = 12_000.0, 1.5


@dataclass(frozen=True, slots=True)
class Character:
    """Saturation, then a low and a high shelf, all in proportion to the amount."""

    name: ClassVar[str] = "character"

    amount_percent: float = parameter(
        0.0, 0.0, 100.0, "How much; at 100 a full-scale sine gains 3 % of third harmonic."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)

    @property
    def is_neutral(self) -> bool:
        """Whether the blocks are handed on as they are."""
        return self.amount_percent == 0.0

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the coloured stream, or the blocks as they are at 0 %."""
        del tally  # it takes no gain off any band for a time
        if self.is_neutral:
            return blocks
        stream = _Stream(self.amount_percent / 100.0, sample_rate_hz)
        return through_hops(blocks, HOP_FRAMES, stream.latency_frames, stream.step)


class _Stream:
    def __init__(self, amount: float, sample_rate_hz: int) -> None:
        self._curvature = np.float32(amount * FULL_CURVATURE)
        self._up = Interpolator(OVERSAMPLING, HOP_FRAMES)
        self._down = Decimator(OVERSAMPLING, HOP_FRAMES)
        self.latency_frames = self._up.latency_frames + self._down.latency_frames
        self._dry = Delay(self.latency_frames, HOP_FRAMES)
        self._shelves = Cascade(
            (
                low_shelf(sample_rate_hz, LOW_SHELF_HZ, amount * LOW_SHELF_DB),
                high_shelf(sample_rate_hz, HIGH_SHELF_HZ, amount * HIGH_SHELF_DB),
            )
        )

    def step(self, hop: Block) -> Block:
        phases = self._up.up(hop)
        _to_what_saturation_adds(phases, self._curvature)
        saturated = self._dry.push(hop)
        self._down.add_down(phases, saturated)
        return self._shelves.process(saturated)


@kernel()
def _to_what_saturation_adds(phases: Phases, curvature: np.float32) -> None:
    """Turn each value ``x`` into ``x / √(1 + curvature · x²) − x``, in place."""
    flat = phases.reshape(-1)
    for i in range(flat.size):
        x = flat[i]
        # numpy's division does not test for zero, which would keep the loop scalar
        flat[i] = x * (
            np.divide(np.float32(1.0), math.sqrt(np.float32(1.0) + curvature * x * x))
            - np.float32(1.0)
        )
