"""The figures over time: waveform, loudness, gain, correlation. Pure: measurements in, SVG out.

All share one time axis and one width, so that what stands below each other happens together.
"""

from __future__ import annotations

import math

import numpy as np

from audio_processor.dsp import gating
from audio_processor.reporting.axes import (
    MAX_POINTS,
    Frame,
    band,
    figure,
    frame,
    level_ticks,
    line,
    thinned,
    time_ticks,
)
from audio_processor.reporting.data import Levels, Programme, ReportData, Series
from audio_processor.reporting.markup import Markup, element, number
from audio_processor.reporting.series import lufs

LANE_HEIGHT, CHART_HEIGHT, LOW_CHART_HEIGHT = 120.0, 250.0, 150.0
GAIN_HEIGHT, REDUCTION_HEIGHT = 180.0, 130.0
LEAST_REDUCTION_DB = 0.1
QUIET_LU = 30.0
"""So far below a programme's loudness, and everywhere below −70 LUFS, gain is not shown: what
would be compared there is noise."""
_LEAST_SPAN_LU = 18.0
_MOMENTARY_TENTHS, _SHORT_TERM_TENTHS = gating.TENTHS_PER_MOMENTARY, gating.TENTHS_PER_SHORT_TERM


def duration_of(data: ReportData) -> float:
    """Return the length of the time axis in seconds."""
    return max(each.duration_s for each in (data.before, data.after) if each is not None)


# ── waveform ─────────────────────────────────────────────────────────────────────────────


def waveform(programme: Programme, duration_s: float, kind: str, label: str) -> Markup:
    """Return a lane: the peaks of both channels, and in them the RMS of each column."""
    lane = frame((0.0, duration_s), (-1.0, 1.0), LANE_HEIGHT)
    x, low, high = _columns(programme)
    top, bottom = lane.y(high), lane.y(low)
    levels = programme.levels
    rms = thinned(_middles(levels.rms.size, 1, levels.tenth_s), levels.rms**2)
    heard = np.pad(np.sqrt(rms.mean), 1, mode="edge") if rms.at.size else rms.mean
    at = _to_the_ends(rms.at, programme.duration_s)
    ticks = [(0.0, "0"), *((sign * 0.5, "−6") for sign in (1, -1)), (1.0, "0 dBFS"), (-1.0, "")]
    ticks[0] = (0.0, "−∞")
    return figure(
        LANE_HEIGHT,
        label,
        lane.grid(time_ticks(duration_s), ticks, ""),
        element("path", d=band(lane.x(x), bottom, top), class_=f"{kind} area peaks"),
        element(
            "path",
            d=band(lane.x(at), lane.y(-heard), lane.y(heard)),
            class_=f"{kind} area rms",
        ),
        class_="lane",
    )


def _columns(programme: Programme) -> tuple[Series, Series, Series]:
    """Return where each column is, in seconds, its lowest sample and its highest."""
    drawn = programme.waveform
    low = drawn.data[:, :, 0].min(axis=1).astype(np.float64) / 32767.0
    high = drawn.data[:, :, 1].max(axis=1).astype(np.float64) / 32767.0
    pixel_s = drawn.samples_per_pixel / drawn.sample_rate_hz
    x = _middles(low.size, 1, pixel_s)
    down, up = thinned(x, low), thinned(x, high)
    if not down.at.size:
        return down.at, down.low, up.high
    at = _to_the_ends(down.at, programme.duration_s)
    return at, np.pad(down.low, 1, mode="edge"), np.pad(up.high, 1, mode="edge")


def _to_the_ends(at: Series, duration_s: float) -> Series:
    """Return the columns' places with the very beginning and end: a short track has few."""
    return np.concatenate(([0.0], at, [duration_s])) if at.size else at


# ── loudness ─────────────────────────────────────────────────────────────────────────────


def loudness(data: ReportData, label: str) -> Markup | None:
    """Return short-term loudness over time, of a short track momentary; None for none at all.

    Each value is drawn at the middle of its window. Behind the line of *after* lies the span
    of its momentary loudness.
    """
    halves = [(kind, each) for kind, each in _halves(data) if _loudness_line(each)[1].size]
    if not any(np.isfinite(_loudness_line(each)[1]).any() for _, each in halves):
        return None
    target = data.delivered.targets.integrated_lufs if data.delivered else None
    low, high = _loudness_span([_loudness_line(each)[1] for _, each in halves], target)
    chart = frame((0.0, duration_of(data)), (low, high), CHART_HEIGHT)
    shapes: list[Markup] = []
    for kind, programme in halves:
        if kind == "after":
            shapes.append(_momentary_band(chart, programme))
        times, values = _loudness_line(programme)
        points = thinned(times, np.maximum(values, low))
        shapes.append(
            element("path", d=line(chart.x(points.at), chart.y(points.mean)), class_=f"{kind} line")
        )
    return figure(
        CHART_HEIGHT,
        label,
        chart.grid(time_ticks(duration_of(data)), level_ticks(low, high), "LUFS"),
        element("g", shapes),
        element("g", _integrated_marks(data, chart)),
        None if target is None else _level_line(chart, target, "target"),
    )


def _loudness_line(programme: Programme) -> tuple[Series, Series]:
    levels = programme.levels
    values, tenths = levels.short_term_lufs, _SHORT_TERM_TENTHS
    if not values.size:
        values, tenths = levels.momentary_lufs, _MOMENTARY_TENTHS
    return _middles(values.size, tenths, levels.tenth_s), values


def _momentary_band(chart: Frame, programme: Programme) -> Markup:
    levels = programme.levels
    times = _middles(levels.momentary_lufs.size, _MOMENTARY_TENTHS, levels.tenth_s)
    columns = thinned(times, np.maximum(levels.momentary_lufs, chart.y.low), MAX_POINTS // 3)
    top = chart.y(np.minimum(columns.high, chart.y.high))
    bottom = chart.y(np.minimum(columns.low, chart.y.high))
    return element("path", d=band(chart.x(columns.at), bottom, top), class_="after area momentary")


def _integrated_marks(data: ReportData, chart: Frame) -> list[Markup]:
    """Return a mark at the right end for each integrated value."""
    marks = []
    for kind, programme in _halves(data):
        value = programme.loudness.integrated_lufs
        if value is not None and chart.y.low <= value <= chart.y.high:
            y, x = chart.y.at(value), chart.x.end
            marks.append(
                element("path", d=f"M{number(x)} {number(y)}l9 -5v10Z", class_=f"{kind} mark")
            )
    return marks


def _loudness_span(lines: list[Series], target: float | None) -> tuple[float, float]:
    known = np.concatenate([values[np.isfinite(values) & (values > -70.0)] for values in lines])
    anchors = [] if target is None else [target]
    top = max([float(known.max()) + 2.0, *(a + 3.0 for a in anchors)])
    bottom = min([float(np.percentile(known, 4)) - 3.0, *(a - 9.0 for a in anchors)])
    high = 3.0 * math.ceil(top / 3.0)
    return max(-72.0, min(3.0 * math.floor(bottom / 3.0), high - _LEAST_SPAN_LU)), high


# ── gain ─────────────────────────────────────────────────────────────────────────────────


def gain(data: ReportData, label: str) -> Markup | None:
    """Return the gain over time: measured, and the plan's own; None where nothing is comparable."""
    if data.before is None or data.after is None:
        return None
    times, change = level_change(data.before, data.after)
    if not np.isfinite(change).any():
        return None
    planned = _planned(data)
    known = np.concatenate([change[np.isfinite(change)], [] if planned is None else planned[1]])
    low, high = (float(np.percentile(known, each)) for each in (0.5, 99.5))
    middle, reach = (low + high) / 2.0, max((high - low) / 2.0 + 0.5, 2.0)
    low, high = math.floor(middle - reach), math.ceil(middle + reach)
    chart = frame((0.0, duration_of(data)), (low, high), GAIN_HEIGHT)
    level = thinned(times, np.clip(change, low, high))
    lines = [element("path", d=line(chart.x(level.at), chart.y(level.mean)), class_="after line")]
    if planned is not None:
        points = thinned(planned[0], np.clip(planned[1], low, high))
        path = line(chart.x(points.at), chart.y(points.mean))
        lines.append(element("path", d=path, class_="target line"))
    return figure(
        GAIN_HEIGHT,
        label,
        chart.grid(time_ticks(duration_of(data)), level_ticks(low, high), "dB"),
        element("g", lines),
    )


def _planned(data: ReportData) -> tuple[Series, Series] | None:
    """Return the plan's gain over time, rider included where its curve is known."""
    if data.delivered is None:
        return None
    static_db = data.delivered.plan.gain_db + data.delivered.m4a_trim_db
    if data.gain is None or data.gain.rider is None:
        ends = np.array([0.0, duration_of(data)])
        return ends, np.full(2, static_db)
    curve = data.gain.rider
    times = _middles(curve.gain_db.size, 0, curve.hop_s)
    return times, curve.gain_db.astype(np.float64) + static_db


def level_change(before: Programme, after: Programme) -> tuple[Series, Series]:
    """Return times and the change of momentary loudness, in LU; NaN in quiet passages."""
    later = after.levels.momentary_lufs
    earlier = _momentary_at(before.levels, later.size, after.levels.tenth_s)
    later = later[: earlier.size]
    floors = [
        max(gating.ABSOLUTE_GATE_LUFS, (each.loudness.integrated_lufs or 0.0) - QUIET_LU)
        for each in (before, after)
    ]
    loud = (np.nan_to_num(earlier, nan=-200.0) > floors[0]) & (
        np.nan_to_num(later, nan=-200.0) > floors[1]
    )
    times = _middles(earlier.size, _MOMENTARY_TENTHS, after.levels.tenth_s)
    return times, np.where(loud, later - earlier, np.nan)


def _momentary_at(levels: Levels, count: int, tenth_s: float) -> Series:
    """Return the momentary loudness in another programme's windows, while both last.

    Where 100 ms are no whole number of frames the two have windows of different lengths.
    """
    borders = _middles(levels.energy.size + 1, 0, levels.tenth_s)
    running = np.concatenate(([0.0], np.cumsum(levels.energy))) * levels.tenth_s
    window_s = _MOMENTARY_TENTHS * tenth_s
    starts = _middles(count, 0, tenth_s)
    starts = starts[starts + window_s <= borders[-1] + levels.tenth_s / 2.0]
    sums = np.interp(starts + window_s, borders, running) - np.interp(starts, borders, running)
    return lufs(np.maximum(sums, 0.0) / window_s)


def reduction(data: ReportData, label: str) -> Markup | None:
    """Return the limiter's gain reduction over time, hanging from 0; None where unknown or none."""
    done = data.gain
    if done is None or not done.reduction_db.size or done.reduction_db.max() < LEAST_REDUCTION_DB:
        return None
    deepest = float(done.reduction_db.max())
    low = -max(3.0, math.ceil(deepest + 0.3))
    chart = frame((0.0, duration_of(data)), (low, 0.0), REDUCTION_HEIGHT)
    times = _middles(done.reduction_db.size, 1, done.tenth_s)
    columns = thinned(times, -done.reduction_db)
    top = chart.y(np.zeros(columns.at.size))
    shape = band(chart.x(columns.at), chart.y(columns.low), top)
    return figure(
        REDUCTION_HEIGHT,
        label,
        chart.grid(time_ticks(duration_of(data)), level_ticks(low, 0.0, 4), "dB"),
        element("path", d=shape, class_="area limiting"),
        element("path", d=line(chart.x(columns.at), chart.y(columns.low)), class_="limiting line"),
    )


# ── correlation ──────────────────────────────────────────────────────────────────────────


def correlation(data: ReportData, label: str) -> Markup | None:
    """Return L/R correlation over time, of each second; None where nothing has any."""
    halves = [
        (kind, each) for kind, each in _halves(data) if np.isfinite(each.levels.correlation).any()
    ]
    if not halves:
        return None
    chart = frame((0.0, duration_of(data)), (-1.0, 1.0), LOW_CHART_HEIGHT)
    ticks = [(1.0, "+1"), (0.5, "+0.5"), (0.0, "0"), (-0.5, "−0.5"), (-1.0, "−1")]
    zero = chart.y.at(0.0)
    lines = []
    for kind, programme in halves:
        values = programme.levels.correlation
        points = thinned(_middles(values.size, 1, programme.levels.tenth_s), values)
        path = line(chart.x(points.at), chart.y(points.mean))
        lines.append(element("path", d=path, class_=f"{kind} line"))
    return figure(
        LOW_CHART_HEIGHT,
        label,
        element(
            "rect",
            x=chart.x.start,
            y=zero,
            width=chart.x.end - chart.x.start,
            height=chart.y.start - zero,
            class_="warning zone",
        ),
        chart.grid(time_ticks(duration_of(data)), ticks, ""),
        element("g", lines),
    )


# ── within ───────────────────────────────────────────────────────────────────────────────


def _halves(data: ReportData) -> list[tuple[str, Programme]]:
    both = (("before", data.before), ("after", data.after))
    return [(kind, each) for kind, each in both if each is not None]


def _middles(count: int, tenths: int, tenth_s: float) -> Series:
    middles: Series = (np.arange(count, dtype=np.float64) + tenths / 2.0) * tenth_s
    return middles


def _level_line(chart: Frame, value: float, kind: str) -> Markup:
    y = number(chart.y.at(value))
    return element(
        "path", d=f"M{number(chart.x.start)} {y}H{number(chart.x.end)}", class_=f"{kind} line"
    )
