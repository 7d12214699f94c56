"""The walk over a tier's candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.candidates import (
    Tolerance,
    best,
    last_resort,
    next_candidate,
    what_limited,
)
from audio_processor.delivery.dips import MAX_OVERSHOOTS
from audio_processor.model import Candidate, CandidateResult, Dip, Loudness

FIRST = Candidate(ceiling_dbtp=-2.5)
MOST = 6
TOLERANCE = Tolerance(loudness_lufs=-14.0)


def _measured(integrated_lufs: float | None, true_peak_dbtp: float | None) -> Loudness:
    return Loudness(integrated_lufs, 5.0, true_peak_dbtp, true_peak_dbtp, -10.0, -12.0)


def _tried(
    candidate: Candidate, lufs: float | None, dbtp: float | None, *, at_s: tuple[float, ...] = ()
) -> CandidateResult:
    measured = _measured(lufs, dbtp)
    excess_db = 0.0 if dbtp is None else dbtp - TOLERANCE.true_peak_dbtp
    overshoots = tuple(Dip(at, excess_db) for at in at_s)
    return CandidateResult(candidate, measured, TOLERANCE.fits(measured), overshoots)


def _next(*tried: CandidateResult) -> Candidate | None:
    return next_candidate(FIRST.ceiling_dbtp, MOST, tried, TOLERANCE)


def test_the_first_is_at_the_first_ceiling_with_the_foreseen_trim() -> None:
    foreseen = next_candidate(-2.5, MOST, [], TOLERANCE, lambda ceiling: -ceiling / 10)
    assert foreseen == Candidate(ceiling_dbtp=-2.5, trim_db=0.25)


def test_an_accepted_one_ends_the_walk() -> None:
    assert _next(_tried(FIRST, -14.1, -1.2)) is None


def test_an_overshoot_gets_a_dip_where_it_was() -> None:
    after = _next(_tried(FIRST, -14.1, 0.5, at_s=(3.25, 7.5)))
    assert after is not None and after.ceiling_dbtp == FIRST.ceiling_dbtp
    assert [dip.at_s for dip in after.dips] == [3.25, 7.5]
    assert all(1.5 < dip.depth_db < 2.5 for dip in after.dips)


def test_dips_add_up_until_a_lower_ceiling_starts_afresh() -> None:
    tried: list[CandidateResult] = []
    ceilings, dips = [], []
    while (candidate := _next(*tried)) is not None:
        ceilings.append(candidate.ceiling_dbtp)
        dips.append(len(candidate.dips))
        tried.append(_tried(candidate, -14.0, 0.3, at_s=(float(len(tried)),)))
    assert ceilings == [-2.5, -2.5, -2.5, -3.5, -3.5, -4.5]
    assert dips == [0, 1, 2, 0, 1, 0]


def test_too_many_overshoots_are_no_matter_for_dips() -> None:
    everywhere = tuple(i / 50 for i in range(MAX_OVERSHOOTS + 1))
    after = _next(_tried(FIRST, -14.0, 0.5, at_s=everywhere))
    assert after == Candidate(ceiling_dbtp=FIRST.ceiling_dbtp - 1.0)


def test_loudness_alone_is_corrected_at_the_same_ceiling() -> None:
    after = _next(_tried(FIRST, -14.5, -1.2))
    assert after is not None and after.trim_db == pytest.approx(0.5)
    assert after.ceiling_dbtp == FIRST.ceiling_dbtp and after.dips == ()


def test_what_was_learnt_of_loudness_goes_along() -> None:
    first = _tried(FIRST, -13.5, 0.4, at_s=(1.0,))
    second = _next(first)
    assert second is not None and second.trim_db == pytest.approx(-0.5)
    third = _next(first, _tried(second, -14.0, 0.4, at_s=(2.0,)))
    assert third is not None and third.trim_db == pytest.approx(-0.5)


@given(st.lists(st.tuples(st.floats(-30, -5), st.floats(-6, 6)), min_size=12, max_size=12))
def test_the_walk_ends_in_time(figures: list[tuple[float, float]]) -> None:
    tried: list[CandidateResult] = []
    for lufs, dbtp in figures:
        candidate = _next(*tried)
        if candidate is None:
            break
        tried.append(_tried(candidate, lufs, dbtp, at_s=(1.0,) if dbtp > -1.0 else ()))
    assert 1 <= len(tried) <= MOST
    assert not any(result.accepted for result in tried[:-1])


def test_an_encode_that_lost_its_programme_is_never_accepted() -> None:
    assert not TOLERANCE.fits(_measured(None, None))


def test_silence_that_stayed_silent_is() -> None:
    assert Tolerance(loudness_lufs=None).fits(_measured(None, None))


def test_the_best_is_the_least_excess_of_peak() -> None:
    lower = Candidate(ceiling_dbtp=-3.5)
    results = [_tried(FIRST, -14.0, 0.9), _tried(lower, -14.2, -0.8)]
    assert best(results, TOLERANCE) is results[1]


def test_the_same_encode_is_never_made_twice() -> None:
    tried: list[CandidateResult] = []
    while (candidate := _next(*tried)) is not None:
        assert candidate not in [result.candidate for result in tried]
        tried.append(_tried(candidate, -30.0, -1.2))
    assert len(tried) <= MOST


def test_two_encodes_teach_how_little_a_decibel_is_worth_in_the_limiter() -> None:
    first = _tried(FIRST, -15.0, -1.2)
    second = _next(first)
    assert second is not None and second.trim_db == pytest.approx(1.0)
    third = _next(first, _tried(second, -14.5, -1.2))
    assert third is not None and third.trim_db == pytest.approx(2.0)


def test_the_last_resort_lowers_by_growing_steps_until_it_is_below_full_scale() -> None:
    tried = [_tried(FIRST, -14.0, 0.5)] * MOST
    steps = []
    for _ in range(5):
        lowered = last_resort(tried, TOLERANCE, MOST)
        assert lowered is not None
        steps.append(tried[-1].candidate.trim_db - lowered.trim_db)
        tried.append(_tried(lowered, -14.0 + lowered.trim_db, 0.2))
    assert steps == sorted(steps) and steps[-1] > 4.0


def test_the_last_resort_is_not_needed_where_the_best_can_be_delivered() -> None:
    assert last_resort([_tried(FIRST, -14.2, -0.5)], TOLERANCE, MOST) is None


def test_too_loud_is_always_mended() -> None:
    lowered = last_resort([_tried(FIRST, -13.4, -1.6)], TOLERANCE, MOST)
    assert lowered is not None and lowered.trim_db == pytest.approx(-0.6)


def test_what_kept_a_tier_from_its_promise() -> None:
    fine, loud = _tried(FIRST, -14.0, -1.5), _tried(FIRST, -14.0, -0.5)
    quiet = _tried(FIRST, -16.0, -1.5)
    assert what_limited(fine, [fine], TOLERANCE, 0.0) is None
    assert what_limited(loud, [loud], TOLERANCE, 0.0) == "codec_peak"
    assert what_limited(quiet, [loud, quiet], TOLERANCE, 0.0) == "codec_peak"
    assert what_limited(quiet, [quiet], TOLERANCE, 0.0) == "codec_loudness"
    assert what_limited(quiet, [quiet], TOLERANCE, 40.0) == "codec_band"
