"""The profile: the same for any cutting and any rate, of the passages that count."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.bands import BANDS, CENTRES_HZ, power, weighted_power
from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.errors import CorruptMedia, MasteringRejected
from audio_processor.mastering.profile import (
    THIRD_OCTAVES_HZ,
    Profile,
    ProfileMeter,
    balance,
    combine,
    third_octave_db,
)
from tests.mastering_reference.signals import (
    RATE_HZ,
    THIRDS_HZ,
    cut,
    humps,
    noise,
    pink,
    profile,
    profile_of,
    thirds_db,
    tilted,
)


def sine(hz: float, rate_hz: int = RATE_HZ, seconds: float = 4.0) -> np.ndarray:
    one = 0.5 * np.sin(2.0 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)
    return np.repeat(one.astype(np.float32)[:, np.newaxis], 2, axis=1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3 * RATE_HZ), max_size=5))
def test_the_cutting_does_not_matter(borders: list[int]) -> None:
    audio = noise(seconds=3.0)
    whole, cut_up = profile_of(audio), ProfileMeter(RATE_HZ)
    for block in cut(audio, borders):
        cut_up.push(block)
    found = cut_up.result()
    assert np.array_equal(found.mid_db, whole.mid_db)
    assert np.array_equal(found.side_db, whole.side_db)
    assert (found.loudness, found.correlation) == (whole.loudness, whole.correlation)


@pytest.mark.parametrize("rate_hz", [8_000, 32_000, 48_000, 96_000, 192_000])
def test_a_tone_is_in_its_band_with_its_power_at_any_rate(rate_hz: int) -> None:
    hz = float(CENTRES_HZ[60])
    found = profile_of(sine(hz, rate_hz), rate_hz)
    assert int(np.argmax(found.mid_db)) == 60
    assert found.mid_db[60] == pytest.approx(10 * np.log10(0.125), abs=0.05)
    assert np.all(np.isneginf(found.side_db))
    beyond_nyquist = np.greater(CENTRES_HZ, 0.53 * rate_hz)
    assert np.all(np.isneginf(found.mid_db[beyond_nyquist]))


def test_profiles_of_different_rates_agree() -> None:
    shape = humps((80.0, 5.0), (900.0, -5.0))
    low, high = (
        profile_of(noise(shape, rate_hz=rate_hz, seconds=20.0), rate_hz)
        for rate_hz in (44_100, 96_000)
    )
    shared = THIRD_OCTAVES_HZ < 20_000
    apart = third_octave_db(low)[shared] - third_octave_db(high)[shared]
    apart -= apart[17]  # 96 kHz noise has a part of its power above 20 kHz
    assert np.abs(apart[3:]).max() < 1.0  # noise: below 40 Hz it has not settled in 20 s


def test_its_thirds_are_those_of_an_ordinary_analyser() -> None:
    audio = noise(humps((60.0, 6.0), (3000.0, -6.0)), seconds=20.0)
    found = third_octave_db(profile_of(audio))[1:30]
    assert found.size == THIRDS_HZ.size
    assert np.abs(found - thirds_db(audio))[4:].max() < 0.5


def test_its_bands_hold_the_programmes_loudness() -> None:
    audio = noise(tilted(-1.0), seconds=20.0)
    found, meter = profile_of(audio), LoudnessMeter(RATE_HZ, 2)
    meter.push(audio)
    assert found.loudness.integrated_lufs == meter.result().integrated_lufs
    bands = power(np.array([found.mid_db, found.side_db]))
    loudness = -0.691 + 10 * np.log10(weighted_power(bands))
    assert loudness == pytest.approx(found.loudness.integrated_lufs, abs=0.15)


def test_quiet_passages_do_not_count() -> None:
    music, hiss = noise(tilted(-2.0), seconds=8.0), noise(tilted(3.0), seconds=16.0, rms_db=-50.0)
    with_intro = profile_of(np.concatenate((hiss, music)))
    assert np.abs(with_intro.mid_db - profile_of(music).mid_db)[24:].max() < 1.0


def test_correlation_is_told() -> None:
    left = noise(side=None, seconds=3.0)[:, :1]
    silent = np.zeros_like(left)
    assert profile_of(np.hstack((left, left))).correlation == pytest.approx(1.0)
    assert profile_of(np.hstack((left, -left))).correlation == pytest.approx(-1.0)
    assert profile_of(np.hstack((left, silent))).correlation is None


def test_crest_is_true_peak_over_loudness() -> None:
    found = profile_of(sine(997.0))
    assert found.crest_db == pytest.approx(-6.02 + 6.02, abs=0.1)


@pytest.mark.parametrize("frames", [0, 1, 1000, round(0.39 * RATE_HZ)])
def test_what_is_too_short_has_no_profile(frames: int) -> None:
    found = profile_of(noise(seconds=1.0)[:frames])
    assert not found.is_audible
    assert np.all(np.isneginf(found.mid_db))
    assert found.duration_s == pytest.approx(frames / RATE_HZ)
    assert balance(found) is None


def test_half_a_second_has_one() -> None:
    assert profile_of(noise(seconds=0.5)).is_audible


def test_silence_has_none() -> None:
    found = profile_of(np.zeros((RATE_HZ, 2), np.float32))
    assert not found.is_audible
    assert (found.correlation, found.crest_db) == (None, None)


def test_a_decoders_spike_is_left_out() -> None:
    audio = noise(seconds=3.0)
    audio[50_000, 0] = 5000.0
    found = profile_of(audio)
    assert found.loudness.true_peak_dbtp is not None
    assert found.loudness.true_peak_dbtp < 0.0


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(CorruptMedia):
        profile_of(np.full((100, 2), np.nan, np.float32))


def test_an_hour_takes_no_more_memory_than_a_minute() -> None:
    rate_hz = 8_000
    minute = noise(rate_hz=rate_hz, seconds=60.0)
    meter = ProfileMeter(rate_hz)
    meter.push(minute)
    tracemalloc.start()
    for _ in range(59):
        meter.push(minute)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20  # 8 bytes a tenth of a second, and what numpy works with
    assert meter.result().duration_s == pytest.approx(3600.0)


# ── balance ──────────────────────────────────────────────────────────────────────────────


def test_balance_adds_up_and_leans_with_the_spectrum() -> None:
    dark, bright = balance(profile(pink() - np.arange(BANDS) / 4)), balance(profile(pink()))
    assert dark is not None
    assert bright is not None
    assert np.sum(power(np.array(astuple(dark)))) == pytest.approx(1.0)
    assert dark.low_db > bright.low_db
    assert dark.high_db < bright.high_db


# ── several references ───────────────────────────────────────────────────────────────────


def test_one_reference_is_itself() -> None:
    one = profile(pink())
    assert combine([(one, 3.0)]) is one


def test_weights_pull() -> None:
    low, high = profile(pink(-30.0), pink(-40.0)), profile(pink(-20.0), pink(-20.0))
    found = combine([(low, 3.0), (high, 1.0)])
    np.testing.assert_allclose(found.mid_db, -27.5)
    np.testing.assert_allclose(found.side_db, -35.0)
    assert found.duration_s == low.duration_s + high.duration_s


def test_a_louder_reference_has_no_louder_say() -> None:
    quiet = profile(pink(-30.0), integrated_lufs=-20.0)
    loud = profile(pink(-20.0), integrated_lufs=-10.0)
    found = combine([(quiet, 1.0), (loud, 1.0)])
    assert found.loudness.integrated_lufs == pytest.approx(-15.0)
    np.testing.assert_allclose(found.mid_db, -25.0)


def test_who_has_nothing_in_a_band_has_no_vote_there() -> None:
    mono, wide = profile(pink(-30.0)), profile(pink(-30.0), pink(-36.0))
    np.testing.assert_allclose(combine([(mono, 5.0), (wide, 1.0)]).side_db, -36.0)


def test_a_reference_without_loudness_is_refused_by_its_number() -> None:
    silent: Profile = profile(pink(), integrated_lufs=None)
    with pytest.raises(MasteringRejected, match=r"Reference 2 is silent"):
        combine([(profile(pink()), 1.0), (silent, 1.0)])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_cannot_be_is_refused(weight: float) -> None:
    with pytest.raises(MasteringRejected, match="weight"):
        combine([(profile(pink()), weight)])


def test_no_reference_is_refused() -> None:
    with pytest.raises(MasteringRejected, match="no reference"):
        combine([])
