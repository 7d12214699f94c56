"""A slow level rider that narrows a programme's loudness range, as an engineer's hand would.

It has the whole programme before it, so it needs neither attack nor release: the gain at a
moment follows the loudness of the three seconds around it.

* Below the integrated loudness it lifts, above it it lowers, both in proportion
  (``strength``), and never by more than 12 dB.
* The gain moves by at most 2 dB/s; 3, then 4 dB/s only for a programme that cannot be
  brought within its range otherwise. Where the gain would have to move faster it starts
  early or arrives late, so that it lies below what was wanted, never above.
* What the range measurement gates out (EBU Tech 3342: 20 LU under the programme) is silence
  or a noise floor, not a quiet passage. There the gain goes to what the loud passages get,
  so that the noise stays as far below them as it was.

The calmest hand is taken that gets there, and of its strengths the weakest.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.gating import (
    ABSOLUTE_GATE_LUFS,
    LUFS_OFFSET_DB,
    RANGE_RELATIVE_GATE_LU,
    TENTHS_PER_SHORT_TERM,
    envelope_tenths,
    hop_layout,
    integrated_lufs,
    loudness_range_lu,
)
from audio_processor.model import Envelope, GainCurve

MAX_RIDE_DB = 12.0
LOUD_PERCENTILE = 95.0
GATE_FADE_LU = 6.0
"""Over so many LU below that the gain passes from a quiet passage's to a loud one's."""
SMOOTHING_POINTS = 11
STRENGTHS = tuple(step / 40.0 for step in range(1, 41))
AIM_BELOW_LU = 0.1
CHUNK_HOPS = 65536


@dataclass(frozen=True, slots=True)
class Hand:
    """How freely the rider may move."""

    max_slope_db_per_s: float
    below_gate_lu: float
    """How far below the range measurement's gate a passage still counts as music."""


HANDS = (Hand(2.0, 0.0), Hand(3.0, 6.0), Hand(4.0, 6.0))
"""From the calmest on; the next one only where the one before cannot reach the range."""
MAX_SLOPE_DB_PER_S = max(hand.max_slope_db_per_s for hand in HANDS)


def ride(envelope: Envelope, max_range_lu: float) -> GainCurve | None:
    """Return the gain curve that brings the loudness range down to ``max_range_lu``.

    None where the range is within it, or does not exist (silence, less than 3 s). Where no
    strength gets there, the one that comes nearest is taken.
    """
    tenths = envelope_tenths(envelope)
    range_lu = loudness_range_lu(tenths)
    integrated = integrated_lufs(tenths)
    if range_lu is None or integrated is None or range_lu <= max_range_lu:
        return None
    levels = surrounding_lufs(tenths)
    best_range_lu, best = range_lu, None
    for hand, strength in itertools.product(HANDS, STRENGTHS):
        points_db = curve_points_db(levels, integrated, strength, hand)
        outcome_lu = loudness_range_lu(tenths * _tenth_factors(points_db))
        if outcome_lu is not None and outcome_lu < best_range_lu:
            best_range_lu, best = outcome_lu, points_db
        if best_range_lu <= max_range_lu - AIM_BELOW_LU:
            break
    if best is None:
        return None
    hop_s = hop_layout(envelope.sample_rate_hz).tenth_frames / envelope.sample_rate_hz
    return GainCurve(hop_s=hop_s, gain_db=best.astype(np.float32))


def surrounding_lufs(tenths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the loudness of the 3 s around each border between tenths, both ends included.

    At the programme's ends the mean is over what there is.
    """
    sums = np.concatenate([[0.0], np.cumsum(tenths)])
    borders = np.arange(sums.size)
    start = np.maximum(borders - TENTHS_PER_SHORT_TERM // 2, 0)
    end = np.minimum(borders + TENTHS_PER_SHORT_TERM // 2, tenths.size)
    means = (sums[end] - sums[start]) / (end - start)
    levels: NDArray[np.float64] = LUFS_OFFSET_DB + 10.0 * np.log10(np.maximum(means, 1e-20))
    return levels


def curve_points_db(
    levels: NDArray[np.float64], integrated: float, strength: float, hand: Hand
) -> NDArray[np.float64]:
    """Return the curve of one strength at the borders between tenths, in dB."""
    gate = gate_lufs(levels)
    floor = gate - hand.below_gate_lu
    loud = float(np.percentile(levels[levels > gate], LOUD_PERCENTILE))
    wanted = np.clip(strength * (integrated - levels), -MAX_RIDE_DB, MAX_RIDE_DB)
    at_rest = float(np.clip(strength * (integrated - loud), -MAX_RIDE_DB, 0.0))
    music = np.clip((levels - floor) / GATE_FADE_LU + 1.0, 0.0, 1.0)
    points = slope_limited(at_rest + (wanted - at_rest) * music, hand.max_slope_db_per_s / 10.0)
    window = np.hanning(SMOOTHING_POINTS + 2)[1:-1]
    padded = np.pad(points, SMOOTHING_POINTS // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


def gate_lufs(levels: NDArray[np.float64]) -> float:
    """Return the level below which the range measurement does not look (Tech 3342, §3)."""
    means = 10.0 ** (levels[levels > ABSOLUTE_GATE_LUFS] / 10.0)
    return float(10.0 * np.log10(means.mean())) + RANGE_RELATIVE_GATE_LU


def slope_limited(points: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return the highest curve, nowhere above ``points``, that moves by ``step`` at most."""
    ramp = step * np.arange(points.size)
    rising = np.minimum.accumulate(points - ramp) + ramp
    limited: NDArray[np.float64] = (np.minimum.accumulate(rising[::-1] - ramp) + ramp)[::-1]
    return limited


def _tenth_factors(points_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each tenth's factor on energy: that of the mean of its borders' gains."""
    factors: NDArray[np.float64] = 10.0 ** ((points_db[:-1] + points_db[1:]) / 20.0)
    return factors


def ridden(envelope: Envelope, curve: GainCurve) -> Envelope:
    """Return the envelope of the programme after the curve."""
    peak, energy = envelope.peak.copy(), envelope.energy.copy()
    hop_s = envelope.hop_frames / envelope.sample_rate_hz
    points = np.arange(curve.gain_db.size) * curve.hop_s
    for start in range(0, peak.size, CHUNK_HOPS):  # in chunks: no temporaries of full length
        hops = slice(start, min(start + CHUNK_HOPS, peak.size))
        middles = (np.arange(hops.start, hops.stop) + 0.5) * hop_s
        factors = 10.0 ** (np.interp(middles, points, curve.gain_db) / 20.0)
        peak[hops] *= factors
        energy[hops] *= factors**2
    return replace(envelope, peak=peak, energy=energy)
