"""The bench's tables, its file, its picture, and whether the reaches were kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from bench.queue_run import Result, Scale

CLAIMS_PER_S = 500.0
P99_MS = 25.0
FLAT = 0.7
"""What is left of the claims per second where the table is a hundred times as large."""
FLAT_ROWS = 1.0
"""Rows that an empty poll may read on average, whatever the table's size."""


def show(one: Result, console: Console) -> None:
    """Print what was measured on one back end."""
    for table in (_loads(one), _statements(one), _alone(one)):
        console.print(table)
    console.print(f"MiB: {one.sizes_mib}", highlight=False, soft_wrap=True)
    fleet = max(load.workers for load in one.loads)
    for load in one.loads:
        if load.workers == fleet:
            console.print(_seen(load), highlight=False, soft_wrap=True)


def _loads(one: Result) -> Table:
    table = Table(title=f"{one.back_end} ({one.version}): claims")
    names = (
        "load", "rows", "workers", "claims", "claims/s", "p50 ms", "p99 ms", "doubles",
        "client CPU ms", "server CPU ms", "machine's load",
    )  # fmt: skip
    for name in names:
        table.add_column(name, justify="left" if name == "load" else "right")
    for load in one.loads:
        claim = load.took.get("claim")
        table.add_row(
            load.kind,
            f"{load.rows:,}",
            str(load.workers),
            f"{load.claims:,}",
            f"{load.claims_per_s:,.0f}",
            f"{claim.p50:.1f}" if claim else "–",
            f"{claim.p99:.1f}" if claim else "–",
            str(load.doubles),
            f"{load.client_cpu_ms:.2f}",
            f"{load.server_cpu_ms:.2f}",
            f"{load.watch.load_average[0]:.1f}→{load.watch.load_average[1]:.1f}",
        )
    return table


def _statements(one: Result) -> Table:
    table = Table(title=f"{one.back_end}: the realistic load, by transaction")
    for name in ("transaction", "times", "p50 ms", "p99 ms", "most ms"):
        table.add_column(name, justify="left" if name == "transaction" else "right")
    for load in one.loads:
        if load.kind != "realistic":
            continue
        for statement, took in load.took.items():
            table.add_row(
                statement, f"{took.count:,}", f"{took.p50:.2f}", f"{took.p99:.2f}",
                f"{took.most:.1f}",
            )  # fmt: skip
    return table


def _alone(one: Result) -> Table:
    table = Table(title=f"{one.back_end}: one caller, nobody else")
    names = (
        "table", "rows", "empty poll ms", "table pages", "index pages", "rows read", "claim p50 ms",
        "claim p99 ms",
    )  # fmt: skip
    for name in names:
        table.add_column(name, justify="left" if name == "table" else "right")
    for alone in one.alone:
        empty = alone.empty
        table.add_row(
            alone.what,
            f"{alone.rows:,}",
            f"{empty.milliseconds:.2f}",
            "–" if empty.table_pages is None else f"{empty.table_pages:.1f}",
            "–" if empty.index_pages is None else f"{empty.index_pages:.1f}",
            f"{empty.rows_read:.1f}",
            f"{alone.claim.p50:.2f}",
            f"{alone.claim.p99:.2f}",
        )
    return table


def _seen(load: Any) -> str:
    watch = load.watch
    samples = sum(watch.waits.values()) or 1
    most = sorted(watch.waits.items(), key=lambda item: -item[1])[:5]
    waits = ", ".join(f"{name} {100 * n // samples} %" for name, n in most)
    return (
        f"{load.kind}, {load.workers} workers, {load.rows:,} rows: {watch.connections} connections;"
        f" done again: {load.repeats or 'nothing'}; {watch.counters}; statements were seen in:"
        f" {waits or 'none'}"
    )


def verdicts(results: Sequence[Result]) -> Iterator[tuple[bool, str]]:
    """Yield each reach, and whether it was kept."""
    for one in results:
        doubles = sum(load.doubles for load in one.loads)
        claims = sum(load.claims for load in one.loads)
        yield doubles == 0, f"{one.back_end}: {doubles} double claims of {claims:,} (reach: 0)"
        fleet = max(load.workers for load in one.loads)
        grown = [load for load in one.loads if load.kind == "saturated" and load.workers == fleet]
        full = grown[-1]
        if one.back_end == "postgresql":
            yield (
                full.claims_per_s >= CLAIMS_PER_S,
                f"{one.back_end}: {full.claims_per_s:,.0f} claims/s by {fleet} workers on"
                f" {full.rows:,} rows (reach: ≥ {CLAIMS_PER_S:g})",
            )
        ratio = full.claims_per_s / grown[0].claims_per_s
        yield (
            ratio >= FLAT,
            f"{one.back_end}: {ratio:.2f} × the claims/s with {full.rows / grown[0].rows:.0f} × the"
            f" rows (flat: ≥ {FLAT})",
        )
        yield from _of_polls(one)
        yield from _of_plans(one)


def _of_polls(one: Result) -> Iterator[tuple[bool, str]]:
    for load in one.loads:
        if load.kind != "realistic":
            continue
        for what in ("claim", "empty poll"):
            took = load.took.get(what)
            if took:
                yield (
                    took.p99 <= P99_MS,
                    f"{one.back_end}: p99 {took.p99:.1f} ms of {took.count:,} × {what}, polled once"
                    f" a second by {load.workers} workers (reach: ≤ {P99_MS:g})",
                )
        deadlocks = sum(n for name, n in load.watch.counters.items() if "deadlock" in name.lower())
        yield deadlocks == 0, f"{one.back_end}: {deadlocks} deadlocks in the realistic load"


def _of_plans(one: Result) -> Iterator[tuple[bool, str]]:
    settled = [alone for alone in one.alone if alone.what == "settled"][-1]
    read = settled.empty.table_pages if one.back_end == "postgresql" else settled.empty.rows_read
    unit = "pages of the table" if one.back_end == "postgresql" else "rows"
    yield (
        read is not None and read < FLAT_ROWS,
        f"{one.back_end}: a poll that finds nothing on {settled.rows:,} rows reads {read:.1f}"
        f" {unit} (reach: 0)",
    )
    bad = [name for name, plans in one.plans.items() if any(p.scans or p.sorts for p in plans)]
    yield (
        not bad,
        f"{one.back_end}: no plan reads a whole table or sorts ({', '.join(bad) or 'ok'})",
    )


def print_plans(results: Sequence[Result], console: Console) -> None:
    """Print every plan."""
    for one in results:
        for name, plans in one.plans.items():
            for plan in plans:
                console.rule(f"{one.back_end}: {name}")
                console.print(plan.sql, highlight=False, markup=False, soft_wrap=True)
                console.print(plan.text, highlight=False, markup=False, soft_wrap=True)


def save(
    results: Sequence[Result], scale: Scale, kept: Sequence[tuple[bool, str]], folder: Path
) -> str:
    """Write the figures and the picture; return the figures as JSON."""
    folder.mkdir(exist_ok=True)
    document = json.dumps(
        {
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "scale": asdict(scale),
            "verdicts": [{"kept": fine, "text": text} for fine, text in kept],
            "results": [asdict(one) for one in results],
        },
        indent=1,
    )
    (folder / "queue.json").write_text(document, encoding="utf-8")
    from bench.queue_plot import draw

    draw(results, folder / "queue.png")
    return document
