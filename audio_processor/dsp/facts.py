"""What the ear or an engineer would complain of: clipping, silence, DC, phase."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.intake import BACK_FRAMES, Chunk
from audio_processor.dsp.jit import kernel
from audio_processor.model import SignalFacts

FULL_SCALE = np.float32(32767 / 32768)
"""The largest positive 16-bit sample: what a converter clips to, and a float source above it."""
CLIPPED_RUN_FRAMES = 3
SILENCE_DBFS = -60.0
_SILENCE = np.float32(10.0 ** (SILENCE_DBFS / 20.0))
_NO_SIGNAL = 1e-12
"""Variance of −120 dBFS: below it a correlation is one of dither or of nothing."""


class FactsTally:
    """Collects the facts of a stream of chunks."""

    def __init__(self, sample_rate_hz: int, channels: int, hop_frames: int) -> None:
        self._rate_hz = sample_rate_hz
        self._hop_frames = hop_frames
        self._sums = np.zeros(channels)
        self._products = np.zeros(3)
        self._runs = np.zeros(channels, dtype=np.int64)
        self._clipped_runs = 0
        self._first_audible: int | None = None
        self._after_audible = 0
        self._frames = 0

    def take(self, chunk: Chunk, sample_peaks: NDArray[np.float32]) -> None:
        """Take a chunk and the largest sample of each of its hops."""
        self._frames = chunk.first_frame + chunk.frames
        _add_moments(chunk.samples, BACK_FRAMES, chunk.frames, self._sums, self._products)
        self._clipped_runs += _clipped_runs(
            chunk.samples, BACK_FRAMES, chunk.frames, self._hop_frames, sample_peaks, self._runs
        )
        audible = np.flatnonzero(sample_peaks >= _SILENCE)
        if not audible.size:
            return
        if self._first_audible is None:
            self._first_audible = self._audible_frames(chunk, int(audible[0]))[0]
        self._after_audible = self._audible_frames(chunk, int(audible[-1]))[-1] + 1

    def _audible_frames(self, chunk: Chunk, hop: int) -> list[int]:
        """Return the programme's frames in this hop that are above the silence threshold."""
        begin = hop * self._hop_frames
        end = min(begin + self._hop_frames, chunk.frames)
        samples = chunk.samples[:, BACK_FRAMES + begin : BACK_FRAMES + end]
        loud = np.flatnonzero(np.abs(samples).max(axis=0) >= _SILENCE)
        return [chunk.first_frame + begin + int(loud[0]), chunk.first_frame + begin + int(loud[-1])]

    def facts(self, decoder_spikes: int) -> SignalFacts:
        """Return the facts of what was taken so far."""
        first = self._frames if self._first_audible is None else self._first_audible
        return SignalFacts(
            clipped_runs=self._clipped_runs,
            leading_silence_s=first / self._rate_hz,
            trailing_silence_s=(self._frames - self._after_audible) / self._rate_hz,
            dc_offset=tuple(float(s) / max(1, self._frames) for s in self._sums),
            correlation=self._correlation(),
            decoder_spikes=decoder_spikes,
        )

    def _correlation(self) -> float | None:
        """Return Pearson's coefficient of the first two channels, freed of their DC."""
        if self._sums.size != 2 or not self._frames:
            return None
        left, right = (float(s) / self._frames for s in self._sums)
        left_square, right_square, product = (float(p) / self._frames for p in self._products)
        left_variance = left_square - left * left
        right_variance = right_square - right * right
        if min(left_variance, right_variance) < _NO_SIGNAL:
            return None
        coefficient = (product - left * right) / math.sqrt(left_variance * right_variance)
        return max(-1.0, min(1.0, coefficient))


@kernel(reassociate=True)
def _add_moments(
    samples: NDArray[np.float32],
    first: int,
    frames: int,
    sums: NDArray[np.float64],
    products: NDArray[np.float64],
) -> None:
    """Add each channel's sum, and of a stereo pair the squares and the product."""
    for channel in range(samples.shape[0]):
        plane = samples[channel, first : first + frames]
        total = 0.0
        for i in range(plane.size):
            total += np.float64(plane[i])
        sums[channel] += total
    if samples.shape[0] != 2:
        return
    left = samples[0, first : first + frames]
    right = samples[1, first : first + frames]
    left_square = 0.0
    right_square = 0.0
    product = 0.0
    for i in range(left.size):
        x = np.float64(left[i])
        y = np.float64(right[i])
        left_square += x * x
        right_square += y * y
        product += x * y
    products[0] += left_square
    products[1] += right_square
    products[2] += product


@kernel()
def _clipped_runs(
    samples: NDArray[np.float32],
    first: int,
    frames: int,
    hop_frames: int,
    sample_peaks: NDArray[np.float32],
    runs: NDArray[np.int64],
) -> int:
    """Return how many runs reached the length that counts; only loud hops are looked into.

    A run is of one sign, and so is its length in ``runs``: a square wave is many runs.
    """
    found = 0
    for hop in range(sample_peaks.size):
        if sample_peaks[hop] < FULL_SCALE:
            runs[:] = 0
            continue
        begin = first + hop * hop_frames
        end = min(begin + hop_frames, first + frames)
        for channel in range(samples.shape[0]):
            run = runs[channel]
            for i in range(begin, end):
                x = samples[channel, i]
                if x >= FULL_SCALE:
                    run = max(run, 0) + 1
                elif x <= -FULL_SCALE:
                    run = min(run, 0) - 1
                else:
                    run = 0
                found += abs(run) == CLIPPED_RUN_FRAMES
            runs[channel] = run
    return found
