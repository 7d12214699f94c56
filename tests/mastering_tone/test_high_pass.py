"""The high-pass: its curve, and that an offset is taken away without a thump."""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat

import numpy as np
import pytest
from scipy import signal

from audio_processor.mastering.stages.high_pass import HighPass
from tests.dsp_limiter.signals import cut_at_random, run, whole
from tests.mastering_tone.stages import RATES_HZ, decibels, response

ORDERS = pytest.mark.parametrize("order", [2, 3, 4])


@ORDERS
@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("cutoff_hz", [10.0, 20.0, 60.0])
def test_its_curve_is_butterworths(order: int, rate_hz: int, cutoff_hz: float) -> None:
    at_hz = np.array([5.0, 10.0, 20.0, 40.0, 100.0, 1_000.0, 3_500.0])
    want = decibels(1.0 / np.sqrt(1.0 + (cutoff_hz / at_hz) ** (2 * order)))
    got = decibels(response(HighPass(cutoff_hz, order), rate_hz, at_hz))
    np.testing.assert_allclose(got[want > -60.0], want[want > -60.0], atol=0.02)


@ORDERS
def test_its_sections_are_scipys(order: int) -> None:
    block = np.random.default_rng(1).standard_normal((100_000, 2)).astype(np.float32)
    block[0] = 1e-30  # sound, so the filter begins here; but none that its offset would show
    block[1:50_000] = 0.0
    sections = signal.butter(order, 40.0, "high", fs=44_100, output="sos")
    want = signal.sosfilt(sections, block.astype(np.float64), axis=0)
    np.testing.assert_allclose(run(HighPass(40.0, order), whole(block), 44_100), want, atol=2e-6)


@ORDERS
@pytest.mark.parametrize("frames", [1, 100, 44_099, 44_100, 200_000])
def test_an_offset_alone_leaves_nothing(order: int, frames: int) -> None:
    block = np.repeat(np.array([[0.5, -0.125]], np.float32), frames, axis=0)
    out = run(HighPass(20.0, order), cut_at_random(block, 1), 44_100)
    assert np.abs(out).max() < 1e-9


@ORDERS
def test_an_offset_under_music_goes_without_a_thump(order: int) -> None:
    """What the offset adds to the output is at most −50 dB of it, from the first frame on."""
    rng = np.random.default_rng(2)
    music = (rng.standard_normal((100_000, 2)) * 0.1).astype(np.float32)
    stage = HighPass(20.0, order)
    without = run(stage, whole(music), 44_100)
    offset = np.float32(0.3)
    difference = run(stage, whole(music + offset), 44_100) - without
    assert np.abs(difference).max() < 1e-5


def test_music_without_an_offset_begins_as_it_would_from_rest() -> None:
    time = np.arange(88_200) / 44_100
    bass = np.stack([np.sin(2 * np.pi * 41.2 * time), np.cos(2 * np.pi * 55.0 * time)], axis=1)
    out = run(HighPass(20.0), whole(bass.astype(np.float32)), 44_100)
    sections = signal.butter(2, 20.0, "high", fs=44_100, output="sos")
    from_rest = signal.sosfilt(sections, bass, axis=0)
    assert np.abs(out - from_rest).max() < 10 ** (-60 / 20)


def test_silence_before_an_offset_stays_silence() -> None:
    block = np.zeros((150_000, 2), np.float32)
    block[30_001:] = 0.25
    out = run(HighPass(20.0), cut_at_random(block, 3), 44_100)
    assert not out[:30_001].any()
    assert np.abs(out).max() < 1e-9


def test_an_hour_ends_as_it_began() -> None:
    """One second of sound over and over: once settled, every hour's second is the same."""
    rng = np.random.default_rng(4)
    second = (rng.standard_normal((44_100, 2)) * 0.5 + 0.4).astype(np.float32)
    stage = HighPass(10.0, 4)
    seconds = stage(repeat(second, 3600), 44_100)
    early = next(islice(seconds, 10, None))
    (late,) = deque(seconds, maxlen=1)
    np.testing.assert_allclose(late, early, atol=1e-6)
