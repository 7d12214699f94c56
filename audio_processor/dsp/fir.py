"""Linear-phase filtering of mid and side in a stream: FIR by overlap-save.

The taps are symmetric, and the delay is taken off by reading the output where it belongs: not
a transient moves. A stream is filtered in hops of one size, so where it was cut before does
not matter, to the bit.

numpy transforms float32 in float32 only where it has a float32 factor to scale it by. The
default forward direction has none and is computed in float64, at twice the time; hence
``norm="forward"``, and responses that undo the factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.stage import rechunk
from audio_processor.model import Block

FFT_PER_HALF = 8
"""A transform's length over half the filter's: three quarters of it are new frames each time."""
_MIN_HALF = 64
_DESIGN_OVERSAMPLING = 4
"""How much longer than the filter the transform is by which it is designed."""
_FADE = 0.25
_LOUDEST = np.float32(1e20)
"""+400 dBFS: beyond it the transform of a finite signal would not be finite."""


@dataclass(frozen=True, slots=True, eq=False)
class MidSideFir:
    """A stage: mid, ``(L + R) / 2``, and side, ``(L − R) / 2``, each through its own filter.

    Both have ``2 × half + 1`` symmetric taps, as ``linear_phase`` gives. Blocks are stereo;
    N frames in, N out, in place in time.
    """

    mid_taps: NDArray[np.float64]
    side_taps: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.mid_taps.shape != self.side_taps.shape or self.mid_taps.size % 2 == 0:
            raise ValueError("mid and side need equally many taps, and an odd number of them")

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the filtered stream, in blocks of a hop."""
        del sample_rate_hz  # the taps know it
        stream = _OverlapSave(self.mid_taps, self.side_taps)
        taken = given = 0
        for block in rechunk(blocks, stream.hop_frames):
            taken += len(block)
            filtered = stream.push(block)[: taken - given]
            given += len(filtered)
            yield filtered
        if given < taken:
            yield stream.push(np.empty((0, 2), np.float32))[: taken - given]


class _OverlapSave:
    """A hop of new frames and the ``2 × half`` before them, transformed, weighted, and back."""

    def __init__(self, mid_taps: NDArray[np.float64], side_taps: NDArray[np.float64]) -> None:
        self._half = mid_taps.size // 2
        self._fft_frames = smooth_length(FFT_PER_HALF * max(self._half, _MIN_HALF))
        self.hop_frames = self._fft_frames - 2 * self._half
        self._responses = np.stack([self._response(taps) for taps in (mid_taps, side_taps)])
        self._window = np.zeros((2, self._fft_frames), np.float32)
        self._still_to_skip = self._half

    def push(self, block: Block) -> Block:
        """Take up to one hop (what is missing is silence); return what is due of the output."""
        window, first = self._window, 2 * self._half
        end = first + len(block)
        window[:, :first] = window[:, self.hop_frames :].copy()
        block = np.clip(block, -_LOUDEST, _LOUDEST)
        np.add(block[:, 0], block[:, 1], out=window[0, first:end])
        np.subtract(block[:, 0], block[:, 1], out=window[1, first:end])
        window[:, end:] = 0.0
        rows = 2 if window[1].any() else 1  # mono has no side, and needs none
        spectra = np.fft.rfft(window[:rows], norm="forward").astype(np.complex64, copy=False)
        spectra *= self._responses[:rows]
        filtered = np.fft.irfft(spectra, n=self._fft_frames)[:, self._half : -self._half or None]
        output = np.empty((self.hop_frames, 2), np.float32)
        np.add(filtered[0], filtered[-1] if rows == 2 else 0.0, out=output[:, 0])
        np.subtract(filtered[0], filtered[-1] if rows == 2 else 0.0, out=output[:, 1])
        skipped, self._still_to_skip = self._still_to_skip, 0
        return output[skipped:]

    def _response(self, taps: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the real response of the taps centred on time 0.

        It undoes the forward transform's factor, and halves, for the window holds L ± R.
        """
        centred = np.zeros(self._fft_frames)
        centred[: self._half + 1] = taps[self._half :]
        centred[self._fft_frames - self._half :] = taps[: self._half]
        return (np.fft.rfft(centred).real * (self._fft_frames / 2.0)).astype(np.float32)


def linear_phase(
    frequencies_hz: NDArray[np.float64],
    gain_db: NDArray[np.float64],
    sample_rate_hz: int,
    half_s: float,
) -> NDArray[np.float64]:
    """Return the symmetric taps, ``2 × half + 1``, of a curve that is straight over log f.

    By frequency sampling; the outer quarter of either half fades out (Hann). A curve without
    features narrower than ``1 / half_s`` Hz rings hardly as long as that, and is met within
    0.3 dB. Outside the given frequencies, which ascend, its ends are held.
    """
    half = smooth_length(half_s * sample_rate_hz)
    length = 2 * _DESIGN_OVERSAMPLING * half
    hz = np.arange(length // 2 + 1) * (sample_rate_hz / length)
    hz[0] = hz[1]  # held, in any case
    at_bins_db = np.interp(np.log(hz), np.log(frequencies_hz), gain_db)
    impulse = np.fft.irfft(10.0 ** (at_bins_db / 20.0), n=length)
    fading = np.maximum(0.0, np.arange(half + 1) / (half + 1) - (1.0 - _FADE)) / _FADE
    one_side = impulse[: half + 1] * np.cos(0.5 * np.pi * fading) ** 2
    return np.concatenate((one_side[:0:-1], one_side))


def smooth_length(least: float) -> int:
    """Return the first even length from ``least`` on that has no prime factor but 2, 3 and 5."""
    length = 2 * math.ceil(least / 2)
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2
