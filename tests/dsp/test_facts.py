from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.dsp.measure import Measurer
from audio_processor.model import Block, SignalFacts
from tests.dsp.signals import SILENCE_DBFS, multichannel, stereo, tone

RATE = 44_100


def facts(block: Block) -> SignalFacts:
    measurer = Measurer(RATE, block.shape[1])
    measurer.push(block)
    return measurer.result().facts


def noise(seed: int, frames: int = RATE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, 0.1, frames)


def test_leading_and_trailing_silence_to_the_frame() -> None:
    sounding = np.full(RATE, 0.25)
    block = stereo(np.concatenate((np.zeros(12_345), sounding, np.zeros(23_456))))
    found = facts(block)
    assert found.leading_silence_s == 12_345 / RATE
    assert found.trailing_silence_s == 23_456 / RATE


def test_one_channel_is_enough_to_end_a_silence() -> None:
    left, right = np.zeros(RATE), np.zeros(RATE)
    left[30_000] = right[20_000] = 0.5
    found = facts(multichannel([left, right]))
    assert found.leading_silence_s == 20_000 / RATE
    assert found.trailing_silence_s == (RATE - 30_001) / RATE


def test_silence_is_what_stays_below_minus_60_dbfs() -> None:
    block = stereo(tone(RATE, (-61.0, 1.0), (-59.0, 1.0), (-61.0, 1.0)))
    found = facts(block)
    assert found.leading_silence_s == pytest.approx(1.0, abs=0.001)
    assert found.trailing_silence_s == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 2.5])
def test_nothing_but_silence_is_silence_from_both_ends(seconds: float) -> None:
    block = stereo(tone(RATE, (SILENCE_DBFS, seconds)))
    found = facts(block)
    assert found.leading_silence_s == found.trailing_silence_s == len(block) / RATE
    assert found.correlation is None


@pytest.mark.parametrize(("length", "runs"), [(2, 0), (3, 1), (50, 1)])
def test_three_samples_at_full_scale_are_a_clipped_run(length: int, runs: int) -> None:
    left = noise(1)
    left[5000 : 5000 + length] = 1.0
    assert facts(multichannel([left, noise(2)])).clipped_runs == runs


def test_runs_are_counted_per_channel_and_across_the_edges_of_hops_and_chunks() -> None:
    left, right = noise(1), noise(2)
    left[209:213] = 32767 / 32768  # a hop is 210 frames
    right[209:213] = -1.0
    left[22_049:22_052] = 1.0  # a chunk is 22 050
    left[30_000:30_002] = right[30_002:30_004] = 1.0  # two channels do not make a run
    assert facts(multichannel([left, right])).clipped_runs == 3


def test_a_square_wave_is_one_run_a_half_period() -> None:
    square = np.sign(np.sin(2.0 * np.pi * 100.0 / RATE * (np.arange(RATE) + 0.5)))
    assert facts(multichannel([square])).clipped_runs == 200


def test_dc_of_each_channel() -> None:
    found = facts(multichannel([noise(1) - noise(1).mean() + 0.05, np.full(RATE, -0.2)]))
    np.testing.assert_allclose(found.dc_offset, (0.05, -0.2), atol=1e-6)


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (noise(1), 1.0),
        (0.1 * noise(1) + 0.3, 1.0),  # neither level nor DC is a matter of phase
        (-noise(1), -1.0),
        (noise(2), 0.0),
        (noise(1) + noise(2), np.sqrt(0.5)),
    ],
)
def test_correlation(right: NDArray[np.float64], expected: float) -> None:
    assert facts(multichannel([noise(1), right])).correlation == pytest.approx(expected, abs=0.02)


def test_no_correlation_of_mono_nor_with_silence() -> None:
    assert facts(multichannel([noise(1)])).correlation is None
    assert facts(multichannel([noise(1), np.zeros(RATE)])).correlation is None
