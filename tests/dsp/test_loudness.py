from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.model import Block, Loudness
from tests.dsp.signals import SILENCE_DBFS, multichannel, stereo, tone

RATE = 48_000


def measure(block: Block, *weights: float) -> Loudness:
    meter = LoudnessMeter(RATE, block.shape[1], weights or None)
    meter.push(block)
    return meter.result()


def test_mono_counts_as_dual_mono() -> None:
    channel = tone(RATE, (-23.0, 4.0))
    mono, both = measure(multichannel([channel])), measure(stereo(channel))
    assert mono == both
    assert mono.integrated_lufs == pytest.approx(-23.0, abs=0.01)


def test_mono_as_one_loudspeaker_is_3_lu_lower() -> None:
    mono = measure(multichannel([tone(RATE, (-23.0, 4.0))]), 1.0)
    assert mono.integrated_lufs == pytest.approx(-26.0, abs=0.02)


def test_the_lfe_is_not_measured() -> None:
    quiet, loud = tone(RATE, (-40.0, 4.0)), tone(RATE, (-3.0, 4.0))
    five = measure(multichannel([quiet] * 5))
    assert measure(multichannel([quiet, quiet, quiet, loud, quiet, quiet])) == five


def test_peaks_are_another_meter_s() -> None:
    figures = measure(stereo(tone(RATE, (-23.0, 1.0))))
    assert figures.true_peak_dbtp is None
    assert figures.sample_peak_dbfs is None


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.399])
def test_under_400_ms_nothing_has_a_loudness(seconds: float) -> None:
    figures = measure(stereo(tone(RATE, (-6.0, seconds))))
    assert figures == Loudness(None, None, None, None, None, None)


def test_each_figure_appears_with_its_first_whole_window() -> None:
    shortest = measure(stereo(tone(RATE, (-23.0, 0.4))))
    assert shortest.integrated_lufs == pytest.approx(-23.0, abs=0.1)
    assert shortest.momentary_max_lufs == pytest.approx(-23.0, abs=0.1)
    assert shortest.short_term_max_lufs is None
    assert shortest.range_lu is None
    assert measure(stereo(tone(RATE, (-23.0, 3.0)))).range_lu == 0.0


def test_digital_silence_has_no_loudness() -> None:
    assert measure(np.zeros((5 * RATE, 2), np.float32)) == Loudness(
        None, None, None, None, None, None
    )


def test_the_series_marks_silence_as_no_number() -> None:
    meter = LoudnessMeter(RATE, 2)
    meter.push(np.zeros((4 * RATE, 2), np.float32))
    meter.push(stereo(tone(RATE, (-20.0, 4.0))))
    series = meter.short_term_series()
    assert series.size == 51
    assert np.isnan(series[:11]).all()
    assert np.isfinite(series[11:]).all()
    assert series[-1] == pytest.approx(-20.0, abs=0.05)


def test_silence_after_a_programme_does_not_lower_it() -> None:
    with_tail = measure(stereo(tone(RATE, (-20.0, 10.0), (SILENCE_DBFS, 60.0))))
    # the last blocks straddle the end of the tone
    assert with_tail.integrated_lufs == pytest.approx(-20.0, abs=0.1)


def test_a_read_meter_takes_no_more() -> None:
    meter = LoudnessMeter(RATE, 2)
    meter.push(stereo(tone(RATE, (-20.0, 1.0))))
    assert meter.result() == meter.result()
    with pytest.raises(ValueError, match="read out"):
        meter.push(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 3)])
def test_a_block_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        LoudnessMeter(RATE, 2).push(np.zeros(shape, np.float32))


def test_three_hours_take_no_more_than_three_megabytes() -> None:
    rate, minute = 8_000, np.random.default_rng(1).normal(0.0, 0.1, (8_000 * 60, 2))
    block = minute.astype(np.float32)
    tracemalloc.start()
    try:
        meter = LoudnessMeter(rate, 2)
        for _ in range(180):
            meter.push(block)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3e6
    assert meter.result().range_lu == pytest.approx(0.0, abs=0.5)
