from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.measure import LevelMeter, Measurement, Measurer
from audio_processor.dsp.repair import RepairSpikes
from audio_processor.model import Block
from tests.dsp.signals import amplitude, cut

RATE = 8_000  # a chunk is 4000 frames


def music(frames: int = 5 * RATE, level: float = 0.1) -> Block:
    return np.random.default_rng(7).normal(0.0, level, (frames, 2)).astype(np.float32)


def analyse(block: Block) -> Measurement:
    measurer = Measurer(RATE, 2)
    measurer.push(block)
    return measurer.result()


def repaired(block: Block, *lengths: int) -> Block:
    return np.concatenate(list(RepairSpikes()(cut(block, lengths), RATE)))


@pytest.mark.parametrize("at", [0, 1, 3_967, 3_999, 4_000, 4_031, 4_063, 4_064, 39_999])
@pytest.mark.parametrize("level_dbfs", [12.1, 84.0, 700.0])
def test_a_spike_is_counted_and_decides_nothing(at: int, level_dbfs: float) -> None:
    clean = music()
    spiked = clean.copy()
    spiked[at, 1] = amplitude(level_dbfs)
    found, expected = analyse(spiked), analyse(clean)
    assert found.facts.decoder_spikes == 1
    assert found.loudness.integrated_lufs == pytest.approx(
        expected.loudness.integrated_lufs, abs=0.01
    )
    assert found.loudness.true_peak_dbtp == pytest.approx(expected.loudness.true_peak_dbtp, abs=2)
    assert found.envelope.peak.max() < 1.0
    assert found.facts.clipped_runs == 0


def test_a_pair_of_spikes_and_two_channels_at_once() -> None:
    block = music()
    block[1000:1002, 0] = (300.0, -400.0)
    block[1000, 1] = -500.0
    block[1020, 1] = 500.0
    assert analyse(block).facts.decoder_spikes == 4
    assert np.abs(repaired(block)).max() < 1.0


def test_the_repair_is_the_line_between_the_sound_neighbours() -> None:
    block = music()
    block[1000, 0] = block[1003, 0] = 0.3
    block[1001:1003, 0] = 300.0
    block[1003, 0] = 0.0
    np.testing.assert_allclose(repaired(block)[1000:1004, 0], (0.3, 0.2, 0.1, 0.0), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_music_that_loud_is_no_spike(scale: float) -> None:
    block = music() * np.float32(scale)
    assert analyse(block).facts.decoder_spikes == 0
    np.testing.assert_array_equal(repaired(block), block)


def test_a_burst_of_garbage_is_no_isolated_sample() -> None:
    block = music()
    block[1000:1020, 0] = 300.0
    found = analyse(block)
    assert found.facts.decoder_spikes == 0
    assert found.facts.clipped_runs == 1
    assert found.loudness.sample_peak_dbfs == pytest.approx(20.0 * np.log10(300.0))


def test_the_level_meter_leaves_nothing_out() -> None:
    block = music()
    block[1000, 0] = 300.0
    meter = LevelMeter(RATE, 2)
    meter.push(block)
    assert meter.result().sample_peak_dbfs == pytest.approx(20.0 * np.log10(300.0))


@settings(max_examples=50, deadline=None)
@given(
    at=st.lists(st.integers(0, 19_999), max_size=12),
    lengths=st.lists(st.sampled_from([0, 1, 31, 3_999, 4_000, 4_096]), max_size=8),
)
def test_what_is_repaired_does_not_depend_on_the_cuts(at: list[int], lengths: list[int]) -> None:
    block = music(20_000)
    block[at, 0] = 250.0
    whole, pieces = repaired(block), repaired(block, *lengths)
    assert whole.shape == block.shape
    np.testing.assert_array_equal(whole, pieces)


def test_sound_audio_passes_bit_for_bit() -> None:
    block = music()
    np.testing.assert_array_equal(repaired(block, 1, 0, 5_000), block)
    assert list(RepairSpikes()(iter(()), RATE)) == []
