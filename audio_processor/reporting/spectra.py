"""The figures over frequency: third octaves before and after, and what changed. Pure."""

from __future__ import annotations

import numpy as np

from audio_processor.dsp.bands import BANDS_PER_OCTAVE, EDGES_HZ, THIRD_OCTAVES_HZ
from audio_processor.reporting.axes import (
    Scale,
    band,
    figure,
    frame,
    frequency_ticks,
    level_ticks,
    line,
    path_of,
)
from audio_processor.reporting.data import BandSpectrum, ReportData, Series
from audio_processor.reporting.markup import Markup, element

FINE_PER_OCTAVE = 24
LOW_HZ, HIGH_HZ = 18.0, 22_000.0
FLOOR_DB = -120.0
"""dBFS a third of an octave, below which nothing is shown: 16-bit dither lies at −112 there."""
SHOWN_DB = 72.0
_CHART_HEIGHT, _CHANGE_HEIGHT = 300.0, 170.0
_THIRD_EDGES_HZ: Series = EDGES_HZ[:: BANDS_PER_OCTAVE // 3]
_FINE_EDGES_HZ: Series = 1000.0 * 2.0 ** (np.arange(-137, 107) / FINE_PER_OCTAVE)  # 19 Hz … 21 kHz
_FINE_HZ: Series = np.sqrt(_FINE_EDGES_HZ[1:] * _FINE_EDGES_HZ[:-1])


def third_octaves_db(spectrum: BandSpectrum) -> Series:
    """Return the level of each of ``THIRD_OCTAVES_HZ``, dBFS: a full-scale sine reads 0.

    The mean of left and right. NaN for bands beyond half the rate, and below −120 dBFS.
    """
    return _levels_db(spectrum, _THIRD_EDGES_HZ, 1.0)


def fine_db(spectrum: BandSpectrum) -> Series:
    """Return 1/24-octave levels at the height of third octaves: as if each were as wide."""
    return _levels_db(spectrum, _FINE_EDGES_HZ, FINE_PER_OCTAVE / 3.0)


def change_db(before: BandSpectrum, after: BandSpectrum) -> Series:
    """Return each third octave's change, less that of the whole: what was done to the balance."""
    earlier, later = third_octaves_db(before), third_octaves_db(after)
    both = np.isfinite(earlier) & np.isfinite(later)
    if not both.any():
        return np.full(THIRD_OCTAVES_HZ.size, np.nan)
    whole = [10.0 * np.log10(np.sum(10.0 ** (each[both] / 10.0))) for each in (earlier, later)]
    return np.asarray(later - earlier - (whole[1] - whole[0]))


def spectrum(data: ReportData, label: str) -> Markup | None:
    """Return the long-term spectra, and the reference's where one was used; None for silence."""
    halves = [
        (kind, each, third_octaves_db(each.spectrum))
        for kind, each in (("before", data.before), ("after", data.after))
        if each is not None
    ]
    known = np.concatenate([levels for *_, levels in halves] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    high = 6.0 * np.ceil((known.max() + 2.0) / 6.0)
    low = max(FLOOR_DB, high - SHOWN_DB, 6.0 * np.floor((known.min() - 2.0) / 6.0))
    chart = frame((LOW_HZ, HIGH_HZ), (float(low), float(high)), _CHART_HEIGHT, log_x=True)
    lines = []
    for kind, programme, thirds in halves:
        fine = np.clip(fine_db(programme.spectrum), low, high)
        lines.append(
            element("path", d=line(chart.x(_FINE_HZ), chart.y(fine)), class_=f"{kind} line fine")
        )
        path = line(chart.x(THIRD_OCTAVES_HZ), chart.y(np.clip(thirds, low, high)))
        lines.append(element("path", d=path, class_=f"{kind} line"))
    return figure(
        _CHART_HEIGHT,
        label,
        chart.grid(
            frequency_ticks(LOW_HZ, HIGH_HZ), level_ticks(float(low), float(high)), "dBFS",
            x_unit="Hz",
        ),
        element("g", lines),
        _reference(data, chart.x, chart.y),
    )  # fmt: skip


def change(data: ReportData, label: str) -> Markup | None:
    """Return each third octave's change as a bar; None where there is nothing to compare."""
    if data.before is None or data.after is None:
        return None
    changed = change_db(data.before.spectrum, data.after.spectrum)
    if not np.isfinite(changed).any():
        return None
    chart = frame((LOW_HZ, HIGH_HZ), (-9.0, 9.0), _CHANGE_HEIGHT, log_x=True)
    shown = np.clip(changed, chart.y.low, chart.y.high)
    zero = chart.y.at(0.0)
    bars = []
    for low, high, value in zip(_THIRD_EDGES_HZ[:-1], _THIRD_EDGES_HZ[1:], shown, strict=True):
        if np.isfinite(value):
            left, right = chart.x.at(float(low)) + 1.5, chart.x.at(float(high)) - 1.5
            y = np.array([chart.y.at(float(value))] * 2)
            shape = band(np.array([left, right]), np.array([zero, zero]), y)
            bars.append(shape)
    return figure(
        _CHANGE_HEIGHT,
        label,
        chart.grid(
            frequency_ticks(LOW_HZ, HIGH_HZ), level_ticks(-9.0, 9.0), "dB", x_unit="Hz"
        ),
        element("path", d="".join(bars), class_="after area bars"),
        element(
            "path", d=path_of([((chart.x.start, zero), (chart.x.end, zero))]), class_="axis"
        ),
    )  # fmt: skip


def _reference(data: ReportData, x: Scale, y: Scale) -> Markup | None:
    """Return the reference's third octaves, shifted to the mean level of what is delivered."""
    shown = data.after or data.before
    if data.reference is None or shown is None:
        return None
    own = third_octaves_db(shown.spectrum)
    curve = data.reference.levels_db
    both = np.isfinite(own) & np.isfinite(curve)
    if not both.any():
        return None
    shift = float(np.mean(own[both] - curve[both]))
    levels = np.clip(np.where(np.isfinite(curve), curve, np.nan) + shift, y.low, y.high)
    return element("path", d=line(x(THIRD_OCTAVES_HZ), y(levels)), class_="reference line")


def _levels_db(spectrum: BandSpectrum, edges_hz: Series, widen: float) -> Series:
    power = spectrum.total
    bin_hz = spectrum.sample_rate_hz / 2.0 / (power.size - 1)
    # each bin's power lies evenly over its width, so that bands narrower than a bin have theirs
    borders = (np.arange(power.size + 1) - 0.5) * bin_hz
    running = np.concatenate(([0.0], np.cumsum(power)))
    sums = np.interp(edges_hz, borders, running)
    banded = np.diff(sums) * widen * 2.0  # a full-scale sine has a mean square of a half
    inside = edges_hz[1:] <= spectrum.sample_rate_hz / 2.0 * 1.03
    audible = inside & (banded > 10.0 ** (FLOOR_DB / 10.0))
    return np.where(audible, 10.0 * np.log10(np.where(audible, banded, 1.0)), np.nan)
