"""Dips of gain where a codec overshot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.dips import MARGIN_DB, deepened, dip_curve, overshoots
from audio_processor.model import Dip

DIPS = st.lists(st.builds(Dip, st.floats(0.0, 10.0), st.floats(0.01, 9.0)), min_size=0, max_size=20)


def test_overshoots_are_told_in_the_programmes_time() -> None:
    peaks = np.full(1000, 0.5, np.float32)
    peaks[400] = 1.0
    [found] = overshoots(peaks, hop_s=0.005, lead_s=0.04, limit_dbtp=-1.0)
    assert found.at_s == pytest.approx(400.5 * 0.005 - 0.04)
    assert found.depth_db == pytest.approx(1.0, abs=1e-3)


def test_nothing_over_the_limit_is_nothing() -> None:
    peaks = np.full(10, 10 ** (-1.001 / 20), np.float32)
    assert overshoots(peaks, hop_s=0.005, lead_s=0.0, limit_dbtp=-1.0) == ()


def test_the_same_place_is_deepened_and_another_is_added() -> None:
    first = deepened((), (Dip(1.0, 0.5),))
    assert first == (Dip(1.0, 0.5 + MARGIN_DB),)
    second = deepened(first, (Dip(1.002, 0.2), Dip(2.0, 1.0)))
    assert [dip.at_s for dip in second] == [1.0, 2.0]
    assert second[0].depth_db == pytest.approx(0.7 + 2 * MARGIN_DB)


@given(DIPS)
def test_the_curve_reaches_every_dip_and_never_lifts(dips: list[Dip]) -> None:
    curve = dip_curve(dips, 10.0)
    times = np.arange(curve.gain_db.size) * curve.hop_s
    assert curve.gain_db.max(initial=0.0) <= 0.0
    for dip in dips:
        assert np.interp(dip.at_s, times, curve.gain_db) <= -dip.depth_db + 1e-4
    deepest = max((dip.depth_db for dip in dips), default=0.0)
    assert curve.gain_db.min(initial=0.0) >= -deepest - 1e-4


@given(DIPS)
def test_far_from_every_dip_the_gain_is_untouched(dips: list[Dip]) -> None:
    curve = dip_curve(dips, 10.0)
    times = np.arange(curve.gain_db.size) * curve.hop_s
    far = np.ones(times.size, bool)
    for dip in dips:
        far &= np.abs(times - dip.at_s) > 0.05
    assert not curve.gain_db[far].any()
