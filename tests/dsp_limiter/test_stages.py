"""Cutting, gain and resampling: what comes out, and that the cuts cannot be heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.gain import Gain
from audio_processor.dsp.resample import Resample
from audio_processor.dsp.stage import rechunk
from audio_processor.model import Block, GainCurve
from tests.dsp_limiter.signals import cut_at_random, hostile, run, whole

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(block=hostile(), frames=st.integers(1, 5000), seed=SEEDS)
def test_rechunked_blocks_are_of_one_size_and_lose_nothing(
    block: Block, frames: int, seed: int
) -> None:
    chunks = [chunk.copy() for chunk in rechunk(cut_at_random(block, seed), frames)]
    assert all(len(chunk) == frames for chunk in chunks[:-1])
    assert 0 < len(chunks[-1]) <= frames
    np.testing.assert_array_equal(np.concatenate(chunks), block)


def test_no_frames_make_no_chunks() -> None:
    assert list(rechunk(iter([]), 10)) == []
    assert list(rechunk(iter([np.zeros((0, 2), np.float32)]), 10)) == []


@st.composite
def curves(draw: st.DrawFn) -> GainCurve:
    points = draw(st.lists(st.floats(-12.0, 12.0, width=32), min_size=1, max_size=12))
    return GainCurve(draw(st.floats(0.001, 0.2)), np.array(points, dtype=np.float32))


@settings(max_examples=60, deadline=None)
@given(curve=curves(), gain_db=st.floats(-20.0, 20.0), seed=SEEDS)
def test_gain_follows_its_curve_to_the_sample(curve: GainCurve, gain_db: float, seed: int) -> None:
    rate_hz = 48_000
    frames = 9_000
    ones = np.ones((frames, 2), dtype=np.float32)
    applied = run(Gain(gain_db, curve), cut_at_random(ones, seed), rate_hz)
    points_s = np.arange(curve.gain_db.size) * curve.hop_s
    wanted_db = gain_db + np.interp(np.arange(frames) / rate_hz, points_s, curve.gain_db)
    applied_db = 20.0 * np.log10(applied.astype(np.float64))
    steepest = max(np.abs(np.diff(curve.gain_db)).max(initial=0.0) / curve.hop_s, 2.0)
    # 4 dB/s is what the rider asks for at most: far below a thousandth of a dB there
    tolerance_db = 1e-4 + (steepest / rate_hz * 64) ** 2 / 8 / 8.686
    np.testing.assert_allclose(applied_db[:, 0], wanted_db, atol=tolerance_db)
    np.testing.assert_array_equal(applied[:, 0], applied[:, 1])


@settings(max_examples=40, deadline=None)
@given(block=hostile(), curve=curves(), seed=SEEDS)
def test_gain_does_not_depend_on_the_cuts(block: Block, curve: GainCurve, seed: int) -> None:
    gain = Gain(-3.0, curve)
    np.testing.assert_array_equal(
        run(gain, cut_at_random(block, seed), 44_100), run(gain, whole(block), 44_100)
    )


def test_no_gain_hands_the_very_blocks_on() -> None:
    blocks = [np.ones((10, 2), np.float32), np.zeros((3, 2), np.float32)]
    assert all(out is block for out, block in zip(Gain()(iter(blocks), 8000), blocks, strict=True))


def test_gain_leaves_the_callers_blocks_alone() -> None:
    block = np.ones((1000, 2), np.float32)
    block.flags.writeable = False
    curve = GainCurve(0.1, np.array([6.0, 0.0], np.float32))
    for gain in (Gain(6.0), Gain(0.0, curve)):
        assert run(gain, [block], 44_100)[0, 0] == pytest.approx(10 ** (6 / 20), rel=1e-6)


def test_gain_refuses_what_is_no_gain() -> None:
    with pytest.raises(ValueError, match="finite"):
        Gain(float("nan"))
    with pytest.raises(ValueError, match="at least one point"):
        Gain(0.0, GainCurve(0.1, np.zeros(0, np.float32)))


RATES_HZ = st.sampled_from((8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000))


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(0, 30_000),
    source_hz=RATES_HZ,
    target_hz=st.sampled_from((24_000, 32_000, 44_100, 48_000)),
    channels=st.sampled_from((1, 2)),
    seed=SEEDS,
)
def test_resampled_length_is_exact_whatever_the_cuts(
    frames: int, source_hz: int, target_hz: int, channels: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).standard_normal((frames, channels)).astype(np.float32)
    stage = Resample(target_hz)
    resampled = run(stage, whole(noise), source_hz, channels)
    assert resampled.shape == (round(frames * target_hz / source_hz), channels)
    np.testing.assert_array_equal(
        run(stage, cut_at_random(noise, seed), source_hz, channels), resampled
    )


@pytest.mark.parametrize("target_hz", [24_000, 32_000, 48_000])
@pytest.mark.parametrize("tone_hz", [100.0, 1000.0, 9000.0])
def test_resampled_tones_stay_in_time_and_level(target_hz: int, tone_hz: float) -> None:
    """The residue against the same tone made at the target rate is below −80 dB."""
    source_hz = 44_100

    def tone(rate_hz: int) -> Block:
        phase = 2 * np.pi * tone_hz * np.arange(2 * rate_hz) / rate_hz
        return np.sin(phase).astype(np.float32)[:, None]

    resampled = run(Resample(target_hz), whole(tone(source_hz)), source_hz)
    middle = slice(target_hz // 2, 3 * target_hz // 2)
    residue = np.sqrt(np.mean(np.square(resampled[middle] - tone(target_hz)[middle])))
    assert 20 * np.log10(residue / np.sqrt(0.5)) < -80.0


def test_what_a_lower_rate_cannot_carry_is_gone() -> None:
    source_hz, target_hz = 44_100, 24_000
    phase = 2 * np.pi * 14_000.0 * np.arange(source_hz) / source_hz
    block = np.sin(phase).astype(np.float32)[:, None]
    resampled = run(Resample(target_hz), whole(block), source_hz)[2000:-2000]
    assert 20 * np.log10(np.abs(resampled).max()) < -100.0


def test_resampling_to_the_same_rate_hands_the_very_blocks_on() -> None:
    blocks = [np.ones((10, 2), np.float32)]
    assert next(Resample(44_100)(iter(blocks), 44_100)) is blocks[0]


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="target_rate_hz"):
        Resample(0)
