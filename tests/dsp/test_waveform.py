from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.dsp.measure import Measurer
from audio_processor.dsp.waveform import MAX_PIXELS
from audio_processor.model import Block, Waveform


def draw(block: Block, rate: int) -> Waveform:
    measurer = Measurer(rate, block.shape[1])
    measurer.push(block)
    return measurer.result().waveform


def reference(block: Block, samples_per_pixel: int) -> NDArray[np.int16]:
    starts = np.arange(0, len(block), samples_per_pixel)
    pair = (np.minimum.reduceat(block, starts), np.maximum.reduceat(block, starts))
    clipped = np.clip(np.stack(pair, axis=-1), -1.0, 1.0)
    pixels: NDArray[np.int16] = np.rint(clipped * np.float32(32767)).astype(np.int16)
    return pixels


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_pixel_is_the_least_and_the_greatest_of_10_ms(rate: int, channels: int) -> None:
    block = np.random.default_rng(3).normal(0.0, 0.4, (rate * 2 + 33, channels))
    waveform = draw(block.astype(np.float32), rate)
    assert waveform.samples_per_pixel == round(rate / 100)
    assert waveform.channels == channels
    expected = reference(block.astype(np.float32), waveform.samples_per_pixel)
    np.testing.assert_array_equal(waveform.data, expected)


def test_a_long_programme_gets_coarser_pixels_not_more() -> None:
    rate = 8_000
    pixels = 2 * MAX_PIXELS + 12_345
    block = np.random.default_rng(3).normal(0.0, 0.4, (pixels * 80 + 7, 1)).astype(np.float32)
    waveform = draw(block, rate)
    assert waveform.samples_per_pixel == 4 * 80
    assert len(waveform.data) <= MAX_PIXELS
    np.testing.assert_array_equal(waveform.data, reference(block, 320))


def test_beyond_full_scale_the_drawing_clips() -> None:
    block = np.array([[1.5], [-1.5], [0.0]], np.float32)
    assert draw(block, 44_100).data.tolist() == [[[-32767, 32767]]]


def test_nothing_draws_nothing() -> None:
    assert draw(np.zeros((0, 2), np.float32), 44_100).data.shape == (0, 2, 2)
