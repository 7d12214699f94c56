"""A programme's long-term profile: what a reference is remembered by, and a source matched from.

Spectra are those of the passages that make the programme's loudness (``dsp.band_windows`` says
how they are found), so an intro, a break or a fade does not colour them; of what is left,
louder passages weigh more by their power. The grid is fixed: profiles of 44.1 and 96 kHz
sources compare band by band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.band_windows import BandWindows, Passages
from audio_processor.dsp.bands import (
    BANDS,
    BANDS_PER_OCTAVE,
    CENTRES_HZ,
    EDGES_HZ,
    THIRD_OCTAVES_HZ,
    decibels,
    power,
)
from audio_processor.dsp.filters import KWeightedEnergy
from audio_processor.dsp.gating import hop_layout
from audio_processor.dsp.intake import BACK_FRAMES, CHUNK_TENTHS, Chunk, Intake
from audio_processor.dsp.loudness import LoudnessTally
from audio_processor.dsp.true_peak import HopPeaks
from audio_processor.dsp.true_peak import decibels as peak_decibels
from audio_processor.errors import MasteringRejected
from audio_processor.model import Block, Loudness

__all__ = [
    "BANDS", "BANDS_PER_OCTAVE", "CENTRES_HZ", "EDGES_HZ", "THIRD_OCTAVES_HZ",
    "Balance", "Profile", "ProfileMeter", "balance", "combine", "third_octave_db",
]  # fmt: skip

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
    passages: Passages | None = None
    """What it was measured from, quiet to loud; None where only the profile was kept."""

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
        self._windows = BandWindows(sample_rate_hz)

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
            passages=self._windows.passages(),
        )

    def _take(self, chunk: Chunk) -> None:
        self._loudness.add(self._energy.take(chunk), chunk.frames)
        sample_peaks, true_peaks = self._peaks.of(chunk)
        self._sample_peak = max(self._sample_peak, float(sample_peaks.max()))
        self._true_peak = max(self._true_peak, float(true_peaks.max()))
        self._windows.add(chunk.samples[:, BACK_FRAMES : BACK_FRAMES + chunk.frames])


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
