"""The report's meters: what they show of signals that are known."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.dsp.bands import THIRD_OCTAVES_HZ
from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.model import Block
from audio_processor.reporting.data import Programme
from audio_processor.reporting.gather import Gathered
from audio_processor.reporting.series import IMAGE_CELLS, ProgrammeMeter
from audio_processor.reporting.spectra import change, change_db, reference_db, third_octaves_db
from tests.reporting.material import RATE_HZ, band


def cuts(audio: Block, sizes: tuple[int, ...]) -> Iterator[Block]:
    at = turn = 0
    while at < len(audio):
        yield audio[at : at + sizes[turn % len(sizes)]]
        at += sizes[turn % len(sizes)]
        turn += 1


def programme(
    audio: Block, rate_hz: int = RATE_HZ, sizes: tuple[int, ...] = (16_384,)
) -> Programme:
    meter = ProgrammeMeter(rate_hz)
    for block in cuts(audio, sizes):
        meter.push(block)
    return meter.result()


def tone(hz: float, seconds: float = 3.0, level: float = 1.0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(level * np.sin(2 * np.pi * hz * t), np.float32)


def both(left: NDArray[Any], right: NDArray[Any]) -> Block:
    return np.stack([left, right], axis=1).astype(np.float32)


def test_the_cutting_does_not_matter() -> None:
    audio = band(2.3)
    whole, cut = programme(audio, sizes=(len(audio),)), programme(audio, sizes=(1, 4409, 77, 9000))
    assert whole.loudness == cut.loudness and whole.frames == cut.frames
    assert np.array_equal(whole.image.counts, cut.image.counts)
    assert np.allclose(whole.spectrum.total, cut.spectrum.total, rtol=1e-6)
    for name in ("energy", "momentary_lufs", "peak", "rms", "correlation"):
        ours, theirs = getattr(whole.levels, name), getattr(cut.levels, name)
        assert np.allclose(ours, theirs, rtol=1e-9, equal_nan=True), name


def test_read_only_blocks_are_taken() -> None:
    audio = band(0.5)
    audio.flags.writeable = False
    assert programme(audio).frames == len(audio)


def test_loudness_over_time_is_the_loudness_meters() -> None:
    audio = band(8.0)
    meter = LoudnessMeter(RATE_HZ, 2)
    meter.push(audio)
    found = programme(audio).levels
    assert found.short_term_lufs == pytest.approx(meter.short_term_series(), abs=1e-4)
    assert found.momentary_lufs == pytest.approx(meter.momentary_series(), abs=1e-4)


@pytest.mark.parametrize(
    ("right", "expected"), [(1.0, 1.0), (0.25, 1.0), (-1.0, -1.0), (0.0, None)]
)
def test_correlation_over_time(right: float, expected: float | None) -> None:
    left = tone(300.0)
    values = programme(both(left, tone(300.0, level=right))).levels.correlation
    if expected is None:
        assert np.isnan(values).all()
    else:
        assert values == pytest.approx(np.full(30, expected), abs=1e-6)


def test_rms_and_peak_over_time() -> None:
    found = programme(both(tone(1000.0, level=0.5), tone(1000.0, level=0.5))).levels
    assert found.rms == pytest.approx(np.full(30, 0.5 / np.sqrt(2)), rel=1e-3)
    assert found.peak == pytest.approx(np.full(30, 0.5), rel=2e-3)


@pytest.mark.parametrize(
    ("left", "right", "where"),
    [
        (1.0, 1.0, (0.0, -1.0)),
        (-1.0, -1.0, (0.0, 1.0)),
        (1.0, 0.0, (-0.5, -0.5)),
        (0.0, 1.0, (0.5, -0.5)),
        (1.0, -1.0, (-1.0, 0.0)),
        (0.25, 0.25, (0.0, -0.5)),
        (4.0, 4.0, (0.0, -1.0)),
    ],
)
def test_the_image_shows_a_sample_where_it_belongs(
    left: float, right: float, where: tuple[float, float]
) -> None:
    """Mono upright, left to the left; the distance is the root of the level."""
    audio = np.tile(np.array([[left, right]], np.float32), (100, 1))
    counts = programme(audio).image.counts
    assert counts.sum() == 100
    [[row, column]] = np.argwhere(counts)
    middle = (IMAGE_CELLS - 1) / 2
    found = (column - middle) / middle, (row - middle) / middle
    assert found == pytest.approx(where, abs=2.0 / IMAGE_CELLS)


def test_mid_and_side_share_the_energy() -> None:
    audio = band(2.0)
    image = programme(audio).image
    left, right = audio.astype(np.float64).T
    assert image.mid_energy == pytest.approx(float(np.sum(((left + right) / 2) ** 2)), rel=1e-9)
    assert image.side_energy == pytest.approx(float(np.sum(((left - right) / 2) ** 2)), rel=1e-6)


@pytest.mark.parametrize("hz", [31.5, 63.0, 1000.0, 12_500.0])
def test_a_full_scale_sine_reads_0_dbfs_in_its_third_octave(hz: float) -> None:
    centre = float(THIRD_OCTAVES_HZ[np.argmin(np.abs(THIRD_OCTAVES_HZ - hz))])
    sine = tone(centre, 6.0)
    levels = third_octaves_db(programme(both(sine, sine)).spectrum)
    assert levels[np.argmin(np.abs(THIRD_OCTAVES_HZ - hz))] == pytest.approx(0.0, abs=0.2)
    others = np.delete(np.nan_to_num(levels, nan=-120.0), int(np.nanargmax(levels)))
    assert others.max() < -15.0


def test_gain_alone_leaves_the_balance() -> None:
    audio = band(4.0)
    before, after = programme(audio), programme(audio * np.float32(0.3))
    changed = change_db(before.spectrum, after.spectrum)
    assert np.nanmax(np.abs(changed)) < 1e-3


def test_less_treble_shows_in_the_balance() -> None:
    low, high = tone(200.0), tone(5000.0)
    before = programme(both(low + high, low + high) * np.float32(0.4))
    after = programme(both(low + high / 2, low + high / 2) * np.float32(0.4))
    changed = change_db(before.spectrum, after.spectrum)
    here, there = (int(np.argmin(np.abs(THIRD_OCTAVES_HZ - hz))) for hz in (200, 5000))
    assert changed[there] - changed[here] == pytest.approx(-6.02, abs=0.05)


def test_a_reference_is_drawn_at_the_loudness_that_the_match_compares_at() -> None:
    """What the ear hardly weighs hardly moves the curve: no 20 Hz in the reference, say."""
    own = np.full(THIRD_OCTAVES_HZ.size, -30.0)
    other = own + 7.0
    other[0] -= 60.0
    drawn = reference_db(own, other)
    assert np.abs(drawn[1:] - own[1:]).max() < 0.05
    none = np.full(own.size, np.nan)
    assert np.isnan(reference_db(none, other)).all() and np.isnan(reference_db(own, none)).all()
    other[-3:] = -np.inf
    assert np.isnan(reference_db(own, other)[-3:]).all()


def test_a_change_past_the_axis_is_marked(song: Gathered) -> None:
    """The bar of a larger change ends in a point, that of a smaller one is flat."""
    low, middle, high = tone(200.0), tone(1000.0), tone(5000.0)
    parts = [low + middle + high, low + middle / 2 + high / 8]
    before, after = (programme(both(each, each) * np.float32(0.3)) for each in parts)
    changed = change_db(before.spectrum, after.spectrum)
    past = int(np.sum(np.abs(changed[np.isfinite(changed)]) > 9.0))
    drawn = change(replace(song.data, before=before, after=after), "Change")
    (bars,) = re.findall(r'd="([^"]+)"[^>]*class="after area bars"', str(drawn))
    ends = [
        [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", bar)][1:4] for bar in bars.split("Z")[:-1]
    ]
    assert len(ends) == int(np.isfinite(changed).sum())
    assert 0 < past < len(ends)
    assert sum(shoulder != point for shoulder, point, _ in ends) == past


def test_half_an_hour_fits_in_little_memory() -> None:
    rate_hz, minutes = 8_000, 30
    minute = np.asarray(
        0.3 * np.random.default_rng(5).standard_normal((60 * rate_hz, 2)), np.float32
    )
    meter = ProgrammeMeter(rate_hz)
    tracemalloc.start()
    try:
        for _ in range(minutes):
            meter.push(minute)
        found = meter.result()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.duration_s == minutes * 60
    assert peak_bytes < 25e6  # the PCM would be 115 MB
