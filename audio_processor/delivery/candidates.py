"""Which way to encode a tier next, given what its earlier encodes measured. Pure.

A codec's overshoot is chaotic: the next ceiling cannot be computed from the last result.
So a tier walks a short, fixed list of candidates until one measures within tolerance; only
loudness, which is well behaved, is corrected from the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from audio_processor.model import Candidate, CandidateResult, Loudness

FULL_SCALE_DBTP = 0.0
ABSOLUTE_GATE_LUFS = -70.0
MAX_CORRECTION_DB = 3.0
"""A codec does not move loudness by more; a larger correction would hide a fault."""
_BACK_OFF_STEP_DB = 0.3

ForeseenTrim = Callable[[float], float]
"""From a ceiling in dBTP to the trim in dB that a tier needs there to be as loud as promised."""


_AFTER_THE_FIRST: tuple[tuple[float, Literal["twoloop", "fast"], bool], ...] = (
    (-1.0, "twoloop", True),
    (0.0, "twoloop", False),
    (-1.0, "twoloop", False),
    (-2.0, "twoloop", True),
    (-2.0, "fast", True),
    (-3.0, "twoloop", True),
    (-3.0, "fast", False),
)
"""Change of ceiling in dB, coder, TNS: in the order in which they rescued most tracks."""


def listed_candidates(first_ceiling_dbtp: float, most: int) -> tuple[Candidate, ...]:
    """Return the ways to encode a tier, best first, ``most`` of them at most."""
    others = (
        Candidate(first_ceiling_dbtp + change_db, coder, tns)
        for change_db, coder, tns in _AFTER_THE_FIRST
    )
    return (Candidate(first_ceiling_dbtp), *others)[:most]


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
    listed: Sequence[Candidate],
    tried: Sequence[CandidateResult],
    tolerance: Tolerance,
    foreseen_trim_db: ForeseenTrim = lambda _ceiling_dbtp: 0.0,
) -> Candidate | None:
    """Return the candidate to encode next, or None when one was accepted or the list is done.

    A trim is what the plan foresees for the candidate's ceiling, plus what earlier encodes
    taught. A candidate whose peak fits but whose loudness does not is repeated with its trim
    corrected; otherwise the next listed one is taken.
    """
    if not tried:
        return _trimmed(listed[0], foreseen_trim_db(listed[0].ceiling_dbtp))
    last = tried[-1]
    if last.accepted or len(tried) >= len(listed):
        return None
    learnt_db = last.candidate.trim_db - foreseen_trim_db(last.candidate.ceiling_dbtp)
    if not tolerance.loudness_fits(last.measured):
        learnt_db -= tolerance.loudness_error_lu(last.measured)
        learnt_db = max(-MAX_CORRECTION_DB, min(MAX_CORRECTION_DB, learnt_db))
        if tolerance.true_peak_fits(last.measured):
            foreseen_db = foreseen_trim_db(last.candidate.ceiling_dbtp)
            return _trimmed(last.candidate, foreseen_db + learnt_db)
    used = {_trimmed(result.candidate, 0.0) for result in tried}
    for candidate in listed:
        if candidate not in used:
            foreseen_db = foreseen_trim_db(candidate.ceiling_dbtp)
            return _trimmed(candidate, foreseen_db + learnt_db)
    return None


def _trimmed(candidate: Candidate, trim_db: float) -> Candidate:
    return replace(candidate, trim_db=round(trim_db, 4))


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
