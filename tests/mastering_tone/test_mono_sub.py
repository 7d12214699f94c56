"""Mono bass: one below the corner, untouched in image above it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from audio_processor.mastering.stages.mono_sub import MonoSub
from audio_processor.model import Block
from tests.dsp_limiter.signals import RATES_HZ, run, whole
from tests.mastering_tone.stages import decibels, left_right, mid_side, response

CORNERS = pytest.mark.parametrize("below_hz", [60.0, 100.0, 150.0])


@CORNERS
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_side_goes_by_24_db_an_octave_and_the_mid_stays(below_hz: float, rate_hz: int) -> None:
    at_hz = below_hz * np.array([0.25, 0.5, 1.0, 2.0, 8.0, 25.0])
    mid = response(MonoSub(below_hz), rate_hz, at_hz)
    side = response(
        MonoSub(below_hz), rate_hz, at_hz,
        into=lambda x: left_right(0 * x, x), out=lambda block: mid_side(block)[1],
    )  # fmt: skip
    np.testing.assert_allclose(decibels(mid), 0.0, atol=1e-3)
    ratio = (at_hz / below_hz) ** 4
    np.testing.assert_allclose(decibels(side), decibels(ratio / (1.0 + ratio)), atol=0.06)


@CORNERS
def test_mid_and_side_stay_in_phase_at_every_frequency(below_hz: float) -> None:
    at_hz = np.geomspace(below_hz / 3, 20_000.0, 60)
    mid = response(MonoSub(below_hz), 44_100, at_hz)
    side = response(
        MonoSub(below_hz), 44_100, at_hz,
        into=lambda x: left_right(0 * x, x), out=lambda block: mid_side(block)[1],
    )  # fmt: skip
    np.testing.assert_allclose(np.angle(side / mid), 0.0, atol=2e-3)


@CORNERS
def test_what_is_panned_hard_stays_there_above_the_corner(below_hz: float) -> None:
    at_hz = below_hz * np.array([3.0, 10.0, 50.0])
    crosstalk = response(
        MonoSub(below_hz), 44_100, at_hz,
        into=lambda x: left_right(x / 2, x / 2), out=lambda block: block[:, 1].astype(np.float64),
    )  # fmt: skip
    assert (decibels(crosstalk) < decibels(0.62 * (below_hz / at_hz) ** 4) + 0.1).all()


@CORNERS
def test_below_the_corner_left_and_right_are_one(below_hz: float) -> None:
    """Left and right share nothing; an octave and more under the corner they are the same."""
    noise = np.random.default_rng(1).standard_normal((44_100 * 20, 2)).astype(np.float32)
    bass = signal.butter(4, below_hz / 3, fs=44_100, output="sos")

    def of_bass(block: Block) -> float:
        low = np.asarray(signal.sosfiltfilt(bass, block.astype(np.float64), axis=0))
        settled = low[44_100:-44_100]
        return float(np.asarray(np.corrcoef(settled.T))[0, 1])

    assert abs(of_bass(noise)) < 0.5
    assert of_bass(run(MonoSub(below_hz), whole(noise), 44_100)) > 0.999


@CORNERS
def test_its_delay_is_bounded_and_gone_above(below_hz: float) -> None:
    at_hz = np.geomspace(below_hz / 8, 10_000.0, 150)
    phase = np.unwrap(np.angle(response(MonoSub(below_hz), 44_100, at_hz)))
    delay_s = -np.gradient(phase, 2 * np.pi * at_hz)
    assert delay_s.max() <= 0.55 / below_hz
    assert np.abs(delay_s[at_hz > 20 * below_hz]).max() < 0.002 / below_hz


def test_an_impulse_stays_where_it_is() -> None:
    impulse = np.zeros((2_000, 2), np.float32)
    impulse[1_000, 0] = 1.0
    out = run(MonoSub(), whole(impulse), 44_100)
    assert not out[:1_000].any()
    assert np.abs(out[:, 0]).argmax() == 1_000
