"""The section lift: its decisions on levels alone, then on audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.parameters import parameters
from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.section_lift import GainCourse, SectionLift
from audio_processor.model import Block
from tests.corpus import corpus_tracks_or_skip
from tests.dsp_limiter.music import decoded
from tests.mastering_dynamics.signals import RATE_HZ, SPIKE, energy_db, hostile_stereo, run

MAX_SLOPE_DB_PER_S = 1.0
ENERGIES = st.one_of(
    st.floats(0.0, 4.0), st.sampled_from((0.0, 1e-300, 1e-7, 1e-6, 1e9)), st.floats(1e-9, 1e-3)
)


def course_db(energies: list[float], lift_db: float) -> list[float]:
    course = GainCourse(lift_db)
    points = [point for energy in energies for point in course.take(energy)]
    return [*points, *course.rest()]


def sections(*levels_db: float, tenths: int = 200) -> list[float]:
    """Mean energies of sections of so many tenths each."""
    return [10.0 ** (level / 10.0) for level in levels_db for _ in range(tenths)]


@settings(max_examples=200, deadline=None)
@given(energies=st.lists(ENERGIES, max_size=200), lift_db=st.floats(0.1, 1.5))
def test_points_are_bounded_slow_and_one_more_than_the_tenths(
    energies: list[float], lift_db: float
) -> None:
    points = course_db(energies, lift_db)
    assert len(points) == len(energies) + 1
    assert np.isfinite(points).all()
    assert np.abs(points).max() <= lift_db + 1e-9
    assert np.abs(np.diff(points)).max(initial=0.0) <= MAX_SLOPE_DB_PER_S / 10.0 + 1e-9


def test_one_level_is_left_alone() -> None:
    assert course_db(sections(-20.0, -20.0, -20.0), 1.5) == pytest.approx([0.0] * 601, abs=1e-9)


def test_choruses_are_lifted_and_verses_lowered() -> None:
    points = course_db(sections(-20.0, -14.0, -20.0, -14.0, -20.0, -14.0), 1.5)
    # the middles of the sections, once there has been a chorus
    verses, choruses = points[500::400], points[300::400]
    assert all(-1.5 <= point < -0.9 for point in verses)
    assert all(0.3 < point <= 0.75 for point in choruses)


@settings(max_examples=25, deadline=None)
@given(energies=st.lists(ENERGIES, max_size=200), lift_db=st.floats(0.1, 1.5))
def test_what_is_loud_is_lifted_by_half_of_what_is_quiet_is_lowered_as_the_parameter_says(
    energies: list[float], lift_db: float
) -> None:
    points = course_db(energies, lift_db)
    assert -lift_db - 1e-9 <= min(points) and max(points) <= lift_db / 2.0 + 1e-9
    [(_, allowed)] = parameters(SectionLift)
    assert allowed.about.endswith("lowered at most; a loud one is lifted by half.")


def test_a_change_of_section_is_met_in_its_middle() -> None:
    """The ramp is centred on the change: it begins before and ends after it."""
    points = np.array(course_db(sections(-20.0, -14.0, -20.0, -14.0, -20.0), 1.5))
    change, before, after = 600, points[570], points[630]
    assert min(before, after) + 0.3 < points[change] < max(before, after) - 0.3
    assert points[540:571] == pytest.approx(before, abs=0.15)
    assert points[630:661] == pytest.approx(after, abs=0.15)


def test_silence_does_not_move_the_long_term_level() -> None:
    music = sections(-14.0, -20.0, -14.0)
    with_pause = course_db([*music, *[0.0] * 600, *sections(-14.0)], 1.5)
    without = course_db([*music, *sections(-14.0)], 1.5)
    assert with_pause[-100] == pytest.approx(without[-100], abs=0.1)


@settings(max_examples=30, deadline=None)
@given(block=hostile_stereo(), rate_hz=st.sampled_from((8_000, 11_025, 44_100)))
def test_every_frame_comes_out_times_a_gain_within_bounds(block: Block, rate_hz: int) -> None:
    lift_db = 1.5
    made = run(SectionLift(lift_db), [block], rate_hz)
    loud = np.abs(block) > 1e-30
    ratio_db = 20.0 * np.log10(made[loud].astype(float) / block[loud])
    assert np.abs(ratio_db).max(initial=0.0) <= lift_db + 1e-4


def amplitude_modulated(levels_db: NDArray[np.float64]) -> Block:
    rng = np.random.default_rng(9)
    frames = levels_db.size * RATE_HZ
    levels = np.repeat(10.0 ** (levels_db / 20.0), RATE_HZ)
    return np.asarray(rng.standard_normal((frames, 2)) * levels[:, None]).astype(np.float32)


def test_audio_gets_the_gain_of_its_own_moment() -> None:
    block = amplitude_modulated(np.repeat([-24.0, -18.0, -24.0, -18.0], 15))
    tally = StageTally()
    made = run(SectionLift(1.5), [block], RATE_HZ, tally)
    second_db = [
        energy_db(made[at : at + RATE_HZ]) - energy_db(block[at : at + RATE_HZ])
        for at in range(0, len(block), RATE_HZ)
    ]
    assert min(second_db[18:27]) > 0.25  # the first chorus
    assert max(second_db[33:42]) < -0.9  # the second verse
    assert min(second_db[48:57]) > 0.25
    (full,) = tally.result()
    assert full.band == "full"
    assert 0.7 < full.deepest_db <= 1.5


def test_a_decoder_spike_is_no_section() -> None:
    block = amplitude_modulated(np.full(30, -20.0))
    block[10 * RATE_HZ, 0] = SPIKE
    made = run(SectionLift(1.0), [block])
    gain_db = energy_db(made[-3 * RATE_HZ :]) - energy_db(block[-3 * RATE_HZ :])
    assert abs(gain_db) <= 1.0
    assert np.isfinite(made).all()


def test_energy_of_real_music_stays_about_where_it_was() -> None:
    for path in corpus_tracks_or_skip(3, max_duration_s=150.0):
        block, rate_hz = decoded(path)
        made = run(SectionLift(1.5), [block], rate_hz)
        assert energy_db(made) - energy_db(block) == pytest.approx(0.0, abs=0.5)
