"""Even harmonics of a band: the second, as much as is said, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.mastering.stages.glow import HarmonicGlow
from tests.dsp_limiter.signals import hostile, run, whole
from tests.mastering_colour.stages import PERIOD, both, decibels, hear, rms, sine

RATES_HZ = (22_050, 44_100, 96_000)
MOST_DB = -30.0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("hz", [600.0, 1_000.0, 2_000.0, 3_000.0])
@pytest.mark.parametrize("level", [1.0, 0.1, 0.003])
def test_a_tone_in_the_band_gains_the_second_harmonic(
    rate_hz: int, hz: float, level: float
) -> None:
    """Its share is the same at any level, and it is there alone."""
    tone = hear(HarmonicGlow(100.0), hz, rate_hz, level)
    assert tone.harmonic_db(1) == pytest.approx(decibels(level), abs=0.01)
    assert tone.harmonic_db(2) - tone.harmonic_db(1) == pytest.approx(MOST_DB, abs=0.5)
    tone.spectrum_db[2 * tone.cycles] = -np.inf
    assert tone.rest_db(up_to_order=1) - decibels(level) < -90.0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_it_is_never_more_than_that_and_never_an_alias(rate_hz: int) -> None:
    for hz in np.geomspace(30.0, 0.4535 * rate_hz, 25):
        tone = hear(HarmonicGlow(100.0, 40.0, 12_000.0), float(hz), rate_hz)
        if tone.highest_order >= 2:
            assert tone.harmonic_db(2) < MOST_DB + 0.1
            tone.spectrum_db[2 * tone.cycles] = -np.inf
        assert tone.rest_db(up_to_order=1) < MOST_DB
        sidebands = tone.spectrum_db[max(1, 2 * tone.cycles - 50) : 2 * tone.cycles + 50]
        if tone.cycles > 100:
            assert sidebands.max(initial=-np.inf) < -60.0
            sidebands[:] = -np.inf
        tone.spectrum_db[int(0.464 * PERIOD) :] = -np.inf
        assert tone.rest_db(up_to_order=1) < -90.0


def test_half_the_amount_is_half_the_harmonic() -> None:
    half, full = (hear(HarmonicGlow(amount), 1_000.0, 44_100) for amount in (50.0, 100.0))
    assert full.harmonic_db(2) - half.harmonic_db(2) == pytest.approx(6.02, abs=0.05)


@pytest.mark.parametrize(("hz", "at_most_db"), [(50.0, -60.0), (100.0, -45.0), (10_000.0, -50.0)])
def test_tones_outside_the_band_gain_little(hz: float, at_most_db: float) -> None:
    assert hear(HarmonicGlow(100.0), hz, 44_100).harmonic_db(2) < at_most_db


def test_no_constant_and_no_rumble_comes_of_two_tones() -> None:
    """1000 and 1050 Hz: their difference is a tone of 50 Hz, which nobody played."""
    chord = 0.5 * sine(743, 4 * PERIOD) + 0.5 * sine(780, 4 * PERIOD)
    heard = run(HarmonicGlow(100.0), whole(both(chord)), 44_100)
    steady = heard[PERIOD : 3 * PERIOD, 0].astype(np.float64)
    amplitudes = np.abs(np.fft.rfft(steady)) * 2 / steady.size
    assert decibels(amplitudes[0]) < -100.0
    assert decibels(amplitudes[2 * (780 - 743)]) < -70.0
    assert decibels(amplitudes[2 * (780 + 743)]) > -50.0


def test_gain_before_is_gain_after() -> None:
    music = np.random.default_rng(1).standard_normal((50_000, 2)).astype(np.float32)
    music *= np.abs(np.sin(np.arange(50_000) / 3000.0))[:, None].astype(np.float32)
    loud = run(HarmonicGlow(100.0), whole(music), 44_100)
    quiet = run(HarmonicGlow(100.0), whole(music * np.float32(1 / 256)), 44_100)
    np.testing.assert_allclose(quiet * 256, loud, atol=1e-4)


def test_a_channel_without_sound_gains_none() -> None:
    tone = both(sine(743, PERIOD))
    tone[:, 1] = 0.0
    assert not run(HarmonicGlow(100.0), whole(tone), 44_100)[:, 1].any()


@settings(max_examples=25, deadline=None)
@given(block=hostile(max_frames=10_000), rate_hz=st.sampled_from(RATES_HZ))
def test_whatever_comes_what_is_added_stays_small(block: np.ndarray, rate_hz: int) -> None:
    """The band's own peak times the share, and what three filters make of its edges."""
    stereo = np.repeat(block[:, :1], 2, axis=1)
    added = run(HarmonicGlow(100.0), whole(stereo), rate_hz) - stereo
    assert np.abs(added).max() <= 0.25 * np.abs(stereo).max()
    assert rms(added) <= 0.08 * rms(stereo)
