"""Saturation that is soft, and clean: what it adds to tones, and what it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.stages.character import Character
from tests.dsp_limiter.signals import hostile, run, whole
from tests.mastering_colour.stages import PERIOD, both, decibels, hear, sine

RATES_HZ = (22_050, 44_100, 96_000)
ODD_ORDERS_IN_BAND = 7
"""Harmonics up to here are the sound's; the ninth and later ones count as rest."""
SLOPE = 0.464
"""Of the rate: from here to half of it the filters fall."""


def highest_alias_db(share: float, rate_hz: int) -> float:
    """The highest alias below the slope, of a sine of full scale at that share of the rate."""
    tone = hear(Character(100.0), share * rate_hz, rate_hz)
    return replace(tone, spectrum_db=tone.spectrum_db[: int(SLOPE * PERIOD)]).rest_db(
        up_to_order=ODD_ORDERS_IN_BAND
    )


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(
    "share", [0.01, 0.03, 0.07, 0.11, 0.16, 0.2, 0.23, 0.27, 0.31, 0.36, 0.41, 0.44, 0.4535, 0.464]
)
def test_aliases_of_these_stay_below_95_dbfs_up_to_half_the_rate(
    rate_hz: int, share: float
) -> None:
    tone = hear(Character(100.0), share * rate_hz, rate_hz)
    assert tone.rest_db(up_to_order=ODD_ORDERS_IN_BAND) < -95.0


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, 48_000])
@pytest.mark.parametrize(
    ("shares", "at_most_db"),
    [
        (np.arange(0.006, 0.43, 0.0061), -97.0),
        (np.arange(0.43, 0.46, 0.001), -94.0),
        (np.arange(0.46, 0.465, 0.0005), -91.0),
    ],
    ids=["up to 0.43", "up to 0.46", "up to 0.465"],
)
def test_below_the_slope_aliases_of_any_sine_are_bounded(
    rate_hz: int, shares: NDArray[np.float64], at_most_db: float
) -> None:
    """Sines closer to each other than half a ripple of the filters, which is 0.0045 wide there."""
    heard = {round(share, 4): highest_alias_db(share, rate_hz) for share in shares.tolist()}
    assert {share: db for share, db in heard.items() if db >= at_most_db} == {}


@pytest.mark.parametrize(("order", "at_most_db"), [(3, -35.0), (5, -61.0), (7, -86.0)])
def test_a_harmonic_just_above_half_the_rate_is_folded_to_just_below_it(
    order: int, at_most_db: float
) -> None:
    """No lower than the slope, whose mirror is where the harmonic comes out clean again."""
    for beyond in (0.5003, 0.501, 0.503, 0.506, 0.51, 0.52, 0.53):
        share = beyond / order
        tone = hear(Character(100.0), share * 44_100, 44_100)
        assert tone.rest_db(up_to_order=ODD_ORDERS_IN_BAND) < at_most_db
        assert highest_alias_db(share, 44_100) < -97.0


@pytest.mark.parametrize("share", [0.47, 0.48, 0.49, 0.499])
def test_beside_half_the_rate_they_are_bounded_and_stay_up_there(share: float) -> None:
    tone = hear(Character(100.0), share * 44_100, 44_100)
    assert tone.rest_db(1) < -36.5
    assert tone.spectrum_db[1 : int(0.39 * PERIOD)].max() < -90.0


def test_the_third_harmonic_of_full_scale_is_3_percent() -> None:
    tone = hear(Character(100.0), 1_000.0, 44_100)
    fundamental_db = tone.harmonic_db(1)
    assert tone.harmonic_db(3) - fundamental_db == pytest.approx(decibels(0.03), abs=1.0)
    assert tone.harmonic_db(5) - tone.harmonic_db(3) < -25.0
    assert tone.harmonic_db(7) - tone.harmonic_db(5) < -25.0
    for even in (2, 4, 6):
        assert tone.harmonic_db(even) < -130.0


@pytest.mark.parametrize("amount_percent", [10.0, 25.0, 50.0])
def test_distortion_is_in_proportion_to_the_amount(amount_percent: float) -> None:
    little = hear(Character(amount_percent), 1_000.0, 44_100, 0.25)
    full = hear(Character(100.0), 1_000.0, 44_100, 0.25)
    ratio_db = little.harmonic_db(3) - full.harmonic_db(3)
    assert ratio_db == pytest.approx(decibels(amount_percent / 100.0), abs=0.5)


def test_and_to_the_square_of_the_level() -> None:
    loud, quiet = (hear(Character(100.0), 1_000.0, 44_100, level) for level in (0.5, 0.05))
    assert loud.harmonic_db(3) - quiet.harmonic_db(3) == pytest.approx(60.0, abs=1.0)


@pytest.mark.parametrize(("hz", "gain_db"), [(20.0, 1.0), (1_000.0, 0.0), (20_000.0, 1.5)])
@pytest.mark.parametrize("amount_percent", [50.0, 100.0])
def test_what_is_quiet_passes_the_shelves_alone(
    hz: float, gain_db: float, amount_percent: float
) -> None:
    tone = hear(Character(amount_percent), hz, 48_000, 0.001)
    heard_db = tone.harmonic_db(1) - decibels(0.001)
    assert heard_db == pytest.approx(gain_db * amount_percent / 100.0, abs=0.1)


def test_a_loud_tone_loses_less_than_a_decibel() -> None:
    assert -1.0 < hear(Character(100.0), 1_000.0, 44_100).harmonic_db(1) < -0.5


@pytest.mark.parametrize("level_db", [6.0, 12.0, 24.0])
def test_above_full_scale_it_rounds_and_does_not_clip(level_db: float) -> None:
    """Louder stays louder, and the wave has no flat top: its peaks are all different."""
    level = 10 ** (level_db / 20)
    frames = PERIOD
    swell = np.linspace(0.9, 1.0, frames) * level * sine(301, frames)
    heard = run(Character(100.0), whole(both(swell)), 44_100)[:, 0]
    crests = [heard[i : i + 1000].max() for i in range(5_000, frames - 5_000, 1000)]
    assert np.all(np.diff(crests) > 0.0)
    assert max(crests) < min(level, 2.2)


@settings(max_examples=25, deadline=None)
@given(block=hostile(max_frames=10_000), rate_hz=st.sampled_from(RATES_HZ))
def test_whatever_comes_no_peak_grows_much(block: np.ndarray, rate_hz: int) -> None:
    """The shelves and what the filters ring: not half as much again, 3.5 dB."""
    stereo = np.repeat(block[:, :1], 2, axis=1)
    heard = run(Character(100.0), whole(stereo), rate_hz)
    assert np.abs(heard).max() <= 1.5 * np.abs(stereo).max()
