"""How much audio a worker takes in per second, against how many tracks it works on at once.

``python -m bench.throughput`` runs the daemon (``audio-processor run``) on real music at each
concurrency: rows in a real queue, objects in a real store, claimed by its own loop, after a
warm-up that is not counted. The CPU seconds are those of the daemon's process tree alone; what
other programs and the hypervisor took of the cores meanwhile is told beside them. Results go to
``bench/out/throughput.json`` and ``.svg``; 1 where a promise was not kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audio_processor import capacity_figures
from audio_processor.media.binary import find_ffmpeg
from audio_processor.settings import granted_cpus, load_settings
from bench.back_ends import BackEnd, embedded, on_services
from bench.corpus import corpus_folder, corpus_tracks
from bench.throughput_daemon import duration_s, measure
from bench.throughput_plot import Bar, plot
from bench.throughput_run import Run, figures
from tests.servers.postgres import running_postgres
from tests.servers.s3 import running_s3

OUT = Path(__file__).with_name("out")
BackEndName = Literal["embedded", "postgresql+s3"]
BACK_ENDS: tuple[BackEndName, ...] = ("embedded", "postgresql+s3")
CONCURRENCIES = (1, 2, 4)
MINUTES = 30.0
"""Of music at each: the five runs of the default stay under ten minutes on two quiet cores."""
LONGEST_S = 240.0
"""A longer track would be most of the batch's end, when its neighbours have nothing to do."""
AT_LEAST_UTILISED = 0.90
MIB = 2**20


def batch(minutes: float) -> list[Path]:
    """Return so much of the corpus, longest first: then the batch's end is short."""
    chosen: list[Path] = []
    for track in corpus_tracks(max_duration_s=LONGEST_S):
        if sum(map(duration_s, chosen)) >= minutes * 60:
            break
        chosen.append(track)
    return sorted(chosen, key=duration_s, reverse=True)


@contextmanager
def back_ends(name: BackEndName, folder: Path) -> Iterator[Callable[[], BackEnd]]:
    """Start the servers and yield what makes a fresh back end on them."""
    with ExitStack() as stack:
        made = 0

        def below() -> Path:
            nonlocal made
            made += 1
            path = folder / f"{made}"
            path.mkdir()
            return path

        if name == "embedded":
            yield lambda: embedded(below())
            return
        database = stack.enter_context(running_postgres())
        s3 = stack.enter_context(running_s3())
        yield lambda: on_services(name, database, s3, below())


def tables(runs: Sequence[Run]) -> Iterator[Table]:
    """Yield the runs as they are shown: speed, and what it takes of memory and disk."""
    speed = _table(
        "Audio seconds per second; shares of the cores, all slots busy (free: not pinned)",
        ("at once", "per CPU s", "per s", "used", "at most", "others", "Python", "load"),
    )
    room = _table("Peaks, MiB", ("at once", "RSS", "PSS", "Python's RSS", "scratch", "processes"))
    for one in runs:
        speed.add_row(
            one.name,
            f"{one.audio_per_cpu_s:.1f}",
            f"{one.audio_per_wall_s:.1f}",
            f"{one.busy.utilisation:.1%}",
            f"{one.busy.utilisation_at_most:.1%}",
            f"{one.busy.taken_by_others:.1%}",
            f"{one.batch.python_cpu_s / one.batch.cpu_s:.0%}",
            f"{one.load_average[0]:.1f}",
        )
        room.add_row(
            one.name,
            f"{one.tree_rss_mib:.0f}",
            f"{one.tree_pss_mib:.0f}",
            f"{one.python_rss_mib:.0f}",
            f"{one.scratch_bytes / MIB:.0f}",
            str(one.processes),
        )
    yield from (speed, room)


def _table(title: str, headings: Sequence[str]) -> Table:
    made = Table(title=title, title_justify="left", padding=0)
    for heading in headings:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def verdicts(runs: Sequence[Run], default: int) -> Iterator[tuple[bool | None, str]]:
    """Yield each promise, and whether it was kept; None where it cannot be told.

    What other programs used, they took from the daemon or while it had no use for it: so alone on
    the machine it would use at least what it did, and at most as much as all together.
    """
    for one in runs:
        if one.concurrency == default and one.pinned:
            least, most = one.busy.utilisation, one.busy.utilisation_at_most
            kept = True if least >= AT_LEAST_UTILISED else None
            if most < AT_LEAST_UTILISED:
                kept = False
            yield (
                kept if one.fills_its_slots else None,
                f"{least:.1%} of the {one.busy.cores} cores at the default concurrency, {default} "
                f"(reach: ≥ {AT_LEAST_UTILISED:.0%}); other programs and the hypervisor took "
                f"{one.busy.taken_by_others:.1%}",
            )


def save(runs: Sequence[Run], name: BackEndName, default: int, out: Path = OUT) -> dict[str, Any]:
    """Write ``throughput.json`` and ``.svg``; return what is in the first."""
    document = {
        "back_end": name,
        "cores": granted_cpus(),
        "default_concurrency": default,
        "ffmpeg": find_ffmpeg().version,
        "runs": [one.as_row() for one in runs],
        "figures": figures(runs),
    }
    out.mkdir(exist_ok=True)
    text = json.dumps(document, indent=2)
    (out / "throughput.json").write_text(text, encoding="utf-8")
    bars = [
        Bar(
            one.name,
            one.audio_per_wall_s,
            one.audio_per_cpu_s,
            one.busy.utilisation,
            one.busy.taken_by_others,
        )
        for one in runs
    ]
    (out / "throughput.svg").write_text(plot(bars), encoding="utf-8")
    return document


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; 1 where a promise was not kept, 3 where there is no music."""
    parser = argparse.ArgumentParser(prog="bench.throughput", description=__doc__)
    parser.add_argument("--concurrency", type=int, action="append", help="repeatable")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of music, at each")
    parser.add_argument("--back-end", choices=BACK_ENDS, default="embedded")
    parser.add_argument("--no-pinning", action="store_true", help="with ffmpeg.pin_cpus off")
    parser.add_argument("--json", action="store_true", help="print the document, nothing else")
    given = parser.parse_args(arguments)
    tracks = batch(given.minutes)
    if not tracks:
        print(f"bench: no tracks in {corpus_folder()}; `make corpus` brings them", file=sys.stderr)
        return 3
    default = load_settings(environ={}).worker.concurrency
    wanted = [(one, not given.no_pinning) for one in given.concurrency or ()]
    console = Console(stderr=given.json)
    runs: list[Run] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="throughput-") as folder,
            back_ends(given.back_end, Path(folder)) as fresh,
            _progress() as progress,
        ):
            for concurrency, pins in wanted or _usual(default):
                how = "" if pins else ", not pinned"
                bar = progress.add_task(f"{concurrency} at once{how}", total=len(tracks))

                def ended(count: int, bar: Any = bar) -> None:
                    progress.update(bar, completed=count)

                runs.append(measure(fresh(), tracks, concurrency, pins=pins, ended=ended))
    except (pytest.skip.Exception, pytest.fail.Exception) as unavailable:
        print(f"throughput: {unavailable.msg}", file=sys.stderr)
        return 3
    document = save(runs, given.back_end, default)
    if given.json:
        print(json.dumps(document, indent=2))
    console.print(*tables(runs))
    for name, value in document["figures"].items():
        now: capacity_figures.Figure = getattr(capacity_figures, name)
        console.print(
            f"capacity_figures.{name}: {now.value:g}, measured {value:.4g} {now.unit}",
            highlight=False,
        )
    kept = list(verdicts(runs, default))
    for fine, text in kept:
        verdict = {True: "kept", False: "NOT KEPT", None: "NOT TOLD"}[fine]
        console.print(f"{verdict}: {text}", highlight=False, soft_wrap=True)
    return 1 if any(fine is False for fine, _ in kept) else 0


def _usual(default: int) -> list[tuple[int, bool]]:
    """Return the concurrencies, pinned as on a machine of one's own, and one as in a pod."""
    pinned = [(one, True) for one in sorted({*CONCURRENCIES, default})]
    return [*pinned, (granted_cpus(), False)]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} tracks"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    sys.exit(main())
