"""The limiter's promises, on anything that can be played."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.limiter import HOP_FRAMES, Limiter
from audio_processor.dsp.reduction import GainReduction
from audio_processor.model import Block
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.meters import true_peak_dbtp
from tests.dsp_limiter.music import decoded
from tests.dsp_limiter.signals import cut_at_random, hostile, run, whole

CEILING_DBTP = -1.5
OVERSHOOT_DB = 0.1

RATES_HZ = st.sampled_from((8_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000))


@settings(max_examples=60, deadline=None)
@given(
    block=hostile(),
    rate_hz=RATES_HZ,
    gain_db=st.floats(-12.0, 24.0),
    ceiling_dbtp=st.floats(-6.0, 0.0),
)
def test_no_true_peak_passes_the_ceiling(
    block: Block, rate_hz: int, gain_db: float, ceiling_dbtp: float
) -> None:
    limited = run(Limiter(ceiling_dbtp, gain_db), whole(block), rate_hz)
    assert limited.shape == block.shape
    assert np.isfinite(limited).all()
    assert true_peak_dbtp(limited) <= ceiling_dbtp + OVERSHOOT_DB


@settings(max_examples=30, deadline=None)
@given(block=hostile(max_frames=40_000), rate_hz=RATES_HZ, seed=st.integers(0, 2**32 - 1))
def test_output_does_not_depend_on_how_the_input_is_cut(
    block: Block, rate_hz: int, seed: int
) -> None:
    limiter = Limiter(CEILING_DBTP, gain_db=6.0)
    whole_output = run(limiter, whole(block), rate_hz)
    np.testing.assert_array_equal(run(limiter, cut_at_random(block, seed), rate_hz), whole_output)


@settings(max_examples=30, deadline=None)
@given(block=hostile(), rate_hz=RATES_HZ)
def test_below_the_ceiling_every_sample_is_the_input_sample(block: Block, rate_hz: int) -> None:
    # 0.5 dB: on white noise even long filters differ by some tenths, next to the Nyquist frequency
    quiet = block * np.float32(10.0 ** ((CEILING_DBTP - 0.5 - true_peak_dbtp(block)) / 20.0))
    np.testing.assert_array_equal(run(Limiter(CEILING_DBTP), whole(quiet), rate_hz), quiet)


def test_samples_away_from_a_peak_are_untouched_and_in_place() -> None:
    rate_hz = 44_100
    rng = np.random.default_rng(5)
    block = (rng.standard_normal((10 * rate_hz, 2)) * 0.05).astype(np.float32)
    block[rate_hz] = 2.0
    limiter = Limiter(CEILING_DBTP)
    limited = run(limiter, whole(block), rate_hz)
    # one look-ahead and a cell before the peak nothing moves
    before = rate_hz - round(limiter.lookahead_ms * rate_hz / 1000) - 8
    np.testing.assert_array_equal(limited[:before], block[:before])
    np.testing.assert_array_equal(limited[-rate_hz // 10 :], block[-rate_hz // 10 :])
    assert not np.array_equal(limited[before:rate_hz], block[before:rate_hz])


def test_gain_is_an_exact_product_where_nothing_is_limited() -> None:
    block = (np.random.default_rng(1).standard_normal((30_000, 2)) * 0.01).astype(np.float32)
    expected = block * np.float32(10.0 ** (6.0 / 20.0))
    np.testing.assert_array_equal(run(Limiter(-1.0, 6.0), whole(block), 48_000), expected)


def test_channels_share_one_gain() -> None:
    rng = np.random.default_rng(2)
    loud = rng.standard_normal(20_000)
    block = np.stack([loud, loud * 0.25], axis=1).astype(np.float32)
    limited = run(Limiter(CEILING_DBTP), whole(block), 44_100)
    audible = np.abs(block[:, 1]) > 1e-3
    gains = limited[audible] / block[audible]
    np.testing.assert_allclose(gains[:, 0], gains[:, 1], rtol=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 7, 8, 9, HOP_FRAMES - 1, HOP_FRAMES, HOP_FRAMES + 1])
@pytest.mark.parametrize("channels", [1, 2])
def test_as_many_frames_come_out_as_went_in(frames: int, channels: int) -> None:
    block = np.full((frames, channels), 1.5, dtype=np.float32)
    blocks = [block[:0], block, block[:0]]
    limited = run(Limiter(CEILING_DBTP), blocks, 44_100, channels)
    assert limited.shape == block.shape


def test_the_callers_blocks_are_not_written_to() -> None:
    block = np.full((HOP_FRAMES, 2), 1.5, dtype=np.float32)
    block.flags.writeable = False
    limited = run(Limiter(CEILING_DBTP), [block, block], 44_100)
    assert np.all(block == 1.5)
    assert np.abs(limited).max() < 0.9


def test_a_held_bass_note_is_not_distorted() -> None:
    """Two-stage release: on sustained limiting the gain holds still between half-waves."""
    rate_hz = 48_000
    time = np.arange(6 * rate_hz) / rate_hz
    block = np.repeat((2.0 * np.sin(2 * np.pi * 60.0 * time))[:, None], 2, axis=1)
    limited = run(Limiter(CEILING_DBTP), whole(block.astype(np.float32)), rate_hz)
    settled = limited[3 * rate_hz : 5 * rate_hz, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(settled * np.hanning(settled.size)))
    fundamental = 60 * 2
    harmonics = [spectrum[n * fundamental] for n in range(2, 12)]
    assert np.linalg.norm(harmonics) / spectrum[fundamental] < 0.01


def test_the_observer_is_told_what_was_done() -> None:
    seen: list[GainReduction] = []
    rate_hz = 44_100
    tone = np.sin(2 * np.pi * 1000.0 / rate_hz * np.arange(10 * rate_hz))[:, None]
    block = np.concatenate([tone, tone * 0.1]).astype(np.float32)
    run(Limiter(-6.0, observer=seen.append), whole(block), rate_hz)
    (reduction,) = seen
    assert reduction.deepest_db == pytest.approx(6.0, abs=0.1)
    assert 5.0 < reduction.mean_db < 6.0, "at 6 dB for ten seconds, then in release"
    assert 0.5 < reduction.active_fraction < 0.7


def test_the_observer_is_told_of_idleness() -> None:
    seen: list[GainReduction] = []
    run(Limiter(-1.0, observer=seen.append), [np.zeros((9000, 2), np.float32)], 44_100)
    assert seen == [GainReduction(deepest_db=0.0, mean_db=0.0, active_fraction=0.0)]


def test_senseless_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Limiter(CEILING_DBTP, lookahead_ms=0.0)
    with pytest.raises(ValueError, match="positive"):
        Limiter(CEILING_DBTP, release_ms=-1.0)
    with pytest.raises(ValueError, match="finite"):
        Limiter(CEILING_DBTP, gain_db=float("inf"))


@pytest.mark.parametrize("name", ["airship_2.ogg", "track11.opus", "vengeful.ogg"])
def test_real_music_12_db_too_loud(name: str) -> None:
    audio, rate_hz = decoded(corpus_track_or_skip(name), seconds=40)
    limited = run(Limiter(CEILING_DBTP, gain_db=12.0), whole(audio), rate_hz)
    assert limited.shape == audio.shape
    assert true_peak_dbtp(limited) <= CEILING_DBTP + OVERSHOOT_DB
