"""What every one of these stages promises, whatever it does to the sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.mastering.stages.character import Character
from audio_processor.mastering.stages.de_esser import DeEsser
from audio_processor.mastering.stages.glow import HarmonicGlow
from audio_processor.mastering.stages.transient import TransientSculpt
from audio_processor.model import Block
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.music import decoded
from tests.dsp_limiter.signals import cut_at_random, hostile, run, whole
from tests.mastering_colour.stages import RATES_HZ, STAGES, rms

LARGEST = float(np.finfo(np.float32).max)

every_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())


def likeness(block: Block) -> float:
    left, right = block.astype(np.float64).T
    return float(np.dot(left, right) / np.sqrt(np.dot(left, left) * np.dot(right, right)))


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
def test_one_frame_at_a_time(stage: MasteringStage) -> None:
    block = np.random.default_rng(3).standard_normal((9_000, 2)).astype(np.float32)
    frames = (block[i : i + 1] for i in range(len(block)))
    np.testing.assert_array_equal(run(stage, frames, 44_100), run(stage, whole(block), 44_100))


@every_stage
@pytest.mark.parametrize("frames", [1, 2, 63, 4095, 4096, 4097, 8192, 8193])
def test_as_many_frames_out_as_in(stage: MasteringStage, frames: int) -> None:
    block = np.random.default_rng(4).standard_normal((frames, 2)).astype(np.float32)
    assert run(stage, whole(block), 44_100).shape == (frames, 2)


@every_stage
def test_a_stream_without_frames(stage: MasteringStage) -> None:
    assert len(run(stage, iter([]), 44_100)) == 0
    assert len(run(stage, whole(np.zeros((0, 2), np.float32)), 44_100)) == 0


@every_stage
def test_the_callers_blocks_are_read_only(stage: MasteringStage) -> None:
    block = np.random.default_rng(5).standard_normal((50_000, 2)).astype(np.float32)
    block.flags.writeable = False
    assert len(run(stage, whole(block), 44_100)) == len(block)


@every_stage
def test_a_block_that_its_maker_uses_again_is_not_heard_twice(stage: MasteringStage) -> None:
    block = np.random.default_rng(6).standard_normal((60_000, 2)).astype(np.float32)

    def reused() -> Iterator[Block]:
        buffer = np.empty((2_000, 2), np.float32)
        for start in range(0, len(block), len(buffer)):
            buffer[:] = block[start : start + len(buffer)]
            yield buffer

    copies = np.concatenate([out.copy() for out in stage(reused(), 22_050)])
    np.testing.assert_array_equal(copies, run(stage, whole(block), 22_050))


@every_stage
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_nothing_arrives_early_or_late(stage: MasteringStage, rate_hz: int) -> None:
    """Noise correlates with itself best at no delay, and by much."""
    noise = np.random.default_rng(7).standard_normal((16_384, 2)).astype(np.float32) * 0.1
    heard = run(stage, whole(noise), rate_hz)[:, 0].astype(np.float64)
    spectrum = np.fft.rfft(heard) * np.conj(np.fft.rfft(noise[:, 0].astype(np.float64)))
    correlation = np.fft.irfft(spectrum)
    assert int(np.argmax(correlation)) == 0
    assert correlation[0] > 0.85 * np.sqrt(np.sum(heard**2) * np.sum(noise[:, 0] ** 2.0))


@every_stage
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-45, 38))
def test_finite_stays_finite(stage: MasteringStage, seed: int, exponent: int) -> None:
    signs = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], (6_000, 2))
    level = min(LARGEST, 3.4 * 10.0**exponent)
    assert np.isfinite(run(stage, whole((signs * level).astype(np.float32)), 44_100)).all()


@every_stage
def test_a_decoders_spike_is_soon_forgotten(stage: MasteringStage) -> None:
    """+84 dB for one sample: a quarter of an hour of music does not pay for it."""
    rate_hz = 44_100
    music = np.random.default_rng(8).standard_normal((6 * rate_hz, 2)).astype(np.float32) * 0.1
    spiked = music.copy()
    spiked[rate_hz, 0] = 10 ** (84 / 20)
    apart = run(stage, whole(spiked), rate_hz) - run(stage, whole(music), rate_hz)
    assert np.abs(apart[: rate_hz - 2_000]).max() == 0.0
    assert rms(apart[4 * rate_hz :]) < 0.001 * rms(music)


@every_stage
def test_sound_ends_in_digital_silence(stage: MasteringStage) -> None:
    block = np.random.default_rng(9).standard_normal((22_050 * 30, 2)).astype(np.float32)
    block[22_050:] = 0.0
    heard = run(stage, whole(block), 22_050)
    assert heard[:22_050].any()
    assert not heard[22_050 * 20 :].any()


@every_stage
def test_silence_stays_silence(stage: MasteringStage) -> None:
    assert not run(stage, whole(np.zeros((44_100 * 10, 2), np.float32)), 44_100).any()


@every_stage
def test_denormal_numbers_are_next_to_silence(stage: MasteringStage) -> None:
    signs = np.random.default_rng(10).choice([-1e-42, 1e-42], (44_100, 2)).astype(np.float32)
    assert np.abs(run(stage, whole(signs), 44_100)).max() < 1e-40


@every_stage
def test_a_mono_programme_stays_mono(stage: MasteringStage) -> None:
    noise = np.random.default_rng(11).standard_normal(50_000) * 0.3
    heard = run(stage, whole(np.repeat(noise[:, None], 2, axis=1).astype(np.float32)), 44_100)
    np.testing.assert_array_equal(heard[:, 0], heard[:, 1])


@every_stage
def test_channels_can_change_places(stage: MasteringStage) -> None:
    noise = np.random.default_rng(12).standard_normal((50_000, 2)).astype(np.float32)
    noise *= np.array([0.5, 0.05], np.float32)
    heard = run(stage, whole(noise), 44_100)
    swapped = run(stage, whole(noise[:, ::-1]), 44_100)[:, ::-1]
    np.testing.assert_allclose(swapped, heard, rtol=1e-5, atol=1e-6)


@every_stage
def test_a_watch_changes_nothing(stage: MasteringStage) -> None:
    block = np.random.default_rng(13).standard_normal((30_000, 2)).astype(np.float32)
    watched = np.concatenate(list(stage(whole(block), 22_050, StageTally())))
    np.testing.assert_array_equal(watched, run(stage, whole(block), 22_050))


@pytest.mark.parametrize(
    "stage",
    [
        Character(),
        HarmonicGlow(),
        TransientSculpt(),
        DeEsser(ratio=1.0),
        DeEsser(max_reduction_db=0.0),
    ],
    ids=str,
)
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


@every_stage
def test_real_music_keeps_its_loudness_and_its_image(stage: MasteringStage) -> None:
    """A minute of a song: the energy moves by under 2 dB, the channels' likeness by under 0.1."""
    music, rate_hz = decoded(corpus_track_or_skip("knalgan_theme.ogg"), 60.0)
    heard = run(stage, whole(music), rate_hz)
    assert heard.shape == music.shape
    assert abs(20 * np.log10(rms(heard) / rms(music))) < 2.0
    assert likeness(heard) == pytest.approx(likeness(music), abs=0.1)
