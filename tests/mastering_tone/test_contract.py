"""What every stage of the chain promises, whatever it does to the sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.mastering.stages.equaliser import Equaliser
from audio_processor.mastering.stages.high_pass import HighPass
from audio_processor.mastering.stages.width import StereoWidth
from audio_processor.model import Block
from tests.dsp_limiter.signals import cut_at_random, hostile, run, whole
from tests.mastering_tone.stages import RATES_HZ, STAGES

LARGEST = float(np.finfo(np.float32).max)

every_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())


def stereo(block: Block) -> Block:
    return block if block.shape[1] == 2 else np.repeat(block, 2, axis=1)


@every_stage
@settings(max_examples=15, deadline=None)
@given(
    block=hostile(max_frames=30_000).map(stereo),
    rate_hz=st.sampled_from(RATES_HZ),
    seed=st.integers(0, 2**32 - 1),
)
def test_where_the_stream_is_cut_cannot_be_heard(
    stage: MasteringStage, block: Block, rate_hz: int, seed: int
) -> None:
    uncut = run(stage, whole(block), rate_hz)
    assert uncut.shape == block.shape
    np.testing.assert_array_equal(run(stage, cut_at_random(block, seed), rate_hz), uncut)


@every_stage
def test_where_it_is_cut_cannot_be_heard_where_a_filter_comes_to_rest(
    stage: MasteringStage,
) -> None:
    """−400 dBFS is where its state is put to silence: at the same frame, however it is cut."""
    block = np.random.default_rng(9).standard_normal((20_000, 2)) * 1e-20
    block[np.random.default_rng(10).random(20_000) < 0.9] = 0.0
    uncut = run(stage, whole(block.astype(np.float32)), 8_000)
    for seed in range(5):
        cut = run(stage, cut_at_random(block.astype(np.float32), seed), 8_000)
        np.testing.assert_array_equal(cut, uncut)


@every_stage
def test_one_frame_at_a_time(stage: MasteringStage) -> None:
    block = np.random.default_rng(3).standard_normal((9_000, 2)).astype(np.float32)
    frames = (block[i : i + 1] for i in range(len(block)))
    np.testing.assert_array_equal(run(stage, frames, 8_000), run(stage, whole(block), 8_000))


@every_stage
def test_a_stream_without_frames(stage: MasteringStage) -> None:
    assert len(run(stage, iter([]), 44_100)) == 0
    assert len(run(stage, whole(np.zeros((0, 2), np.float32)), 44_100)) == 0


@every_stage
def test_the_callers_blocks_are_read_only(stage: MasteringStage) -> None:
    block = np.random.default_rng(4).standard_normal((50_000, 2)).astype(np.float32)
    block.flags.writeable = False
    assert len(run(stage, whole(block), 44_100)) == len(block)


@every_stage
def test_a_block_that_its_maker_uses_again_is_not_heard_twice(stage: MasteringStage) -> None:
    block = np.random.default_rng(5).standard_normal((60_000, 2)).astype(np.float32)

    def reused() -> Iterator[Block]:
        buffer = np.empty((2_000, 2), np.float32)
        for start in range(0, len(block), len(buffer)):
            buffer[:] = block[start : start + len(buffer)]
            yield buffer

    copies = np.concatenate([out.copy() for out in stage(reused(), 8_000)])
    np.testing.assert_array_equal(copies, run(stage, whole(block), 8_000))


@every_stage
def test_full_scale_is_no_border(stage: MasteringStage) -> None:
    block = np.random.default_rng(6).standard_normal((20_000, 2)).astype(np.float32)
    loud = run(stage, whole(block * np.float32(1024.0)), 44_100)
    np.testing.assert_allclose(
        loud, run(stage, whole(block), 44_100) * 1024.0, atol=1e-3, rtol=1e-5
    )


@every_stage
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-45, 38))
def test_finite_stays_finite(stage: MasteringStage, seed: int, exponent: int) -> None:
    signs = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], (6_000, 2))
    level = min(LARGEST, 3.4 * 10.0**exponent)
    assert np.isfinite(run(stage, whole((signs * level).astype(np.float32)), 8_000)).all()


@every_stage
def test_sound_ends_in_digital_silence(stage: MasteringStage) -> None:
    block = np.random.default_rng(7).standard_normal((8_000 * 60, 2)).astype(np.float32)
    block[8_000:] = 0.0
    out = run(stage, whole(block), 8_000)
    assert out[:8_000].any()
    assert not out[8_000 * 20 :].any()


@every_stage
def test_a_minute_of_silence_is_silence(stage: MasteringStage) -> None:
    assert not run(stage, whole(np.zeros((8_000 * 60, 2), np.float32)), 8_000).any()


@every_stage
def test_a_watch_changes_nothing(stage: MasteringStage) -> None:
    block = np.random.default_rng(8).standard_normal((30_000, 2)).astype(np.float32)
    watched = np.concatenate(list(stage(whole(block), 22_050, StageTally())))
    np.testing.assert_array_equal(watched, run(stage, whole(block), 22_050))


@pytest.mark.parametrize("stage", [Equaliser(), StereoWidth(), StereoWidth(correlation_floor=1.0)])
def test_neutral_is_not_there(stage: MasteringStage) -> None:
    blocks = whole(np.zeros((10, 2), np.float32))
    assert stage(blocks, 44_100) is blocks


@every_stage
def test_ranges_hold_and_are_named(stage: MasteringStage) -> None:
    for each, allowed in parameters(stage):
        assert allowed.about.endswith(".")
        assert allowed.low <= getattr(type(stage)(), each.name) <= allowed.high
        for value in (allowed.low, allowed.high):
            assert getattr(type(stage)(**{each.name: value}), each.name) == value
        for value in (allowed.low - 0.01, allowed.high + 0.01, float("nan")):
            with pytest.raises(OutOfRange, match=each.name):
                type(stage)(**{each.name: value})


@pytest.mark.parametrize("order", [3, 2.5])
def test_an_order_is_one_that_there_is(order: int) -> None:
    with pytest.raises(OutOfRange, match=rf"order is {order}; it must be 2 or 4$"):
        HighPass(order=order)
