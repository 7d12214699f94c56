"""Which way to encode a tier next, given what its earlier encodes measured. Pure.

A codec's overshoot is chaotic in size but sits in a few places: a dip of gain there settles it
in one more encode more often than a lower ceiling for the whole track, and costs no loudness.
Loudness is well behaved: it is foreseen, and corrected from the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from audio_processor.delivery.dips import deepened
from audio_processor.model import Candidate, CandidateResult, Dip, Loudness

FULL_SCALE_DBTP = 0.0
ABSOLUTE_GATE_LUFS = -70.0
MAX_CORRECTION_DB = 3.0
"""A codec does not move loudness by more; a larger correction would hide a fault."""
MAX_OVERSHOOTS = 120
"""Hops over the limit; more of them are no longer a few places."""
_BACK_OFF_STEP_DB = 0.3

ForeseenTrim = Callable[[float], float]
"""From a ceiling in dBTP to the trim in dB that a tier needs there to be as loud as promised."""


_LOWER_BY_DB = (0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0)
"""How far below the first the ceiling of each try lies, if all before it overshot."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a decoded rendition may measure."""

    loudness_lufs: float | None
    """What the plan promised: the target, or what it predicted it would reach; None = silence."""
    loudness_lu: float = 0.3
    true_peak_dbtp: float = -1.0

    def loudness_error_lu(self, measured: Loudness) -> float:
        """Measured minus promised; 0 where nothing was promised (silence).

        An encode that lost its programme counts as the absolute gate, −70 LUFS.
        """
        if self.loudness_lufs is None:
            return 0.0
        measured_lufs = measured.integrated_lufs
        return (ABSOLUTE_GATE_LUFS if measured_lufs is None else measured_lufs) - self.loudness_lufs

    def loudness_fits(self, measured: Loudness) -> bool:
        """Whether the integrated loudness is within the tolerance."""
        return abs(self.loudness_error_lu(measured)) <= self.loudness_lu

    def true_peak_fits(self, measured: Loudness) -> bool:
        """Whether the true peak is at or under the delivered limit."""
        return true_peak_dbtp(measured) <= self.true_peak_dbtp

    def fits(self, measured: Loudness) -> bool:
        """Whether both do."""
        return self.loudness_fits(measured) and self.true_peak_fits(measured)


def true_peak_dbtp(measured: Loudness) -> float:
    """Return the true peak, −∞ for digital silence."""
    return float("-inf") if measured.true_peak_dbtp is None else measured.true_peak_dbtp


def next_candidate(
    first_ceiling_dbtp: float,
    most: int,
    tried: Sequence[CandidateResult],
    tolerance: Tolerance,
    foreseen_trim_db: ForeseenTrim = lambda _ceiling_dbtp: 0.0,
) -> Candidate | None:
    """Return what to encode next, or None when one was accepted or ``most`` were tried.

    The trim is what the plan foresees for the ceiling, plus what earlier encodes taught.
    Overshoots are answered by dips where they were; where dips do not settle it, or there
    would be too many, by a lower ceiling with no dips.
    """
    if tried and (tried[-1].accepted or len(tried) >= most):
        return None
    learnt_db = sum(_lesson_lu(result, tolerance) for result in tried)
    learnt_db = max(-MAX_CORRECTION_DB, min(MAX_CORRECTION_DB, learnt_db))
    ceiling_dbtp = first_ceiling_dbtp - _LOWER_BY_DB[min(len(tried), len(_LOWER_BY_DB) - 1)]
    dips: tuple[Dip, ...] = ()
    if tried:
        last = tried[-1]
        dips = deepened(last.candidate.dips, last.overshoots)
        if len(last.overshoots) > MAX_OVERSHOOTS:
            dips, ceiling_dbtp = (), min(ceiling_dbtp, last.candidate.ceiling_dbtp - 1.0)
        elif tolerance.true_peak_fits(last.measured):
            ceiling_dbtp = last.candidate.ceiling_dbtp
        elif ceiling_dbtp < last.candidate.ceiling_dbtp:
            dips = ()
    trim_db = round(foreseen_trim_db(ceiling_dbtp) + learnt_db, 4)
    return Candidate(ceiling_dbtp, trim_db=trim_db, dips=dips)


def _lesson_lu(result: CandidateResult, tolerance: Tolerance) -> float:
    """Return the correction of gain that a result out of tolerance teaches."""
    if tolerance.loudness_fits(result.measured):
        return 0.0
    return -tolerance.loudness_error_lu(result.measured)


def best(tried: Sequence[CandidateResult], tolerance: Tolerance) -> CandidateResult:
    """Return the accepted result, else the one with the least excess of peak, then of loudness."""

    def badness(result: CandidateResult) -> tuple[bool, float, float]:
        excess_db = max(0.0, true_peak_dbtp(result.measured) - tolerance.true_peak_dbtp)
        return (not result.accepted, excess_db, abs(tolerance.loudness_error_lu(result.measured)))

    return min(tried, key=badness)


def back_off(result: CandidateResult) -> Candidate:
    """Return the same encode at a lower gain: the last resort against a codec's overshoot.

    The ceiling comes down with the gain, so a limited programme is lowered as a whole.
    """
    excess_db = max(0.0, true_peak_dbtp(result.measured) - FULL_SCALE_DBTP)
    step_db = excess_db + _BACK_OFF_STEP_DB
    return replace(
        result.candidate,
        ceiling_dbtp=result.candidate.ceiling_dbtp - step_db,
        trim_db=result.candidate.trim_db - step_db,
    )
