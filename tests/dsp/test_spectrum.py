"""The long-term spectrum, and the loudness that a band limit takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.spectrum import STRIDE_FRAMES, SpectrumMeter, band_limit_loss_lu
from audio_processor.model import Block

RATE = 44_100


def _noise(frames: int, seed: int = 1) -> Block:
    return np.random.default_rng(seed).normal(0, 0.1, (frames, 2)).astype(np.float32)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=12))
@settings(deadline=None, max_examples=30)
def test_how_the_stream_is_cut_does_not_matter(cuts: list[int]) -> None:
    audio = _noise(2 * STRIDE_FRAMES + 5000)
    whole, parts = SpectrumMeter(RATE), SpectrumMeter(RATE)
    whole.push(audio)
    for part in np.split(audio, sorted(min(cut, len(audio)) for cut in cuts)):
        parts.push(part)
    assert np.array_equal(whole.result().power, parts.result().power)


def test_a_tone_stands_in_its_bin() -> None:
    seconds = np.arange(STRIDE_FRAMES) / RATE
    tone = np.sin(2 * np.pi * 5000 * seconds).astype(np.float32)
    meter = SpectrumMeter(RATE)
    meter.push(np.stack([tone, tone], axis=1))
    spectrum = meter.result()
    hz = np.linspace(0, RATE / 2, spectrum.power.size)
    assert abs(hz[spectrum.power.argmax()] - 5000) < 12


@pytest.mark.parametrize("cutoff_hz", [5750, 9500, 16000])
def test_the_foreseen_loss_is_what_a_meter_reads_after_a_low_pass(cutoff_hz: int) -> None:
    audio = _noise(20 * RATE)
    taps = signal.firwin(1001, cutoff_hz, fs=RATE)
    limited = signal.fftconvolve(audio, taps[:, np.newaxis], mode="same", axes=0)
    before, after, spectrum = LevelMeter(RATE, 2), LevelMeter(RATE, 2), SpectrumMeter(RATE)
    before.push(audio)
    spectrum.push(audio)
    after.push(limited.astype(np.float32))
    loud, quiet = before.result().integrated_lufs, after.result().integrated_lufs
    assert loud is not None and quiet is not None
    assert band_limit_loss_lu(spectrum.result(), cutoff_hz) == pytest.approx(loud - quiet, abs=0.1)


def test_silence_and_too_little_lose_nothing() -> None:
    meter = SpectrumMeter(RATE)
    assert band_limit_loss_lu(meter.result(), 5000) == 0.0
    meter.push(np.zeros((STRIDE_FRAMES, 2), np.float32))
    assert band_limit_loss_lu(meter.result(), 5000) == 0.0
