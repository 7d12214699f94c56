"""The rider narrows the range, slowly, and leaves the noise where it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.gain import Gain
from audio_processor.mastering.plan import make_plan
from audio_processor.mastering.rider import (
    MAX_RIDE_DB,
    MAX_SLOPE_DB_PER_S,
    ridden,
    ride,
    slope_limited,
)
from audio_processor.model import Block, GainCurve, Targets
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.music import decoded
from tests.mastering.programmes import (
    RATE_HZ,
    analysed,
    band,
    blocks,
    crescendo,
    levels,
    libebur128,
    mastered,
)

TARGETS = Targets()

PROGRAMMES = {
    # as in EBU Tech 3342: long steps
    "steps": lambda: levels([(20.0, -24.0), (20.0, -6.0), (20.0, -18.0), (20.0, 0.0)]),
    "two levels": lambda: levels([(30.0, 0.0), (30.0, -16.0)]),
    "crescendo": lambda: crescendo(90.0, -30.0, 0.0),
    "decrescendo": lambda: crescendo(90.0, 0.0, -30.0),
    "short passages": lambda: levels([(8.0, 0.0), (8.0, -20.0)] * 5),
}


def steepest_db_per_s(curve: GainCurve) -> float:
    return float(np.abs(np.diff(curve.gain_db)).max(initial=0.0) / curve.hop_s)


def curve_of(audio: Block) -> GainCurve:
    curve = ride(analysed(audio).envelope, TARGETS.range_lu)
    assert curve is not None
    return curve


@pytest.mark.parametrize("name", PROGRAMMES)
def test_a_wide_programme_comes_within_its_range(name: str) -> None:
    audio = PROGRAMMES[name]()
    assert libebur128(audio).range_lu > TARGETS.range_lu + 1.0
    plan = make_plan(analysed(audio), TARGETS)
    assert plan.rider is not None
    master = mastered(audio, plan)
    measured = libebur128(master)
    assert measured.range_lu <= TARGETS.range_lu + 0.5
    assert measured.range_lu >= TARGETS.range_lu - 3.0, "no flatter than was asked"
    assert plan.predicted_range_lu == pytest.approx(analysed(master).mastered.range_lu, abs=0.2)
    assert measured.integrated_lufs == pytest.approx(-14.0, abs=0.1)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_the_gain_moves_slowly_and_within_its_bounds(name: str) -> None:
    curve = curve_of(PROGRAMMES[name]())
    assert steepest_db_per_s(curve) <= MAX_SLOPE_DB_PER_S + 1e-3
    assert np.abs(curve.gain_db).max() <= MAX_RIDE_DB + 1e-3


def test_an_ordinary_wide_programme_is_ridden_with_the_calmest_hand() -> None:
    assert steepest_db_per_s(curve_of(PROGRAMMES["crescendo"]())) <= 2.0 + 1e-3


@pytest.mark.parametrize("name", ["menu.opus", "into_the_shadows.ogg", "revelation.ogg"])
def test_a_real_wide_programme_comes_within_its_range(name: str) -> None:
    audio, rate_hz = decoded(corpus_track_or_skip(name))
    assert libebur128(audio, rate_hz).range_lu > 15.0
    plan = make_plan(analysed(audio, rate_hz), TARGETS)
    assert plan.rider is not None
    assert steepest_db_per_s(plan.rider) <= MAX_SLOPE_DB_PER_S + 1e-3
    measured = libebur128(mastered(audio, plan, rate_hz), rate_hz)
    assert measured.range_lu <= TARGETS.range_lu + 0.5


def test_within_its_range_a_programme_is_not_touched() -> None:
    assert ride(analysed(levels([(20.0, 0.0), (20.0, -6.0)])).envelope, 11.0) is None


@pytest.mark.parametrize("seconds", [0.2, 2.0])
def test_too_short_for_a_range_is_not_touched(seconds: float) -> None:
    assert ride(analysed(band(seconds)).envelope, 0.5) is None


def test_silence_is_not_touched() -> None:
    assert ride(analysed(np.zeros((20 * RATE_HZ, 2), np.float32)).envelope, 11.0) is None


def test_the_noise_floor_stays_as_far_below_the_loud_passages() -> None:
    """Between a loud and a quiet passage, ten seconds of hiss 60 dB down: it is not lifted."""
    rng = np.random.default_rng(3)
    hiss = (rng.standard_normal((10 * RATE_HZ, 2)) * 3e-4).astype(np.float32)
    loud, quiet = levels([(25.0, 0.0)]), levels([(25.0, -15.0)])
    curve = curve_of(np.concatenate([loud, hiss, quiet, hiss, loud]))
    seconds = np.arange(curve.gain_db.size) * curve.hop_s
    amid = {
        "loud": curve.gain_db[(seconds > 5) & (seconds < 15)],
        "hiss": curve.gain_db[(seconds > 29) & (seconds < 31)],
        "quiet": curve.gain_db[(seconds > 45) & (seconds < 50)],
    }
    assert amid["hiss"].max() <= amid["loud"].max() + 0.1
    assert amid["quiet"].min() > amid["hiss"].max() + 1.0


def test_the_gain_is_down_before_a_loud_passage_begins() -> None:
    """It sees the passage coming: its beginning is no louder than the rest of it."""
    curve = curve_of(levels([(30.0, -16.0), (30.0, 0.0)]))
    seconds = np.arange(curve.gain_db.size) * curve.hop_s
    settled = float(curve.gain_db[(seconds > 40) & (seconds < 50)].mean())
    at_the_start = float(np.interp(30.5, seconds, curve.gain_db))
    assert at_the_start == pytest.approx(settled, abs=1.0)


def test_a_ridden_envelope_is_the_envelope_of_the_ridden_audio() -> None:
    audio = PROGRAMMES["two levels"]()
    envelope = analysed(audio).envelope
    curve = curve_of(audio)
    audible = np.concatenate(list(Gain(0.0, curve)(blocks(audio), RATE_HZ)))
    measured, foreseen = analysed(audible).envelope, ridden(envelope, curve)
    np.testing.assert_allclose(foreseen.peak, measured.peak, rtol=0.005, atol=1e-4)
    heard = measured.energy > 1e-6
    np.testing.assert_allclose(foreseen.energy[heard], measured.energy[heard], rtol=0.02)


@settings(max_examples=60, deadline=None)
@given(points=st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=60), step=st.floats(0.05, 5.0))
def test_a_slope_limited_curve_is_the_highest_that_fits(points: list[float], step: float) -> None:
    wanted = np.array(points)
    limited = slope_limited(wanted, step)
    apart = np.abs(np.arange(wanted.size)[:, None] - np.arange(wanted.size)[None, :])
    np.testing.assert_allclose(limited, (wanted[None, :] + step * apart).min(axis=1), atol=1e-9)
