"""The masking equaliser: where a burst buries its neighbours for a moment, it dips, for a moment.

``mastering.masking`` decides, on the mid channel, in half overlapping frames of about 46 ms.
The dip is real and smooth over frequency (cubic B-splines, one Bark apart) and time, so it is of
zero phase, and what it spreads in time stays within a hundredth of a second. What is added to both
channels is only the *difference* that the dips make: without a dip the output is the input, bit
for bit, and the side signal is never touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.dsp.stage import rechunk
from audio_processor.mastering.masking import Bands, Masking
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

RUN_HOPS = 16
"""Frames go through the FFT so many at a time."""
REGIONS_HZ = (("low", 0.0), ("mid", 500.0), ("high", 4000.0))
"""Where the tally's regions begin; each counts its deepest dip."""


@dataclass(frozen=True, slots=True)
class MaskingEqualiser:
    """A stage: time-varying dips on the mid channel. Neutral at no amount or no depth."""

    name: ClassVar[str] = "masking_eq"

    amount_percent: float = parameter(50.0, 0.0, 100.0, "How much of the depth is used.")
    max_dip_db: float = parameter(4.0, 0.0, 6.0, "No band is ever dipped by more.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    @property
    def is_neutral(self) -> bool:
        """Whether no dip can occur: then blocks pass as they are."""
        return self.amount_percent == 0.0 or self.max_dip_db == 0.0

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the equalised stream."""
        return blocks if self.is_neutral else self._equalise(blocks, sample_rate_hz, tally)

    def _equalise(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None
    ) -> Iterator[Block]:
        bands = Bands(sample_rate_hz)
        masking = Masking(bands, self.amount_percent / 100.0 * self.max_dip_db)
        stream = _Stream(bands, masking, tally)
        taken = given = 0
        for block in rechunk(blocks, RUN_HOPS * bands.hop_frames):
            taken += len(block)
            equalised = stream.push(block)
            given += len(equalised)
            if len(equalised):
                yield equalised
        if given < taken:
            nothing = np.zeros((bands.hop_frames, 2), dtype=np.float32)
            yield stream.push(nothing)[: taken - given]


class _Stream:
    """One stream's audio, a hop behind, and what its last frame has still to add."""

    def __init__(self, bands: Bands, masking: Masking, tally: StageTally | None) -> None:
        self._bands = bands
        self._masking = masking
        self._tally = tally
        self._audio = np.zeros(((RUN_HOPS + 1) * bands.hop_frames, 2), dtype=np.float32)
        self._tail = np.zeros(bands.hop_frames, dtype=np.float32)
        self._is_first = True
        starts = np.searchsorted(bands.centres_hz, [hz for _, hz in REGIONS_HZ])
        ends = [*starts[1:], bands.count]
        self._regions = [
            (name, slice(start, end))
            for (name, _), start, end in zip(REGIONS_HZ, starts, ends, strict=True)
            if start < end
        ]

    def push(self, block: Block) -> Block:
        """Take one run (or the stream's last frames); return what is due, one hop behind."""
        hop = self._bands.hop_frames
        rows = -(-len(block) // hop)
        self._audio[hop : hop + len(block)] = block
        self._audio[hop + len(block) :] = 0.0
        equalised = self._audio[: rows * hop].copy()
        frames = np.empty((rows, 2 * hop), dtype=np.float32)
        window_mid(self._audio, self._bands.window, frames)
        spectra = np.fft.rfft(frames, axis=1).astype(np.complex64, copy=False)
        cuts = self._masking.cuts(spectra)
        self._count(cuts)
        if cuts.any():
            leave_cuts(spectra, cuts, self._bands.first_bin, self._bands.places)
            removed = np.fft.irfft(spectra, 2 * hop, axis=1).astype(np.float32, copy=False)
            take_off(removed, self._bands.window, self._tail, equalised)
        else:
            equalised[:hop] -= self._tail[:, None]
            self._tail[:] = 0.0
        self._audio[:hop] = self._audio[rows * hop : (rows + 1) * hop]
        was_first, self._is_first = self._is_first, False
        return equalised[hop:] if was_first else equalised

    def _count(self, cuts: NDArray[np.float32]) -> None:
        if self._tally is not None:
            for name, bands in self._regions:
                self._tally.take(name, cuts[:, bands].max(axis=1))


@kernel()
def window_mid(audio: Block, window: NDArray[np.float32], frames: NDArray[np.float32]) -> None:
    """Write the windowed, half overlapping frames of the mid channel."""
    rows, length = frames.shape
    hop = length // 2
    half = np.float32(0.5)
    for row in range(rows):
        span = audio[row * hop : row * hop + length]
        frame = frames[row]
        for i in range(length):
            frame[i] = half * (span[i, 0] + span[i, 1]) * window[i]


@kernel()
def leave_cuts(
    spectra: NDArray[np.complex64],
    cuts: NDArray[np.float32],
    first_bin: int,
    places: NDArray[np.float32],
) -> None:
    """Leave of each spectrum, in place, only what its cuts take away.

    Between the bands' centres the cuts are cubic B-splines: smooth, and never deeper than
    the deepest around them.
    """
    rows, bins = spectra.shape
    bands = cuts.shape[1]
    padded = np.zeros(bands + 6, dtype=np.float32)
    one, two, three, four = np.float32(1.0), np.float32(2.0), np.float32(3.0), np.float32(4.0)
    sixth = np.float32(1.0 / 6.0)
    for row in range(rows):
        padded[3 : 3 + bands] = cuts[row]
        spectra[row, :first_bin] = 0.0
        for k in range(places.shape[0]):
            below = math.floor(places[k])
            t = places[k] - np.float32(below)
            u = one - t
            around = padded[below + 2 : below + 6]
            cut = u * u * u * around[0] + t * t * t * around[3]
            cut += (four - three * t * t * (two - t)) * around[1]
            cut += (four - three * u * u * (two - u)) * around[2]
            spectra[row, first_bin + k] *= sixth * cut
        spectra[row, first_bin + places.shape[0] : bins] = 0.0


@kernel()
def take_off(
    removed: NDArray[np.float32],
    window: NDArray[np.float32],
    tail: NDArray[np.float32],
    equalised: Block,
) -> None:
    """Take the windowed frames off both channels; the last one's second half is the tail."""
    hop = tail.shape[0]
    for row in range(removed.shape[0]):
        span = equalised[row * hop : (row + 1) * hop]
        frame = removed[row]
        for i in range(hop):
            taken = tail[i] + frame[i] * window[i]
            span[i, 0] -= taken
            span[i, 1] -= taken
            tail[i] = frame[hop + i] * window[hop + i]
