"""Twice and four times the rate, and back: in time, in level, without images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.dsp.halfband import Decimator, Factor, Interpolator
from audio_processor.dsp.hops import Delay, through_hops
from audio_processor.dsp.symmetric_fir import SplitBand
from audio_processor.model import Block
from tests.dsp_limiter.signals import cut_at_random, whole
from tests.mastering_colour.stages import PERIOD, both, decibels, sine

HOP = 1024
FLAT_TO = 0.4535
"""Of the rate: 20 kHz at 44.1 kHz."""

both_factors = pytest.mark.parametrize("factor", [2, 4])


def hops(block: Block) -> Iterator[Block]:
    for start in range(0, len(block), HOP):
        yield block[start : start + HOP]


def interpolated(block: Block, factor: Factor) -> tuple[NDArray[np.float64], int]:
    """The left channel at ``factor`` times the rate, and its lag in frames of the block."""
    up = Interpolator(factor, HOP)
    phases = [up.up(hop).copy().reshape(factor, HOP, 2)[:, :, 0] for hop in hops(block)]
    return np.concatenate(phases, axis=1).T.reshape(-1).astype(np.float64), up.latency_frames


@both_factors
@pytest.mark.parametrize("share", [0.003, 0.1, 0.25, 0.4, FLAT_TO])
def test_a_tone_is_the_same_tone_at_a_higher_rate(factor: Factor, share: float) -> None:
    cycles = share * PERIOD
    dense, lag = interpolated(both(sine(cycles, PERIOD)), factor)
    instants = np.arange(dense.size) / factor - lag
    wanted = np.sin(2 * np.pi * cycles / PERIOD * instants)
    settled = slice(4 * lag * factor, None)
    assert decibels(np.abs(dense - wanted)[settled].max()) < -68.0


@both_factors
def test_the_samples_themselves_are_untouched(factor: Factor) -> None:
    noise = np.random.default_rng(1).standard_normal((4 * HOP, 2)).astype(np.float32)
    dense, lag = interpolated(noise, factor)
    np.testing.assert_array_equal(dense[factor * lag :: factor], noise[: len(noise) - lag, 0])


@both_factors
@pytest.mark.parametrize("share", [0.003, 0.1, 0.25, 0.4, FLAT_TO])
def test_up_and_down_again_is_a_delay(factor: Factor, share: float) -> None:
    tone = both(sine(share * PERIOD, PERIOD))
    up, down = Interpolator(factor, HOP), Decimator(factor, HOP)
    late = up.latency_frames + down.latency_frames
    back = []
    for hop in hops(tone):
        back.append(np.zeros_like(hop))
        down.add_down(up.up(hop), back[-1])
    apart = np.concatenate(back)[late:] - tone[:-late]
    assert decibels(float(np.abs(apart[late:]).max())) < -66.0


@pytest.mark.parametrize("at", [0.56, 0.75, 1.0, 1.3, 1.6, 1.9])
def test_what_does_not_fit_does_not_come_down(at: float) -> None:
    """A tone at four times the rate, between half the stream's rate and twice it."""
    dense = np.sin(2 * np.pi * at / 4 * np.arange(4 * 8 * HOP) + 0.3)
    phases = np.repeat(dense.reshape(-1, 4).T[:, :, None], 2, axis=2).astype(np.float32)
    down = Decimator(4, HOP)
    heard = []
    for start in range(0, phases.shape[1], HOP):
        heard.append(np.zeros((HOP, 2), np.float32))
        down.add_down(
            np.ascontiguousarray(phases[:, start : start + HOP]).reshape(4, -1), heard[-1]
        )
    assert decibels(float(np.abs(np.concatenate(heard)[2 * HOP :]).max())) < -65.0


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
def test_the_upper_band_begins_at_the_split(rate_hz: int) -> None:
    split = SplitBand(rate_hz, 5500.0, PERIOD)
    impulse = np.zeros((PERIOD, 2), np.float32)
    impulse[1000] = 1.0
    answer = split.upper(impulse)[:, 0].astype(np.float64)
    assert np.argmax(np.abs(answer)) == 1000 + split.latency_frames
    hz = np.fft.rfftfreq(PERIOD, 1 / rate_hz)
    gain = np.abs(np.fft.rfft(answer))
    assert gain[hz < 3600].max() < 0.015
    assert np.abs(gain[hz > 7400] - 1.0).max() < 0.015
    assert gain[np.argmin(np.abs(hz - 5500))] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("late", [0, 1, 100, HOP, 3 * HOP + 5])
@pytest.mark.parametrize("frames", [1, HOP - 1, HOP, 5 * HOP + 77])
def test_a_latency_that_is_told_is_taken_off(late: int, frames: int) -> None:
    noise = np.random.default_rng(2).standard_normal((frames, 2)).astype(np.float32)
    told: list[int] = []

    def given(first: int, after: int) -> None:
        told.append(after - first)

    for blocks in (whole(noise), cut_at_random(noise, 3)):
        delay = Delay(late, HOP)
        told.clear()
        passed = list(through_hops(blocks, HOP, late, delay.push, given))
        np.testing.assert_array_equal(np.concatenate(passed), noise)
        assert told == [len(block) for block in passed]
