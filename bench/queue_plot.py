"""The picture: claims per second and latency against rows and against workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.queue_run import Result

COLOURS = {"postgresql": "#336791", "mariadb": "#c0765a"}


def draw(results: Sequence[Result], target: Path) -> None:
    """Draw two rows of panels: what is flat in the rows, and what the workers add."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for one in results:
        _of_rows(one, panels[0])
        _of_workers(one, panels[1])
    _dress(panels)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _of_rows(one: Result, panels: Any) -> None:
    colour = COLOURS[one.back_end]
    fleet = max(load.workers for load in one.loads)
    grown = [load for load in one.loads if load.kind == "saturated" and load.workers == fleet]
    rows = [load.rows for load in grown]
    label = f"{one.back_end}, {fleet} workers"
    panels[0].plot(rows, [load.claims_per_s for load in grown], "o-", color=colour, label=label)
    settled = [alone for alone in one.alone if alone.what == "settled"]
    at = [alone.rows for alone in settled]
    claims, polls = ([a.claim.p50 for a in settled], [a.empty.milliseconds for a in settled])
    panels[1].plot(at, claims, "o-", color=colour, label=f"{one.back_end}, a claim")
    panels[1].plot(at, polls, "s--", color=colour, label=f"{one.back_end}, an empty poll")


def _of_workers(one: Result, panels: Any) -> None:
    colour = COLOURS[one.back_end]
    most = max(load.rows for load in one.loads)
    fleets = sorted(
        (load for load in one.loads if load.kind == "saturated" and load.rows > most / 2),
        key=lambda load: load.workers,
    )
    workers = [load.workers for load in fleets]
    panels[0].plot(
        workers, [load.claims_per_s for load in fleets], "o-", color=colour, label=one.back_end
    )
    for name, mark in (("p50", "o-"), ("p99", "s--")):
        latency = [getattr(load.took["claim"], name) for load in fleets]
        panels[1].plot(workers, latency, mark, color=colour, label=f"{one.back_end}, {name}")


def _dress(panels: Any) -> None:
    titles = (
        ("Saturated: claims per second", "rows", "claims/s"),
        ("One caller: median of a claim and of an empty poll", "rows", "ms"),
        ("Saturated, full table: claims per second", "workers", "claims/s"),
        ("Saturated, full table: latency (queueing included)", "workers", "ms"),
    )
    for panel, (title, x, y) in zip(panels.flat, titles, strict=True):
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(x)
        panel.set_ylabel(y)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
        if x == "rows":
            panel.set_xscale("log")
