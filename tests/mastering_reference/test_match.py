"""The curve: towards the reference, never past the guard rails, never louder or quieter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.bands import BANDS, CENTRES_HZ, power, weighted_power
from audio_processor.errors import MasteringRejected
from audio_processor.mastering.match import (
    FLAT,
    Guards,
    MatchCurve,
    design,
    distance_db,
    foreseen_correlation,
    matched,
)
from audio_processor.mastering.profile import Profile
from tests.mastering_reference.signals import humps, pink, profile, tilted

TREBLE = CENTRES_HZ > 8000.0
NEARLY = 1e-9

levels = st.one_of(st.just(-np.inf), st.floats(-140.0, 0.0))
spectra = st.lists(levels, min_size=BANDS, max_size=BANDS).map(np.array)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    mid_db, side_db = draw(spectra), draw(spectra)
    mid_db[draw(st.integers(0, BANDS - 1))] = -20.0  # it has loudness, so it has a band
    return profile(mid_db, side_db, draw(st.floats(-40.0, -6.0)))


def loudness_moved_lu(source: Profile, curve: MatchCurve) -> float:
    bands = power(np.array([source.mid_db, source.side_db]))
    gains = power(np.array([curve.mid_db, curve.side_db]))
    return float(10.0 * np.log10(weighted_power(bands * gains) / weighted_power(bands)))


def like(source: Profile, mid_db: NDArray[np.float64], side_db: NDArray[np.float64]) -> Profile:
    return matched(source, MatchCurve(CENTRES_HZ, mid_db, side_db))


@settings(deadline=None, max_examples=50)
@given(profiles(), profiles(), st.floats(0.0, 100.0))
def test_the_rails_hold_and_the_loudness_stays(
    source: Profile, reference: Profile, strength_percent: float
) -> None:
    curve = design(source, reference, strength_percent)
    for gain_db in (curve.mid_db, curve.side_db):
        assert np.all(np.isfinite(gain_db))
        assert np.abs(gain_db).max() <= 6.0 + NEARLY
        assert gain_db[TREBLE].max() <= 2.8 + NEARLY
        assert gain_db[TREBLE].min() >= -1.2 - NEARLY
    assert abs(loudness_moved_lu(source, curve)) < 0.001


@settings(deadline=None, max_examples=30)
@given(profiles(), profiles())
def test_between_the_bands_the_treble_is_within_its_rails_too(
    source: Profile, reference: Profile
) -> None:
    curve = design(source, reference)
    hz = np.geomspace(8000.0, 22_000.0, 500)
    gain_db = np.interp(np.log(hz), np.log(curve.frequencies_hz), curve.mid_db)
    assert gain_db.max() <= 2.8 + NEARLY
    assert gain_db.min() >= -1.2 - NEARLY


@settings(deadline=None, max_examples=30)
@given(profiles(), profiles())
def test_the_curve_is_smooth(source: Profile, reference: Profile) -> None:
    """From rail to rail it takes two smoothing's widths, half of the way in the middle third."""
    curve = design(source, reference)
    assert np.abs(np.diff(curve.mid_db)).max() <= 12.0 / 3.0 + NEARLY


def test_a_programme_matches_itself() -> None:
    source = profile(pink() + tilted(-3.0)(CENTRES_HZ), pink(-40.0))
    curve = design(source, source)
    assert np.abs([curve.mid_db, curve.side_db]).max() < 1e-6


def test_how_loud_the_reference_is_does_not_matter() -> None:
    source = profile(pink(), pink(-36.0))
    wanted = humps((100.0, 4.0))(CENTRES_HZ)
    reference = like(source, wanted, wanted)
    louder = profile(reference.mid_db + 9.0, reference.side_db + 9.0, -5.0)
    np.testing.assert_allclose(
        design(source, louder).mid_db, design(source, reference).mid_db, atol=1e-9
    )


def test_a_difference_within_the_rails_is_made_good() -> None:
    source = profile(pink(), pink(-36.0))
    mid, side = humps((90.0, 4.0), (1500.0, -3.0)), humps((400.0, 3.0))
    reference = like(source, mid(CENTRES_HZ), side(CENTRES_HZ))
    before, after = (
        distance_db(one, reference) for one in (source, matched(source, design(source, reference)))
    )
    assert before is not None
    assert after is not None
    assert after < 0.1 * before


def test_mid_and_side_are_matched_apart() -> None:
    source = profile(pink(), pink(-42.0))
    reference = like(source, np.zeros(BANDS), np.where(CENTRES_HZ > 300.0, 3.0, -3.0))
    curve = design(source, reference)
    assert np.abs(curve.mid_db).max() < 0.5  # side's loudness has to come from somewhere
    assert curve.side_db[CENTRES_HZ < 200.0].mean() == pytest.approx(-3.0, abs=0.4)
    middle = (CENTRES_HZ > 450.0) & (CENTRES_HZ < 6000.0)
    assert curve.side_db[middle].mean() == pytest.approx(3.0, abs=0.4)


def test_half_the_strength_is_half_the_way() -> None:
    source = profile(pink(), pink(-36.0))
    wanted = humps((200.0, 4.0), (2000.0, -4.0))(CENTRES_HZ)
    reference = like(source, wanted, wanted)
    whole, half = design(source, reference), design(source, reference, 50.0)
    shape = whole.mid_db - whole.mid_db.mean()
    np.testing.assert_allclose(half.mid_db - half.mid_db.mean(), shape / 2.0, atol=0.1)


def test_no_strength_is_no_match() -> None:
    assert design(profile(pink()), profile(pink() + tilted(3.0)(CENTRES_HZ)), 0.0).is_flat


# ── mono ─────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=50)
@given(profiles(), profiles(), st.floats(0.0, 100.0), st.floats(-1.0, 1.0))
def test_no_match_takes_the_correlation_below_the_floor(
    source: Profile, reference: Profile, strength_percent: float, floor: float
) -> None:
    curve = design(source, reference, strength_percent, Guards(correlation_floor=floor))
    least = min(foreseen_correlation(source), floor)
    assert foreseen_correlation(source, curve) >= least - NEARLY
    assert abs(loudness_moved_lu(source, curve)) < 0.001


def test_a_wide_reference_widens_as_far_as_the_floor() -> None:
    """A narrower track takes its side up, but not to where mono would lose it."""
    source = profile(pink(), pink(-32.0))  # a correlation of 0.23
    reference = profile(pink(), pink(-24.0))
    curve = design(source, reference)
    free = design(source, reference, guards=Guards(correlation_floor=-1.0))
    assert foreseen_correlation(source) == pytest.approx(0.226, abs=0.001)
    assert foreseen_correlation(source, free) < 0.0
    assert foreseen_correlation(source, curve) == pytest.approx(0.2, abs=0.001)
    below = CENTRES_HZ < 5000.0  # where the common shift meets no rail, mid's shape is its own
    assert np.abs(np.diff(curve.mid_db[below]) - np.diff(free.mid_db[below])).max() < 1e-6


def test_where_the_floor_is_far_the_curve_is_what_it_was() -> None:
    source = profile(pink(), pink(-42.0))
    reference = like(source, humps((200.0, 4.0))(CENTRES_HZ), humps((2000.0, 4.0))(CENTRES_HZ))
    free = design(source, reference, guards=Guards(correlation_floor=-1.0))
    curve = design(source, reference)
    assert np.array_equal(curve.mid_db, free.mid_db) and np.array_equal(curve.side_db, free.side_db)


# ── where there is nothing ───────────────────────────────────────────────────────────────


def flat_where_empty(source: Profile, reference: Profile, empty: NDArray[np.bool_]) -> None:
    """Nothing is asked for in the empty bands, whatever is asked for beside them."""
    curve = design(source, reference)
    deep = np.convolve(~empty, np.ones(13), "same") == 0  # out of the smoothing's reach
    assert deep.any()
    assert np.ptp(curve.mid_db[deep]) < 0.01
    assert np.abs(curve.mid_db[deep]).max() < 1.0  # the common shift


@pytest.mark.parametrize("cut_db", [60.0, 100.0, np.inf])
def test_no_boost_of_nothing_above_a_codecs_cut(cut_db: float) -> None:
    empty = CENTRES_HZ > 13_000.0
    lossy = profile(np.where(empty, pink() - cut_db, pink()), pink(-36.0))
    whole = profile(pink(), pink(-36.0))
    flat_where_empty(lossy, whole, empty)
    flat_where_empty(whole, lossy, empty)


def test_no_boost_of_nothing_below_a_steep_cut() -> None:
    empty = CENTRES_HZ < 60.0
    thin = profile(np.where(empty, pink() - 40.0, pink()))
    flat_where_empty(thin, profile(pink()), empty)


def test_a_programme_that_only_falls_steeply_is_no_codec() -> None:
    dark = profile(pink() - 18.0 * np.log2(np.maximum(1.0, CENTRES_HZ / 2000.0)))
    darker = profile(dark.mid_db - 3.0 * (CENTRES_HZ > 3000.0), integrated_lufs=-14.0)
    curve = design(darker, dark)
    assert curve.mid_db[(CENTRES_HZ > 4000) & (CENTRES_HZ < 6000)].mean() > 1.5


def test_tones_far_apart_are_not_cliffs() -> None:
    """A scale of pure tones falls and rises by 50 dB from band to band."""
    tones = np.where(np.arange(BANDS) % 6 == 0, -20.0, -70.0)
    source, reference = profile(tones), profile(tones + tilted(-0.5)(CENTRES_HZ))
    curve = design(source, reference)
    assert curve.mid_db[10] > curve.mid_db[100] + 1.0


@pytest.mark.parametrize("mono_is_the_source", [True, False])
def test_without_a_side_there_is_nothing_to_match_at_the_side(mono_is_the_source: bool) -> None:
    mono, wide = profile(pink()), profile(pink() + tilted(1.0)(CENTRES_HZ), pink(-30.0))
    curve = design(mono, wide) if mono_is_the_source else design(wide, mono)
    assert np.ptp(curve.side_db) < 1e-9


def test_a_source_without_loudness_is_left_alone() -> None:
    silent = profile(np.full(BANDS, -np.inf), integrated_lufs=None)
    assert design(silent, profile(pink())) is FLAT


def test_a_reference_without_loudness_is_refused() -> None:
    silent = profile(np.full(BANDS, -np.inf), integrated_lufs=None)
    with pytest.raises(MasteringRejected, match=r"silent or shorter than 0\.4 s"):
        design(profile(pink()), silent)


# ── the distance ─────────────────────────────────────────────────────────────────────────


def test_the_distance_of_a_tilt_is_its_mean_magnitude() -> None:
    one = profile(pink())
    other = profile(pink() + np.where(CENTRES_HZ > 1000.0, 2.0, -2.0))
    assert distance_db(one, other) == pytest.approx(2.0, abs=0.1)
    assert distance_db(one, one) == 0.0
    assert distance_db(one, profile(pink(), integrated_lufs=None)) is None


def test_narrower_rails_are_kept_too() -> None:
    guards = Guards(max_change_db=2.0)
    source, reference = profile(pink()), profile(pink() + tilted(-4.0)(CENTRES_HZ))
    curve = design(source, reference, guards=guards)
    assert np.abs(curve.mid_db).max() <= 2.0 + NEARLY
