"""What these stages promise besides the contract."""

from __future__ import annotations

import numpy as np
import pytest

from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.multiband import MultibandCompressor
from tests.mastering_contract.stages import DYNAMICS
from tests.mastering_dynamics.signals import RATE_HZ, run, sine, stereo

STAGES = tuple(DYNAMICS.values())


@pytest.mark.parametrize("stage", [MultibandCompressor(mid_ratio=1.5), *STAGES[2:]], ids=repr)
def test_nothing_is_clipped(stage: MasteringStage) -> None:
    """A tone of 40 dB over full scale comes out far above it, and still a tone."""
    made = run(stage, [sine(1_000.0, 40.0, 4.0)])[2 * RATE_HZ :, 0].astype(np.float64)
    assert np.abs(made).max() > 2.0
    spectrum = np.abs(np.fft.rfft(made * np.hanning(made.size)))
    tone = round(1_000.0 / RATE_HZ * made.size)
    beside = np.delete(spectrum, np.arange(tone - 20, tone + 21))
    assert beside.max() < spectrum[tone] * 10.0 ** (-80.0 / 20.0)


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_every_sound_stays_at_its_moment(stage: MasteringStage) -> None:
    """Bursts of noise, far apart: the output correlates with them at no shift.

    Of noise that a crossover's all-passes hardly turn: they delay what is low, as they must.
    """
    rng = np.random.default_rng(7)
    spectrum = np.fft.rfft(rng.standard_normal(4_096))
    spectrum[: round(9_000 / RATE_HZ * 4_096)] = 0.0
    burst = np.fft.irfft(spectrum) * np.hanning(4_096)
    signal = np.zeros(6 * RATE_HZ)
    for second in range(6):
        signal[second * RATE_HZ + 9_000 :][: burst.size] = burst * 0.5
    made = run(stage, [stereo(signal)])[:, 0].astype(np.float64)
    size = 2 * signal.size
    correlation = np.fft.irfft(np.fft.rfft(made, size) * np.conj(np.fft.rfft(signal, size)), size)
    assert int(np.argmax(np.abs(correlation))) in {0, 1}


@pytest.mark.parametrize("stage", [each for each in STAGES if each.name != "masking_eq"], ids=repr)
def test_nothing_sounds_before_its_cause(stage: MasteringStage) -> None:
    """The masking equaliser's dips are of zero phase: its own tests bound what is before."""
    block = np.zeros((2 * RATE_HZ, 2), dtype=np.float32)
    block[RATE_HZ:] = 0.1
    made = run(stage, [block])
    np.testing.assert_array_equal(made[:RATE_HZ], 0.0)
    assert np.abs(made[RATE_HZ]).min() > 0.01
