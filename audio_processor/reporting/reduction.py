"""What the plan's gain came to over time: the rider's curve, and the limiter's gain reduction.

Both are computed, not measured, by the very code that the line runs: the plan is a pure
function of the programme, and the limiter's gain computer needs nothing but its true peaks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from audio_processor.dsp.gating import hop_layout
from audio_processor.dsp.limiter import MARGIN_DB
from audio_processor.dsp.reduction import GainComputer, ReductionTimes
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.catalogue import STAGES
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.governor import CELLS_PER_HOP, CHUNK_HOPS, PEAK_CELLS
from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.plan import PlanLimits, make_plan
from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.input_level import InputLevel
from audio_processor.mastering.tiers import levelled_envelope
from audio_processor.model import Analysis, Blocks, Envelope, Plan, StageFigures
from audio_processor.reporting.data import Delivered, GainDone, Series

SAME_DB = 0.02
"""Levels and gains that differ by less are one: documents round to 0.001 dB."""

_KNOWN = {**STAGES, InputLevel.name: InputLevel}


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


def replayed(
    blocks: Blocks, sample_rate_hz: int, told: Delivered, limits: PlanLimits
) -> GainDone | None:
    """Return the same of an upload delivered earlier: mastered and planned once more.

    None where what comes out is not what was carried out: another version or other settings
    made it, or the chain cannot be made from what was told of it (a match with a reference).
    Raises what decoding raises.
    """
    stages = told_stages(told.mastering.stages if told.mastering else ())
    if stages is None:
        return None
    analysis = analyse(blocks, sample_rate_hz, Chain(stages))
    plan = make_plan(analysis, told.targets, limits)
    same = (
        plan.mode == told.plan.mode
        and _near(analysis.mastered.integrated_lufs, told.mastered_loudness.integrated_lufs)
        and _near(plan.gain_db, told.plan.gain_db)
    )
    return gain_done(analysis, plan, told) if same else None


def told_stages(told: Iterable[StageFigures]) -> tuple[MasteringStage, ...] | None:
    """Return the stages that were told of; None where one is not all told."""
    stages: list[MasteringStage] = []
    for each in told:
        kind = _KNOWN.get(each.stage)
        if kind is None:
            return None
        declared = {field.name: field.default for field, _ in parameters(kind)}
        if set(declared) != set(each.parameters):
            return None
        values = {
            name: round(value) if isinstance(declared[name], int) else value
            for name, value in each.parameters.items()
        }
        try:
            stages.append(kind(**values))
        except OutOfRange:
            return None
    return tuple(stages)


def _near(value_db: float | None, told_db: float | None) -> bool:
    if value_db is None or told_db is None:
        return value_db is told_db
    return abs(value_db - told_db) <= SAME_DB


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
