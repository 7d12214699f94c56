"""The analysis through a chain: facts are the source's, levels are told before and after."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from audio_processor.dsp.measure import Measurer
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain, ChainWatch
from audio_processor.model import Block
from tests.mastering.test_chain import Attenuate

RATE_HZ = 44_100


def tone(seconds: float, amplitude: float, dc: float = 0.0) -> Block:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = amplitude * np.sin(2 * np.pi * 997 * time) + dc
    return np.stack((wave, wave), axis=1).astype(np.float32)


def cut(audio: Block, frames: int) -> Iterator[Block]:
    for start in range(0, len(audio), frames):
        yield audio[start : start + frames]


def test_levels_before_and_after_the_chain() -> None:
    analysis = analyse(cut(tone(3.0, 0.5), 1000), RATE_HZ, Chain((Attenuate(-6.0),)))
    assert analysis.source.integrated_lufs is not None
    assert analysis.mastered.integrated_lufs is not None
    difference = analysis.mastered.integrated_lufs - analysis.source.integrated_lufs
    assert difference == pytest.approx(-6.0, abs=0.001)
    assert [stage.stage for stage in analysis.stages] == ["attenuate"]


def test_the_source_is_measured_as_it_is_without_a_chain() -> None:
    audio = tone(2.0, 0.3, dc=0.01)
    plain = Measurer(RATE_HZ, 2)
    plain.push(audio)
    expected = plain.result()
    analysis = analyse(cut(audio, 777), RATE_HZ, Chain((Attenuate(0.0),)))
    assert analysis.source == expected.loudness
    assert analysis.facts == expected.facts


def test_clipping_and_dc_are_told_of_the_source_whatever_the_chain_makes_of_them() -> None:
    audio = np.clip(tone(2.0, 1.5, dc=0.05), -1.0, 1.0)
    analysis = analyse(cut(audio, 4096), RATE_HZ, Chain((Attenuate(-20.0),)))
    assert analysis.facts.clipped_runs > 1000
    assert analysis.facts.dc_offset[0] > 0.02


def test_a_decoder_spike_does_not_enter_the_chain() -> None:
    audio = tone(2.0, 0.1)
    audio[40_000] = 16_000.0
    analysis = analyse(cut(audio, 4096), RATE_HZ, Chain((Attenuate(-1.0),)))
    assert analysis.facts.decoder_spikes == 2
    assert analysis.mastered.true_peak_dbtp == pytest.approx(-21.0, abs=0.1)
    (stage,) = analysis.stages
    assert stage.energy_added_db == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize("peak", [1e17, 1e19, 1e25, 3e38])
def test_energies_that_float32_cannot_hold_are_told_too(peak: float) -> None:
    """A float file may hold any finite number; its figures go into a document as numbers."""
    audio = np.full((5000, 2), 0.1, np.float32)
    audio[2000:3000] = peak
    watch = ChainWatch()
    for _ in Chain((Attenuate(-20.0),))(iter([audio]), RATE_HZ, watch):
        pass
    assert watch.result()[0].energy_added_db == pytest.approx(-20.0, abs=0.01)
