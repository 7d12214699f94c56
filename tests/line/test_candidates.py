"""The walk over a tier's candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.candidates import Tolerance, back_off, best, next_candidate
from audio_processor.model import Candidate, CandidateResult, Loudness

LISTED = tuple(Candidate(ceiling_dbtp=-1.5 - i) for i in range(3)) + tuple(
    Candidate(ceiling_dbtp=-1.5 - i, coder="fast") for i in range(3)
)
TOLERANCE = Tolerance(loudness_lufs=-14.0)


def _measured(integrated_lufs: float | None, true_peak_dbtp: float | None) -> Loudness:
    return Loudness(integrated_lufs, 5.0, true_peak_dbtp, true_peak_dbtp, -10.0, -12.0)


def _tried(candidate: Candidate, lufs: float | None, dbtp: float | None) -> CandidateResult:
    measured = _measured(lufs, dbtp)
    return CandidateResult(candidate, measured, TOLERANCE.fits(measured))


def test_the_first_listed_comes_first() -> None:
    assert next_candidate(LISTED, [], TOLERANCE) == LISTED[0]


def test_an_accepted_one_ends_the_walk() -> None:
    assert next_candidate(LISTED, [_tried(LISTED[0], -14.1, -1.2)], TOLERANCE) is None


def test_a_peak_too_high_takes_the_next_listed() -> None:
    assert next_candidate(LISTED, [_tried(LISTED[0], -14.1, -0.4)], TOLERANCE) == LISTED[1]


def test_loudness_alone_is_corrected_on_the_same_candidate() -> None:
    after = next_candidate(LISTED, [_tried(LISTED[0], -14.5, -1.2)], TOLERANCE)
    assert after is not None and after.trim_db == pytest.approx(0.5)
    assert replace(after, trim_db=0.0) == LISTED[0]


def test_the_learnt_trim_goes_along_to_the_next() -> None:
    after = next_candidate(LISTED, [_tried(LISTED[0], -13.5, 0.4)], TOLERANCE)
    assert after is not None and after.trim_db == pytest.approx(-0.5)
    assert replace(after, trim_db=0.0) == LISTED[1]


@given(st.lists(st.tuples(st.floats(-30, -5), st.floats(-6, 6)), min_size=12, max_size=12))
def test_the_walk_ends_within_the_list_(
    figures: list[tuple[float, float]],
) -> None:
    tried: list[CandidateResult] = []
    for lufs, dbtp in figures:
        candidate = next_candidate(LISTED, tried, TOLERANCE)
        if candidate is None:
            break
        tried.append(_tried(candidate, lufs, dbtp))
    assert 1 <= len(tried) <= len(LISTED)
    assert tried[-1].accepted or len(tried) == len(LISTED)


def test_an_encode_that_lost_its_programme_is_never_accepted() -> None:
    assert not TOLERANCE.fits(_measured(None, None))


def test_silence_that_stayed_silent_is() -> None:
    assert Tolerance(loudness_lufs=None).fits(_measured(None, None))


def test_the_best_is_the_least_excess_of_peak() -> None:
    results = [_tried(LISTED[0], -14.0, 0.9), _tried(LISTED[1], -14.2, -0.8)]
    assert best(results, TOLERANCE) is results[1]


def test_backing_off_lowers_gain_and_ceiling_by_more_than_the_excess() -> None:
    lowered = back_off(_tried(LISTED[0], -14.0, 1.2))
    assert lowered.trim_db < -1.2 and lowered.ceiling_dbtp < LISTED[0].ceiling_dbtp - 1.2
