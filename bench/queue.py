"""The queue at scale: claims per second and latency on a million rows, by 64 workers.

``python -m bench.queue`` starts a PostgreSQL and a MariaDB of its own with commits that reach
the disk, fills ``Uploads`` as production leaves it, and lets workers (processes with their own
connections) at it through ``DatabaseManager``: saturated, each claiming as fast as it can, and
realistic, each polling once a second. The table grows from 10 thousand rows to a million, the
workers from 8 to 64. Then it has lived: what dead rows do to a poll.

Prints tables, writes ``bench/out/queue.json`` and ``queue.png``; 1 where a reach is missed, 3
where a server cannot be had.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.queue_run import Result, Scale

OUT = Path(__file__).with_name("out")
PAGE = Path(__file__).parents[1] / "docs" / "queue.md"
BACK_ENDS = ("postgresql", "mariadb")


def scale_of(given: argparse.Namespace) -> Scale:
    """Return the scale that the options ask for."""
    from bench.queue_run import QUICK, Scale

    scale = QUICK if given.quick else Scale()
    asked = {
        name: value
        for name in ("rows", "workers", "seconds", "realistic_s", "churn")
        if (value := getattr(given, name)) is not None
    }
    return replace(scale, **asked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; 1 where a reach is missed, 3 where a server cannot be had."""
    parser = argparse.ArgumentParser(prog="bench.queue", description=__doc__)
    parser.add_argument("--back-end", choices=BACK_ENDS, action="append")
    parser.add_argument("--rows", type=int, help="of the table, at the end (1000000)")
    parser.add_argument("--workers", type=int, help="at most (64)")
    parser.add_argument("--seconds", type=float, help="of each saturated load (8)")
    parser.add_argument("--realistic-s", type=float, help="seconds of the realistic load (30)")
    parser.add_argument("--churn", type=int, help="tracks of the table's life (50000)")
    parser.add_argument("--quick", action="store_true", help="a minute, on a small table")
    parser.add_argument("--plans", action="store_true", help="print the plans too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--page", action="store_true", help="put the figures into docs/queue.md")
    return measured(parser.parse_args(arguments))


def measured(given: argparse.Namespace) -> int:
    """Measure what was asked for, print it, save it."""
    # imported here: every worker's process imports the module that it was started from
    import pytest
    from rich.console import Console

    from bench.queue_page import put
    from bench.queue_report import print_plans, save, show, verdicts
    from bench.queue_run import fresh, measure, progress, server

    scale = scale_of(given)
    console = Console(stderr=given.json, width=None if sys.stdout.isatty() else 150)
    began = time.monotonic()
    results: list[Result] = []
    try:
        for back_end in given.back_end or BACK_ENDS:
            with server(back_end) as running, progress(back_end) as say:
                results.append(measure(fresh(running), back_end, scale, say))
            show(results[-1], console)
            document = save(results, scale, list(verdicts(results)), OUT)
    except (pytest.skip.Exception, pytest.fail.Exception) as unavailable:
        print(f"queue: {unavailable.msg}", file=sys.stderr)
        return 3
    kept = list(verdicts(results))
    if given.plans:
        print_plans(results, console)
    for fine, text in kept:
        console.print(f"{'kept' if fine else 'NOT KEPT'}: {text}", highlight=False, soft_wrap=True)
    if given.page:
        put(PAGE, results, kept, OUT / "queue.png")
    console.print(f"{time.monotonic() - began:.0f} s; every figure: {OUT / 'queue.json'}")
    if given.json:
        print(document)
    return 0 if all(fine for fine, _ in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
