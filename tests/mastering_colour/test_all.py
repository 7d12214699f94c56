"""What these stages promise besides the contract."""

from __future__ import annotations

import numpy as np
import pytest

from audio_processor.mastering.stage import MasteringStage
from audio_processor.model import Block
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.music import decoded
from tests.dsp_limiter.signals import RATES_HZ, run, whole
from tests.mastering_colour.stages import STAGES, rms

LARGEST = float(np.finfo(np.float32).max)

every_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())


def likeness(block: Block) -> float:
    left, right = block.astype(np.float64).T
    return float(np.dot(left, right) / np.sqrt(np.dot(left, left) * np.dot(right, right)))


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
def test_real_music_keeps_its_loudness_and_its_image(stage: MasteringStage) -> None:
    """A minute of a song: the energy moves by under 2 dB, the channels' likeness by under 0.1."""
    music, rate_hz = decoded(corpus_track_or_skip("knalgan_theme.ogg"), 60.0)
    heard = run(stage, whole(music), rate_hz)
    assert heard.shape == music.shape
    assert abs(20 * np.log10(rms(heard) / rms(music))) < 2.0
    assert likeness(heard) == pytest.approx(likeness(music), abs=0.1)
