"""The filter: what numpy's convolution says, in place in time, however the stream was cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.fir import MidSideFir, linear_phase, smooth_length
from audio_processor.model import Block
from tests.mastering_reference.signals import cut


def taps(half: int, seed: int) -> NDArray[np.float64]:
    side = np.random.default_rng(seed).normal(size=half + 1) / (half + 1)
    return np.concatenate((side[:0:-1], side))


def through(fir: MidSideFir, blocks: Iterator[Block]) -> Block:
    return np.concatenate([np.empty((0, 2), np.float32), *fir(blocks, 44_100)])


def audio(frames: int, seed: int = 3) -> Block:
    return np.random.default_rng(seed).normal(size=(frames, 2)).astype(np.float32)


@given(st.integers(0, 2500), st.sampled_from([0, 1, 2, 63, 200]))
def test_mid_and_side_are_convolved_each_by_its_own(frames: int, half: int) -> None:
    mid_taps, side_taps = taps(half, 1), taps(half, 2)
    given_audio = audio(frames)
    left, right = np.pad(given_audio.astype(float), ((half, half), (0, 0))).T
    mid, side = (left + right) / 2, (left - right) / 2
    if frames:
        mid, side = (
            np.convolve(one, by, "valid") for one, by in ((mid, mid_taps), (side, side_taps))
        )
    expected = np.stack((mid + side, mid - side), axis=1)[:frames]
    found = through(MidSideFir(mid_taps, side_taps), iter([given_audio]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


@given(st.lists(st.integers(0, 5000), max_size=6))
def test_where_the_stream_was_cut_does_not_matter(borders: list[int]) -> None:
    fir = MidSideFir(taps(100, 1), taps(100, 2))
    whole = audio(5000)
    assert np.array_equal(through(fir, cut(whole, borders)), through(fir, iter([whole])))


def test_mono_stays_mono_to_the_bit() -> None:
    mono = np.repeat(audio(3000)[:, :1], 2, axis=1)
    found = through(MidSideFir(taps(50, 1), taps(50, 2)), iter([mono]))
    assert np.array_equal(found[:, 0], found[:, 1])


def test_the_callers_blocks_are_not_written_to() -> None:
    block = audio(2000)
    before = block.copy()
    block.setflags(write=False)
    through(MidSideFir(taps(50, 1), taps(50, 2)), iter([block]))
    assert np.array_equal(block, before)


@pytest.mark.parametrize("mid, side", [(3, 5), (4, 4)])
def test_taps_must_have_one_middle_and_one_length(mid: int, side: int) -> None:
    with pytest.raises(ValueError, match="odd number"):
        MidSideFir(np.ones(mid), np.ones(side))


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
def test_a_designed_filter_has_the_curve(rate_hz: int) -> None:
    hz = np.geomspace(20.0, 20_000.0, 60)
    gain_db = 4.0 * np.sin(np.log(hz) * 2.0)
    designed = linear_phase(hz, gain_db, rate_hz, 0.09)
    assert np.array_equal(designed, designed[::-1])
    found = np.abs(np.fft.rfft(designed, 1 << 18))
    bins_hz = np.arange(found.size) * rate_hz / (1 << 18)
    heard = (bins_hz > 20.0) & (bins_hz < min(20_000.0, 0.48 * rate_hz))
    wanted_db = np.interp(np.log(bins_hz[heard]), np.log(hz), gain_db)
    assert np.abs(20.0 * np.log10(found[heard]) - wanted_db).max() < 0.3


def test_a_flat_design_is_one_tap() -> None:
    designed = linear_phase(np.array([20.0, 20_000.0]), np.zeros(2), 44_100, 0.01)
    middle = designed.size // 2
    assert designed[middle] == pytest.approx(1.0)
    assert np.abs(np.delete(designed, middle)).max() < 1e-12


@given(st.floats(1.0, 200_000.0))
def test_a_smooth_length_is_even_near_and_made_of_small_primes(least: float) -> None:
    length = smooth_length(least)
    assert length % 2 == 0
    assert least <= length <= max(2, 1.25 * least + 2)
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    assert length == 1
