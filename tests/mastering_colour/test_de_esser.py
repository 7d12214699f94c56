"""Sibilants come down, in time and by no more than is said; everything else is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.de_esser import DeEsser
from audio_processor.model import BandReduction, Block
from tests.dsp_limiter.signals import hostile, run, whole
from tests.mastering_colour.stages import both, decibels, rms

RATE_HZ = 44_100
SYLLABLE = int(0.6 * RATE_HZ)
ESS = slice(int(0.45 * RATE_HZ), int(0.55 * RATE_HZ))
"""Where in a syllable the sibilant is: 100 ms, faded in and out within 2 ms."""


def voice(sibilance: float, seconds: float = 6.0, rate_hz: int = RATE_HZ) -> Block:
    """A buzz of 150 Hz, and in every syllable noise from 6 to 9 kHz of this level (RMS)."""
    frames = int(seconds * RATE_HZ) // SYLLABLE * SYLLABLE
    at = np.arange(frames)
    buzz = sum(np.sin(2 * np.pi * 150.0 * n / rate_hz * at) / n for n in range(1, 25))
    noise = np.fft.rfft(np.random.default_rng(1).standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1 / rate_hz)
    noise[(hz < 6000) | (hz > 9000)] = 0.0
    hiss = np.fft.irfft(noise, frames)
    gate = np.zeros(frames).reshape(-1, SYLLABLE)
    fade = np.linspace(0.0, 1.0, 88)
    gate[:, ESS] = 1.0
    gate[:, ESS.start : ESS.start + 88] = fade
    gate[:, ESS.stop - 88 : ESS.stop] = fade[::-1]
    return both(0.1 * np.asarray(buzz) + sibilance * hiss / hiss.std() * gate.reshape(-1))


def counted(stage: DeEsser, block: Block, rate_hz: int = RATE_HZ) -> BandReduction:
    tally = StageTally()
    for _ in stage(whole(block), rate_hz, tally):
        pass
    (found,) = tally.result()
    return found


def taken_off(stage: DeEsser, block: Block) -> NDArray[np.float64]:
    """What left the programme, syllable by syllable, without the first two seconds."""
    apart = (block - run(stage, whole(block), RATE_HZ))[:, 0].astype(np.float64)
    return apart.reshape(-1, SYLLABLE)[4:]


@pytest.mark.parametrize("most_db", [3.0, 6.0, 12.0])
def test_a_sibilant_comes_down_by_what_is_allowed(most_db: float) -> None:
    stage = DeEsser(ratio=20.0, max_reduction_db=most_db)
    block = voice(0.3)
    inside = slice(ESS.start + 400, ESS.stop - 400)
    hiss = block.reshape(-1, SYLLABLE, 2)[4:, inside, 0]
    found = counted(stage, block)
    assert found.band == "sibilance"
    assert found.deepest_db == pytest.approx(most_db, abs=0.05)
    share = rms(taken_off(stage, block)[:, inside]) / rms(hiss)
    assert share == pytest.approx(1.0 - 10 ** (-most_db / 20.0), abs=0.05)


def test_it_is_down_before_the_sibilant_is_up() -> None:
    """The share of the first five milliseconds that is taken off is that of the rest."""
    stage, block = DeEsser(max_reduction_db=12.0), voice(0.3)
    hiss = block[:, 0].astype(np.float64) - voice(0.0)[:, 0]
    hiss = hiss.reshape(-1, SYLLABLE)[4:]
    gone = taken_off(stage, block)
    early, later = slice(ESS.start, ESS.start + 220), slice(ESS.start + 1000, ESS.stop - 1000)
    shares = [rms(gone[:, part]) / rms(hiss[:, part]) for part in (early, later)]
    assert shares[0] > 0.9 * shares[1]


def test_between_sibilants_nothing_is_touched() -> None:
    gone = taken_off(DeEsser(release_ms=10.0), voice(0.3))
    vowel = slice(int(0.2 * RATE_HZ), ESS.start - int(0.02 * RATE_HZ))
    assert not gone[:, vowel].any()


@pytest.mark.parametrize("sibilance", [0.0, 0.005])
def test_without_sibilance_every_bit_is_kept(sibilance: float) -> None:
    block = voice(sibilance)
    np.testing.assert_array_equal(run(DeEsser(), whole(block), RATE_HZ), block)


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
def test_what_is_bright_all_the_time_is_tone(rate_hz: int) -> None:
    noise = np.random.default_rng(2).standard_normal((4 * rate_hz, 2)).astype(np.float32) * 0.2
    tall = noise - np.roll(noise, 1, axis=0)
    assert counted(DeEsser(), tall, rate_hz).deepest_db < 0.5


@pytest.mark.parametrize("gain", [4.0, 0.05])
def test_the_level_does_not_matter(gain: float) -> None:
    block = voice(0.1)
    heard = run(DeEsser(), whole(block), RATE_HZ)
    again = run(DeEsser(), whole(block * np.float32(gain)), RATE_HZ) / np.float32(gain)
    # the floor, −80 dBFS, holds for a quiet programme sooner: by as much as is nothing to hear
    assert decibels(rms(again - heard) / rms(heard)) < -50.0


def test_a_higher_ratio_and_a_lower_threshold_take_off_more() -> None:
    block = voice(0.05)
    means = [
        counted(DeEsser(threshold_db=threshold_db, ratio=ratio, max_reduction_db=12.0), block)
        for threshold_db, ratio in ((0.0, 2.0), (-10.0, 2.0), (-10.0, 8.0), (-16.0, 8.0))
    ]
    deepest = [found.deepest_db for found in means]
    assert deepest == sorted(deepest)
    assert deepest[0] < deepest[-1] - 2.0


def test_both_channels_come_down_by_the_same_gain() -> None:
    block = voice(0.3)
    block[:, 1] *= np.float32(0.125)
    heard = run(DeEsser(), whole(block), RATE_HZ)
    np.testing.assert_array_equal(heard[:, 1], heard[:, 0] * np.float32(0.125))


def test_a_rate_without_that_band_is_left_alone() -> None:
    blocks = whole(np.zeros((10, 2), np.float32))
    assert DeEsser(split_hz=5500.0)(blocks, 8_000) is blocks


@settings(max_examples=30, deadline=None)
@given(
    block=hostile(max_frames=30_000),
    most_db=st.floats(0.5, 12.0),
    threshold_db=st.floats(-40.0, 10.0),
    rate_hz=st.sampled_from([22_050, 44_100, 96_000]),
)
def test_whatever_comes_the_reduction_is_bounded(
    block: Block, most_db: float, threshold_db: float, rate_hz: int
) -> None:
    stereo = np.repeat(block[:, :1], 2, axis=1)
    stage = DeEsser(threshold_db=threshold_db, max_reduction_db=most_db)
    assert counted(stage, stereo, rate_hz).deepest_db <= most_db + 1e-3
    heard = run(stage, whole(stereo), rate_hz)
    assert np.abs(heard).max() <= 2.5 * np.abs(stereo).max()
    assert rms(heard) <= 1.05 * rms(stereo)
