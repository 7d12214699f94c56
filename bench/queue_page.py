"""The figures as markdown, and their place in ``docs/queue.md``."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.queue_run import Result

BEGIN = "<!-- measured by python -m bench.queue --page -->"
END = "<!-- end of what was measured -->"
Verdicts = Sequence[tuple[bool, str]]


def put(page: Path, results: Sequence[Result], kept: Verdicts, picture: Path) -> None:
    """Replace what the page has between its marks, and the picture beside it.

    Raises ``ValueError`` where the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{page} has no {BEGIN} … {END}")
    shutil.copyfile(picture, page.with_suffix(".png"))
    figures = "\n".join(lines(results, kept))
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


def lines(results: Sequence[Result], kept: Verdicts) -> Iterator[str]:
    """Yield the tables of every back end, then what was and was not reached."""
    busy = [load.watch.load_average for one in results for load in one.loads]
    least, most = min(min(pair) for pair in busy), max(max(pair) for pair in busy)
    yield (
        f"{os.cpu_count()} CPUs, shared by the servers, the workers and whatever else ran: the"
        f" load average was {least:.1f} to {most:.1f}. Python {platform.python_version()};"
        f" {', '.join(f'{one.back_end} {one.version}' for one in results)}."
    )
    for one in results:
        yield from ("", f"**{one.back_end}**, by load:", "")
        yield from _loads(one)
        yield from ("", f"{one.back_end}, the realistic load by transaction:", "")
        yield from _transactions(one)
        yield from ("", f"{one.back_end}, one caller and nobody else:", "")
        yield from _alone(one)
    yield from ("", "| reach | kept |", "|---|---|")
    for fine, text in kept:
        yield f"| {text} | {'yes' if fine else '**no**'} |"


def _loads(one: Result) -> Iterator[str]:
    yield (
        "| load | rows | workers | claims | double | claims/s | p50 ms | p99 ms |"
        " worker CPU ms | server CPU ms | load average |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for load in one.loads:
        claim = load.took["claim"]
        average = "→".join(f"{value:.1f}" for value in load.watch.load_average)
        yield (
            f"| {load.kind} | {load.rows:,} | {load.workers} | {load.claims:,} | {load.doubles} |"
            f" {load.claims_per_s:,.0f} | {claim.p50:.1f} | {claim.p99:.1f} |"
            f" {load.client_cpu_ms:.2f} | {load.server_cpu_ms:.2f} | {average} |"
        )


def _transactions(one: Result) -> Iterator[str]:
    yield "| transaction | times | p50 ms | p99 ms | longest ms |"
    yield "|---|--:|--:|--:|--:|"
    for load in one.loads:
        if load.kind == "realistic":
            for name, took in load.took.items():
                times = f"{took.p50:.2f} | {took.p99:.1f} | {took.most:.1f}"
                yield f"| {name} | {took.count:,} | {times} |"


def _alone(one: Result) -> Iterator[str]:
    pages = one.back_end == "postgresql"
    yield (
        f"| table | rows | empty poll ms | {'pages of the table | of indexes | ' if pages else ''}"
        "rows read | claim p50 ms | p99 ms |"
    )
    yield f"|---|--:|--:|{'--:|--:|' if pages else ''}--:|--:|--:|"
    for alone in one.alone:
        empty = alone.empty
        of_pages = f" {empty.table_pages:.1f} | {empty.index_pages:.1f} |" if pages else ""
        yield (
            f"| {alone.what} | {alone.rows:,} | {empty.milliseconds:.2f} |{of_pages}"
            f" {empty.rows_read:.1f} | {alone.claim.p50:.2f} | {alone.claim.p99:.2f} |"
        )
