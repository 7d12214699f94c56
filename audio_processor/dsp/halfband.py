"""Twice and four times the rate and back, for what is not linear: half-band filters, polyphase.

In a half-band filter every other tap is zero and the middle one a half. So at twice the rate
there are the samples themselves and the instants halfway between them, and only these are
computed. The phases stay apart, each in a row of its own: what is done to a value need not
know which instant it belongs to, and every loop runs over neighbours in memory.

The filters are linear phase and their latency is whole frames of the stream's own rate. The
``Decimator`` adds to a stream instead of replacing it: give it what the shaping *added* to
each value, and the stream itself passes no filter at all, while images and aliases lie as
far down as the filters put them below something that is small already.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.dsp.symmetric_fir import CHANNELS, Values, add_pairs, push_hop
from audio_processor.model import Block

Factor = Literal[2, 4]
Phases = NDArray[np.float32]
"""Shape ``(factor, 2 × frames)``, left and right by turns: row ``p`` lies ``p / factor`` of a
frame after the samples of row 0."""

STEEP_PAIRS: Final = 32
"""Between 1× and 2×: pairs of taps about the instant halfway."""
GENTLE_PAIRS: Final = 8
"""Between 2× and 4×, where an octave lies between the signal and its image."""
STEEP_BETA, GENTLE_BETA = 7.0, 7.0


def halfband_taps(pairs: int, kaiser_beta: float) -> NDArray[np.float32]:
    """Return the taps of the instant halfway between two samples, the nearest pair's first.

    ``x(½) ≈ Σₖ taps[k] · (x[−k] + x[1 + k])``: a Kaiser-windowed sinc of unity gain at DC.
    """
    time = np.arange(pairs) + 0.5
    window = np.i0(kaiser_beta * np.sqrt(1.0 - (time / pairs) ** 2)) / np.i0(kaiser_beta)
    taps = np.sinc(time) * window
    return np.asarray(0.5 * taps / taps.sum(), dtype=np.float32)


class _Filters:
    """What both directions are made of."""

    def __init__(self, factor: Factor) -> None:
        self.steep = halfband_taps(STEEP_PAIRS, STEEP_BETA)
        gentle = halfband_taps(GENTLE_PAIRS, GENTLE_BETA)
        # between 2× and 4×, neighbours come from the samples and the instants halfway by turns
        self.gentle = np.ascontiguousarray(gentle[::2]), np.ascontiguousarray(gentle[1::2])
        self.reach_frames = GENTLE_PAIRS // 2 if factor == 4 else 0

    def add_halfway(self, values: Values, out: Values) -> None:
        """Add the instants halfway; ``values`` begins ``STEEP_PAIRS − 1`` frames earlier."""
        add_pairs(values, values[STEEP_PAIRS * CHANNELS :], self.steep, out)

    def add_by_turns(self, here: Values, there: Values, out: Values) -> None:
        """Add the instants between ``here`` and ``there``, each from ``reach_frames`` earlier."""
        even, odd = self.gentle
        middle = self.reach_frames * CHANNELS
        add_pairs(here[CHANNELS:], there[middle:], even, out)
        add_pairs(there, here[middle + CHANNELS :], odd, out)


class Interpolator:
    """From a stereo stream's hops to their phases at ``factor`` times the rate."""

    def __init__(self, factor: Factor, hop_frames: int) -> None:
        self._filters = _Filters(factor)
        reach = self._filters.reach_frames
        self.latency_frames = STEEP_PAIRS + reach
        kept = 2 * self.latency_frames
        self._window = np.zeros((kept + hop_frames) * CHANNELS, dtype=np.float32)
        self._halfway = np.zeros((hop_frames + 2 * reach) * CHANNELS, dtype=np.float32)
        self._phases = np.zeros((factor, hop_frames * CHANNELS), dtype=np.float32)

    def up(self, hop: Block) -> Phases:
        """Return the phases of the hop ``latency_frames`` back; valid until the next call."""
        window, phases, filters = self._window, self._phases, self._filters
        hop_values = phases.shape[1]
        push_hop(window, hop)
        first = self.latency_frames * CHANNELS
        phases.fill(0.0)
        phases[0] = window[first : first + hop_values]
        if phases.shape[0] == 2:
            filters.add_halfway(window[CHANNELS:], phases[1])
            return phases
        samples, halfway = window[STEEP_PAIRS * CHANNELS :], self._halfway
        halfway.fill(0.0)
        filters.add_halfway(window[CHANNELS:], halfway)
        middle = filters.reach_frames * CHANNELS
        filters.add_by_turns(samples, halfway, phases[1])
        phases[2] = halfway[middle : middle + hop_values]
        filters.add_by_turns(halfway, samples[CHANNELS:], phases[3])
        return phases


class Decimator:
    """From phases at ``factor`` times the rate back to the stream's own."""

    def __init__(self, factor: Factor, hop_frames: int) -> None:
        self._filters = _Filters(factor)
        self.latency_frames = STEEP_PAIRS + self._filters.reach_frames
        kept = 2 * self.latency_frames
        self._window = np.zeros((factor, (kept + hop_frames) * CHANNELS), dtype=np.float32)
        self._samples = np.zeros(hop_frames * CHANNELS, dtype=np.float32)
        self._halfway = np.zeros((hop_frames + 2 * STEEP_PAIRS) * CHANNELS, dtype=np.float32)

    def add_down(self, phases: Phases, stream: Block) -> None:
        """Add to the hop ``stream`` what ``phases`` held ``latency_frames`` before."""
        window, filters = self._window, self._filters
        factor, hop_values = phases.shape
        window[:, :-hop_values] = window[:, hop_values:]
        window[:, -hop_values:] = phases
        first = self.latency_frames * CHANNELS
        samples, halfway = self._samples, self._halfway
        samples[:] = window[0, first : first + hop_values]
        if factor == 2:
            halfway[:] = window[1, : halfway.size]
        else:
            middle = filters.reach_frames * CHANNELS
            halfway[:] = window[2, middle : middle + halfway.size]
            filters.add_by_turns(window[1], window[3], halfway)
            steep = STEEP_PAIRS * CHANNELS
            filters.add_by_turns(window[3, steep - CHANNELS :], window[1, steep:], samples)
        filters.add_halfway(halfway, samples)
        _add_scaled(samples, np.float32(1.0 / factor), stream.reshape(-1))


@kernel()
def _add_scaled(values: Values, factor: np.float32, stream: Values) -> None:
    for i in range(values.size):
        stream[i] += factor * values[i]
