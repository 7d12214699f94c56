"""True peak (ITU-R BS.1770-5, Annex 2): the waveform's height between the samples.

The interpolator is ``oversample.polyphase_filter``'s, folded: branches 1 and 3 mirror each
other about the midpoint of two samples and branch 2 is its own mirror, so sums and
differences of sample pairs serve all three at half the multiplications. That is cheap
enough to compute every instant of the programme and skip none.
"""

from __future__ import annotations

import math
from array import array

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.gating import HopLayout, hop_layout
from audio_processor.dsp.intake import BACK_FRAMES, CHUNK_TENTHS, Chunk, Intake, largest_magnitude
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.oversample import polyphase_filter, true_peak_factor
from audio_processor.model import Block

_PAIRS = 12
"""Pairs of taps a branch; a kernel's constants are best kept in its own file (``dsp.jit``)."""

_LARGEST_FINITE_BITS = np.int32(0x7F7FFFFF)


def _folded() -> NDArray[np.float32]:
    """Return the interpolator's three branches folded, shape ``(3, pairs)``, nearest pair first.

    Rows: what weighs the sums of a pair in branches 1 and 3 alike, what weighs the
    differences (added in one, subtracted in the other), and branch 2's sums.
    """
    branches = polyphase_filter(4, 2 * _PAIRS)
    before, after = branches[:, _PAIRS:], branches[:, _PAIRS - 1 :: -1]
    even, odd = (before[1] + after[1]) / 2, (before[1] - after[1]) / 2
    return np.stack((even, odd, before[2]))


class HopPeaks:
    """Finds the peaks of each hop of a chunk."""

    def __init__(self, sample_rate_hz: int, layout: HopLayout) -> None:
        self._factor = true_peak_factor(sample_rate_hz)
        self._hop_frames = layout.hop_frames
        self._taps = _folded()
        self._between = np.zeros(CHUNK_TENTHS * layout.tenth_frames, dtype=np.float32)

    def of(self, chunk: Chunk) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return each hop's largest sample and largest true peak, linear, over all channels."""
        hops = -(-chunk.frames // self._hop_frames)
        sample_peaks = np.zeros(hops, dtype=np.int32)
        true_peaks = np.zeros(hops, dtype=np.int32)
        _hop_peaks(
            chunk.samples, chunk.samples.view(np.int32), BACK_FRAMES, chunk.frames,
            self._hop_frames, self._factor, self._taps, self._between, self._between.view(np.int32),
            sample_peaks, true_peaks,
        )  # fmt: skip
        return sample_peaks.view(np.float32), true_peaks.view(np.float32)


class TruePeakMeter:
    """Measures true peak alone; ``measure.LevelMeter`` measures loudness with it.

    4× oversampled below 96 kHz, 2× below 192 kHz, and from there on the samples themselves.
    The programme is surrounded by silence: a first or last sample far from zero is a step,
    and its ringing counts.
    """

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        layout = hop_layout(sample_rate_hz)
        self.hop_frames = layout.hop_frames
        """Length of the envelope's hops: 5 ms or near it."""
        self._intake = Intake(sample_rate_hz, channels, CHUNK_TENTHS * layout.tenth_frames)
        self._peaks = HopPeaks(sample_rate_hz, layout)
        self._envelope = array("f")

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, channels)``, of any length.

        Raises ``CorruptMedia`` for NaN or infinity, ``ValueError`` once it was read out.
        """
        for chunk in self._intake.push(block):
            self._take(chunk)

    def envelope(self) -> NDArray[np.float32]:
        """Close the meter and return each hop's true peak, linear, over all channels."""
        for chunk in self._intake.rest():
            self._take(chunk)
        return np.asarray(self._envelope, dtype=np.float32)

    def result(self) -> float | None:
        """Close the meter and return the true peak in dBTP, None for silence."""
        return decibels(float(self.envelope().max(initial=0.0)))

    def _take(self, chunk: Chunk) -> None:
        self._envelope.frombytes(self._peaks.of(chunk)[1].tobytes())


def decibels(amplitude: float) -> float | None:
    """Return an amplitude in dB of full scale, or None for nothing at all."""
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else None


@kernel()
def _hop_peaks(
    samples: NDArray[np.float32],
    sample_bits: NDArray[np.int32],
    first: int,
    frames: int,
    hop_frames: int,
    factor: int,
    taps: NDArray[np.float32],
    between: NDArray[np.float32],
    between_bits: NDArray[np.int32],
    sample_peaks: NDArray[np.int32],
    true_peaks: NDArray[np.int32],
) -> None:
    """Raise each hop's peaks to what its frames hold; all peaks are floats' bit patterns."""
    for channel in range(samples.shape[0]):
        window = samples[channel, first - _PAIRS + 1 : first + frames + _PAIRS]
        if factor == 4:
            _between_4x(window, taps, between[:frames])
        elif factor == 2:
            _between_2x(window, taps, between[:frames])
        own_bits = sample_bits[channel, first : first + frames]
        for hop in range(true_peaks.size):
            begin = hop * hop_frames
            end = min(begin + hop_frames, frames)
            largest = largest_magnitude(own_bits[begin:end])
            sample_peaks[hop] = max(sample_peaks[hop], largest)
            if factor > 1:
                largest = max(largest, largest_magnitude(between_bits[begin:end]))
            # where the interpolator overflowed, it met the largest number there is
            true_peaks[hop] = max(true_peaks[hop], min(largest, _LARGEST_FINITE_BITS))


@kernel()
def _between_4x(
    window: NDArray[np.float32], taps: NDArray[np.float32], between: NDArray[np.float32]
) -> None:
    """Write the largest magnitude of the three instants after each sample.

    ``window`` begins ``_PAIRS - 1`` samples before the first of them.
    """
    for i in range(between.size):
        even = np.float32(0.0)
        odd = np.float32(0.0)
        half = np.float32(0.0)
        for k in range(_PAIRS):
            before = window[np.uintp(i + (_PAIRS - 1 - k))]
            after = window[i + _PAIRS + k]
            even += taps[0, k] * (before + after)
            half += taps[2, k] * (before + after)
            odd += taps[1, k] * (before - after)
        between[i] = max(abs(even) + abs(odd), abs(half))


@kernel()
def _between_2x(
    window: NDArray[np.float32], taps: NDArray[np.float32], between: NDArray[np.float32]
) -> None:
    """Write the magnitude of the waveform halfway to each sample's successor."""
    for i in range(between.size):
        half = np.float32(0.0)
        for k in range(_PAIRS):
            before = window[np.uintp(i + (_PAIRS - 1 - k))]
            half += taps[2, k] * (before + window[i + _PAIRS + k])
        between[i] = abs(half)
