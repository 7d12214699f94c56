"""Band powers of a programme, over the passages that make its loudness; streamed.

Windows of ``WINDOW_S`` follow one another, tapered by an eighth at either end, so that nearly
every sample counts alike. What counts in the end are the windows whose own loudness is within
``GATE_LU`` of the programme's: the relative gate of BS.1770-5. Which those are is known only
then; so windows are summed by loudness, in steps of half an LU, and memory does not grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.bands import BANDS, EDGES_HZ, K_WEIGHTS, weighted_power
from audio_processor.dsp.fir import smooth_length
from audio_processor.dsp.gating import ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU, lufs, mean_square
from audio_processor.dsp.jit import kernel

GATE_LU = 10.0
WINDOW_S = 0.37
TAPER = 0.125
"""The share of a window that each of its raised-cosine ends takes."""
MIN_LAST_WINDOW = 0.5
"""A programme's rest counts from this share of a window on, by its length."""

_CLASS_LU = 0.5
_LOWEST_LUFS = -70.0
_CLASSES = 200
"""−70 … +30 LUFS."""


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """A programme's windows by their loudness: what its gates will see under another spectrum."""

    powers: NDArray[np.float64]
    """Mean squares of mid and side, ``(classes, 2, BANDS)``, a mean for each class of windows."""
    windows: NDArray[np.float64]
    """How many there are of each, none 0."""

    def gated_power(self, gains: NDArray[np.float64] | float = 1.0) -> float:
        """Return the K-weighted mean square of what counts, under power gains ``(2, BANDS)``.

        BS.1770-5's gates, −70 LUFS and then −10 LU, on windows instead of its 400 ms blocks.
        """
        weighted = 2.0 * (self.powers * (gains * K_WEIGHTS)).sum(axis=(1, 2))
        audible = weighted > mean_square(ABSOLUTE_GATE_LUFS)
        gate = self._mean(weighted, audible) * 10.0 ** (RELATIVE_GATE_LU / 10.0)
        return self._mean(weighted, audible & (weighted > gate))

    def _mean(self, weighted: NDArray[np.float64], counts: NDArray[np.bool_]) -> float:
        windows = self.windows[counts]
        return float(np.dot(weighted[counts], windows) / windows.sum()) if windows.size else 0.0


class BandWindows:
    """Takes a programme in pieces of any length; ``gated`` tells what of it counts."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._frames = smooth_length(sample_rate_hz * WINDOW_S)
        self._edge_bins = EDGES_HZ * self._frames / sample_rate_hz
        self._taper = _tapered(self._frames)
        self._planes = np.zeros((2, self._frames), np.float32)
        self._sums = np.zeros_like(self._planes)
        self._filled = 0
        self._powers = np.zeros((_CLASSES, 2, BANDS))
        self._products = np.zeros((_CLASSES, 3))
        self._weights = np.zeros(_CLASSES)

    def add(self, planes: NDArray[np.float32]) -> None:
        """Take left and right, ``(2, frames)``, of any length."""
        start, frames = 0, planes.shape[1]
        while start < frames:
            taken = min(frames - start, self._frames - self._filled)
            end = self._filled + taken
            self._planes[:, self._filled : end] = planes[:, start : start + taken]
            self._filled, start = end, start + taken
            if self._filled == self._frames:
                self._close_window()

    def gated(
        self, integrated_lufs: float | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean band powers, ``(2, BANDS)``, and summed LL, RR, LR of what counts."""
        if self._filled >= MIN_LAST_WINDOW * self._frames:
            self._close_window()
        if integrated_lufs is None:
            return np.zeros((2, BANDS)), np.zeros(3)
        gate = math.floor((integrated_lufs - GATE_LU - _LOWEST_LUFS) / _CLASS_LU)
        first = max(0, min(gate, _CLASSES - 1))
        weight = float(self._weights[first:].sum())
        powers = self._powers[first:].sum(axis=0) / (weight or 1.0)
        return powers, self._products[first:].sum(axis=0)

    def passages(self) -> Passages:
        """Return the windows so far, by loudness."""
        there = self._weights > 0.0
        windows = self._weights[there]
        return Passages(self._powers[there] / windows[:, np.newaxis, np.newaxis], windows)

    def _close_window(self) -> None:
        frames, self._filled = self._filled, 0
        left, right = self._planes[:, :frames]
        taper = self._taper if frames == self._frames else _tapered(frames)
        bands = self._bands(left, right, taper)
        loudness_lufs = lufs(weighted_power(bands))
        if loudness_lufs is None or loudness_lufs <= _LOWEST_LUFS:
            return
        number = min(_CLASSES - 1, int((loudness_lufs - _LOWEST_LUFS) / _CLASS_LU))
        weight = frames / self._frames
        self._powers[number] += weight * bands
        self._products[number] += [np.dot(left, left), np.dot(right, right), np.dot(left, right)]
        self._weights[number] += weight

    def _bands(
        self,
        left: NDArray[np.float32],
        right: NDArray[np.float32],
        taper: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Return the mean squares of mid and side in one window."""
        sums, bands = self._sums, np.zeros((2, BANDS))
        np.add(left, right, out=sums[0, : left.size])
        np.subtract(left, right, out=sums[1, : left.size])
        rows = 2 if sums[1, : left.size].any() else 1  # mono has no side
        sums[:, : left.size] *= taper
        sums[:, left.size :] = 0.0
        # this norm, for the sake of speed: see dsp.fir
        spectra = np.fft.rfft(sums[:rows], norm="forward").astype(np.complex64, copy=False)
        for spectrum, row in zip(spectra, bands, strict=False):
            add_bands(spectrum, self._edge_bins, row)
        # bins above 0 Hz stand for negative ones too; the channels are sums that were not halved
        bands *= 2.0 / 4.0 * self._frames / float(np.dot(taper, taper))
        return bands


def _tapered(frames: int) -> NDArray[np.float32]:
    window = np.ones(frames, np.float32)
    ends = max(1, round(frames * TAPER))
    rise = np.sin(0.5 * np.pi * (np.arange(ends) + 0.5) / ends) ** 2
    window[:ends], window[-ends:] = rise, rise[::-1]
    return window


@kernel()
def add_bands(
    spectrum: NDArray[np.complex64], edge_bins: NDArray[np.float64], bands: NDArray[np.float64]
) -> None:
    """Add the power between each two edges; a bin stands for ``[k − ½, k + ½)``.

    Bands beyond the last bin, in part or as a whole, get what there is.
    """
    for band in range(bands.size):
        low, high = edge_bins[band] + 0.5, edge_bins[band + 1] + 0.5
        first, last = int(low), min(int(high), spectrum.size - 1)
        total = 0.0
        for k in range(first, last + 1):
            share = min(high, k + 1.0) - max(low, float(k))
            value = spectrum[np.uintp(k)]
            total += share * (value.real * value.real + value.imag * value.imag)
        bands[band] += total
