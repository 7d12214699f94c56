"""Which way to encode a tier next, given what its earlier encodes measured. Pure.

A codec's overshoot is chaotic: the next ceiling cannot be computed from the last result.
So a tier walks a short, fixed list of candidates until one measures within tolerance; only
loudness, which is well behaved, is corrected from the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from audio_processor.model import Candidate, CandidateResult, Loudness

FULL_SCALE_DBTP = 0.0
ABSOLUTE_GATE_LUFS = -70.0
MAX_TRIM_DB = 3.0
"""A codec does not move loudness by more; a larger correction would hide a fault."""
_BACK_OFF_STEP_DB = 0.3


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
    listed: Sequence[Candidate], tried: Sequence[CandidateResult], tolerance: Tolerance
) -> Candidate | None:
    """Return the candidate to encode next, or None when one was accepted or the list is done.

    A candidate whose peak fits but whose loudness does not is repeated with its trim
    corrected; otherwise the next listed one is taken, with the trim learnt so far.
    """
    if not tried:
        return listed[0]
    last = tried[-1]
    if last.accepted or len(tried) >= len(listed):
        return None
    trim_db = last.candidate.trim_db
    if not tolerance.loudness_fits(last.measured):
        trim_db -= tolerance.loudness_error_lu(last.measured)
        trim_db = max(-MAX_TRIM_DB, min(MAX_TRIM_DB, trim_db))
        if tolerance.true_peak_fits(last.measured):
            return replace(last.candidate, trim_db=trim_db)
    used = {replace(result.candidate, trim_db=0.0) for result in tried}
    for candidate in listed:
        if replace(candidate, trim_db=0.0) not in used:
            return replace(candidate, trim_db=trim_db)
    return None


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
