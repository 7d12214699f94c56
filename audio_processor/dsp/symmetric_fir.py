"""Symmetric (linear-phase) FIR filters over interleaved stereo, a pair of taps at a time.

The two values that lie equally far from the middle share a tap: one multiplication for both.
Values stay interleaved, left and right by turns, so a frame is a shift by two and the inner
loop runs over neighbours in memory whatever the filter.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

Values = NDArray[np.float32]
"""Interleaved stereo, flat: two values a frame."""

CHANNELS: Final = 2
PAIRS_AT_ONCE: Final = 4
"""A filter's number of pairs is a multiple of this."""
LARGEST = np.float32(1e30)
"""Beyond +600 dBFS a sum of samples could leave float32's range: filters see no larger ones."""
_BETA = 4.0
_RATE_HZ_PER_PAIR = 2750.0


@kernel()
def add_pairs(before: Values, after: Values, taps: NDArray[np.float32], out: Values) -> None:
    """Add a filter's output to ``out``: ``Σₖ taps[k] · (the k-th value before + the k-th after)``.

    ``after`` begins with the value that follows the middle of ``out``'s first filter,
    ``before`` a whole filter of frames earlier: with the value that the last tap weighs.
    Both hold ``len(taps) − 1`` frames more than ``out``. ``len(taps)`` is a multiple of four.
    """
    last = taps.size - 1
    for k in range(0, taps.size, PAIRS_AT_ONCE):
        t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
        b0, a0 = before[(last - k) * CHANNELS :], after[k * CHANNELS :]
        b1, a1 = before[(last - k - 1) * CHANNELS :], after[(k + 1) * CHANNELS :]
        b2, a2 = before[(last - k - 2) * CHANNELS :], after[(k + 2) * CHANNELS :]
        b3, a3 = before[(last - k - 3) * CHANNELS :], after[(k + 3) * CHANNELS :]
        for i in range(out.size):
            out[i] += (
                t0 * (b0[i] + a0[i])
                + t1 * (b1[i] + a1[i])
                + t2 * (b2[i] + a2[i])
                + t3 * (b3[i] + a3[i])
            )


def push_hop(window: Values, hop: Block) -> None:
    """Move a flat window on by a hop; samples that are too wild come in tamed."""
    size = hop.size
    window[:-size] = window[size:]
    newest = window[-size:]
    np.maximum(hop.reshape(-1), -LARGEST, out=newest)
    np.minimum(newest, LARGEST, out=newest)


class SplitBand:
    """What lies above a frequency, by a linear-phase filter: the stream less its low-pass.

    A Kaiser-windowed sinc, 38 dB down; its edges lie 1.8 kHz below and above the split, so the
    length follows the rate. Subtract it from the stream, delayed, for the lower band.
    """

    def __init__(self, sample_rate_hz: int, split_hz: float, hop_frames: int) -> None:
        at_once = PAIRS_AT_ONCE
        pairs = at_once * math.ceil(sample_rate_hz / _RATE_HZ_PER_PAIR / at_once)
        time = np.arange(pairs + 1)
        window = np.i0(_BETA * np.sqrt(1.0 - (time / (pairs + 1)) ** 2))
        taps = np.sinc(2.0 * split_hz / sample_rate_hz * time) * window
        taps /= taps[0] + 2.0 * taps[1:].sum()
        self._middle_tap = np.float32(1.0 - taps[0])
        self._taps = np.asarray(-taps[1:], dtype=np.float32)
        self._window = np.zeros((2 * pairs + hop_frames) * CHANNELS, dtype=np.float32)
        self.latency_frames = pairs

    def upper(self, hop: Block) -> Block:
        """Return the upper band of the hop that lies ``latency_frames`` back, as a new array."""
        window = self._window
        push_hop(window, hop)
        middle = self.latency_frames * CHANNELS
        band = window[middle : middle + hop.size] * self._middle_tap
        add_pairs(window, window[middle + CHANNELS :], self._taps, band)
        return band.reshape(-1, CHANNELS)
