from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.oversample import latency_frames, polyphase_filter, true_peak_factor
from audio_processor.dsp.true_peak import TruePeakMeter
from audio_processor.model import Block
from tests.dsp.signals import faded, multichannel, stereo


def measure(block: Block, rate: int) -> float | None:
    meter = TruePeakMeter(rate, block.shape[1])
    meter.push(block)
    return meter.result()


def reference_peaks(channel: NDArray[np.float32], factor: int) -> NDArray[np.float64]:
    """Each sample's largest of the instants from it to the next, by plain convolution."""
    branches = polyphase_filter(factor).astype(np.float64)
    latency = latency_frames()
    instants = [np.convolve(channel, branch)[latency:][: channel.size] for branch in branches]
    peaks: NDArray[np.float64] = np.abs(instants).max(axis=0)
    return peaks


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_branch_0_is_the_sample_itself(factor: int) -> None:
    branches = polyphase_filter(factor)
    assert branches.shape == (factor, 24)
    assert branches[0, latency_frames()] == 1.0
    assert np.count_nonzero(branches[0]) == 1


@pytest.mark.parametrize("taps", [12, 24, 48])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_branches_mirror_each_other_and_pass_dc(factor: int, taps: int) -> None:
    branches = polyphase_filter(factor, taps)
    np.testing.assert_allclose(branches.sum(axis=1), 1.0, atol=1e-6)
    for p in range(1, factor):
        np.testing.assert_array_equal(branches[p], branches[factor - p][::-1])


def test_the_passband_is_as_flat_as_documented() -> None:
    frequencies = np.linspace(0.0, 0.4535, 2000)
    phase = np.exp(-2j * np.pi * np.outer(np.arange(24), frequencies))
    gain_db = 20.0 * np.log10(np.abs(polyphase_filter(4).astype(np.float64) @ phase))
    assert np.abs(gain_db[:, frequencies <= 0.415]).max() < 0.05
    assert gain_db.max() < 0.07
    assert gain_db.min() > -0.7


@pytest.mark.parametrize(("factor", "taps"), [(0, 24), (4, 0), (4, 11)])
def test_an_interpolator_that_cannot_be_is_refused(factor: int, taps: int) -> None:
    with pytest.raises(ValueError, match="interpolator"):
        polyphase_filter(factor, taps)


@pytest.mark.parametrize(
    ("rate", "factor"),
    [(8_000, 4), (44_100, 4), (48_000, 4), (88_200, 4), (96_000, 2), (176_400, 2), (192_000, 1)],
)
def test_the_envelope_is_that_of_the_plain_convolution(rate: int, factor: int) -> None:
    assert true_peak_factor(rate) == factor
    noise = np.random.default_rng(factor).normal(0.0, 0.3, (rate + 77, 2)).astype(np.float32)
    meter = TruePeakMeter(rate, 2)
    meter.push(noise)
    envelope = meter.envelope()
    per_frame = np.maximum(
        reference_peaks(noise[:, 0], factor), reference_peaks(noise[:, 1], factor)
    )
    hops = np.arange(0, per_frame.size, meter.hop_frames)
    np.testing.assert_allclose(envelope, np.maximum.reduceat(per_frame, hops), rtol=1e-5)


@pytest.mark.parametrize("rate", [22_050, 44_100, 96_000])
def test_the_envelope_says_where_the_peak_is(rate: int) -> None:
    meter = TruePeakMeter(rate, 1)
    block = np.zeros((rate, 1), np.float32)
    at = 37 * meter.hop_frames + 5
    block[at] = 0.5
    meter.push(block)
    envelope = meter.envelope()
    assert envelope.argmax() == 37
    assert envelope[37] == 0.5
    assert envelope[36] < 0.5
    assert envelope[39:].max() == 0.0


@settings(max_examples=60, deadline=None)
@given(
    frequency=st.floats(0.001, 0.41),
    phase=st.floats(0.0, 2.0 * np.pi),
    level=st.floats(0.01, 4.0),
)
def test_any_tone_reads_its_amplitude(frequency: float, phase: float, level: float) -> None:
    """Within 0.1 dB and what a 4× grid can miss of a crest; see ``polyphase_filter``."""
    rate = 44_100
    tone = level * np.sin(2.0 * np.pi * frequency * np.arange(rate // 4) + phase)
    read = measure(multichannel([faded(tone, rate)]), rate)
    # a slow tone's crest may fall in the fade, a fast one's between the grid's instants
    grid_db = 20.0 * np.log10(np.cos(np.pi * frequency / 4.0))
    assert read is not None
    error_db = read - 20.0 * np.log10(level)
    assert grid_db - 0.1 < error_db < 0.1


def test_a_step_rings() -> None:
    read = measure(stereo(np.full(1000, 0.5)), 48_000)
    assert read is not None
    assert -6.0 + 0.3 < read < -6.0 + 1.5


def test_silence_and_nothing_have_no_peak() -> None:
    assert measure(np.zeros((1000, 2), np.float32), 44_100) is None
    assert measure(np.zeros((0, 2), np.float32), 44_100) is None
