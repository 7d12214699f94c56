"""The plan: from what a programme measures to what is to be done with its gain. Pure.

One static gain wherever that reaches the target; a limiter only where the peaks then ask
for one; a rider only where the loudness range would still be too wide. What cannot be
reached within the limits is left out and named, never covered up by a dynamic mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from audio_processor.dsp.gating import envelope_tenths, integrated_lufs, loudness_range_lu
from audio_processor.dsp.limiter import MARGIN_DB
from audio_processor.mastering.governor import Forecast, forecast, reach
from audio_processor.mastering.rider import ridden, ride
from audio_processor.model import (
    Analysis,
    Envelope,
    GainCurve,
    LimitedBy,
    Plan,
    PlanMode,
    Targets,
)

MIN_DURATION_S = 0.4
"""One gating block of BS.1770-5: below it there is no integrated loudness."""
TOLERANCE_LU = 0.05
"""Half of what is promised of the master; the other half is the forecast's."""
RANGE_TOLERANCE_LU = 0.5
"""A range over its target by less is not worth a warning."""
BISECTIONS = 16

_KEPT_BY: Mapping[LimitedBy, str] = MappingProxyType(
    {
        "max_gain": "more gain than loudness.max_gain_db allows would raise its noise",
        "max_gain_reduction": "the limiter would have to take off more than the loudness settings "
        "allow, at its deepest or on average",
        "peaks": "no limiting is allowed, and its peaks stand at the ceiling",
    }
)


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How far a plan may go to reach its targets."""

    max_gain_db: float = 24.0
    """Largest static gain: beyond it a noise floor becomes the programme. The quietest of 130
    real tracks needed 10 dB to reach −14 LUFS."""
    max_gain_reduction_db: float = 12.0
    """Deepest gain reduction of the limiter; 0 allows no limiting at all. The same tracks
    needed 10 dB at most, under a ceiling of −1.5 dBTP."""
    max_mean_gain_reduction_db: float = 6.0
    """Mean gain reduction over the time in which the limiter acts."""


@dataclass(frozen=True, slots=True)
class _Levelled:
    """A gain decided, and what kept it from the target, if anything did."""

    outcome: Forecast
    limited_by: LimitedBy | None


def make_plan(analysis: Analysis, targets: Targets, limits: PlanLimits = PlanLimits()) -> Plan:
    """Decide gain, limiting and riding for a measured programme."""
    envelope = analysis.envelope
    loudness = integrated_lufs(envelope_tenths(envelope))
    if analysis.duration_s < MIN_DURATION_S:
        return _untouched(analysis, targets, "too_short")
    if analysis.mastered.integrated_lufs is None or loudness is None:
        return _untouched(analysis, targets, "silence")
    unridden = _level(envelope, targets, limits)
    if targets.range_mode == "limit" and _too_wide(unridden, targets):
        return _ridden_plan(envelope, unridden, targets, limits)
    return _plan(unridden, None, targets)


def plan_warnings(plan: Plan, targets: Targets) -> Iterator[str]:
    """Yield a sentence for each target that the plan backs off from, and why it does."""
    why = _KEPT_BY.get(plan.limited_by) if plan.limited_by is not None else None
    if why is not None and plan.predicted_lufs is not None:
        yield (
            f"The track is delivered at {plan.predicted_lufs:.1f} LUFS instead of "
            f"{targets.integrated_lufs:g}: {why}."
        )
    range_lu = plan.predicted_range_lu
    if targets.range_mode == "preserve" or range_lu is None:
        return
    if range_lu > targets.range_lu + RANGE_TOLERANCE_LU:
        yield (
            f"The loudness range stays at {range_lu:.1f} LU, above the {targets.range_lu:g} LU "
            "asked for: the level changes faster than it may be ridden."
        )


def _ridden_plan(
    envelope: Envelope, unridden: _Levelled, targets: Targets, limits: PlanLimits
) -> Plan:
    """Ride as little as the targets allow: the limiter narrows the range as well.

    What it took off the unridden programme is hoped for first, and done without where the
    ridden one, whose peaks differ, does not lose as much.
    """
    before_lu = loudness_range_lu(envelope_tenths(envelope)) or 0.0
    narrowed_lu = max(0.0, before_lu - (unridden.outcome.range_lu or 0.0))
    levelled, rider = unridden, None
    for aim_lu in (targets.range_lu + narrowed_lu, targets.range_lu):
        curve = ride(envelope, aim_lu)
        if curve is None:
            continue
        levelled, rider = _level(ridden(envelope, curve), targets, limits), curve
        if not _too_wide(levelled, targets):
            break
    return _plan(levelled, rider, targets)


def _too_wide(levelled: _Levelled, targets: Targets) -> bool:
    range_lu = levelled.outcome.range_lu
    return range_lu is not None and range_lu > targets.range_lu


def _level(envelope: Envelope, targets: Targets, limits: PlanLimits) -> _Levelled:
    """Find the gain within the limits; say which of them kept it from the target."""
    ceiling_dbtp = targets.true_peak_dbtp
    peak_dbtp = 20.0 * math.log10(float(envelope.peak.max()))
    peak_limit_db = ceiling_dbtp - MARGIN_DB - peak_dbtp + limits.max_gain_reduction_db
    max_gain_db = min(limits.max_gain_db, peak_limit_db)
    outcome = reach(envelope, targets.integrated_lufs, ceiling_dbtp, max_gain_db)
    bound: LimitedBy = "max_gain"
    if peak_limit_db < limits.max_gain_db:
        bound = "max_gain_reduction" if limits.max_gain_reduction_db > 0.0 else "peaks"
    if outcome.reduction.mean_db > limits.max_mean_gain_reduction_db:
        outcome = _with_less_reduction(envelope, outcome, ceiling_dbtp, limits)
        bound = "max_gain_reduction"
    reached = outcome.integrated_lufs
    if reached is not None and abs(reached - targets.integrated_lufs) <= TOLERANCE_LU:
        return _Levelled(outcome, None)
    return _Levelled(outcome, bound)


def _with_less_reduction(
    envelope: Envelope, outcome: Forecast, ceiling_dbtp: float, limits: PlanLimits
) -> Forecast:
    """Return the forecast at the highest gain whose mean reduction is within its limit."""
    low_db, high_db = outcome.gain_db - outcome.reduction.deepest_db, outcome.gain_db
    best = forecast(envelope, low_db, ceiling_dbtp)
    for _ in range(BISECTIONS):
        middle = forecast(envelope, (low_db + high_db) / 2.0, ceiling_dbtp)
        if middle.reduction.mean_db <= limits.max_mean_gain_reduction_db:
            best, low_db = middle, middle.gain_db
        else:
            high_db = middle.gain_db
    return best


def _plan(levelled: _Levelled, rider: GainCurve | None, targets: Targets) -> Plan:
    outcome = levelled.outcome
    limited = outcome.reduction.deepest_db > 0.0
    mode: PlanMode = "limited" if limited else "static"
    if rider is not None:
        mode = "ridden+limited" if limited else "ridden"
    return Plan(
        mode=mode,
        gain_db=outcome.gain_db,
        ceiling_dbtp=targets.true_peak_dbtp,
        rider=rider,
        predicted_lufs=outcome.integrated_lufs,
        predicted_range_lu=outcome.range_lu,
        predicted_true_peak_dbtp=outcome.true_peak_dbtp,
        predicted_gain_reduction_db=outcome.reduction.deepest_db,
        limited_by=levelled.limited_by,
    )


def _untouched(analysis: Analysis, targets: Targets, why: LimitedBy) -> Plan:
    return Plan(
        mode="none",
        gain_db=0.0,
        ceiling_dbtp=targets.true_peak_dbtp,
        rider=None,
        predicted_lufs=analysis.mastered.integrated_lufs,
        predicted_range_lu=analysis.mastered.range_lu,
        predicted_true_peak_dbtp=analysis.mastered.true_peak_dbtp,
        predicted_gain_reduction_db=0.0,
        limited_by=why,
    )
