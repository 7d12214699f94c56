"""K-weighting (ITU-R BS.1770-5, Annex 1): its coefficients at any rate, and its kernel.

The Recommendation tabulates two biquads for 48 kHz only. Brecht De Man found the analogue
prototypes behind them ("Evaluation of implementations of the EBU R128 loudness measurement",
AES 145th Convention, 2018, e-Brief 456; github.com/BrechtDeMan/loudness.py): the bilinear
transform of a high shelf and of a second-order high-pass with the constants below gives the
tabulated numbers at 48 kHz, and the same curve at every other rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.intake import BACK_FRAMES, Chunk
from audio_processor.dsp.jit import kernel

SHELF_HZ = 1681.9744509555319
SHELF_Q = 0.7071752369554196
SHELF_GAIN_DB = 3.999843853973347
SHELF_EXPONENT = 0.499666774155
"""De Man's: the middle gain of the shelf is its full gain to this power, not its root."""
HIGH_PASS_HZ = 38.13547087602444
HIGH_PASS_Q = 0.5003270373238773

MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 384_000

DEFAULT_CHANNEL_WEIGHTS: dict[int, tuple[float, ...]] = {
    1: (2.0,),  # a mono programme is heard from two loudspeakers: dual mono
    2: (1.0, 1.0),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),  # L R C Ls Rs
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),  # L R C LFE Ls Rs: the LFE is not measured
}
"""BS.1770-5 Annex 1, table 3, for the layouts that it names."""


@dataclass(frozen=True, slots=True)
class Biquad:
    """A second-order section with ``a0 = 1``."""

    b0: float
    b1: float
    b2: float
    a1: float
    a2: float


@dataclass(frozen=True, slots=True)
class KWeighting:
    """The two stages of the K-weighting filter at one rate."""

    shelf: Biquad
    high_pass: Biquad


def k_weighting(sample_rate_hz: int) -> KWeighting:
    """Return the K-weighting coefficients. Raises ``ValueError`` outside 8–384 kHz."""
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"no K-weighting at {sample_rate_hz} Hz, only at 8000 to 384000 Hz")
    k = math.tan(math.pi * SHELF_HZ / sample_rate_hz)
    high = 10.0 ** (SHELF_GAIN_DB / 20.0)
    middle = high**SHELF_EXPONENT
    a0 = 1.0 + k / SHELF_Q + k * k
    shelf = Biquad(
        b0=(high + middle * k / SHELF_Q + k * k) / a0,
        b1=2.0 * (k * k - high) / a0,
        b2=(high - middle * k / SHELF_Q + k * k) / a0,
        a1=2.0 * (k * k - 1.0) / a0,
        a2=(1.0 - k / SHELF_Q + k * k) / a0,
    )
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate_hz)
    a0 = 1.0 + k / HIGH_PASS_Q + k * k
    high_pass = Biquad(
        b0=1.0,  # the Recommendation's numerator is not normalised, so neither is ours
        b1=-2.0,
        b2=1.0,
        a1=2.0 * (k * k - 1.0) / a0,
        a2=(1.0 - k / HIGH_PASS_Q + k * k) / a0,
    )
    return KWeighting(shelf, high_pass)


def channel_weights(channels: int, weights: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return BS.1770-5's Gᵢ: the given ones, or those of a mono, stereo, 5.0 or 5.1 programme.

    Raises ``ValueError`` for weights that do not fit, or another layout without weights.
    """
    chosen = DEFAULT_CHANNEL_WEIGHTS.get(channels) if weights is None else weights
    if chosen is None or len(chosen) != channels:
        raise ValueError(f"{channels} channels need {channels} channel weights")
    return chosen


class KWeightedEnergy:
    """Streams chunks through the K-weighting and sums the squares of each hop."""

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        hop_frames: int,
        weights: tuple[float, ...] | None = None,
    ) -> None:
        chosen = channel_weights(channels, weights)
        k = k_weighting(sample_rate_hz)
        shelf = (k.shelf.b0, k.shelf.b1, k.shelf.b2, k.shelf.a1, k.shelf.a2)
        self._coefficients = np.array((*shelf, k.high_pass.a1, k.high_pass.a2))
        self._weights = np.array(chosen, dtype=np.float64)
        self._state = np.zeros((channels, 4))
        self._hop_frames = hop_frames

    def take(self, chunk: Chunk) -> NDArray[np.float64]:
        """Return the channel-weighted sum of K-weighted squares of each hop of the chunk."""
        sums = np.zeros(-(-chunk.frames // self._hop_frames))
        _hop_energy(
            chunk.samples, BACK_FRAMES, chunk.frames, self._hop_frames,
            self._coefficients, self._weights, self._state, sums,
        )  # fmt: skip
        return sums


@kernel()
def _hop_energy(  # two filters of four states each, spelt out
    samples: NDArray[np.float32],
    first: int,
    frames: int,
    hop_frames: int,
    coefficients: NDArray[np.float64],
    weights: NDArray[np.float64],
    state: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add each hop's weighted energy to ``sums``; two channels at a time.

    Each section is in transposed direct form II. The recursion is bound by latency, not by
    arithmetic, so a second channel in the same loop is nearly free; an odd last channel
    keeps company with itself at no weight.
    """
    b0, b1, b2, a1, a2, c1, c2 = coefficients
    channels = samples.shape[0]
    for left in range(0, channels, 2):
        right = min(left + 1, channels - 1)
        left_weight = weights[left]
        right_weight = weights[right] if right != left else 0.0
        p1, p2, p3, p4 = state[left]
        q1, q2, q3, q4 = state[right]
        for hop in range(sums.size):
            begin = first + hop * hop_frames
            end = min(begin + hop_frames, first + frames)
            left_in = samples[left, begin:end]
            right_in = samples[right, begin:end]
            left_sum = 0.0
            right_sum = 0.0
            for i in range(left_in.size):
                x = np.float64(left_in[i])
                u = np.float64(right_in[i])
                y = b0 * x + p1
                v = b0 * u + q1
                p1 = b1 * x + p2 - a1 * y
                q1 = b1 * u + q2 - a1 * v
                p2 = b2 * x - a2 * y
                q2 = b2 * u - a2 * v
                z = y + p3
                w = v + q3
                p3 = p4 - 2.0 * y - c1 * z
                q3 = q4 - 2.0 * v - c1 * w
                p4 = y - c2 * z
                q4 = v - c2 * w
                left_sum += z * z
                right_sum += w * w
            sums[hop] += left_weight * left_sum + right_weight * right_sum
            # a filter that rings out in digital silence would end in denormals, a hundred
            # times slower than numbers; -400 dBFS is silence
            if abs(p1) + abs(p2) + abs(p3) + abs(p4) < 1e-20:
                p1 = p2 = p3 = p4 = 0.0
            if abs(q1) + abs(q2) + abs(q3) + abs(q4) < 1e-20:
                q1 = q2 = q3 = q4 = 0.0
        state[left, 0], state[left, 1], state[left, 2], state[left, 3] = p1, p2, p3, p4
        state[right, 0], state[right, 1], state[right, 2], state[right, 3] = q1, q2, q3, q4
