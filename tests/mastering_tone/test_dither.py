"""Dither: on the grid, and with an error that knows nothing of the signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.dither import Dither
from audio_processor.model import Block
from tests.dsp_limiter.signals import cut_at_random, hostile, run, whole

BITS = pytest.mark.parametrize("bits", [16, 24])


def steps(block: Block, bits: int) -> NDArray[np.float64]:
    return np.asarray(block.astype(np.float64) * 2.0 ** (bits - 1))


@BITS
@settings(max_examples=40, deadline=None)
@given(block=hostile(), seed=st.integers(0, 2**32 - 1))
def test_every_sample_is_on_the_grid_wherever_the_stream_is_cut(
    bits: int, block: Block, seed: int
) -> None:
    stage = Dither(bits)  # type: ignore[arg-type]  # the two there are
    out = run(stage, whole(block), 44_100, block.shape[1])
    assert out.shape == block.shape
    whole_steps = steps(out, bits)
    np.testing.assert_array_equal(whole_steps, np.rint(whole_steps))
    assert whole_steps.max() <= 2 ** (bits - 1) - 1
    assert whole_steps.min() >= -(2 ** (bits - 1))
    np.testing.assert_array_equal(run(stage, cut_at_random(block, seed), 44_100), out)


@BITS
def test_within_range_it_is_off_by_a_step_and_a_half_at_most(bits: int) -> None:
    block = (np.random.default_rng(1).uniform(-0.999, 0.999, (50_000, 2))).astype(np.float32)
    out = run(Dither(bits), whole(block), 44_100)  # type: ignore[arg-type]
    assert np.abs(steps(out, bits) - steps(block, bits)).max() <= 1.5


@pytest.mark.parametrize("level", [0.0, 0.1, 0.25, 0.5, 0.77, 100.5])
def test_mean_and_power_of_the_error_do_not_depend_on_the_level(level: float) -> None:
    """TPDF's promise (Lipshitz et al., §4): mean 0, a quarter of a step squared."""
    block = np.full((500_000, 2), level / 2**15, np.float32)
    error: NDArray[np.float64] = steps(run(Dither(16), whole(block), 44_100), 16) - level
    assert np.abs(error.mean()) < 5 * 0.5 / np.sqrt(error.size)
    assert (error**2).mean() == pytest.approx(0.25, abs=0.003)


def test_a_tone_below_one_step_is_heard_undistorted() -> None:
    """−100 dBFS, a third of a step: without dither it would be gone."""
    frames, cycles = 1 << 20, 24_001
    tone = 10 ** (-100 / 20) * np.sin(2 * np.pi * cycles * np.arange(frames) / frames)
    out = run(Dither(16), whole(np.stack([tone, tone], axis=1).astype(np.float32)), 44_100)
    for channel in out.T.astype(np.float64):
        spectrum = np.asarray(np.abs(np.fft.rfft(channel)) * 2 / frames)
        assert 20 * np.log10(spectrum[cycles]) == pytest.approx(-100.0, abs=0.3)
        floor = np.median(spectrum)
        assert spectrum[[3 * cycles, 5 * cycles, 7 * cycles]].max() < 5 * floor


def test_the_error_is_white_and_each_channels_own() -> None:
    silence = np.zeros((1 << 19, 2), np.float32)
    error = steps(run(Dither(16), whole(silence), 44_100), 16)
    assert abs(np.asarray(np.corrcoef(error.T))[0, 1]) < 0.01
    for channel in error.T:
        bands = (np.abs(np.fft.rfft(channel)) ** 2)[1:].reshape(64, -1).mean(axis=1)
        assert bands.max() / bands.min() < 1.12
        for lag in (1, 2, 3, 64, 1024):
            assert abs(np.mean(channel[lag:] * channel[:-lag])) < 0.25 * 0.01


def test_equal_runs_give_equal_files_and_a_seed_another() -> None:
    block = np.zeros((1_000, 2), np.float32)
    first = run(Dither(16), whole(block), 44_100)
    np.testing.assert_array_equal(run(Dither(16), whole(block), 48_000), first)
    assert (run(Dither(16, seed=1), whole(block), 44_100) != first).any()


def test_the_callers_block_is_not_written_to() -> None:
    block = np.zeros((1_000, 2), np.float32)
    run(Dither(24), whole(block), 44_100)
    assert not block.any()


def test_beyond_full_scale_is_clipped_to_the_grid() -> None:
    block = np.array([[3.0e38, -3.0e38], [1.0, -1.0], [1.5, -1.5]], np.float32)
    out = run(Dither(16, seed=3), whole(block), 44_100)
    np.testing.assert_array_equal(steps(out, 16)[[0, 2]], [[32767, -32768]] * 2)


def test_there_are_two_depths() -> None:
    with pytest.raises(ValueError, match="16 or 24 bits, not 20"):
        Dither(20)  # type: ignore[arg-type]  # the type says so too
