"""EBU Tech 3341 table 1, cases 1–6 and 9–23, from the standard's text (7 and 8 are recordings)."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.dsp.measure import LevelMeter
from audio_processor.model import Block, Loudness
from tests.dsp.signals import SILENCE_DBFS, multichannel, peak_burst, peak_tone, stereo, tone

RATES = (44_100, 48_000)
LUFS_TOLERANCE = 0.1

pytestmark = pytest.mark.parametrize("rate", RATES)


def measure(block: Block, rate: int) -> Loudness:
    meter = LevelMeter(rate, block.shape[1])
    meter.push(block)
    return meter.result()


def loudness_meter(block: Block, rate: int) -> LoudnessMeter:
    meter = LoudnessMeter(rate, block.shape[1])
    meter.push(block)
    return meter


@pytest.mark.parametrize(("case", "level"), [(1, -23.0), (2, -33.0)])
def test_a_steady_tone_reads_its_level_on_all_three_scales(
    rate: int, case: int, level: float
) -> None:
    figures = measure(stereo(tone(rate, (level, 20.0))), rate)
    for read in (
        figures.momentary_max_lufs, figures.short_term_max_lufs, figures.integrated_lufs
    ):  # fmt: skip
        assert read == pytest.approx(level, abs=LUFS_TOLERANCE), case


@pytest.mark.parametrize(
    ("case", "segments"),
    [
        (3, [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)]),
        (4, [(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)]),
        (5, [(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)]),
    ],
)
def test_the_gates_leave_out_what_is_far_below_the_programme(
    rate: int, case: int, segments: list[tuple[float, float]]
) -> None:
    figures = measure(stereo(tone(rate, *segments)), rate)
    assert figures.integrated_lufs == pytest.approx(-23.0, abs=LUFS_TOLERANCE), case


def test_case_6_surround_channels_weigh_more(rate: int) -> None:
    block = multichannel(tone(rate, (level, 20.0)) for level in (-28.0, -28.0, -24.0, -30.0, -30.0))
    assert measure(block, rate).integrated_lufs == pytest.approx(-23.0, abs=LUFS_TOLERANCE)


def test_case_9_short_term_is_constant_over_a_three_second_pattern(rate: int) -> None:
    block = stereo(tone(rate, *[(-20.0, 1.34), (-30.0, 1.66)] * 5))
    series = loudness_meter(block, rate).short_term_series()
    assert series.size == 121
    np.testing.assert_allclose(series, -23.0, atol=LUFS_TOLERANCE)


@pytest.mark.parametrize("i", range(20))
def test_case_10_three_second_burst_is_measured_wherever_it_begins(rate: int, i: int) -> None:
    block = stereo(tone(rate, (SILENCE_DBFS, i * 0.15), (-23.0, 3.0), (SILENCE_DBFS, 1.0)))
    assert measure(block, rate).short_term_max_lufs == pytest.approx(-23.0, abs=LUFS_TOLERANCE)


def test_case_11_successive_three_second_bursts(rate: int) -> None:
    bursts = (
        ((SILENCE_DBFS, i * 0.15), (-38.0 + i, 3.0), (SILENCE_DBFS, 3.0 - i * 0.15))
        for i in range(20)
    )
    block = stereo(tone(rate, *chain.from_iterable(bursts)))
    for i in range(20):
        so_far = measure(block[: (i + 1) * 6 * rate], rate)
        assert so_far.short_term_max_lufs == pytest.approx(-38.0 + i, abs=LUFS_TOLERANCE)


def test_case_12_momentary_is_constant_over_a_400_ms_pattern(rate: int) -> None:
    block = stereo(tone(rate, *[(-20.0, 0.18), (-30.0, 0.22)] * 25))
    series = loudness_meter(block, rate).momentary_series()
    assert series.size == 97
    np.testing.assert_allclose(series[6:], -23.0, atol=LUFS_TOLERANCE)  # from 1 s on


@pytest.mark.parametrize("i", range(20))
def test_case_13_400_ms_burst_is_measured_wherever_it_begins(rate: int, i: int) -> None:
    block = stereo(tone(rate, (SILENCE_DBFS, i * 0.02), (-23.0, 0.4), (SILENCE_DBFS, 1.0)))
    assert measure(block, rate).momentary_max_lufs == pytest.approx(-23.0, abs=LUFS_TOLERANCE)


def test_case_14_successive_400_ms_bursts(rate: int) -> None:
    bursts = (
        ((SILENCE_DBFS, i * 0.02), (-38.0 + i, 0.4), (SILENCE_DBFS, 0.4 - i * 0.02))
        for i in range(20)
    )
    block = stereo(tone(rate, *chain.from_iterable(bursts)))
    for i in range(20):
        so_far = measure(block[: (i + 1) * 8 * rate // 10], rate)
        assert so_far.momentary_max_lufs == pytest.approx(-38.0 + i, abs=LUFS_TOLERANCE)


def assert_true_peak(figures: Loudness, expected_dbtp: float) -> None:
    assert figures.true_peak_dbtp is not None
    assert -0.4 <= figures.true_peak_dbtp - expected_dbtp <= 0.2


@pytest.mark.parametrize(
    ("case", "divisor", "peak", "phase_degrees", "expected_dbtp"),
    [
        (15, 4, 0.50, 0.0, -6.0),
        (16, 4, 0.50, 45.0, -6.0),
        (17, 6, 0.50, 60.0, -6.0),
        (18, 8, 0.50, 67.5, -6.0),
        (19, 4, 1.41, 45.0, 3.0),
    ],
)
def test_the_crest_between_samples_is_found(
    rate: int, case: int, divisor: int, peak: float, phase_degrees: float, expected_dbtp: float
) -> None:
    figures = measure(stereo(peak_tone(rate, divisor, peak, phase_degrees)), rate)
    assert_true_peak(figures, expected_dbtp)
    # far inside the tolerance, as a meter that has 24 taps a phase ought to be
    assert figures.true_peak_dbtp == pytest.approx(20.0 * np.log10(peak), abs=0.05), case


@pytest.mark.parametrize("offset", range(4))
def test_cases_20_to_23_one_period_is_enough(rate: int, offset: int) -> None:
    assert_true_peak(measure(stereo(peak_burst(rate, offset)), rate), 0.0)
