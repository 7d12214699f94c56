"""Scales, ticks and lines: what a figure is drawn with."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.reporting.axes import (
    Scale,
    band,
    clock,
    level_ticks,
    line,
    thinned,
    time_ticks,
)
from audio_processor.reporting.gather import Gathered
from audio_processor.reporting.plots import level_change


@given(st.integers(1, 5000), st.integers(1, 900), st.integers(0, 2**32 - 1))
def test_thinning_keeps_the_extremes_and_the_order(count: int, most: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(count)
    at = np.arange(count, dtype=float)
    thin = thinned(at, values, most)
    assert thin.at.size <= max(most, 1)
    assert thin.high.max() == values.max() and thin.low.min() == values.min()
    assert (np.diff(thin.at) > 0).all()
    assert ((thin.low <= thin.mean + 1e-12) & (thin.mean <= thin.high + 1e-12)).all()


def test_thinning_keeps_gaps_only_where_there_is_nothing_else() -> None:
    values = np.full(1000, np.nan)
    values[::7] = 3.0
    values[500:] = np.nan
    thin = thinned(np.arange(1000.0), values, 100)
    assert (thin.mean[:50] == 3.0).all() and np.isnan(thin.mean[50:]).all()


def test_a_line_breaks_where_there_is_no_value() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, np.nan, 4.0, 5.0])
    drawn = line(np.arange(7.0), y)
    assert drawn.count("M") == 3 and "nan" not in drawn
    assert band(np.arange(7.0), y, y + 1).count("Z") == 3
    assert line(np.arange(2.0), np.full(2, np.nan)) == ""


@given(st.floats(0.01, 4e5))
def test_time_ticks_are_few_and_labelled_apart(duration_s: float) -> None:
    ticks = time_ticks(duration_s)
    assert 1 <= len(ticks) <= 13
    assert ticks[0] == (0.0, clock(0.0, ticks[1][0] if len(ticks) > 1 else 1.0))
    assert all(0 <= at <= duration_s * 1.000001 for at, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.floats(-90, 20), st.floats(2.0, 90.0))
def test_level_ticks_lie_inside_and_name_their_level(low: float, span: float) -> None:
    ticks = level_ticks(low, low + span)
    assert 1 <= len(ticks) <= 9
    for value, label in ticks:
        assert low - 1e-6 <= value <= low + span + 1e-6
        assert float(label.replace("−", "-")) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(7, "0:07"), (65, "1:05"), (3605, "1:00:05"), (36000, "10:00:00")]
)
def test_times_are_written_as_players_do(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@given(st.floats(20.0, 20_000.0))
def test_scales_meet_their_ends(value: float) -> None:
    scale = Scale(20.0, 20_000.0, 0.0, 300.0, log=True)
    assert scale.at(20.0) == pytest.approx(0.0) and scale.at(20_000.0) == pytest.approx(300.0)
    assert scale.at(200.0) == pytest.approx(100.0)
    assert 0.0 <= scale.at(value) <= 300.0


def test_the_gain_that_is_shown_is_the_plans(song: Gathered) -> None:
    """Where the limiter rests, after against before is the static gain."""
    data = song.data
    assert data.before and data.after and data.delivered and data.gain
    times, change = level_change(data.before, data.after)
    static_db = data.delivered.plan.gain_db + data.delivered.m4a_trim_db
    reduced = np.interp(times, np.arange(data.gain.reduction_db.size) * data.gain.tenth_s,
                        data.gain.reduction_db)  # fmt: skip
    resting = np.isfinite(change) & (reduced < 0.05)
    assert resting.sum() >= 8
    assert np.median(change[resting]) == pytest.approx(static_db, abs=0.15)


def test_figures_have_coordinates_within_their_canvas(song: Gathered) -> None:
    from audio_processor.reporting.plots import gain, loudness

    for drawn in (loudness(song.data, "loudness"), gain(song.data, "gain")):
        assert drawn is not None
        _, _, width, height = map(float, (re.search(r'viewBox="([^"]+)"', drawn) or [])[1].split())
        for path in re.findall(r' d="([^"]+)" class="(?:before|after|target) line"', drawn):
            points = [tuple(map(float, p.split())) for p in re.findall(r"-?[\d.]+ -?[\d.]+", path)]
            assert points
            assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
