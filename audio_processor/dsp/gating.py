"""From mean squares to loudness: the gates and percentiles of the standards, in plain numpy.

Everything starts from *tenths*: the K-weighted mean square of each complete 100 ms of the
programme, weighted and summed over the channels (BS.1770-5's Σ Gᵢ·zᵢ). Pure functions, so a
planner can ask what a programme would measure under another gain without any audio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audio_processor.model import Envelope

LUFS_OFFSET_DB = -0.691  # BS.1770-5, equation 2: a 997 Hz full-scale sine reads -3.01
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_RELATIVE_GATE_LU = -20.0
RANGE_PERCENTILES = (0.10, 0.95)
TENTHS_PER_MOMENTARY = 4
TENTHS_PER_SHORT_TERM = 30

NOMINAL_HOP_S = 0.005
_HOPS_PER_TENTH = range(15, 31)


@dataclass(frozen=True, slots=True)
class HopLayout:
    """How a rate's 100 ms are cut into equal hops of whole frames."""

    hop_frames: int
    hops_per_tenth: int

    @property
    def tenth_frames(self) -> int:
        """Frames that count as 100 ms: exact at every common rate, else the nearest possible."""
        return self.hop_frames * self.hops_per_tenth


def hop_layout(sample_rate_hz: int) -> HopLayout:
    """Cut 100 ms into 15–30 hops, as near 100 ms and then as near 5 ms a hop as can be.

    210 frames × 21 at 44.1 kHz, 240 × 20 at 48 kHz. A tenth is off by at most one part in
    a thousand (11.025 kHz, whose 100 ms are no whole number of frames).
    """
    tenth = sample_rate_hz / 10

    def misfit(layout: HopLayout) -> tuple[float, float]:
        hop_error = abs(layout.hop_frames - sample_rate_hz * NOMINAL_HOP_S)
        return abs(layout.tenth_frames - tenth), hop_error

    return min((HopLayout(max(1, round(tenth / n)), n) for n in _HOPS_PER_TENTH), key=misfit)


def lufs(mean_square: float) -> float | None:
    """Return the loudness of a weighted mean square, or None where there is none."""
    return LUFS_OFFSET_DB + 10.0 * math.log10(mean_square) if mean_square > 0.0 else None


def mean_square(loudness_lufs: float) -> float:
    """Return the weighted mean square that reads as this loudness."""
    return float(10.0 ** ((loudness_lufs - LUFS_OFFSET_DB) / 10.0))


def envelope_tenths(envelope: Envelope) -> NDArray[np.float64]:
    """Return the tenths of a programme from its envelope; an incomplete last one is dropped."""
    layout = hop_layout(envelope.sample_rate_hz)
    if envelope.hop_frames != layout.hop_frames:
        raise ValueError(f"an envelope of {envelope.hop_frames} frames a hop has no whole tenths")
    count = envelope.frames // layout.tenth_frames
    hops = envelope.energy[: count * layout.hops_per_tenth].astype(np.float64)
    means: NDArray[np.float64] = hops.reshape(count, layout.hops_per_tenth).mean(axis=1)
    return means


def integrated_lufs(tenths: NDArray[np.float64]) -> float | None:
    """Return the gated loudness: 400 ms blocks every 100 ms, −70 LUFS then −10 LU.

    BS.1770-5 Annex 1, equations 3–7. None for less than 400 ms, or where nothing is above
    the absolute gate.
    """
    blocks = momentary_mean_squares(tenths)
    audible = blocks[blocks > mean_square(ABSOLUTE_GATE_LUFS)]
    if not audible.size:
        return None
    gate = audible.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)
    return lufs(float(audible[audible > gate].mean()))


def loudness_range_lu(tenths: NDArray[np.float64]) -> float | None:
    """Return the loudness range: 10th to 95th percentile of the gated short-term loudness.

    EBU Tech 3342, with a 3 s window every 100 ms. None for less than 3 s, or where nothing is
    above the absolute gate.
    """
    return range_of_windows_lu(short_term_mean_squares(tenths))


def range_of_windows_lu(windows: NDArray[np.float64]) -> float | None:
    """Return the loudness range of short-term mean squares, taken however often.

    Gated at −70 LUFS and 20 LU below the level of what that leaves; percentiles by the
    nearest rank, as in the reference implementation that Tech 3342 prints.
    """
    audible = windows[windows >= mean_square(ABSOLUTE_GATE_LUFS)]
    if not audible.size:
        return None
    gate = audible.mean() * 10.0 ** (RANGE_RELATIVE_GATE_LU / 10.0)
    ranked = np.sort(audible[audible >= gate])
    low, high = (ranked[math.floor((ranked.size - 1) * p + 0.5)] for p in RANGE_PERCENTILES)
    return float(10.0 * math.log10(high / low))


def momentary_mean_squares(tenths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean square of each complete 400 ms window, one every 100 ms."""
    return _sliding_means(tenths, TENTHS_PER_MOMENTARY)


def short_term_mean_squares(tenths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean square of each complete 3 s window, one every 100 ms."""
    return _sliding_means(tenths, TENTHS_PER_SHORT_TERM)


def _sliding_means(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    if values.size < width:
        return np.empty(0)
    means: NDArray[np.float64] = sliding_window_view(values, width).mean(axis=1)
    return means
