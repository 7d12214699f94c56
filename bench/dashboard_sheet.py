"""Draws the dashboard's panels with what they show, roughly as Grafana would."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

COLUMN_INCH, ROW_INCH = 0.72, 0.36
GROUND, CARD, INK, FAINT = "#111217", "#181b1f", "#d0d3d8", "#6e7480"
_NAMED = {"green": "#56a64b", "red": "#e02f44", "blue": "#3274d9", "transparent": CARD}

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, and values over unix times."""

    name: str
    labels: dict[str, str]
    times: Times
    values: Times
    copy: str
    """Of a repeated panel, the value that this copy is for."""

    @classmethod
    def of(cls, found: dict[str, Any], legend: str, copy: str) -> Series:
        """Return it from a range query's result and the target's legend."""
        labels: dict[str, str] = found["metric"]
        name = re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), legend)
        points = np.array([[float(t), float(v)] for t, v in found["values"]])
        if legend in {"", "__auto"}:
            name = ", ".join(v for k, v in labels.items() if k != "__name__")
        return cls(name.strip(), labels, points[:, 0], points[:, 1], copy)


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the dashboard with its data."""

    kind: str
    title: str
    unit: str
    x: int
    y: int
    width: int
    height: int
    stacked: bool
    bars: bool
    steps: tuple[tuple[float, str], ...]
    """Colours from a value upwards."""
    states: dict[int, tuple[str, str]]
    none: str
    series: list[Series]
    copies: list[str]

    @classmethod
    def of(cls, panel: dict[str, Any], series: list[Series], copies: list[str]) -> Panel:
        """Return it from the dashboard's JSON."""
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        custom, place = defaults.get("custom", {}), panel["gridPos"]
        steps = defaults.get("thresholds", {}).get("steps", [])
        options = [m["options"] for m in defaults.get("mappings", [])]
        return cls(
            kind=panel["type"],
            title=panel["title"],
            unit=defaults.get("unit", ""),
            x=place["x"],
            y=place["y"],
            width=place["w"],
            height=place["h"],
            stacked=custom.get("stacking", {}).get("mode") == "normal",
            bars=custom.get("drawStyle") == "bars",
            steps=tuple(
                (
                    -math.inf if s["value"] is None else s["value"],
                    _NAMED.get(s["color"], s["color"]),
                )
                for s in steps
            ),
            states={
                int(k): (v["text"], _NAMED.get(v["color"], v["color"]))
                for table in options
                for k, v in table.items()
            },
            none=defaults.get("noValue", "No data"),
            series=series,
            copies=copies,
        )


def draw(panels: Sequence[Panel], target: Path, *, inch_dots: int = 110) -> None:
    """Write the picture; every panel over the same time."""
    mpl.rcParams.update({"font.size": 6.5, "text.color": INK, "axes.edgecolor": FAINT})
    rows = max(p.y + p.height for p in panels)
    figure = Figure(figsize=(24 * COLUMN_INCH, rows * ROW_INCH), facecolor=GROUND, dpi=inch_dots)
    all_times = np.concatenate([s.times for p in panels for s in p.series])
    span = (float(all_times.min()), float(all_times.max()))
    for panel in panels:
        for number, copy in enumerate(panel.copies):
            _place(figure, panel, rows, number, copy, span)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _place(
    figure: Figure, panel: Panel, rows: int, number: int, copy: str, span: tuple[float, float]
) -> None:
    width = panel.width / len(panel.copies)
    left, top = panel.x + number * width, panel.y
    title = panel.title.replace("$rendition", copy)
    if panel.kind == "row":
        figure.text(left / 24 + 0.004, 1 - (top + 0.7) / rows, title, fontsize=10, weight="bold")
        return
    inner = (
        (left + 0.75) / 24,
        1 - (top + panel.height - 1.1) / rows,
        (width - 1.0) / 24,
        (panel.height - 2.1) / rows,
    )
    card = figure.add_axes(
        (left / 24 + 0.001, 1 - (top + panel.height) / rows + 0.0008, width / 24 - 0.002,
         panel.height / rows - 0.0016)
    )  # fmt: skip
    card.set_facecolor(CARD)
    card.set(xticks=[], yticks=[])
    card.set_title(title, loc="left", fontsize=7.5, y=1, pad=-9, x=0.01, color=INK)
    series = [s for s in panel.series if s.copy == copy]
    if not series:
        card.text(0.5, 0.45, panel.none, ha="center", color=FAINT, transform=card.transAxes)
        return
    if panel.kind == "stat":
        _figure(card, panel, series[0])
        return
    axes = figure.add_axes(inner)
    axes.set_facecolor(CARD)
    axes.tick_params(colors=FAINT, labelsize=5.5, length=2)
    kinds = {
        "heatmap": _heatmap, "bargauge": _bars, "state-timeline": _states, "table": _table,
    }  # fmt: skip
    if panel.kind in {"timeseries", "heatmap", "state-timeline"}:
        axes.set_xlim(0, span[1] - span[0])
        axes.xaxis.set_major_formatter(lambda s, _: f"{s // 60:.0f}:{s % 60:02.0f}")
    kinds.get(panel.kind, _lines)(axes, panel, series, span[0])


def _lines(axes: Axes, panel: Panel, series: Sequence[Series], start: float) -> None:
    ordered = sorted(series, key=lambda s: s.name)[:12]
    if panel.stacked:
        grid = np.unique(np.concatenate([s.times for s in ordered]))
        level = np.zeros(len(grid))
        for one in ordered:
            upper = level + np.interp(grid, one.times, np.nan_to_num(one.values), left=0)
            axes.fill_between(grid - start, level, upper, alpha=0.6, label=one.name, lw=0.4)
            level = upper
    else:
        for one in ordered:
            axes.plot(one.times - start, one.values, lw=0.9, label=one.name)
    for value, colour in panel.steps[1:]:
        if value < 3 * (axes.get_ylim()[1] or 1):
            axes.axhline(value, color=colour, lw=0.7, ls="--")
    axes.set_ylim(0, 1.3 * (axes.get_ylim()[1] or 1))  # room for the legend
    if panel.unit == "bytes":
        axes.yaxis.set_major_formatter(EngFormatter("B"))
    axes.set_ylabel(panel.unit, fontsize=5.5, color=FAINT, labelpad=1)
    axes.grid(alpha=0.12)
    axes.legend(fontsize=5, frameon=False, ncols=2, loc="upper left", labelcolor=INK)


def _figure(card: Axes, panel: Panel, series: Series) -> None:
    value = float(series.values[-1])
    card.set_facecolor(next((c for v, c in reversed(panel.steps) if value >= v), CARD))
    text = f"{100 * value:.3g} %" if panel.unit == "percentunit" else f"{value:.4g} {panel.unit}"
    text = text.removesuffix(" none")
    card.text(0.5, 0.42, text, ha="center", va="center", fontsize=15, transform=card.transAxes)


def _heatmap(axes: Axes, panel: Panel, series: Sequence[Series], start: float) -> None:
    ordered = sorted(series, key=lambda s: float(s.labels["le"]))
    grid = np.unique(np.concatenate([s.times for s in ordered]))
    cumulative = np.array([np.interp(grid, s.times, np.nan_to_num(s.values)) for s in ordered])
    counts = np.diff(cumulative, axis=0, prepend=0)
    seen = np.flatnonzero(counts.sum(axis=1) > 1e-9)
    if not len(seen):
        axes.text(0.5, 0.5, "nothing in this time", ha="center", transform=axes.transAxes)
        return
    low, high = max(0, seen[0] - 1), min(len(ordered), seen[-1] + 2)
    shown = np.where(counts[low:high] > 1e-9, counts[low:high], np.nan)
    axes.pcolormesh(grid - start, np.arange(high - low), shown, cmap="turbo", shading="nearest")
    names = [s.labels["le"] for s in ordered[low:high]]
    axes.set_yticks(range(len(names)), [f"{n} {panel.unit}".removesuffix(" none") for n in names])


def _bars(axes: Axes, panel: Panel, series: Sequence[Series], _start: float) -> None:
    ordered = sorted(series, key=lambda s: float(s.values[-1]))
    values = [float(s.values[-1]) for s in ordered]
    axes.barh([s.name for s in ordered], values, color="#7a5cc7")
    for number, value in enumerate(values):
        axes.text(value, number, f" {value:.3g} {panel.unit}", va="center", fontsize=5.5)


def _states(axes: Axes, panel: Panel, series: Sequence[Series], start: float) -> None:
    for number, one in enumerate(series):
        step = float(np.min(np.diff(one.times))) if len(one.times) > 1 else 1.0
        for at, value in zip(one.times - start, one.values, strict=True):
            axes.barh(number, step, left=at, color=panel.states[int(value)][1], height=0.7)
    axes.set_yticks(range(len(series)), [s.name for s in series])


def _table(axes: Axes, _panel: Panel, series: Sequence[Series], _start: float) -> None:
    axes.set_axis_off()
    lines = [
        "   ".join(f"{k} {v}" for k, v in s.labels.items()) + f"   {s.values[-1]:.0f}"
        for s in series
    ]
    axes.text(0, 0.9, "\n".join(lines), va="top", fontsize=6.5, transform=axes.transAxes)
