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
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audio_processor import AudioProcessor
from audio_processor.media.binary import find_ffmpeg
from audio_processor.settings import granted_cpus, load_settings
from bench.back_ends import BackEnd, embedded, on_services
from bench.corpus import corpus_folder, corpus_tracks, listed
from bench.process_tree import Machine, Usage, bytes_below, kib_of, machine, usage, with_programs
from bench.throughput_plot import Bar, plot
from bench.ways import excerpt
from tests.servers.postgres import running_postgres
from tests.servers.s3 import running_s3

OUT = Path(__file__).with_name("out")
BackEndName = Literal["embedded", "postgresql+s3"]
BACK_ENDS: tuple[BackEndName, ...] = ("embedded", "postgresql+s3")
CONCURRENCIES = (1, 2, 4)
MINUTES = 40.0
"""Of music at each concurrency: the three together stay under ten minutes on two cores."""
LONGEST_S = 240.0
"""A longer track would be most of the batch's end, when its neighbours have nothing to do."""
WARM_UP_S = 5.0
LOOK_EVERY_S = 0.25
COUNT_EVERY_S = 0.5
STARTS_WITHIN_S = 120.0
AT_LEAST_UTILISED = 0.90
AT_MOST_OTHERS = 0.10
"""Of the cores: where other programs take more, utilisation is not judged."""
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the clocks."""

    wall_s: float
    usage: Usage
    machine: Machine
    free_slots: bool
    """Whether the queue has nothing left to claim, or the daemon has not claimed all it can."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was spent between two moments."""

    cores: int
    wall_s: float
    cpu_s: float
    """The daemon's and its children's."""
    python_cpu_s: float
    """The daemon's own: the interpreter, and the kernels in its threads."""
    others_cpu_s: float
    """Other programs of this machine, this measurement included."""
    steal_s: float
    """What the hypervisor gave to other machines while something here could have run."""

    @property
    def utilisation(self) -> float:
        """Share of the cores that the daemon used, 0…1."""
        return self.cpu_s / (self.wall_s * self.cores)

    @property
    def utilisation_of_what_was_left(self) -> float:
        """Share of what neither other programs nor the hypervisor took: alone, the same."""
        left_s = self.wall_s * self.cores - self.others_cpu_s - self.steal_s
        return self.cpu_s / max(left_s, self.cpu_s)

    @property
    def taken_by_others(self) -> float:
        """Share of the cores that was not to be had."""
        return (self.others_cpu_s + self.steal_s) / (self.wall_s * self.cores)


@dataclass(frozen=True, slots=True)
class Run:
    """One concurrency: what went in and what it took."""

    concurrency: int
    tracks: int
    audio_s: float
    batch: Stretch
    """From the rows' insertion to the last completion."""
    busy: Stretch
    """The part of it in which every slot had a track."""
    tree_rss_mib: float
    """Peak; resident sets added up, so pages that processes share count more than once."""
    tree_pss_mib: float
    """The same with shared pages shared out: what the machine really gives."""
    python_rss_mib: float
    """The daemon's own high-water mark, which no sample can miss."""
    processes: int
    scratch_bytes: int
    """Peak of all jobs together."""
    delivered_bytes: int
    """All that was published of the batch; 0 where the store is no folder."""
    load_average: tuple[float, float, float]
    """Of the machine, when the run ended."""

    @property
    def audio_per_cpu_s(self) -> float:
        """Seconds of audio per CPU second, over the batch."""
        return self.audio_s / self.batch.cpu_s

    @property
    def audio_per_wall_s(self) -> float:
        """Seconds of audio per second while every slot is busy: what a standing queue gets."""
        return self.audio_per_cpu_s * self.busy.cpu_s / self.busy.wall_s

    def as_row(self) -> dict[str, Any]:
        """Return it with what follows from it, for JSON."""
        return {
            **asdict(self),
            "audio_per_cpu_s": self.audio_per_cpu_s,
            "audio_per_wall_s": self.audio_per_wall_s,
            "utilisation": self.busy.utilisation,
            "utilisation_of_what_was_left": self.busy.utilisation_of_what_was_left,
            "taken_by_others": self.busy.taken_by_others,
        }


@dataclass(slots=True)
class Watched:
    """What was seen of a daemon while it worked."""

    moments: list[Moment] = field(default_factory=list)
    tree_rss_mib: float = 0.0
    tree_pss_mib: float = 0.0
    python_rss_mib: float = 0.0
    processes: int = 0
    scratch_bytes: int = 0

    def stretch(self, cores: int, *, busy: bool) -> Stretch:
        """Return all of it, or from the first to the last moment at which no slot was free."""
        there = [one for one in self.moments if not (busy and one.free_slots)]
        if len(there) < 2:  # too short to have been seen twice with every slot in use
            there = self.moments
        first, last = there[0], there[-1]
        spent = last.machine - first.machine
        cpu_s = last.usage.cpu_s - first.usage.cpu_s
        return Stretch(
            cores=cores,
            wall_s=last.wall_s - first.wall_s,
            cpu_s=cpu_s,
            python_cpu_s=last.usage.own_cpu_s - first.usage.own_cpu_s,
            others_cpu_s=max(0.0, spent.busy_s - cpu_s),
            steal_s=spent.steal_s,
        )


class Daemon:
    """``audio-processor run`` on a back end, and the queue and store as a client sees them."""

    def __init__(self, back_end: BackEnd, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._scratch = back_end.folder / "data/scratch"
        self._processor = AudioProcessor.from_settings(load_settings(environ=_plain(back_end)))
        self._inserted = 0

    def close(self) -> None:
        """Let go of the queue."""
        self._processor.close()

    def upload(self, tracks: Sequence[Path]) -> None:
        """Put the files where uploads lie, without a row yet."""
        for track in tracks:
            key = self._processor.settings.storage.raw_prefix + track.name
            self._processor.store.upload(track, key, content_type="application/octet-stream")

    def insert(self, tracks: Sequence[Path]) -> None:
        """Insert their rows, to be claimed in this order."""
        for track in tracks:
            self._inserted += 1
            self._processor.queue.insert(f"{self._inserted:06d}", track.name)

    def watch(self, concurrency: int, ended: Callable[[int], None]) -> Watched:
        """Look until every inserted track has ended. Raises ``RuntimeError`` if one failed."""
        seen, counted_at, pid = Watched(), 0.0, self.process.pid
        counts = self._processor.queue.counts()
        while True:
            now = usage(pid)
            if time.monotonic() - counted_at >= COUNT_EVERY_S:
                counted_at = time.monotonic()
                counts = self._processor.queue.counts()
                seen.scratch_bytes = max(seen.scratch_bytes, bytes_below(self._scratch))
                seen.tree_pss_mib = max(seen.tree_pss_mib, _pss_mib(pid))
                ended(counts.completed + counts.failed)
            free = counts.pending == 0 or counts.processing < concurrency
            seen.moments.append(Moment(time.monotonic(), now, machine(), free))
            seen.tree_rss_mib = max(seen.tree_rss_mib, now.rss_mib)
            seen.processes = max(seen.processes, now.processes)
            seen.python_rss_mib = max(seen.python_rss_mib, kib_of(pid, "status", "VmHWM") / 1024)
            if counts.failed:
                raise RuntimeError("a track of the batch failed; `audio-processor status` says why")
            if counts.completed == self._inserted:
                return seen
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}")
            time.sleep(LOOK_EVERY_S)


def _pss_mib(pid: int) -> float:
    return sum(kib_of(one, "smaps_rollup", "Pss") for one in with_programs(pid)) / 1024


def _plain(back_end: BackEnd) -> dict[str, str]:
    """Return the back end's environment with the keys to the store among our own settings."""
    aws = {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"}
    ours = {
        f"AUDIO_PROCESSOR__STORAGE__{name}": back_end.environment[f"AWS_{name}"]
        for name in aws
        if f"AWS_{name}" in back_end.environment
    }
    below = back_end.folder / "data"
    where = {"DATABASE__PATH": below / "audio-processor.db", "STORAGE__FOLDER": below / "store"}
    return {
        **{f"AUDIO_PROCESSOR__{name}": str(path) for name, path in where.items()},
        **back_end.environment,
        **ours,
    }


@contextmanager
def running_daemon(back_end: BackEnd, concurrency: int, pins: bool) -> Iterator[Daemon]:
    """Start the daemon on the back end; end it as Kubernetes would."""
    back_end.run("migrate")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIO_PROC", "AWS_"))}
    stated = {
        "WORKER__CONCURRENCY": str(concurrency),
        "WORKER__POLL_INTERVAL_S": "0.2",
        "WORKER__MAX_ATTEMPTS": "1",  # a fault of the batch is told at once, not tried again
        "WORKER__HEALTH_PORT": "0",
        "FFMPEG__PIN_CPUS": str(pins).lower(),
        "LOGGING__LEVEL": "ERROR",
    }
    environment = {
        **inherited,
        **back_end.environment,
        **{f"AUDIO_PROCESSOR__{name}": value for name, value in stated.items()},
    }
    argv = [sys.executable, "-m", "audio_processor", "run"]
    with subprocess.Popen(argv, cwd=back_end.folder, env=environment) as process:
        daemon = Daemon(back_end, process)
        try:
            yield daemon
        finally:
            daemon.close()
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # twice: give up what a failed run left
            process.wait()


def measure(
    back_end: BackEnd,
    tracks: Sequence[Path],
    concurrency: int,
    *,
    pins: bool = True,
    ended: Callable[[int], None] = lambda _count: None,
) -> Run:
    """Run the batch through a daemon of its own. Raises ``RuntimeError`` where a track fails."""
    ffmpeg = find_ffmpeg().path
    with running_daemon(back_end, concurrency, pins) as daemon:
        warm_ups = [
            excerpt(ffmpeg, tracks[0], back_end.folder / f"warm-up-{n}.wav", seconds=WARM_UP_S)
            for n in range(concurrency)
        ]
        daemon.upload([*warm_ups, *tracks])
        daemon.insert(warm_ups)
        daemon.watch(concurrency, lambda _count: None)
        daemon.insert(tracks)
        seen = daemon.watch(concurrency, lambda count: ended(count - len(warm_ups)))
    cores = granted_cpus()
    return Run(
        concurrency=concurrency,
        tracks=len(tracks),
        audio_s=sum(map(duration_s, tracks)),
        batch=seen.stretch(cores, busy=False),
        busy=seen.stretch(cores, busy=True),
        tree_rss_mib=seen.tree_rss_mib,
        tree_pss_mib=seen.tree_pss_mib,
        python_rss_mib=seen.python_rss_mib,
        processes=seen.processes,
        scratch_bytes=seen.scratch_bytes,
        delivered_bytes=_delivered(back_end, tracks),
        load_average=os.getloadavg(),
    )


def _delivered(back_end: BackEnd, tracks: Sequence[Path]) -> int:
    published = back_end.folder / "data/store/mwonya_audio_tracks"
    return sum(bytes_below(published / track.stem) for track in tracks)


def duration_s(track: Path) -> float:
    """Return the length that the corpus's list has of the track."""
    return next(one.duration_s for one in listed() if one.name == track.name)


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


def table(runs: Sequence[Run]) -> Table:
    """Return the runs as they are shown."""
    shown = Table(
        title="Throughput",
        caption="used, of left, others: of the cores, while every slot has a track; Python: of CPU",
    )
    headings = (
        "at once", "audio / CPU s", "audio / s", "used", "of left",
        "others", "Python", "RSS MiB", "PSS MiB", "scratch MiB", "load",
    )  # fmt: skip
    for heading in headings:
        shown.add_column(heading, justify="right")
    for one in runs:
        shown.add_row(
            str(one.concurrency),
            f"{one.audio_per_cpu_s:.1f}",
            f"{one.audio_per_wall_s:.1f}",
            f"{one.busy.utilisation:.1%}",
            f"{one.busy.utilisation_of_what_was_left:.1%}",
            f"{one.busy.taken_by_others:.1%}",
            f"{one.batch.python_cpu_s / one.batch.cpu_s:.0%}",
            f"{one.tree_rss_mib:.0f}",
            f"{one.tree_pss_mib:.0f}",
            f"{one.scratch_bytes / MIB:.0f}",
            f"{one.load_average[0]:.1f}",
        )
    return shown


def verdicts(runs: Sequence[Run], default: int) -> Iterator[tuple[bool | None, str]]:
    """Yield each promise, and whether it was kept; None where it cannot be told.

    A machine that others use says nothing: who waits for a core has work for every core.
    """
    for one in runs:
        if one.concurrency == default:
            left, others = one.busy.utilisation_of_what_was_left, one.busy.taken_by_others
            yield (
                None if others > AT_MOST_OTHERS else left >= AT_LEAST_UTILISED,
                f"{left:.1%} of the {one.busy.cores} cores at the default concurrency, {default} "
                f"(reach: ≥ {AT_LEAST_UTILISED:.0%}), of what other programs left: they and the "
                f"hypervisor took {others:.1%} (told up to {AT_MOST_OTHERS:.0%})",
            )


def save(runs: Sequence[Run], name: BackEndName, default: int, out: Path = OUT) -> dict[str, Any]:
    """Write ``throughput.json`` and ``.svg``; return what is in the first."""
    document = {
        "back_end": name,
        "cores": granted_cpus(),
        "default_concurrency": default,
        "ffmpeg": find_ffmpeg().version,
        "runs": [one.as_row() for one in runs],
    }
    out.mkdir(exist_ok=True)
    text = json.dumps(document, indent=2)
    (out / "throughput.json").write_text(text, encoding="utf-8")
    bars = [
        Bar(
            one.concurrency,
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
    wanted = given.concurrency or sorted({*CONCURRENCIES, default})
    console = Console(stderr=given.json)
    runs: list[Run] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="throughput-") as folder,
            back_ends(given.back_end, Path(folder)) as fresh,
            _progress() as progress,
        ):
            for concurrency in wanted:
                bar = progress.add_task(f"{concurrency} at once", total=len(tracks))

                def ended(count: int, bar: Any = bar) -> None:
                    progress.update(bar, completed=count)

                pins = not given.no_pinning
                runs.append(measure(fresh(), tracks, concurrency, pins=pins, ended=ended))
    except (pytest.skip.Exception, pytest.fail.Exception) as unavailable:
        print(f"throughput: {unavailable.msg}", file=sys.stderr)
        return 3
    document = save(runs, given.back_end, default)
    if given.json:
        print(json.dumps(document, indent=2))
    console.print(table(runs))
    kept = list(verdicts(runs, default))
    for fine, text in kept:
        verdict = {True: "kept", False: "NOT KEPT", None: "NOT TOLD"}[fine]
        console.print(f"{verdict}: {text}", highlight=False, soft_wrap=True)
    return 1 if any(fine is False for fine, _ in kept) else 0


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
