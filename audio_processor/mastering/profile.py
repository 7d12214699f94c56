"""A programme's long-term profile: what a reference is remembered by, and a source matched from.

Mid, ``(L + R) / 2``, and side, ``(L − R) / 2``, are measured in windows of about 0.37 s that
follow one another (tapered by an eighth at either end, so nearly every sample counts alike).
A profile is the mean of the windows whose own loudness is within ``GATE_LU`` of the
programme's: the relative gate of BS.1770-5, so intros, breaks and fades do not colour it, and
of what is left louder passages weigh more by their power. The grid is fixed: profiles of
44.1 and 96 kHz sources compare band by band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import Biquad, KWeightedEnergy, k_weighting
from audio_processor.dsp.fir import smooth_length
from audio_processor.dsp.gating import hop_layout, lufs
from audio_processor.dsp.intake import BACK_FRAMES, CHUNK_TENTHS, Chunk, Intake
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.loudness import LoudnessTally
from audio_processor.dsp.true_peak import HopPeaks
from audio_processor.dsp.true_peak import decibels as peak_decibels
from audio_processor.errors import MasteringRejected
from audio_processor.model import Block, Loudness

BANDS_PER_OCTAVE = 12
BANDS = 124
"""1/12 octaves; four of them are one of the 31 nominal 1/3 octaves from 20 Hz to 20 kHz."""
EDGES_HZ: NDArray[np.float64] = 1000.0 * 2.0 ** ((np.arange(BANDS + 1) - 70) / BANDS_PER_OCTAVE)
"""17.5 Hz to 22.6 kHz, 125 of them."""
CENTRES_HZ: NDArray[np.float64] = np.sqrt(EDGES_HZ[:-1] * EDGES_HZ[1:])
THIRD_OCTAVES_HZ: NDArray[np.float64] = 1000.0 * 2.0 ** ((np.arange(31) - 17) / 3)
"""Exact centres, base 2 (IEC 61260-1's nominal 20 Hz … 20 kHz)."""

GATE_LU = 10.0
WINDOW_S = 0.37
TAPER = 0.125
"""The share of a window that each of its raised-cosine ends takes."""
MIN_LAST_WINDOW = 0.5
"""A programme's rest counts from this share of a window on, by its length."""

_CLASS_LU = 0.5
_LOWEST_LUFS = -70.0
_CLASSES = 200
"""Windows are summed by loudness, since the gate is known only at the end: −70 … +30 LUFS."""
_LOW_HZ, _HIGH_HZ = 250.0, 4000.0


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Long-term figures of a programme, whatever its sample rate."""

    mid_db: NDArray[np.float64]
    """Mean square of mid in each 1/12 octave, ``(BANDS,)``, 0 dB = a mean square of 1; −inf
    where there is nothing, as above half the source's rate."""
    side_db: NDArray[np.float64]
    """The same of side; all −inf for mono."""
    loudness: Loudness
    correlation: float | None
    """L/R correlation −1…1 of the gated programme; None for silence or one silent side."""
    duration_s: float

    @property
    def crest_db(self) -> float | None:
        """True peak over integrated loudness (PLR), in dB; None where either does not exist."""
        peak, level = self.loudness.true_peak_dbtp, self.loudness.integrated_lufs
        return None if peak is None or level is None else peak - level

    @property
    def is_audible(self) -> bool:
        """Whether there is anything to match: neither silent nor shorter than 0.4 s."""
        return self.loudness.integrated_lufs is not None and bool(np.isfinite(self.mid_db).any())


@dataclass(frozen=True, slots=True)
class Balance:
    """What each part of the spectrum has of the programme's power, mid and side, in dB ≤ 0."""

    low_db: float
    """Below 250 Hz."""
    middle_db: float
    high_db: float
    """Above 4 kHz."""


class ProfileMeter:
    """Accumulates ``push``ed stereo blocks; the cutting does not matter, memory does not grow."""

    def __init__(self, sample_rate_hz: int) -> None:
        layout = hop_layout(sample_rate_hz)
        chunk_frames = CHUNK_TENTHS * layout.tenth_frames
        self._rate_hz = sample_rate_hz
        self._intake = Intake(sample_rate_hz, 2, chunk_frames, repair=True)
        self._energy = KWeightedEnergy(sample_rate_hz, 2, layout.hop_frames)
        self._peaks = HopPeaks(sample_rate_hz, layout)
        self._loudness = LoudnessTally(layout)
        self._sample_peak = 0.0
        self._true_peak = 0.0
        self._windows = _WindowTally(sample_rate_hz)

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, 2)``, of any length.

        Raises ``CorruptMedia`` for NaN or infinity, ``ValueError`` once it was read out.
        """
        for chunk in self._intake.push(block):
            self._take(chunk)

    def result(self) -> Profile:
        """Close the meter and return the profile."""
        for chunk in self._intake.rest():
            self._take(chunk)
        loudness = self._loudness.figures(
            true_peak_dbtp=peak_decibels(self._true_peak),
            sample_peak_dbfs=peak_decibels(self._sample_peak),
        )
        powers, products = self._windows.gated(loudness.integrated_lufs)
        return Profile(
            mid_db=decibels(powers[0]),
            side_db=decibels(powers[1]),
            loudness=loudness,
            correlation=_correlation(*products),
            duration_s=self._intake.frames / self._rate_hz,
        )

    def _take(self, chunk: Chunk) -> None:
        self._loudness.add(self._energy.take(chunk), chunk.frames)
        sample_peaks, true_peaks = self._peaks.of(chunk)
        self._sample_peak = max(self._sample_peak, float(sample_peaks.max()))
        self._true_peak = max(self._true_peak, float(true_peaks.max()))
        self._windows.add(chunk.samples[:, BACK_FRAMES : BACK_FRAMES + chunk.frames])


class _WindowTally:
    """Band powers and products of the windows, summed by the windows' own loudness."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._frames = smooth_length(sample_rate_hz * WINDOW_S)
        self._edge_bins = EDGES_HZ * self._frames / sample_rate_hz
        self._taper = _tapered(self._frames)
        self._planes = np.zeros((2, self._frames), np.float32)
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

    def _close_window(self) -> None:
        frames, self._filled = self._filled, 0
        left, right = self._planes[:, :frames]
        taper = self._taper if frames == self._frames else _tapered(frames)
        bands = np.zeros((2, BANDS))
        for row, channel in enumerate((left + right, left - right)):
            if channel.any():
                # this norm, for the sake of speed: see dsp.fir
                spectrum = np.fft.rfft(channel * taper, n=self._frames, norm="forward")
                add_bands(spectrum.astype(np.complex64, copy=False), self._edge_bins, bands[row])
        # bins above 0 Hz stand for negative ones too; the channels are sums that were not halved
        bands *= 2.0 / 4.0 * self._frames / float(np.dot(taper, taper))
        loudness_lufs = lufs(weighted_power(bands))
        if loudness_lufs is None or loudness_lufs <= _LOWEST_LUFS:
            return
        number = min(_CLASSES - 1, int((loudness_lufs - _LOWEST_LUFS) / _CLASS_LU))
        weight = frames / self._frames
        self._powers[number] += weight * bands
        self._products[number] += [np.dot(left, left), np.dot(right, right), np.dot(left, right)]
        self._weights[number] += weight


def combine(weighted: Sequence[tuple[Profile, float]]) -> Profile:
    """Return the one profile that several references amount to.

    Each is brought to the mean loudness first, then bands are averaged in dB with the weights,
    so that a loud or a bass-heavy one does not outvote the rest; a profile that has nothing
    in a band has no vote there. Raises ``MasteringRejected`` for no profile, a weight that is
    not positive, or one without loudness.
    """
    if not weighted:
        raise MasteringRejected("There is no reference: give at least one.")
    for number, (profile, weight) in enumerate(weighted, 1):
        if not (math.isfinite(weight) and weight > 0.0):
            raise MasteringRejected(f"Reference {number}'s weight is {weight!r}, not positive.")
        if not profile.is_audible:
            raise MasteringRejected(
                f"Reference {number} is silent or shorter than 0.4 s: it has no loudness to match."
            )
    if len(weighted) == 1:
        return weighted[0][0]
    profiles = [profile for profile, _ in weighted]
    weights = np.array([weight for _, weight in weighted])
    figures = zip(*(astuple(profile.loudness) for profile in profiles), strict=True)
    loudness = Loudness(*(_mean_of_known(each, weights) for each in figures))
    shifts = np.array(
        [(loudness.integrated_lufs or 0.0) - (p.loudness.integrated_lufs or 0.0) for p in profiles]
    )[:, np.newaxis]
    return Profile(
        mid_db=_mean_of_bands(np.array([p.mid_db for p in profiles]) + shifts, weights),
        side_db=_mean_of_bands(np.array([p.side_db for p in profiles]) + shifts, weights),
        loudness=loudness,
        correlation=_mean_of_known([p.correlation for p in profiles], weights),
        duration_s=sum(p.duration_s for p in profiles),
    )


def third_octave_db(profile: Profile) -> NDArray[np.float64]:
    """Return mid's mean square in the 31 bands of ``THIRD_OCTAVES_HZ``, in dB; −inf for none."""
    return decibels(power(profile.mid_db).reshape(-1, 4).sum(axis=1))


def balance(profile: Profile) -> Balance | None:
    """Return how the programme's power is spread, or None for silence."""
    bands = power(profile.mid_db) + power(profile.side_db)
    total_db = float(decibels(bands.sum()))
    if not math.isfinite(total_db):
        return None
    low, high = CENTRES_HZ < _LOW_HZ, CENTRES_HZ > _HIGH_HZ
    shares = decibels(np.array([bands[low].sum(), bands[~low & ~high].sum(), bands[high].sum()]))
    return Balance(*(float(share) - total_db for share in shares))


def power(band_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squares behind decibels."""
    return np.asarray(10.0 ** (band_db / 10.0))


def weighted_power(bands: NDArray[np.float64]) -> float:
    """Return the K-weighted mean square of both channels from mid and side's, ``(2, BANDS)``.

    L² + R² = 2 (M² + S²); BS.1770-5's loudness of it, but for the gates, is −0.691 LUFS + dB.
    """
    return 2.0 * float((bands * K_WEIGHTS).sum())


def _k_weights() -> NDArray[np.float64]:
    """Return the K-weighting's power gain at each band's centre."""
    rate_hz = 96_000
    weighting = k_weighting(rate_hz)
    z1 = np.exp(-2j * np.pi * CENTRES_HZ / rate_hz)

    def response(section: Biquad) -> NDArray[np.complex128]:
        above = section.b0 + (section.b1 + section.b2 * z1) * z1
        return np.asarray(above / (1.0 + (section.a1 + section.a2 * z1) * z1))

    return np.asarray(np.abs(response(weighting.shelf) * response(weighting.high_pass)) ** 2)


K_WEIGHTS = _k_weights()


def decibels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decibels of mean squares; −inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(powers))


def _correlation(left: float, right: float, both: float) -> float | None:
    if left <= 0.0 or right <= 0.0:
        return None
    return max(-1.0, min(1.0, float(both) / math.sqrt(left * right)))


def _mean_of_known(values: Sequence[float | None], weights: NDArray[np.float64]) -> float | None:
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    return float(sum(v * w for v, w in known) / sum(w for _, w in known)) if known else None


def _mean_of_bands(
    rows_db: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    there = np.isfinite(rows_db)
    votes = np.where(there, weights[:, np.newaxis], 0.0)
    sums = (np.where(there, rows_db, 0.0) * votes).sum(axis=0)
    total = votes.sum(axis=0)
    return np.where(total > 0.0, sums / np.where(total > 0.0, total, 1.0), -np.inf)


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
