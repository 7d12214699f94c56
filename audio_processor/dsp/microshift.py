"""Synthetic stereo: a mid turned in phase, to join the side.

Robert Orban, "A Rational Technique for Synthesizing Pseudo-Stereo from Monophonic Sources"
(JAES 18(2), 1970): a signal whose phase all-passes turn again and again over frequency is added
to one channel and taken from the other. The two then differ in neighbouring bands, while their
sum is what it was and the sum of their powers rises evenly. All-passes spaced as the ear's bands
are keep it free of the comb that a plain delay (Lauridsen, 1954) brings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.biquad import all_pass, high_pass
from audio_processor.dsp.cascade import SILENT_STATE
from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

LOWEST_HZ = 250.0
"""Below it the mid stays in the middle: a high-pass of 12 dB an octave."""
TURNS_HZ = (450.0, 950.0, 2000.0, 4200.0, 8800.0)
"""Where each of five all-passes has turned the phase by 180°; by 360° well above."""
TURN_Q = 0.8
"""Makes of the five an even turning. None delays by more than 1.2 ms."""


class Microshift:
    """Streams stereo blocks; gives of each the turned mid. Cut the stream in equal blocks."""

    def __init__(self, sample_rate_hz: float) -> None:
        first = high_pass(sample_rate_hz, LOWEST_HZ)
        turns = [all_pass(sample_rate_hz, hz, TURN_Q) for hz in TURNS_HZ]
        # tuples: numba unpacks them into registers, which it does not with arrays
        self._high_pass = (first.b0, first.b1, first.b2, first.a1, first.a2)
        self._turns = tuple(a for turn in turns for a in (turn.a1, turn.a2))
        self._state = np.zeros(2 + 2 * (len(turns) + 1))

    def process(self, block: Block) -> NDArray[np.float32]:
        """Return the next ``frames`` of the turned mid of a ``(frames, 2)`` block."""
        turned = np.empty(len(block), dtype=np.float32)
        _turn(block, self._high_pass, self._turns, self._state, turned)
        if np.abs(self._state).sum() < SILENT_STATE:  # no denormals when the sound has ended
            self._state[:] = 0.0
        return turned


@kernel()
def _turn(
    block: Block,
    high_pass_section: tuple[float, float, float, float, float],
    turns: tuple[float, ...],
    state: NDArray[np.float64],
    turned: NDArray[np.float32],
) -> None:
    """Downmix, high-pass, five all-passes: spelt out in one loop, each hides the others' wait.

    An all-pass takes two multiplications, y = a₂(x − y₋₂) + (x₋₂ + a₁(x₋₁ − y₋₁)), and what one
    remembers of its output the next remembers of its input.
    """
    h0, h1, h2, g1, g2 = high_pass_section
    a1, a2, b1, b2, c1, c2, d1, d2, e1, e2 = turns
    p, q, t1, t2, u1, u2, v1, v2, w1, w2, x1, x2, y1, y2 = state
    for i in range(turned.size):
        mid = 0.5 * (np.float64(block[i, 0]) + np.float64(block[i, 1]))
        t = h0 * mid + p
        p = h1 * mid + q - g1 * t
        q = h2 * mid - g2 * t
        u = a2 * (t - u2) + (t2 + a1 * (t1 - u1))
        v = b2 * (u - v2) + (u2 + b1 * (u1 - v1))
        w = c2 * (v - w2) + (v2 + c1 * (v1 - w1))
        x = d2 * (w - x2) + (w2 + d1 * (w1 - x1))
        y = e2 * (x - y2) + (x2 + e1 * (x1 - y1))
        t2, t1, u2, u1, v2, v1 = t1, t, u1, u, v1, v
        w2, w1, x2, x1, y2, y1 = w1, w, x1, x, y1, y
        turned[i] = y
    state[:] = np.array([p, q, t1, t2, u1, u2, v1, v2, w1, w2, x1, x2, y1, y2])
