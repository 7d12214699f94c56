from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pyloudnorm.iirfilter import IIRfilter

from audio_processor.dsp.filters import (
    HIGH_PASS_HZ,
    HIGH_PASS_Q,
    SHELF_GAIN_DB,
    SHELF_HZ,
    SHELF_Q,
    Biquad,
    channel_weights,
    k_weighting,
)

BS1770_SHELF_48K = Biquad(
    1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585
)
BS1770_HIGH_PASS_48K = Biquad(1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def test_the_recommendation_s_own_table_at_48_khz() -> None:
    weighting = k_weighting(48_000)
    np.testing.assert_allclose(astuple(weighting.shelf), astuple(BS1770_SHELF_48K), atol=1e-9)
    np.testing.assert_allclose(
        astuple(weighting.high_pass), astuple(BS1770_HIGH_PASS_48K), atol=1e-9
    )


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_pyloudnorm_s_de_man_filters_are_the_same(rate: int) -> None:
    weighting = k_weighting(rate)
    shelf = IIRfilter(SHELF_GAIN_DB, SHELF_Q, SHELF_HZ, rate, "high_shelf_DeMan")
    high_pass = IIRfilter(0.0, HIGH_PASS_Q, HIGH_PASS_HZ, rate, "high_pass_DeMan")
    for ours, theirs in ((weighting.shelf, shelf), (weighting.high_pass, high_pass)):
        np.testing.assert_allclose((ours.b0, ours.b1, ours.b2), theirs.b, rtol=1e-14)
        np.testing.assert_allclose((1.0, ours.a1, ours.a2), theirs.a, rtol=1e-14)


def gain_db(biquad: Biquad, rate: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    z = np.exp(-2j * np.pi * frequencies / rate)
    numerator = biquad.b0 + biquad.b1 * z + biquad.b2 * z**2
    decibels: NDArray[np.float64] = 20.0 * np.log10(
        np.abs(numerator / (1.0 + biquad.a1 * z + biquad.a2 * z**2))
    )
    return decibels


@pytest.mark.parametrize("rate", [22_050, 32_000, 44_100, 96_000, 192_000, 384_000])
def test_the_curve_is_the_same_at_every_rate(rate: int) -> None:
    """Up to a tenth of the rate, beyond which the bilinear transform bends every curve."""
    frequencies = np.geomspace(20.0, rate / 10.0 if rate < 48_000 else 4_000.0, 50)
    here, reference = k_weighting(rate), k_weighting(48_000)
    total = gain_db(here.shelf, rate, frequencies) + gain_db(here.high_pass, rate, frequencies)
    expected = gain_db(reference.shelf, 48_000, frequencies) + gain_db(
        reference.high_pass, 48_000, frequencies
    )
    np.testing.assert_allclose(total, expected, atol=0.15)


@pytest.mark.parametrize("rate", [0, 7_999, 384_001])
def test_a_rate_out_of_range_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match=f"{rate} Hz"):
        k_weighting(rate)


def test_layouts_without_weights_of_their_own_need_them_given() -> None:
    with pytest.raises(ValueError, match="7 channels"):
        channel_weights(7, None)
    with pytest.raises(ValueError, match="2 channels"):
        channel_weights(2, (1.0, 1.0, 1.0))
    assert channel_weights(7, (1.0,) * 7) == (1.0,) * 7
