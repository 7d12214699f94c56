"""A figure's frame: scales from values to pixels, ticks at round numbers, grid and labels. Pure.

Every figure is drawn on a canvas ``WIDTH`` units wide with the same margins, so that figures
over time stand exactly below each other; CSS scales them to the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audio_processor.reporting.data import Series
from audio_processor.reporting.markup import Markup, element, group, number

WIDTH = 1000.0
LEFT, RIGHT = 58.0, 988.0
TOP_MARGIN, BOTTOM_MARGIN = 12.0, 26.0

MAX_POINTS = 900
"""Points of a line at most: about one a pixel, however long the track."""

_TIME_STEPS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800),
)
_MOST_TIME_TICKS = 12
_HZ_TICKS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to canvas units; ``log`` makes it one over octaves."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, values: Series | float) -> Series:
        """Return where the values are."""
        low, high = self._bent(self.low), self._bent(self.high)
        share = (self._bent(values) - low) / (high - low)
        return np.asarray(self.start + (self.end - self.start) * share)

    def at(self, value: float) -> float:
        """Return where one value is, held to the scale's ends."""
        return float(self(min(max(value, self.low), self.high)))

    def _bent(self, values: Series | float) -> Series:
        return np.log2(np.asarray(values)) if self.log else np.asarray(values)


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area of a figure."""

    x: Scale
    y: Scale
    height: float

    def grid(
        self,
        x_ticks: Iterable[tuple[float, str]],
        y_ticks: Iterable[tuple[float, str]],
        unit: str,
        *,
        x_unit: str = "",
    ) -> Markup:
        """Return the grid with its labels; ``unit`` is the y axis's and stands above it."""
        top, bottom = self.y.end, self.y.start
        left, right = self.x.start, self.x.end
        vertical = [(self.x.at(value), label) for value, label in x_ticks]
        horizontal = [(self.y.at(value), label) for value, label in y_ticks]
        lines = path_of(
            [((x, top), (x, bottom)) for x, _ in vertical]
            + [((left, y), (right, y)) for _, y in ((label, y) for y, label in horizontal)]
        )
        return group(
            element("path", d=lines, class_="grid"),
            [
                element("text", label, x=left - 7, y=y + 4, class_="tick end")
                for y, label in horizontal
                if abs(y - top) > 9 or not unit
            ],
            [element("text", label, x=x, y=bottom + 17, class_="tick middle")
             for x, label in vertical if not x_unit or x < right - 40],
            element("text", unit, x=left - 7, y=top + 4, class_="tick end unit") if unit else None,
            element("text", x_unit, x=right, y=bottom + 17, class_="tick end unit")
            if x_unit
            else None,
        )  # fmt: skip


def frame(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    height: float,
    *,
    log_x: bool = False,
) -> Frame:
    """Return a frame of the page's width."""
    return Frame(
        Scale(*x_range, LEFT, RIGHT, log_x),
        Scale(*y_range, height - BOTTOM_MARGIN, TOP_MARGIN),
        height,
    )


def figure(
    height: float, label: str, *children: Markup | None, width: float = WIDTH, class_: str = ""
) -> Markup:
    """Return the SVG; ``label`` says in words what it shows."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        class_=f"figure {class_}".strip(),
    )


def round_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 × 10ⁿ that divides the span into ``most`` at most."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * 0.999999)


def level_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round levels between the two, with a true minus sign."""
    span = high - low
    step = next((s for s in (1.0, 2.0, 3.0, 6.0, 12.0, 20.0) if span / s <= most), None)
    step = round_step(span, most) if step is None or span < 3 else step
    first = math.ceil(low / step - 1e-9)
    values = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, signed(value, step)) for value in values]


def signed(value: float, step: float = 1.0) -> str:
    """Return a short number with a true minus sign."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    return f"{abs(value):.{digits}f}" if value >= -1e-9 else f"−{abs(value):.{digits}f}"


def time_ticks(duration_s: float) -> list[tuple[float, str]]:
    """Return round times from 0 to the end."""
    step = next((s for s in _TIME_STEPS_S if duration_s / s <= _MOST_TIME_TICKS), 57600)
    count = math.floor(duration_s / step + 1e-9)
    return [(k * step, clock(k * step, step)) for k in range(count + 1)]


def clock(time_s: float, step_s: float = 1.0) -> str:
    """Return 0:07, 3:05, 1:02:03; below a second's step with decimals."""
    if step_s < 1.0:
        return f"{time_s:.{2 if step_s < 0.1 else 1}f}"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def frequency_ticks(low_hz: float, high_hz: float) -> list[tuple[float, str]]:
    """Return the usual frequencies within the range."""
    return [
        (float(hz), f"{hz // 1000}k" if hz >= 1000 else str(hz))
        for hz in _HZ_TICKS
        if low_hz <= hz <= high_hz
    ]


# ── lines ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Thinned:
    """A series of values in columns: where each column's middle is, and what is in it."""

    at: Series
    mean: Series
    low: Series
    high: Series


def thinned(at: Series, values: Series, most: int = MAX_POINTS) -> Thinned:
    """Return the series in ``most`` columns at most; NaN only where a column has nothing else."""
    if values.size <= most:
        return Thinned(at, values, values, values)
    starts = np.linspace(0, values.size, most, endpoint=False).astype(int)
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(float), starts)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    ends = np.append(starts[1:], values.size) - 1
    return Thinned(
        at=(at[starts] + at[ends]) / 2.0,
        mean=np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan),
        low=np.fmin.reduceat(values, starts),
        high=np.fmax.reduceat(values, starts),
    )


def line(x: Series, y: Series) -> str:
    """Return path data for a line through the points; it breaks where y is NaN."""
    return " ".join(
        "M" + "L".join(_point(x[i], y[i]) for i in run) + ("h.01" if len(run) == 1 else "")
        for run in _runs(y)
    )


def band(x: Series, low: Series, high: Series) -> str:
    """Return path data for the area between two lines; it breaks where either is NaN."""
    shapes = []
    for run in _runs(low + high):
        there = [_point(x[i], high[i]) for i in run]
        back = [_point(x[i], low[i]) for i in reversed(run)]
        shapes.append("M" + "L".join(there + back) + "Z")
    return " ".join(shapes)


def path_of(lines: Iterable[Sequence[tuple[float, float]]]) -> str:
    """Return path data for straight lines."""
    return "".join("M" + "L".join(_point(x, y) for x, y in points) for points in lines)


def _runs(values: Series) -> Iterator[range]:
    """Yield the stretches in which all values are finite."""
    known = np.concatenate(([False], np.isfinite(values), [False]))
    edges = np.flatnonzero(known[1:] != known[:-1])
    for start, end in zip(edges[0::2], edges[1::2], strict=True):
        yield range(int(start), int(end))


def _point(x: float, y: float) -> str:
    return f"{number(x, 1)} {number(y, 1)}"
