"""What a programme would measure under a gain and a limiter, without touching its audio.

The programme's envelope (true peak and K-weighted energy every 5 ms or so) is enough: the
limiter's own gain computer runs over it, the energies are scaled by what comes out, and the
gates of BS.1770-5 see the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.gating import (
    envelope_tenths,
    hop_layout,
    integrated_lufs,
    loudness_range_lu,
)
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.limiter import MARGIN_DB
from audio_processor.dsp.reduction import (
    GainComputer,
    GainReduction,
    ReductionTally,
    ReductionTimes,
)
from audio_processor.model import Envelope

CELLS_PER_HOP = 4
"""The limiter is simulated four times as finely as the envelope is known, because a hop is
about as long as the look-ahead."""
PEAK_CELLS = (1, 2)
"""Where in its hop a peak is taken to be. One cell foresees too little limiting (0.01 LU on
real music, 0.1 LU on bare drums), the whole hop too much; the middle half is within 0.03 LU
on music 4 dB too loud, and within 0.06 LU on bare drums."""
CHUNK_HOPS = 8192
PRECISION_LU = 0.01
MAX_FORECASTS = 24
MIN_SLOPE = 0.05
"""Where loudness hardly grows any more, a step is at most twenty times what is missing."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a programme will measure."""

    gain_db: float
    integrated_lufs: float | None
    range_lu: float | None
    true_peak_dbtp: float | None
    reduction: GainReduction


def forecast(
    envelope: Envelope, gain_db: float, ceiling_dbtp: float, times: ReductionTimes | None = None
) -> Forecast:
    """Foresee the programme after ``gain_db`` and the limiter at ``ceiling_dbtp``."""
    peak = float(envelope.peak.max(initial=0.0))
    peak_dbtp = 20.0 * math.log10(peak) + gain_db if peak > 0.0 else None
    factor = 10.0 ** (gain_db / 20.0)
    tally = ReductionTally()
    if peak_dbtp is None or peak_dbtp <= ceiling_dbtp - MARGIN_DB:
        tenths = envelope_tenths(envelope) * factor**2
    else:
        threshold = 10.0 ** ((ceiling_dbtp - MARGIN_DB) / 20.0) / factor
        tenths = factor**2 * _limited_tenths(envelope, threshold, times, tally)
        peak_dbtp = min(peak_dbtp, ceiling_dbtp)
    return Forecast(
        gain_db=gain_db,
        integrated_lufs=integrated_lufs(tenths),
        range_lu=loudness_range_lu(tenths),
        true_peak_dbtp=peak_dbtp,
        reduction=tally.result(envelope.peak.size * CELLS_PER_HOP),
    )


def reach(
    envelope: Envelope,
    target_lufs: float,
    ceiling_dbtp: float,
    max_gain_db: float,
    times: ReductionTimes | None = None,
) -> Forecast:
    """Return the forecast at the gain, ``max_gain_db`` at most, that comes nearest the target.

    Limiting takes loudness away, so the gain is raised until what is left of it is enough.
    Loudness grows with the gain, and ever more slowly: secant steps find the way.
    Raises ``ValueError`` for a programme without loudness.
    """
    unlimited = integrated_lufs(envelope_tenths(envelope))
    if unlimited is None:
        raise ValueError("a programme without loudness cannot be brought to any")
    gain_db = min(target_lufs - unlimited, max_gain_db)
    seen: list[tuple[float, Forecast]] = []
    slope = 1.0
    while True:
        result = forecast(envelope, gain_db, ceiling_dbtp, times)
        if result.integrated_lufs is None:
            return result
        error_lu = result.integrated_lufs - target_lufs
        if seen and gain_db != seen[-1][1].gain_db:
            before_lu, before = seen[-1]
            slope = (error_lu - before_lu) / (gain_db - before.gain_db)
        seen.append((error_lu, result))
        at_the_end = gain_db >= max_gain_db and error_lu < 0.0
        if abs(error_lu) <= PRECISION_LU or at_the_end or len(seen) == MAX_FORECASTS:
            return min(seen, key=lambda pair: abs(pair[0]))[1]
        gain_db = min(gain_db - error_lu / min(max(slope, MIN_SLOPE), 1.0), max_gain_db)


def _limited_tenths(
    envelope: Envelope, threshold: float, times: ReductionTimes | None, tally: ReductionTally
) -> NDArray[np.float64]:
    """Return the tenths after limiting at ``threshold`` (linear), and tally the reduction.

    In chunks, so that memory does not grow with the programme.
    """
    layout = hop_layout(envelope.sample_rate_hz)
    cell_s = layout.hop_frames / envelope.sample_rate_hz / CELLS_PER_HOP
    computer = GainComputer(times or ReductionTimes(), cell_s)
    tenths = np.zeros(envelope.frames // layout.tenth_frames)
    cells_per_tenth = layout.hops_per_tenth * CELLS_PER_HOP
    required = np.zeros(CHUNK_HOPS * CELLS_PER_HOP, dtype=np.float32)
    reduction = np.zeros_like(required)
    first_cell = -computer.lookahead_cells
    while first_cell < envelope.peak.size * CELLS_PER_HOP:
        start = (first_cell + computer.lookahead_cells) // CELLS_PER_HOP
        peaks = envelope.peak[start : start + CHUNK_HOPS]
        needs = np.zeros(CHUNK_HOPS, dtype=np.float32)
        needs[: peaks.size] = 1.0 - np.float32(threshold) / np.maximum(peaks, np.float32(threshold))
        for cell in PEAK_CELLS:
            required[cell::CELLS_PER_HOP] = needs
        computer.advance(required, reduction)
        tally.add(reduction)
        add_limited_energy(reduction, first_cell, envelope.energy, cells_per_tenth, tenths)
        first_cell += required.size
    return tenths / cells_per_tenth


@kernel()
def add_limited_energy(
    reduction: NDArray[np.float32],
    first_cell: int,
    energy: NDArray[np.float32],
    cells_per_tenth: int,
    tenths: NDArray[np.float64],
) -> None:
    """Add each cell's share of its hop's energy, times its gain squared, to its tenth."""
    last_cell = min(tenths.shape[0] * cells_per_tenth, energy.shape[0] * CELLS_PER_HOP)
    for i in range(max(0, -first_cell), min(reduction.shape[0], last_cell - first_cell)):
        cell = first_cell + i
        gain = 1.0 - reduction[i]
        tenths[cell // cells_per_tenth] += energy[cell // CELLS_PER_HOP] * gain * gain
