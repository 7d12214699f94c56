"""What every stage of the chain promises, whatever it is set to and whatever comes.

What a stage does to the sound, and what only some promise, is tested beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.mastering.catalogue import ORDER
from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.model import Block
from tests.dsp_limiter.signals import RATES_HZ, cut_at_random, run, whole
from tests.mastering_contract.stages import NEUTRAL, STAGES
from tests.mastering_dynamics.signals import hostile_stereo

LARGEST = float(np.finfo(np.float32).max)

every_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())


def noise(frames: int, seed: int, level: float = 1.0) -> Block:
    drawn = np.random.default_rng(seed).standard_normal((frames, 2)) * level
    return drawn.astype(np.float32)


def test_every_stage_that_there_is_is_held_to_it() -> None:
    assert {stage.name for stage in STAGES.values()} == set(ORDER)


# ── where the stream is cut ──────────────────────────────────────────────────────────────────


@every_stage
@settings(max_examples=15, deadline=None)
@given(
    block=hostile_stereo(max_frames=30_000),
    rate_hz=st.sampled_from(RATES_HZ),
    seed=st.integers(0, 2**32 - 1),
)
def test_where_the_stream_is_cut_cannot_be_heard(
    stage: MasteringStage, block: Block, rate_hz: int, seed: int
) -> None:
    uncut = run(stage, whole(block), rate_hz)
    assert uncut.shape == block.shape
    assert np.isfinite(uncut).all()
    np.testing.assert_array_equal(run(stage, cut_at_random(block, seed), rate_hz), uncut)


@every_stage
def test_nor_where_a_filter_comes_to_rest(stage: MasteringStage) -> None:
    """−400 dBFS is where its state is put to silence: at the same frame, however it is cut."""
    block = noise(20_000, 9, 1e-20)
    block[np.random.default_rng(10).random(20_000) < 0.9] = 0.0
    uncut = run(stage, whole(block), 8_000)
    for seed in range(5):
        np.testing.assert_array_equal(run(stage, cut_at_random(block, seed), 8_000), uncut)


@every_stage
def test_one_frame_at_a_time(stage: MasteringStage) -> None:
    block = noise(9_000, 3)
    frames = (block[i : i + 1] for i in range(len(block)))
    np.testing.assert_array_equal(run(stage, frames, 8_000), run(stage, whole(block), 8_000))


@every_stage
@pytest.mark.parametrize("frames", [1, 2, 63, 4095, 4096, 4097, 8192, 8193])
def test_as_many_frames_out_as_in(stage: MasteringStage, frames: int) -> None:
    assert run(stage, whole(noise(frames, 4)), 44_100).shape == (frames, 2)


@every_stage
def test_nothing_comes_of_nothing(stage: MasteringStage) -> None:
    tally = StageTally()
    assert list(stage(iter([]), 44_100, tally)) == []
    assert tally.result() == ()
    assert len(run(stage, whole(np.zeros((0, 2), np.float32)), 44_100)) == 0


# ── whose the blocks are ─────────────────────────────────────────────────────────────────────


@every_stage
def test_the_callers_blocks_are_read_only(stage: MasteringStage) -> None:
    block = noise(50_000, 5)
    before = block.copy()
    block.flags.writeable = False
    assert len(run(stage, whole(block), 44_100)) == len(block)
    np.testing.assert_array_equal(block, before)


@every_stage
def test_a_block_that_its_maker_uses_again_is_not_heard_twice(stage: MasteringStage) -> None:
    block = noise(60_000, 6)

    def reused() -> Iterator[Block]:
        buffer = np.empty((2_000, 2), np.float32)
        for start in range(0, len(block), len(buffer)):
            buffer[:] = block[start : start + len(buffer)]
            yield buffer

    copies = np.concatenate([out.copy() for out in stage(reused(), 8_000)])
    np.testing.assert_array_equal(copies, run(stage, whole(block), 8_000))


@every_stage
def test_audio_waits_four_seconds_at_most(stage: MasteringStage) -> None:
    """Memory does not grow: what is held back is bounded, wherever the stream stands."""
    rate_hz = 8_000
    block = noise(20 * rate_hz, 3, 0.2)
    taken = given = longest = 0

    def counted() -> Iterator[Block]:
        nonlocal taken
        for start in range(0, len(block), 1_000):
            taken += len(block[start : start + 1_000])
            yield block[start : start + 1_000]

    for out in stage(counted(), rate_hz):
        longest = max(longest, taken - given)
        given += len(out)
    assert given == len(block)
    assert longest <= 4 * rate_hz


# ── silence, and what is next to it ──────────────────────────────────────────────────────────


@every_stage
def test_silence_stays_silence(stage: MasteringStage) -> None:
    tally = StageTally()
    silence = np.zeros((8_000 * 60, 2), np.float32)
    heard = np.concatenate(list(stage(whole(silence), 8_000, tally)))
    np.testing.assert_array_equal(heard, silence)
    assert all(band.deepest_db == 0.0 for band in tally.result())


@every_stage
def test_sound_ends_in_digital_silence(stage: MasteringStage) -> None:
    block = noise(8_000 * 60, 7)
    block[8_000:] = 0.0
    heard = run(stage, whole(block), 8_000)
    assert heard[:8_000].any()
    assert not heard[8_000 * 20 :].any()


@every_stage
def test_denormal_numbers_are_next_to_silence(stage: MasteringStage) -> None:
    signs = np.random.default_rng(10).choice([-1e-42, 1e-42], (44_100, 2)).astype(np.float32)
    assert np.abs(run(stage, whole(signs), 44_100)).max() < 1e-40


# ── what is far too loud ─────────────────────────────────────────────────────────────────────


@every_stage
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-45, 38))
def test_finite_stays_finite(stage: MasteringStage, seed: int, exponent: int) -> None:
    signs = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], (6_000, 2))
    level = min(LARGEST, 3.4 * 10.0**exponent)
    assert np.isfinite(run(stage, whole((signs * level).astype(np.float32)), 44_100)).all()


# ── being watched, being neutral, being set ──────────────────────────────────────────────────


@every_stage
def test_a_watch_changes_nothing(stage: MasteringStage) -> None:
    block = noise(30_000, 8)
    watched = np.concatenate(list(stage(whole(block), 22_050, StageTally())))
    np.testing.assert_array_equal(watched, run(stage, whole(block), 22_050))


@pytest.mark.parametrize("stage", NEUTRAL, ids=repr)
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
