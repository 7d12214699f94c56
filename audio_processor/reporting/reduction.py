"""What the plan's gain came to over time: the rider's curve, and the limiter's gain reduction.

Both are computed, not measured, by the very code that the line runs: the plan is a pure
function of the programme, and the limiter's gain computer needs nothing but its true peaks.
"""

from __future__ import annotations

import numpy as np

from audio_processor.dsp.gating import hop_layout
from audio_processor.dsp.limiter import MARGIN_DB
from audio_processor.dsp.reduction import GainComputer, ReductionTimes
from audio_processor.mastering.governor import CELLS_PER_HOP, CHUNK_HOPS, PEAK_CELLS
from audio_processor.mastering.plan import PlanLimits, make_plan
from audio_processor.mastering.tiers import levelled_envelope
from audio_processor.model import Analysis, Envelope, Plan
from audio_processor.reporting.data import Delivered, GainDone, Programme, Series

SAME_DB = 0.02
"""Plans whose gains differ by less are one: the document rounds to 0.001 dB."""


def gain_done(analysis: Analysis, plan: Plan, told: Delivered) -> GainDone:
    """Return what the plan's gain came to in the delivered m4a."""
    envelope = levelled_envelope(analysis, plan)
    layout = hop_layout(envelope.sample_rate_hz)
    gain_db = plan.gain_db + told.m4a_trim_db
    return GainDone(
        rider=plan.rider,
        tenth_s=layout.tenth_frames / envelope.sample_rate_hz,
        reduction_db=reduction_db(envelope, gain_db, told.m4a_ceiling_dbtp),
    )


def replayed(before: Programme, told: Delivered, limits: PlanLimits) -> GainDone | None:
    """Return the same of an upload delivered earlier, by planning it again.

    None where that is not the plan that was carried out, or cannot be known to be: a mastering
    chain stood before it, or other settings or another version made it.
    """
    if told.mastering is not None and told.mastering.stages:
        return None
    analysis = Analysis(
        sample_rate_hz=before.sample_rate_hz,
        channels=2,
        frames=before.frames,
        source=before.loudness,
        mastered=before.loudness,
        envelope=before.envelope,
        facts=before.facts,
        waveform=before.waveform,
    )
    plan = make_plan(analysis, told.targets, limits)
    same_mode = plan.mode == told.plan.mode
    if not same_mode or abs(plan.gain_db - told.plan.gain_db) > SAME_DB:
        return None
    return gain_done(analysis, plan, told)


def reduction_db(envelope: Envelope, gain_db: float, ceiling_dbtp: float) -> Series:
    """Return the deepest gain reduction in each 100 ms of a programme after ``gain_db``, in dB.

    As ``mastering.governor`` foresees it; the limiter itself sees the samples.
    """
    layout = hop_layout(envelope.sample_rate_hz)
    hops = envelope.peak.size
    per_tenth = layout.hops_per_tenth * CELLS_PER_HOP
    deepest = np.zeros(-(-hops * CELLS_PER_HOP // per_tenth))
    cell_s = layout.hop_frames / envelope.sample_rate_hz / CELLS_PER_HOP
    computer = GainComputer(ReductionTimes(), cell_s)
    threshold = np.float32(10.0 ** ((ceiling_dbtp - MARGIN_DB - gain_db) / 20.0))
    required = np.zeros(CHUNK_HOPS * CELLS_PER_HOP, np.float32)
    reduction = np.zeros_like(required)
    first = -computer.lookahead_cells
    for start in range(0, hops + computer.lookahead_cells, CHUNK_HOPS):
        peaks = envelope.peak[start : start + CHUNK_HOPS]
        needs = np.zeros(CHUNK_HOPS, np.float32)
        needs[: peaks.size] = 1.0 - threshold / np.maximum(peaks, threshold)
        for cell in PEAK_CELLS:
            required[cell::CELLS_PER_HOP] = needs
        computer.advance(required, reduction)
        tenths = (first + np.arange(required.size)) // per_tenth
        inside = (tenths >= 0) & (tenths < deepest.size)
        np.maximum.at(deepest, tenths[inside], reduction[inside])
        first += required.size
    return np.asarray(-20.0 * np.log10(np.maximum(1.0 - deepest, 1e-6)))
