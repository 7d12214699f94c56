"""Harmonic glow: the band's even harmonics, generated gently and added.

The band is squared at twice the rate and divided by its own envelope. A square makes the
second harmonic and no other (and between two tones their sum and difference), so twice the
rate holds all of it; the division keeps the harmonic's share the same for a quiet programme
and a loud one. A high-pass takes out what squaring puts below the harmonics: the constant
and most of the differences.

At 100 % a steady tone in the band gains a second harmonic 30 dB below it, whatever its level;
that is the most, since the envelope is never below the band. Aliases stay 90 dB below
a steady tone at any rate from 22.05 kHz; but of a harmonic that would lie just above half the
rate, one is left just below (above 0.464 of the rate, less than the harmonic would be). Where
a tone's samples beat with the rate, the envelope moves with them: the harmonic is then not
quite steady, its sidebands 60 dB below the tone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.biquad import Cascade, high_pass, low_pass
from audio_processor.dsp.halfband import STEEP_PAIRS, Decimator, Interpolator, Phases
from audio_processor.dsp.hops import Delay, through_hops
from audio_processor.dsp.jit import kernel
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

FULL_SHARE = 2.0 * 10.0 ** (-30.0 / 20.0)
"""The squared band's weight at 100 %: half of it is a steady tone's second harmonic."""
HOLD_S, RELEASE_S = 0.020, 0.060
BUTTERWORTH_4_Q = (0.541196, 1.306563)
HOP_FRAMES: Final = 4096
CELL_FRAMES: Final = STEEP_PAIRS
"""The envelope's cells are as long as the interpolator's latency: phases lie one cell back."""
FLOOR = 1e-6
"""−120 dBFS: below it the harmonics' share falls with the level, to nothing."""


@dataclass(frozen=True, slots=True)
class HarmonicGlow:
    """Second harmonics of what lies between ``low_hz`` and ``high_hz``."""

    name: ClassVar[str] = "glow"

    amount_percent: float = parameter(
        0.0, 0.0, 100.0, "How much; at 100 a tone gains a second harmonic 30 dB below it."
    )
    low_hz: float = parameter(250.0, 40.0, 1000.0, "The band's lower end.")
    high_hz: float = parameter(5000.0, 1500.0, 12_000.0, "The band's upper end.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the stream with the harmonics, or the blocks as they are at 0 %."""
        del tally  # it only adds
        if self.amount_percent == 0.0:
            return blocks
        stream = _Stream(self, sample_rate_hz)
        return through_hops(blocks, HOP_FRAMES, stream.latency_frames, stream.step)


class _Stream:
    def __init__(self, glow: HarmonicGlow, sample_rate_hz: int) -> None:
        self._band = Cascade(
            (
                high_pass(sample_rate_hz, glow.low_hz),
                *(low_pass(sample_rate_hz, glow.high_hz, q) for q in BUTTERWORTH_4_Q),
            )
        )
        self._harmonics = Cascade(
            tuple(high_pass(sample_rate_hz, 2.0 * glow.low_hz, q) for q in BUTTERWORTH_4_Q)
        )
        self._up = Interpolator(2, HOP_FRAMES)
        self._down = Decimator(2, HOP_FRAMES)
        self.latency_frames = self._up.latency_frames + self._down.latency_frames
        self._dry = Delay(self.latency_frames, HOP_FRAMES)
        self._share = FULL_SHARE * glow.amount_percent / 100.0
        cell_s = CELL_FRAMES / sample_rate_hz
        self._decay = math.exp(-cell_s / RELEASE_S)
        hold_cells = math.ceil(HOLD_S / cell_s)
        self._peaks = np.zeros(HOP_FRAMES // CELL_FRAMES + 1 + hold_cells, dtype=np.float32)
        self._weights = np.zeros(HOP_FRAMES // CELL_FRAMES + 1, dtype=np.float32)
        self._envelope = np.zeros(1)

    def step(self, hop: Block) -> Block:
        band = self._band.process(hop)
        cells = HOP_FRAMES // CELL_FRAMES
        self._peaks[:-cells] = self._peaks[cells:]
        _cell_peaks(band.reshape(-1), self._peaks[-cells:])
        _to_weights(self._peaks, self._share, self._decay, self._envelope, self._weights)
        phases = self._up.up(band)
        _square(phases, self._weights)
        harmonics = np.zeros_like(hop)
        self._down.add_down(phases, harmonics)
        glowing = self._dry.push(hop)
        glowing += self._harmonics.process(harmonics)
        return glowing


@kernel()
def _cell_peaks(values: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
    width = 2 * CELL_FRAMES
    for cell in range(peaks.size):
        peak = np.float32(0.0)
        for value in values[cell * width : (cell + 1) * width]:
            peak = max(peak, abs(value))
        peaks[cell] = peak


@kernel()
def _to_weights(
    peaks: NDArray[np.float32],
    share: float,
    decay: float,
    envelope: NDArray[np.float64],
    weights: NDArray[np.float32],
) -> None:
    """Write ``share / envelope`` at the borders of the cells that end one before the newest.

    At a border the envelope is the largest peak of the cell behind it, of the one before it
    and of ``HOLD_S`` further back, which is longer than half a period of the lowest tone: no
    sample of the band exceeds it, and a steady tone holds it steady. Then it falls by
    ``decay`` a cell.
    """
    reach = peaks.size - weights.size + 1
    weights[0] = weights[-1]
    for border in range(1, weights.size):
        largest = np.float32(FLOOR)
        for peak in peaks[border : border + reach]:
            largest = max(largest, peak)
        envelope[0] = max(float(largest), envelope[0] * decay)
        weights[border] = share / envelope[0]


@kernel()
def _square(phases: Phases, weights: NDArray[np.float32]) -> None:
    """Square each value in place, weighted; the weight is linear from border to border."""
    width = 2 * CELL_FRAMES
    for phase in range(phases.shape[0]):
        for cell in range(weights.size - 1):
            left = weights[cell]
            step = (weights[cell + 1] - left) / np.float32(CELL_FRAMES)
            values = phases[phase, cell * width : (cell + 1) * width]
            for i in range(width):
                values[i] *= values[i] * (left + step * np.float32(i >> 1))
