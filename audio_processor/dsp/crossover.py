"""A three-band crossover whose bands add up to an all-pass: flat to the last bit of a float.

Linkwitz-Riley, fourth order: each split is two Butterworth filters of second order in a row
(S. H. Linkwitz, "Active Crossover Networks for Noncoincident Drivers", JAES 24(1), 1976;
S. P. Lipshitz and J. Vanderkooy, "A Family of Linear-Phase Crossover Networks of High Slope
Derived by Time Delay", JAES 31(1/2), 1983). Its two sides are in phase at every frequency, and
their sum is ``(s² − √2 s + 1) / (s² + √2 s + 1)``, an all-pass of second order::

                    ┌─ low-pass ── all-pass of the upper split ── low
    in ── low split ┤                           ┌─ low-pass ───── mid
                    └─ high-pass ── high split ─┤
                                                └─ high-pass ──── high

Without the upper split's all-pass on the low band, that band would meet the others out of
phase and the sum would ripple. With it the sum is the product of both all-passes: magnitude 1,
here to within 1e-5 dB in float32.

A split takes two state variable filters in trapezoidal form (A. Simper, "Linear Trapezoidal
Integrated SVF", Cytomic 2013), because one such filter yields low-pass and all-pass at once:
the high side is the all-pass less the low side. Bilinear, with the split frequency exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

BANDS = ("low", "mid", "high")
HIGHEST_SPLIT = 0.45
"""Of the sample rate: a split above it is moved down to it."""
_DAMPING = math.sqrt(2.0)
_SILENT = 1e-20
"""-400 dBFS: states below it are over, or they would end in denormals."""


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where a stereo stream is split."""

    low_split_hz: float
    high_split_hz: float

    def __post_init__(self) -> None:
        if not 0.0 < self.low_split_hz < self.high_split_hz < math.inf:
            raise ValueError(f"cannot split at {self.low_split_hz} and {self.high_split_hz} Hz")

    def splitter(self, sample_rate_hz: int) -> Splitter:
        """Return a running crossover for one stream."""
        return Splitter(self, sample_rate_hz)


class Splitter:
    """One stream's crossover: its coefficients and state."""

    def __init__(self, crossover: Crossover, sample_rate_hz: int) -> None:
        splits_hz = (crossover.low_split_hz, crossover.high_split_hz)
        self._coefficients = np.array([_split(each, sample_rate_hz) for each in splits_hz])
        self._state = np.zeros((2, 10))

    def split(self, block: Block, bands: NDArray[np.float32]) -> None:
        """Write the block's low, mid and high band.

        ``block`` is C-contiguous, writable float32 of shape ``(frames, 2)``, ``bands`` of
        shape ``(3, 2, frames)`` or longer. The bands' sum is the block through two all-passes.
        """
        _split_bands(block, bands, self._coefficients, self._state)


def _split(split_hz: float, sample_rate_hz: int) -> tuple[float, float, float]:
    g = math.tan(math.pi * min(split_hz / sample_rate_hz, HIGHEST_SPLIT))
    a1 = 1.0 / (1.0 + g * (g + _DAMPING))
    return a1, g * a1, g * g * a1


@kernel()
def _filter(
    x: float, p: float, q: float, a1: float, a2: float, a3: float
) -> tuple[float, float, float, float]:
    """Run one filter by one sample: its low-pass, its band-pass, and its two integrators."""
    u = x - q
    band = a1 * p + a2 * u
    low = q + a2 * p + a3 * u
    return low, band, 2.0 * band - p, 2.0 * low - q


@kernel()
def _split_bands(
    block: Block,
    bands: NDArray[np.float32],
    coefficients: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Split both channels in one pass.

    Each recursion waits for its own last step, so that ten of them cost little more than one.
    """
    twice = 2.0 * math.sqrt(2.0)
    a1, a2, a3 = coefficients[0]
    c1, c2, c3 = coefficients[1]
    p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = state[0]
    q0, q1, q2, q3, q4, q5, q6, q7, q8, q9 = state[1]
    low, mid, high = bands[0], bands[1], bands[2]
    for i in range(block.shape[0]):
        x, y = np.float64(block[i, 0]), np.float64(block[i, 1])

        # the low split: all-pass less low-pass is what lies above
        u, ub, p0, p1 = _filter(x, p0, p1, a1, a2, a3)
        v, vb, q0, q1 = _filter(y, q0, q1, a1, a2, a3)
        x, y = x - twice * ub, y - twice * vb
        u, _, p2, p3 = _filter(u, p2, p3, a1, a2, a3)
        v, _, q2, q3 = _filter(v, q2, q3, a1, a2, a3)
        x, y = x - u, y - v

        # the upper split's all-pass on the low band
        _, ub, p4, p5 = _filter(u, p4, p5, c1, c2, c3)
        _, vb, q4, q5 = _filter(v, q4, q5, c1, c2, c3)
        low[0, i], low[1, i] = np.float32(u - twice * ub), np.float32(v - twice * vb)

        # the high split
        u, ub, p6, p7 = _filter(x, p6, p7, c1, c2, c3)
        v, vb, q6, q7 = _filter(y, q6, q7, c1, c2, c3)
        x, y = x - twice * ub, y - twice * vb
        u, _, p8, p9 = _filter(u, p8, p9, c1, c2, c3)
        v, _, q8, q9 = _filter(v, q8, q9, c1, c2, c3)
        mid[0, i], mid[1, i] = np.float32(u), np.float32(v)
        high[0, i], high[1, i] = np.float32(x - u), np.float32(y - v)
    for i, last in enumerate((p0, p1, p2, p3, p4, p5, p6, p7, p8, p9)):
        state[0, i] = last
    for i, last in enumerate((q0, q1, q2, q3, q4, q5, q6, q7, q8, q9)):
        state[1, i] = last
    if np.abs(state).max() < _SILENT:
        state[:] = 0.0
