"""Stereo width: the side by what it says, the sum never, and a guard that keeps its floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.width import StereoWidth
from audio_processor.model import Block
from tests.corpus import corpus_tracks_or_skip
from tests.dsp_limiter.music import decoded
from tests.dsp_limiter.signals import hostile, run, whole
from tests.mastering_tone.stages import decibels, left_right, mid_side, response

RATE_HZ = 8_000
HOP_FRAMES = 80
WINDOW_HOPS = 21

widths = st.floats(0.0, 200.0)
shifts = st.floats(0.0, 100.0)
floors = st.floats(-1.0, 1.0)


def noise(seed: int, frames: int) -> NDArray[np.float64]:
    return np.asarray(np.random.default_rng(seed).standard_normal(frames) * 0.1)


def correlations(block: Block) -> NDArray[np.float64]:
    """Of left and right over every 0.21 s, every 10 ms; 1 where there is none."""
    left, right = block.astype(np.float64).T
    window = np.ones(WINDOW_HOPS)

    def windows(products: NDArray[np.float64]) -> NDArray[np.float64]:
        hops = products[: len(products) // HOP_FRAMES * HOP_FRAMES].reshape(-1, HOP_FRAMES)
        return np.convolve(hops.sum(axis=1), window, "valid")

    power = windows(left * left) * windows(right * right)
    sounding = np.sqrt(power) > 1e-6 * WINDOW_HOPS * HOP_FRAMES
    ratio = windows(left * right) / np.sqrt(np.where(sounding, power, 1.0))
    return np.where(sounding, ratio, 1.0)


@settings(max_examples=60, deadline=None)
@given(block=hostile(), width=widths, shift=shifts, floor=floors)
def test_the_sum_is_what_it_was(block: Block, width: float, shift: float, floor: float) -> None:
    block = np.ascontiguousarray(np.broadcast_to(block, (len(block), 2)))
    out = run(StereoWidth(width, shift, floor), whole(block), RATE_HZ)
    largest = max(1e-30, float(np.abs(out).max()), float(np.abs(block).max()))
    np.testing.assert_allclose(mid_side(out)[0], mid_side(block)[0], atol=1e-7 * largest)


@pytest.mark.parametrize("width", [0.0, 35.0, 100.0, 150.0, 200.0])
def test_the_side_is_scaled(width: float) -> None:
    block = left_right(noise(1, 20_000), noise(2, 20_000))
    out = run(StereoWidth(width, correlation_floor=-1.0), whole(block), RATE_HZ)
    np.testing.assert_allclose(mid_side(out)[1], mid_side(block)[1] * width / 100.0, atol=1e-7)


@given(block=hostile(max_frames=2_000))
@settings(max_examples=30, deadline=None)
def test_no_width_is_mono_to_the_bit(block: Block) -> None:
    block = np.ascontiguousarray(np.broadcast_to(block, (len(block), 2)))
    out = run(StereoWidth(0.0), whole(block), RATE_HZ)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_an_impulse_stays_where_it_is(shift: float) -> None:
    impulse = np.zeros((9_000, 2), np.float32)
    impulse[5_000, 0] = 1.0
    out = run(StereoWidth(180.0, shift, -1.0), whole(impulse), RATE_HZ)
    assert not out[:5_000].any()
    assert np.abs(out[:, 0]).argmax() == 5_000


# ── microshift ───────────────────────────────────────────────────────────────────────────


def test_microshift_widens_a_mono_source_evenly_in_power() -> None:
    stage = StereoWidth(100.0, 100.0, -1.0)
    at_hz = np.geomspace(40.0, 20_000.0, 150)
    left = response(stage, 44_100, at_hz, out=lambda block: block[:, 0].astype(np.float64))
    right = response(stage, 44_100, at_hz, out=lambda block: block[:, 1].astype(np.float64))
    power = (np.abs(left) ** 2 + np.abs(right) ** 2) / 2.0
    high_passed = 1.0 / (1.0 + (250.0 / at_hz) ** 4)
    np.testing.assert_allclose(power, 1.0 + 0.25 * high_passed, atol=0.01)
    swing_db = decibels(left) - decibels(right)
    turns = np.count_nonzero(np.diff(np.sign(swing_db[at_hz > 250.0])))
    assert 8 <= turns <= 12
    assert decibels(left).max() <= 3.55
    assert decibels(left).min() >= -6.1
    assert np.abs(swing_db[at_hz < 60.0]).max() < 0.6


@pytest.mark.parametrize(
    ("shift", "least", "most"), [(0.0, 1.0, 1.0), (50.0, 0.86, 0.91), (100.0, 0.58, 0.64)]
)
def test_microshift_bounds_what_a_mono_source_correlates(
    shift: float, least: float, most: float
) -> None:
    mono = left_right(noise(3, 200_000), np.zeros(200_000))
    out = run(StereoWidth(100.0, shift, -1.0), whole(mono), 44_100)
    both = float(np.asarray(np.corrcoef(out.astype(np.float64).T))[0, 1])
    assert least - 1e-6 <= both <= most + 1e-6


# ── the guard ────────────────────────────────────────────────────────────────────────────


@st.composite
def programmes(draw: st.DrawFn) -> Block:
    """Stretches of 50 to 800 ms, each as wide and as loud as it likes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = []
    for _ in range(draw(st.integers(1, 8))):
        frames = int(rng.integers(400, 6_400))
        mid, side = rng.standard_normal((2, frames)) * rng.uniform(0.0, 0.5, (2, 1))
        parts.append(left_right(mid + rng.uniform(-1.0, 1.0) * side, side))
    return np.concatenate(parts)


@settings(max_examples=80, deadline=None)
@given(block=programmes(), width=st.floats(100.0, 200.0), shift=shifts, floor=st.floats(-0.9, 0.9))
def test_left_and_right_never_correlate_less_than_the_floor_or_the_source(
    block: Block, width: float, shift: float, floor: float
) -> None:
    out = run(StereoWidth(width, shift, floor), whole(block), RATE_HZ)
    allowed = np.minimum(floor, correlations(block))
    assert (correlations(out) - allowed).min(initial=0.0) >= -1e-4


def test_where_the_floor_is_kept_the_guard_is_not_there() -> None:
    block = left_right(noise(4, 30_000), 0.3 * noise(5, 30_000))
    guarded = run(StereoWidth(150.0, 30.0, 0.2), whole(block), RATE_HZ)
    assert correlations(guarded).min() > 0.2
    np.testing.assert_array_equal(
        guarded, run(StereoWidth(150.0, 30.0, -1.0), whole(block), RATE_HZ)
    )


def test_a_source_below_the_floor_is_left_as_it_is() -> None:
    block = left_right(0.5 * noise(6, 30_000), noise(7, 30_000))
    assert correlations(block).max() < 0.0
    out = run(StereoWidth(200.0, 0.0, 0.5), whole(block), RATE_HZ)
    np.testing.assert_allclose(out, block, atol=1e-7)


def test_a_side_that_was_narrowed_is_not_widened_by_its_guard() -> None:
    block = left_right(0.5 * noise(6, 30_000), noise(7, 30_000))
    out = run(StereoWidth(60.0, 100.0, 0.9), whole(block), RATE_HZ)
    np.testing.assert_allclose(mid_side(out)[1], 0.6 * mid_side(block)[1], atol=1e-7)


def test_the_tally_tells_what_the_guard_took() -> None:
    """Uncorrelated mid and side of power 1 and ½: at a gain g on the side left and right
    correlate (1 − g²/2) / (1 + g²/2), which is 0.3 at g = 1.038 instead of 2: −5.7 dB."""
    frames = 400_000
    block = left_right(noise(8, frames), math.sqrt(0.5) * noise(9, frames))
    tally = StageTally()
    parts = StereoWidth(200.0, 0.0, 0.3)(whole(block), RATE_HZ, tally)
    out = np.concatenate(list(parts))
    (band,) = tally.result()
    assert band.band == "side"
    assert band.active_fraction == 1.0
    taken_db = -decibels(mid_side(out)[1].std(keepdims=True) / mid_side(block)[1].std() / 2.0)
    assert band.mean_db == pytest.approx(taken_db[0], abs=0.1)
    # the least over 0.4 s of what windows of noise ask for lies below their mean
    assert 5.7 < band.mean_db < 6.02
    assert band.deepest_db <= 6.03


def test_the_guard_acts_beforehand_and_smoothly() -> None:
    """A side of constant level whose mid falls away at once: the side's gain can be read off."""
    frames, fall = 40_000, 20_000
    mid = np.where(np.arange(frames) < fall, 1.0, 0.2)
    block = left_right(mid * np.resize([1.0, -1.0], frames), np.full(frames, 0.4))
    out = run(StereoWidth(200.0, 0.0, 0.0), whole(block), RATE_HZ)
    gain = mid_side(out)[1] / 0.4
    before, after = fall - round(0.4 * RATE_HZ), fall + round(0.2 * RATE_HZ)
    np.testing.assert_allclose(gain[:before], 2.0, atol=1e-5)
    np.testing.assert_allclose(gain[after : frames - RATE_HZ // 2], 1.0, atol=1e-5)
    assert (np.diff(gain[:after]) <= 1e-6).all()
    assert np.abs(np.diff(gain)).max() < 0.2 / HOP_FRAMES


def test_real_music_gets_wider_and_keeps_its_sum() -> None:
    for track in corpus_tracks_or_skip(3):
        block, rate_hz = decoded(track, 20.0)
        out = run(StereoWidth(180.0, 40.0, 0.1), whole(block), rate_hz)
        np.testing.assert_allclose(mid_side(out)[0], mid_side(block)[0], atol=1e-6)
        assert np.square(mid_side(out)[1]).sum() > np.square(mid_side(block)[1]).sum()
