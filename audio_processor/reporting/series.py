"""The meters behind a report's pictures: a programme over time, its stereo image, its spectrum.

One pass, in memory bounded but for some numbers per 100 ms (50 bytes: 5 MB for three hours)
and the envelope of ``dsp.measure``. What is measured does not depend on how blocks were cut.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp import gating
from audio_processor.dsp.facts import SILENCE_DBFS
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.measure import Measurer
from audio_processor.model import Block, Envelope
from audio_processor.reporting.data import BandSpectrum, Levels, Programme, Series, StereoImage

IMAGE_CELLS = 160
"""Cells a side of the stereo image."""
SPECTRUM_FRAMES = 16384
"""2.7 Hz a bin at 44.1 kHz: a third of an octave at 25 Hz is 5.8 Hz wide."""
SPECTRUM_STRIDE = 2 * SPECTRUM_FRAMES
CORRELATION_TENTHS = 10
CORRELATION_FLOOR = 1e-7
"""Mean square of −70 dBFS, both channels: what lies below has no phase worth showing."""

_MOMENTS = 3
_SILENCE = 10.0 ** (SILENCE_DBFS / 20.0)


class StereoMeter:
    """The stereo image, and every 100 ms the energies of left, right and their product.

    The image's coordinates are side (R−L)/2 and mid (L+R)/2, drawn at the root of the sample's
    level max(|L|, |R|) = |mid| + |side|: levels then are diamonds, and −24 dB is a quarter of
    the way out, so that quiet music shows beside loud. Silence, below −60 dBFS, is left out.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._tenth_frames = gating.hop_layout(sample_rate_hz).tenth_frames
        self._counts = np.zeros((IMAGE_CELLS, IMAGE_CELLS), np.int64)
        self._open = np.zeros(_MOMENTS)
        self._filled = 0
        self._totals = np.zeros(_MOMENTS)
        self._moments = array("d")

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, 2)``."""
        if not block.flags.writeable:  # a kernel has one signature
            block = block.copy()
        block = np.ascontiguousarray(block, dtype=np.float32)
        start = 0
        while start < len(block):
            taken = min(self._tenth_frames - self._filled, len(block) - start)
            _add(block[start : start + taken], self._counts, self._open, _SILENCE)
            self._filled += taken
            start += taken
            if self._filled == self._tenth_frames:
                self._close()

    def result(self) -> tuple[StereoImage, Series]:
        """Return the image and the moments LL, RR, LR, a row each 100 ms; means per frame.

        The last row may be of less than 100 ms.
        """
        if self._filled:
            self._close()
        moments = np.array(self._moments).reshape(-1, _MOMENTS)
        ll, rr, lr = (float(total) for total in self._totals)
        mid, side = ((ll + rr + sign * 2.0 * lr) / 4.0 for sign in (1, -1))
        return StereoImage(self._counts, max(0.0, mid), max(0.0, side)), moments

    def _close(self) -> None:
        self._totals += self._open
        self._moments.frombytes((self._open / self._filled).tobytes())
        self._open[:] = 0.0
        self._filled = 0


class FineSpectrumMeter:
    """Mid and side power spectra by Welch's method: Hann windows, every other one looked at.

    A programme shorter than one window is measured as if silence followed.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._window = np.hanning(SPECTRUM_FRAMES + 1)[:-1].astype(np.float32)
        self._power = np.zeros((2, SPECTRUM_FRAMES // 2 + 1))
        self._windows = 0
        self._buffer = np.zeros((SPECTRUM_FRAMES, 2), np.float32)
        self._at = 0
        """Frames since the present stride's start."""

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, 2)``."""
        start = 0
        while start < len(block):
            inside = self._at < SPECTRUM_FRAMES
            end = SPECTRUM_FRAMES if inside else SPECTRUM_STRIDE
            taken = min(end - self._at, len(block) - start)
            if inside:
                self._buffer[self._at : self._at + taken] = block[start : start + taken]
            self._at += taken
            start += taken
            if self._at == SPECTRUM_FRAMES:
                self._add()
            self._at %= SPECTRUM_STRIDE

    def result(self) -> BandSpectrum:
        """Return the mean power of each bin."""
        if not self._windows and self._at:
            self._buffer[self._at :] = 0.0
            self._add()
        scale = np.full(self._power.shape[1], 2.0)
        scale[[0, -1]] = 1.0
        norm = SPECTRUM_FRAMES * float(np.square(self._window).sum()) * max(1, self._windows)
        mid, side = self._power * scale / norm
        return BandSpectrum(self._rate_hz, mid, side)

    def _add(self) -> None:
        left, right = self._buffer[:, 0], self._buffer[:, 1]
        for row, signal in enumerate((left + right, left - right)):
            bins = np.fft.rfft(signal * (0.5 * self._window))
            self._power[row] += bins.real**2 + bins.imag**2
        self._windows += 1


class ProgrammeMeter:
    """All that a report shows of one programme, in one pass."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._measurer = Measurer(sample_rate_hz, 2)
        self._stereo = StereoMeter(sample_rate_hz)
        self._spectrum = FineSpectrumMeter(sample_rate_hz)
        self._frames = 0

    @property
    def frames(self) -> int:
        """Frames pushed so far."""
        return self._frames

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, 2)``. Raises ``CorruptMedia`` for NaN or infinity."""
        self._measurer.push(block)
        self._stereo.push(block)
        self._spectrum.push(block)
        self._frames += len(block)

    def result(self) -> Programme:
        """Close the meters and return what they found."""
        measured = self._measurer.result()
        image, moments = self._stereo.result()
        return Programme(
            sample_rate_hz=self._rate_hz,
            frames=self._frames,
            loudness=measured.loudness,
            facts=measured.facts,
            waveform=measured.waveform,
            levels=levels(measured.envelope, moments),
            image=image,
            spectrum=self._spectrum.result(),
        )


def levels(envelope: Envelope, moments: Series) -> Levels:
    """Return a programme over time, from its envelope and the moments of ``StereoMeter``."""
    layout = gating.hop_layout(envelope.sample_rate_hz)
    tenths = gating.envelope_tenths(envelope)
    return Levels(
        tenth_s=layout.tenth_frames / envelope.sample_rate_hz,
        energy=tenths,
        momentary_lufs=lufs(gating.momentary_mean_squares(tenths)),
        short_term_lufs=lufs(gating.short_term_mean_squares(tenths)),
        peak=_largest(envelope.peak, layout.hops_per_tenth),
        rms=np.sqrt(np.maximum(moments[:, 0] + moments[:, 1], 0.0) / 2.0),
        correlation=correlation(moments),
    )


def correlation(moments: Series) -> Series:
    """Return the correlation of the second around each row: ΣLR / √(ΣLL·ΣRR), as a meter shows.

    NaN where either channel is below −70 dBFS.
    """
    if not len(moments):
        return np.zeros(0)
    width = min(CORRELATION_TENTHS, len(moments))
    kernel_row = np.ones(width) / width
    left, right, product = (np.convolve(row, kernel_row, mode="same") for row in moments.T)
    audible = np.minimum(left, right) > CORRELATION_FLOOR
    scale = np.sqrt(np.where(audible, left * right, 1.0))
    return np.where(audible, np.clip(product / scale, -1.0, 1.0), np.nan)


def lufs(mean_squares: Series) -> Series:
    """Return the loudness of weighted mean squares; NaN for silence."""
    audible = np.where(mean_squares > 0.0, mean_squares, np.nan)
    return np.asarray(gating.LUFS_OFFSET_DB + 10.0 * np.log10(audible))


def _largest(hops: NDArray[np.float32], per_tenth: int) -> Series:
    """Return the largest of each run of hops; the last run may be short."""
    if not hops.size:
        return np.zeros(0)
    return np.maximum.reduceat(hops, np.arange(0, hops.size, per_tenth)).astype(np.float64)


@kernel()
def _add(
    block: Block, counts: NDArray[np.int64], moments: NDArray[np.float64], silence: float
) -> None:
    """Add the frames to the image, and to the sums of LL, RR and LR."""
    cells = counts.shape[0]
    half = 0.5 * cells
    ll = 0.0
    rr = 0.0
    lr = 0.0
    for i in range(block.shape[0]):
        left = np.float64(block[i, 0])
        right = np.float64(block[i, 1])
        ll += left * left
        rr += right * right
        lr += left * right
        level = max(abs(left), abs(right))
        if level >= silence:
            stretch = half * 0.5 / np.sqrt(min(level, 1.0)) * (min(level, 1.0) / level)
            column = int(half + (right - left) * stretch)
            row = int(half - (right + left) * stretch)
            counts[min(max(row, 0), cells - 1), min(max(column, 0), cells - 1)] += 1
    moments[0] += ll
    moments[1] += rr
    moments[2] += lr
