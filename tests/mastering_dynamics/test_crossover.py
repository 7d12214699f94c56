"""The crossover: what it sends where, and that its bands add up to all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.crossover import Crossover
from audio_processor.model import Block
from tests.mastering_dynamics.signals import hostile_stereo

RIPPLE_DB = 1e-5
SIZE = 1 << 17


def responses(low_hz: float, high_hz: float, rate_hz: int) -> NDArray[np.complex128]:
    """The three bands' transfer functions, of the right channel's impulse."""
    impulse = np.zeros((SIZE, 2), dtype=np.float32)
    impulse[0, 1] = 1.0
    bands = np.zeros((3, 2, SIZE), dtype=np.float32)
    Crossover(low_hz, high_hz).splitter(rate_hz).split(impulse, bands)
    assert not bands[:, 0].any()
    return np.asarray(np.fft.rfft(bands[:, 1].astype(np.float64), axis=1))


def at(response: NDArray[np.complex128], frequency_hz: float, rate_hz: int) -> complex:
    return complex(response[round(frequency_hz / rate_hz * SIZE)])


def db(value: complex) -> float:
    return float(20.0 * np.log10(abs(value)))


@pytest.mark.parametrize("rate_hz", [8_000, 32_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize(("low_hz", "high_hz"), [(250.0, 4000.0), (60.0, 1500.0), (1e3, 12e3)])
def test_the_sum_is_flat(low_hz: float, high_hz: float, rate_hz: int) -> None:
    magnitude = np.abs(responses(low_hz, high_hz, rate_hz).sum(axis=0))
    assert np.abs(20.0 * np.log10(magnitude)).max() < RIPPLE_DB


@settings(max_examples=12, deadline=None)
@given(low_hz=st.floats(20.0, 2_000.0), octaves=st.floats(0.1, 6.0))
def test_the_sum_is_flat_wherever_it_is_split(low_hz: float, octaves: float) -> None:
    magnitude = np.abs(responses(low_hz, low_hz * 2.0**octaves, 48_000).sum(axis=0))
    assert np.abs(20.0 * np.log10(magnitude)).max() < RIPPLE_DB


def test_neighbours_meet_in_phase_at_minus_six_decibels() -> None:
    rate_hz, split_hz = 48_000, (375.0, 3_000.0)  # whole bins
    bands = responses(*split_hz, rate_hz)
    for lower, frequency_hz in enumerate(split_hz):
        below, above = (at(bands[lower + side], frequency_hz, rate_hz) for side in (0, 1))
        assert db(below) == pytest.approx(-6.02, abs=0.03)  # the third band is not quite nothing
        assert abs(np.angle(below / above)) < 1e-3


def test_bands_are_linkwitz_rileys_of_fourth_order() -> None:
    """1 / (1 + r⁴) and its complement, r being the prewarped ratio to the split frequency."""
    rate_hz, low_hz, high_hz = 48_000, 250.0, 4_000.0
    low, mid, high = np.abs(responses(low_hz, high_hz, rate_hz))
    warped = np.tan(np.pi * np.arange(1, SIZE // 2) / SIZE)
    over_low, over_high = (
        1.0 / (1.0 + (np.tan(np.pi * split / rate_hz) / warped) ** 4) for split in (low_hz, high_hz)
    )
    expected = (1.0 - over_low, over_low * (1.0 - over_high), over_low * over_high)
    for found, ideal in zip((low, mid, high), expected, strict=True):
        heard = ideal > 1e-4  # 80 dB down
        difference_db = 20.0 * np.log10(found[1:-1][heard] / ideal[heard])
        assert np.abs(difference_db).max() < 0.01


@settings(max_examples=20, deadline=None)
@given(block=hostile_stereo(max_frames=20_000), at_frame=st.integers(0, 20_000))
def test_state_is_carried_across_calls(block: Block, at_frame: int) -> None:
    once = np.zeros((3, 2, len(block)), dtype=np.float32)
    Crossover(250.0, 4_000.0).splitter(44_100).split(block, once)
    twice = np.zeros_like(once)
    splitter = Crossover(250.0, 4_000.0).splitter(44_100)
    parted = min(at_frame, len(block))
    for part in (slice(0, parted), slice(parted, len(block))):
        bands = np.zeros((3, 2, len(block[part])), dtype=np.float32)
        splitter.split(block[part], bands)
        twice[:, :, part] = bands
    # what has died away to less than −360 dBFS may end where a call does
    np.testing.assert_allclose(twice, once, rtol=0.0, atol=1e-18)


@pytest.mark.parametrize(("low_hz", "high_hz"), [(0.0, 100.0), (500.0, 500.0), (1.0, np.inf)])
def test_splits_that_cannot_be_are_refused(low_hz: float, high_hz: float) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        Crossover(low_hz, high_hz)
