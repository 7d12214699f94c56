"""The figures over frequency: third octaves before and after, and what changed. Pure."""

from __future__ import annotations

import math

import numpy as np

from audio_processor.dsp.bands import BANDS_PER_OCTAVE, EDGES_HZ, K_WEIGHTS, THIRD_OCTAVES_HZ
from audio_processor.reporting.axes import (
    Scale,
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
CHANGE_DB = 9.0
"""What the change's axis shows, up and down; where a codec took all there was, no axis does."""
_CHART_HEIGHT, _CHANGE_HEIGHT = 300.0, 170.0
_POINT = 8.0
"""Height of the point in which a bar ends that goes on past the axis."""
_THIRD = BANDS_PER_OCTAVE // 3
_THIRD_EDGES_HZ: Series = EDGES_HZ[::_THIRD]
_THIRD_K_WEIGHTS: Series = K_WEIGHTS.reshape(-1, _THIRD).mean(axis=1)
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


def reference_db(own_db: Series, curve_db: Series) -> Series:
    """Return the reference's third octaves at the K-weighted power of the programme's.

    That is how the match compares the two: what it left apart is apart in the figure. NaN
    where the reference has nothing, and everywhere where either has nothing at all.
    """
    if not (np.isfinite(own_db).any() and np.isfinite(curve_db).any()):
        return np.full(curve_db.size, np.nan)
    known_db = np.where(np.isfinite(curve_db), curve_db, np.nan)
    return known_db + (_k_weighted_db(own_db) - _k_weighted_db(curve_db))


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
    chart = frame((LOW_HZ, HIGH_HZ), (-CHANGE_DB, CHANGE_DB), _CHANGE_HEIGHT, log_x=True)
    zero = chart.y.at(0.0)
    bars = []
    for low, high, value in zip(_THIRD_EDGES_HZ[:-1], _THIRD_EDGES_HZ[1:], changed, strict=True):
        if np.isfinite(value):
            left, right = chart.x.at(float(low)) + 1.5, chart.x.at(float(high)) - 1.5
            bars.append(_bar(left, right, float(value), chart.y))
    return figure(
        _CHANGE_HEIGHT,
        label,
        chart.grid(
            frequency_ticks(LOW_HZ, HIGH_HZ), level_ticks(-CHANGE_DB, CHANGE_DB), "dB", x_unit="Hz"
        ),
        element("path", d="".join(bars), class_="after area bars"),
        element(
            "path", d=path_of([((chart.x.start, zero), (chart.x.end, zero))]), class_="axis"
        ),
    )  # fmt: skip


def _bar(left: float, right: float, value_db: float, y: Scale) -> str:
    """Return a bar from nothing to the value; one that goes on past the axis ends in a point."""
    zero, end = y.at(0.0), y.at(float(np.clip(value_db, -CHANGE_DB, CHANGE_DB)))
    shoulder = end + math.copysign(_POINT, zero - end) if abs(value_db) > CHANGE_DB else end
    corners = [(left, zero), (left, shoulder), ((left + right) / 2.0, end), (right, shoulder)]
    return path_of([(*corners, (right, zero))]) + "Z"


def _reference(data: ReportData, x: Scale, y: Scale) -> Markup | None:
    shown = data.after or data.before
    if data.reference is None or shown is None:
        return None
    levels = reference_db(third_octaves_db(shown.spectrum), data.reference.levels_db)
    if not np.isfinite(levels).any():
        return None
    drawn = line(x(THIRD_OCTAVES_HZ), y(np.clip(levels, y.low, y.high)))
    return element("path", d=drawn, class_="reference line")


def _k_weighted_db(thirds_db: Series) -> float:
    """Return the K-weighted power of those third octaves that there are, in dB."""
    there = np.isfinite(thirds_db)
    powers = 10.0 ** (thirds_db[there] / 10.0) * _THIRD_K_WEIGHTS[there]
    return float(10.0 * np.log10(powers.sum()))


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
