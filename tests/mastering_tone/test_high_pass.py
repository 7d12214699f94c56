"""The high-pass: its curve, no phase, no drift, and no thump at either end."""

from __future__ import annotations

from collections import deque
from itertools import chain, islice, repeat

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from audio_processor.dsp.linear_high_pass import LinearHighPass
from audio_processor.dsp.stage import rechunk
from audio_processor.mastering.parameters import OutOfRange
from audio_processor.mastering.stages.high_pass import HighPass, averaged_frames
from tests.dsp_limiter.signals import cut_at_random, run, whole
from tests.mastering_tone.stages import decibels

ORDERS = pytest.mark.parametrize("order", [2, 4])
RATES_HZ = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000, 384_000)
MINUS_140_DBFS = 1e-7


def taps(rate_hz: int, stage: HighPass) -> NDArray[np.float64]:
    """The impulse response as a convolution makes it: what the running sums are to be."""
    frames = averaged_frames(rate_hz, stage.cutoff_hz, stage.order)
    low: NDArray[np.float64] = np.ones(1)
    for _ in range(4):
        low = np.convolve(low, np.full(frames, 1.0 / frames))
    section = -low
    section[len(low) // 2] += 1.0
    return section if stage.order == 2 else np.convolve(section, section)


def reach_frames(rate_hz: int, stage: HighPass) -> int:
    """How far the filter sees to either side."""
    return (averaged_frames(rate_hz, stage.cutoff_hz, stage.order) - 1) * stage.order


def answer_to_an_impulse(rate_hz: int, stage: HighPass) -> NDArray[np.float64]:
    """What the stage makes of an impulse, which stood in the middle of it."""
    reach = reach_frames(rate_hz, stage)
    at = rate_hz + reach  # past what the offsets at the ends are estimated from
    block = np.zeros((2 * at + 1, 2), np.float32)
    block[0] = block[-1] = 1e-30  # sound, so that it begins here; but none that could be seen
    block[at] = 1.0
    out = run(stage, whole(block), rate_hz)[:, 0].astype(np.float64)
    assert np.abs(out[: at - reach]).max() < 1e-29
    assert np.abs(out[at + reach + 1 :]).max() < 1e-29
    return out[at - reach : at + reach + 1]


def gain_db(rate_hz: int, stage: HighPass, hz: NDArray[np.float64]) -> NDArray[np.float64]:
    answer = answer_to_an_impulse(rate_hz, stage)
    turns = np.outer(hz / rate_hz, np.arange(len(answer)))
    return decibels(np.asarray(np.exp(-2j * np.pi * turns) @ answer))


@ORDERS
@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("cutoff_hz", [10.0, 20.0, 60.0])
def test_its_cutoff_is_where_it_should_be(order: int, rate_hz: int, cutoff_hz: float) -> None:
    """Within half a frame of the averages' length, which is within 1 % everywhere."""
    stage = HighPass(cutoff_hz, order)
    rounding = 0.5 / averaged_frames(rate_hz, cutoff_hz, order) + 2e-4
    assert rounding < 0.01
    beside_hz = cutoff_hz * np.array([1.0 - rounding, 1.0 + rounding])
    below, above = gain_db(rate_hz, stage, beside_hz)
    assert below < 20.0 * np.log10(np.sqrt(0.5)) < above


@ORDERS
def test_its_curve_falls_as_steeply_as_it_says_and_is_flat_above(order: int) -> None:
    stage = HighPass(20.0, order)
    octaves = gain_db(44_100, stage, np.array([5.0, 2.5]))
    assert octaves[0] - octaves[1] == pytest.approx(6.02 * order, abs=0.35 * order)
    passed = gain_db(44_100, stage, np.geomspace(40.0, 22_050.0, 300))
    assert passed.max() < 1e-5
    assert passed.min() > -0.02 * (order / 2)


@ORDERS
def test_it_turns_no_phase(order: int) -> None:
    answer = answer_to_an_impulse(44_100, HighPass(30.0, order))
    np.testing.assert_allclose(answer, answer[::-1], atol=1e-9)
    assert int(np.argmax(answer)) == len(answer) // 2


@ORDERS
@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_its_running_sums_are_a_convolution(order: int, rate_hz: int) -> None:
    stage = HighPass(40.0, order)
    block = np.random.default_rng(1).standard_normal((60_000, 2)).astype(np.float32)
    out = run(stage, cut_at_random(block, 2), rate_hz)
    want = signal.fftconvolve(block.astype(np.float64), taps(rate_hz, stage)[:, None], "same", 0)
    reach = reach_frames(rate_hz, stage)
    inner = slice(reach, -reach)  # without what the ends' offsets do
    np.testing.assert_allclose(out[inner], want[inner], atol=5e-7)


@ORDERS
@pytest.mark.parametrize("frames", [1, 2, 100, 923, 44_099, 44_100, 200_000])
def test_an_offset_alone_leaves_nothing(order: int, frames: int) -> None:
    block = np.repeat(np.array([[0.5, -0.125]], np.float32), frames, axis=0)
    out = run(HighPass(20.0, order), cut_at_random(block, 1), 44_100)
    assert out.shape == block.shape
    assert np.abs(out).max() < 1e-9


@ORDERS
def test_an_offset_under_music_goes_without_a_thump_at_either_end(order: int) -> None:
    """What the offset adds to the output is at most −90 dB of it, from first frame to last."""
    rng = np.random.default_rng(2)
    music = (rng.standard_normal((100_000, 2)) * 0.1).astype(np.float32)
    stage = HighPass(20.0, order)
    without = run(stage, whole(music), 44_100)
    offset = np.float32(0.3)
    difference = run(stage, whole(music + offset), 44_100) - without
    assert np.abs(difference).max() < 1e-5


def test_an_offset_that_drifts_does_not_thump_at_the_end() -> None:
    """The end is settled on its own offset, not on the beginning's."""
    drift = np.linspace(0.4, -0.4, 44_100 * 20)
    out = run(HighPass(20.0), whole(np.stack([drift, -drift], 1).astype(np.float32)), 44_100)
    assert np.abs(out).max() < 0.02  # half of what it drifts by in the second that is looked at


def test_music_without_an_offset_begins_and_ends_as_if_silence_were_around_it() -> None:
    time = np.arange(88_200) / 44_100
    bass = np.stack([np.sin(2 * np.pi * 41.2 * time), np.cos(2 * np.pi * 55.0 * time)], axis=1)
    stage = HighPass(20.0)
    out = run(stage, whole(bass.astype(np.float32)), 44_100)
    want = signal.fftconvolve(bass, taps(44_100, stage)[:, None], "same", 0)
    assert np.abs(out - want).max() < 10 ** (-60 / 20)


def test_silence_before_an_offset_stays_silence() -> None:
    block = np.zeros((150_000, 2), np.float32)
    block[30_001:] = 0.25
    out = run(HighPass(20.0), cut_at_random(block, 3), 44_100)
    assert not out[:30_001].any()
    assert np.abs(out).max() < 1e-9


def test_a_channel_that_is_silent_at_an_end_stays_so() -> None:
    """Music that is cut off: what its last second leaves under the window is no offset."""
    time = np.arange(88_200) / 44_100
    block = np.zeros((88_200, 2), np.float32)
    block[:, 1] = 0.5 * np.sin(2 * np.pi * 41.2 * time)
    block[20_000:70_000, 0] = 0.5 * np.cos(2 * np.pi * 30.0 * time[20_000:70_000])
    out = run(HighPass(20.0), whole(block), 44_100)
    assert not out[:17_000, 0].any()
    assert not out[73_000:, 0].any()


@ORDERS
def test_a_spike_is_forgotten(order: int) -> None:
    """After one of +84 dB, what follows is to the last bit what it is without it."""
    music = (np.random.default_rng(5).standard_normal((44_100 * 4, 2)) * 0.1).astype(np.float32)
    stage = HighPass(20.0, order)
    spiked = music.copy()
    at = 44_100 * 3 // 2  # past what the opening's offset is estimated from
    spiked[at] = 10.0 ** (84.0 / 20.0)
    clean, out = (run(stage, cut_at_random(block, 6), 44_100) for block in (music, spiked))
    reach = reach_frames(44_100, stage)
    np.testing.assert_array_equal(out[: at - reach], clean[: at - reach])
    np.testing.assert_array_equal(out[at + reach + 1 :], clean[at + reach + 1 :])


@ORDERS
def test_hours_after_a_spike_it_is_as_exact_as_at_first(order: int) -> None:
    """Two hours of one second over and over: the last is what a convolution makes of it."""
    second = (np.random.default_rng(4).standard_normal((8_000, 2)) * 0.5 + 0.4).astype(np.float32)
    spike = second.copy()
    spike[4_000] = 10.0 ** (84.0 / 20.0)
    stage = HighPass(10.0, order)
    seconds = stage(chain(repeat(second, 2), [spike], repeat(second, 7_200)), 8_000)
    (late,) = deque(islice(rechunk(seconds, 8_000), 7_200), maxlen=1)
    around = np.concatenate([second] * 3).astype(np.float64)
    want = signal.fftconvolve(around, taps(8_000, stage)[:, None], "same", 0)[8_000:16_000]
    quantum = np.abs(want).max() * 2.0**-24  # of the float32 that comes out
    assert np.abs(late - want).max() < MINUS_140_DBFS + 2 * quantum
    assert np.abs(late.mean(axis=0)).max() < MINUS_140_DBFS


def test_the_sums_themselves_do_not_drift() -> None:
    """In float64, where float32 does not hide it: what an hour and spikes leave in an offset.

    Sums that add what comes and subtract what goes leave 2e-12 in the same place.
    """
    frames, level = 335, np.array([0.7, -0.3], np.float32)
    found = LinearHighPass(frames, level.astype(np.float64))
    music = np.random.default_rng(6).standard_normal((1_000_000, 2)).astype(np.float32)
    music[::50_000] = 10.0 ** (84.0 / 20.0)
    for _ in range(30):  # of 8 kHz
        found.process(music)
    found.process(np.repeat(level[None], 4 * frames, axis=0))
    rest = found.process(np.repeat(level[None], 10_000, axis=0))
    assert np.abs(rest).max() < 1e-14  # −280 dBFS, the rounding of this offset alone


def test_alike_channels_stay_alike() -> None:
    mono = np.random.default_rng(8).standard_normal((100_000, 1)).astype(np.float32)
    for order in (2, 4):
        out = run(HighPass(25.0, order), cut_at_random(np.repeat(mono, 2, 1), 4), 44_100)
        np.testing.assert_array_equal(out[:, 0], out[:, 1])


def test_what_is_next_to_nothing_is_kept() -> None:
    """Samples at float32's lower end: a sum of them is far from float64's."""
    block = np.full((5_000, 2), 1e-44, np.float32)
    block[::2] *= -1.0
    out = run(HighPass(60.0), whole(block), 8_000)
    np.testing.assert_array_equal(out[100:-100], block[100:-100])


@pytest.mark.parametrize("rate_hz", [1, 50, 146, 400])
def test_rates_that_hold_no_music_do_no_harm(rate_hz: int) -> None:
    block = np.random.default_rng(9).standard_normal((1_000, 2)).astype(np.float32)
    out = run(HighPass(60.0, 4), cut_at_random(block, 1), rate_hz)
    assert out.shape == block.shape
    assert np.isfinite(out).all()


@pytest.mark.parametrize("order", [3, 2.5])
def test_an_order_is_one_that_there_is(order: int) -> None:
    with pytest.raises(OutOfRange, match=rf"order is {order}; it must be 2 or 4$"):
        HighPass(order=order)
