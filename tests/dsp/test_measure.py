"""What must hold of the meters whatever they are fed."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audio_processor.dsp import gating
from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.dsp.measure import LevelMeter, Measurement, Measurer
from audio_processor.dsp.true_peak import TruePeakMeter
from audio_processor.errors import CorruptMedia
from audio_processor.model import Block, Loudness
from tests.dsp.signals import cut, stereo, tone

RATE = 8_000  # a chunk is half a second, 4000 frames

frames = st.integers(0, 5 * RATE)
seeds = st.integers(0, 2**32 - 1)
cuts = st.lists(st.sampled_from([0, 1, 2, 39, 40, 41, 1_000, 3_999, 4_000, 4_001, 4_160, 9_000]))


def programme(seed: int, length: int, channels: int = 2) -> Block:
    """Noise in swells, so that gates and percentiles have something to decide."""
    noise = np.random.default_rng(seed).normal(0.0, 0.2, (length, channels))
    swell = 10.0 ** (np.sin(np.arange(length) / RATE * 4.0 + seed) * 0.8)
    return (noise * swell[:, np.newaxis]).astype(np.float32)


def analyse(block: Block, lengths: list[int]) -> Measurement:
    measurer = Measurer(RATE, block.shape[1])
    for piece in cut(block, lengths):
        measurer.push(piece)
    return measurer.result()


def levels(block: Block, lengths: list[int] | None = None) -> Loudness:
    meter = LevelMeter(RATE, block.shape[1])
    for piece in cut(block, lengths or []):
        meter.push(piece)
    assert meter.frames == len(block)
    return meter.result()


@settings(max_examples=80, deadline=None)
@given(seed=seeds, length=frames, channels=st.sampled_from([1, 2, 5, 6]), lengths=cuts)
def test_the_cuts_do_not_show(seed: int, length: int, channels: int, lengths: list[int]) -> None:
    block = programme(seed, length, channels)
    whole, pieces = analyse(block, []), analyse(block, lengths)
    assert whole.frames == pieces.frames == length
    assert whole.loudness == pieces.loudness == levels(block, lengths)
    assert whole.facts == pieces.facts
    np.testing.assert_array_equal(whole.envelope.peak, pieces.envelope.peak)
    np.testing.assert_array_equal(whole.envelope.energy, pieces.envelope.energy)
    np.testing.assert_array_equal(whole.waveform.data, pieces.waveform.data)


def test_neither_do_blocks_of_one_frame() -> None:
    block = programme(1, 9_000)
    assert analyse(block, [1] * 9_000).loudness == analyse(block, []).loudness


@settings(max_examples=30, deadline=None)
@given(seed=seeds, length=frames, lengths=cuts)
def test_the_small_meters_agree_with_the_large_one(
    seed: int, length: int, lengths: list[int]
) -> None:
    block = programme(seed, length)
    loudness, true_peak = LoudnessMeter(RATE, 2), TruePeakMeter(RATE, 2)
    for piece in cut(block, lengths):
        loudness.push(piece)
        true_peak.push(piece)
    together = levels(block)
    alone = replace(
        loudness.result(),
        true_peak_dbtp=true_peak.result(),
        sample_peak_dbfs=together.sample_peak_dbfs,
    )
    assert alone == together
    np.testing.assert_array_equal(true_peak.envelope(), analyse(block, []).envelope.peak)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, length=st.integers(3 * RATE, 5 * RATE), octaves=st.integers(-4, 3))
def test_gain_in_is_gain_out(seed: int, length: int, octaves: int) -> None:
    """By powers of two, which floating point multiplies without rounding."""
    block = programme(seed, length) * np.float32(0.1)  # clear of the spikes' threshold
    gain_db = 20.0 * math.log10(2.0**octaves)
    before, after = levels(block), levels(block * np.float32(2.0**octaves))
    assert after.range_lu == pytest.approx(before.range_lu, abs=1e-9)
    for field in (
        "integrated_lufs", "momentary_max_lufs", "short_term_max_lufs",
        "true_peak_dbtp", "sample_peak_dbfs",
    ):  # fmt: skip
        assert getattr(after, field) == pytest.approx(getattr(before, field) + gain_db, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, length=frames)
def test_the_envelope_adds_up_to_the_figures(seed: int, length: int) -> None:
    found = analyse(programme(seed, length), [])
    envelope, loudness = found.envelope, found.loudness
    assert envelope.frames == length
    assert envelope.peak.size == envelope.energy.size == math.ceil(length / envelope.hop_frames)
    tenths = gating.envelope_tenths(envelope)
    assert gating.integrated_lufs(tenths) == pytest.approx(loudness.integrated_lufs, abs=1e-4)
    assert gating.loudness_range_lu(tenths) == pytest.approx(loudness.range_lu, abs=1e-3)
    if length:
        assert 20.0 * math.log10(envelope.peak.max()) == loudness.true_peak_dbtp


@settings(max_examples=60, deadline=None)
@given(
    block=hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 300), st.integers(1, 2)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    silence=st.sampled_from([0, 4_000, 30_000]),
)
def test_finite_in_finite_out(block: Block, silence: int) -> None:
    block = np.concatenate((block, np.zeros((silence, block.shape[1]), np.float32)))
    found = analyse(block, [])
    for loudness in (found.loudness, levels(block)):
        assert all(figure is None or math.isfinite(figure) for figure in astuple(loudness))
    assert np.isfinite(found.envelope.peak).all()
    assert np.isfinite(found.envelope.energy).all()
    assert np.isfinite(found.facts.dc_offset).all()
    assert (found.waveform.data[..., 0] <= found.waveform.data[..., 1]).all()


def test_the_largest_numbers_overflow_no_figure() -> None:
    """The interpolator, in single precision, would add them up to infinity."""
    largest = np.finfo(np.float32).max
    block = np.where(np.arange(RATE) // 2 % 2, largest, -largest).astype(np.float32)
    figures = levels(np.stack((block, block), axis=1))
    assert figures.true_peak_dbtp == figures.sample_peak_dbfs == 20.0 * math.log10(largest)
    assert figures.integrated_lufs is not None
    assert math.isfinite(figures.integrated_lufs)


def test_a_short_last_hop_is_averaged_over_its_own_length() -> None:
    block = stereo(tone(RATE, (-20.0, 1.0)))  # 1 kHz: whole periods of 8 frames
    envelope = analyse(block[: RATE - 24], []).envelope
    assert envelope.frames % envelope.hop_frames == 16
    np.testing.assert_allclose(envelope.energy[-1], envelope.energy[-2], rtol=1e-3)


@pytest.mark.parametrize("meter", [LevelMeter, Measurer, LoudnessMeter, TruePeakMeter])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 2_000, 4_100, 20_000])
def test_what_is_no_number_is_refused_with_its_place(
    meter: type[LevelMeter], value: float, at: int
) -> None:
    block = programme(1, 25_000)
    block[at, 1] = value
    filled = meter(RATE, 2)
    with pytest.raises(CorruptMedia, match=rf"{at / RATE:.3f} s"):
        for piece in cut(block, [1_000, 3_000, 5_000]):
            filled.push(piece)


def test_other_kinds_of_array_are_measured_as_float32() -> None:
    block = programme(1, 9_000)
    expected = levels(block)
    assert levels(np.asfortranarray(block)) == expected
    assert levels(block.astype(np.float64).astype(np.float32)[::1]) == expected
    block.flags.writeable = False
    assert levels(block) == expected


def test_the_caller_s_block_is_left_alone() -> None:
    block = programme(1, 9_000)
    block[5_000, 0] = 300.0
    before = block.copy()
    analyse(block, [])
    np.testing.assert_array_equal(block, before)


def test_measuring_loads_no_linear_algebra() -> None:
    """scipy.linalg, which numba would import if it might, is memory that a worker lacks."""
    script = (
        "import sys, numpy as np\n"
        "from audio_processor.dsp.measure import Measurer\n"
        "m = Measurer(8000, 2); m.push(np.zeros((9000, 2), np.float32)); m.result()\n"
        "print('scipy.linalg' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
