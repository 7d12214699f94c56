"""Which way to encode a tier next, given what its earlier encodes measured. Pure.

A codec's overshoot is chaotic in size but sits in a few places: a dip of gain there settles it
in one more encode more often than a lower ceiling for the whole track, and costs no loudness.
Loudness is well behaved: it is foreseen, and corrected from the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from audio_processor.delivery.dips import MAX_OVERSHOOTS, deepened
from audio_processor.model import Candidate, CandidateResult, Dip, LimitedBy, Loudness

FULL_SCALE_DBTP = 0.0
ABSOLUTE_GATE_LUFS = -70.0
MAX_CORRECTION_DB = 6.0
"""Beyond what is foreseen; a codec does not move loudness by more."""
MIN_SECANT_DB = 0.05
MIN_SLOPE = 0.3
MAX_BAND_LOSS_LU = 3.0
"""A tier whose cut takes more than this cannot make up for it by gain."""
BACK_OFF_STEP_DB = 0.3

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
    """Return what to encode next; None when one was accepted, or nothing new is left to try.

    The trim is what the plan foresees for the ceiling, plus what the last encode taught.
    Overshoots are answered by dips where they were; where dips do not settle it, or there
    would be too many, by a lower ceiling with no dips.
    """
    if not tried:
        return Candidate(first_ceiling_dbtp, trim_db=round(foreseen_trim_db(first_ceiling_dbtp), 4))
    last = tried[-1]
    if last.accepted or len(tried) >= most:
        return None
    ceiling_dbtp, dips = _answer_to_peaks(first_ceiling_dbtp, tried, tolerance)
    learnt_db = _corrected_trim_db(tried, tolerance) - foreseen_trim_db(last.candidate.ceiling_dbtp)
    learnt_db = max(-MAX_CORRECTION_DB, min(MAX_CORRECTION_DB, learnt_db))
    trim_db = round(foreseen_trim_db(ceiling_dbtp) + learnt_db, 4)
    candidate = Candidate(ceiling_dbtp, trim_db=trim_db, dips=dips)
    # an encode is deterministic: the same again would only cost the same again
    return None if candidate in {result.candidate for result in tried} else candidate


def _answer_to_peaks(
    first_ceiling_dbtp: float, tried: Sequence[CandidateResult], tolerance: Tolerance
) -> tuple[float, tuple[Dip, ...]]:
    """Return the ceiling and the dips that answer the last encode's overshoots."""
    last = tried[-1]
    if tolerance.true_peak_fits(last.measured):
        return last.candidate.ceiling_dbtp, last.candidate.dips
    step = sum(not tolerance.true_peak_fits(result.measured) for result in tried)
    ceiling_dbtp = first_ceiling_dbtp - _LOWER_BY_DB[min(step, len(_LOWER_BY_DB) - 1)]
    if len(last.overshoots) > MAX_OVERSHOOTS:
        return min(ceiling_dbtp, last.candidate.ceiling_dbtp - 1.0), ()
    if ceiling_dbtp < last.candidate.ceiling_dbtp:
        return ceiling_dbtp, ()
    return last.candidate.ceiling_dbtp, deepened(last.candidate.dips, last.overshoots)


def _corrected_trim_db(tried: Sequence[CandidateResult], tolerance: Tolerance) -> float:
    """Return the trim that would have brought the last encode to the promised loudness.

    Inside a limiter a decibel of gain is less than a loudness unit: how much less, two
    encodes at one ceiling tell.
    """
    last = tried[-1]
    if tolerance.loudness_fits(last.measured):
        return last.candidate.trim_db
    error_lu = tolerance.loudness_error_lu(last.measured)
    slope = 1.0
    if len(tried) > 1 and tried[-2].candidate.ceiling_dbtp == last.candidate.ceiling_dbtp:
        gained_db = last.candidate.trim_db - tried[-2].candidate.trim_db
        gained_lu = error_lu - tolerance.loudness_error_lu(tried[-2].measured)
        if abs(gained_db) > MIN_SECANT_DB:
            slope = max(MIN_SLOPE, min(1.0, gained_lu / gained_db))
    return last.candidate.trim_db - error_lu / slope


def best(tried: Sequence[CandidateResult], tolerance: Tolerance) -> CandidateResult:
    """Return the accepted result, else the one with the least excess of peak, then of loudness."""

    def badness(result: CandidateResult) -> tuple[bool, float, float]:
        excess_db = max(0.0, true_peak_dbtp(result.measured) - tolerance.true_peak_dbtp)
        return (not result.accepted, excess_db, abs(tolerance.loudness_error_lu(result.measured)))

    return min(tried, key=badness)


def last_resort(
    tried: Sequence[CandidateResult], tolerance: Tolerance, most: int
) -> Candidate | None:
    """Return the last encode at a lower gain, or None where the best one can be delivered.

    Lowering is always possible, so nothing need be delivered above full scale, or louder than
    promised. What overshoots is lowered as a whole, ceiling and all, by steps that grow: the
    next encode's overshoot is another.
    """
    closest, last = best(tried, tolerance), tried[-1]
    too_loud_lu = tolerance.loudness_error_lu(closest.measured) - tolerance.loudness_lu
    if true_peak_dbtp(closest.measured) <= FULL_SCALE_DBTP and too_loud_lu <= 0.0:
        return None
    excess_db = max(0.0, true_peak_dbtp(last.measured) - FULL_SCALE_DBTP)
    error_lu = tolerance.loudness_error_lu(last.measured)
    if excess_db == 0.0 and error_lu > tolerance.loudness_lu:
        return replace(last.candidate, trim_db=round(last.candidate.trim_db - error_lu, 4))
    step_db = excess_db + BACK_OFF_STEP_DB * 2.0 ** max(0, len(tried) - most)
    return replace(
        last.candidate,
        ceiling_dbtp=last.candidate.ceiling_dbtp - step_db,
        trim_db=round(last.candidate.trim_db - step_db, 4),
    )


def what_limited(
    kept: CandidateResult,
    tried: Sequence[CandidateResult],
    tolerance: Tolerance,
    band_loss_lu: float,
) -> LimitedBy | None:
    """Return the codec's part in a result out of tolerance; None for one within."""
    if kept.accepted:
        return None
    if band_loss_lu > MAX_BAND_LOSS_LU:
        return "codec_band"
    if any(not tolerance.true_peak_fits(result.measured) for result in tried):
        return "codec_peak"
    return "codec_loudness"
