"""CPU seconds of the default line against the floor and the usual way, on real tracks.

``python -m bench.cost`` runs the three in turn, round after round, so that whatever else the
machine does falls on all of them; medians are compared. CPU is user and system time, children
included. The floor neither measures nor normalises nor verifies anything.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.settings import Settings
from bench.corpus import corpus_folder
from bench.line import Bill, Spent, bill_of
from bench.ways import excerpt, floor, usual

Given = TypeVar("Given")
OUT = Path(__file__).with_name("out")
DEFAULT_TRACKS = (
    "love_theme.ogg",
    "battle-epic.ogg",
    "into_the_shadows.ogg",
    "frantic.ogg",  # loud and hard to encode: first candidates may not do
    "knalgan_theme.ogg",
)
WARM_UP_S = 5.0
AT_MOST_TIMES_THE_FLOOR = 1.5
AT_LEAST_TIMES_CHEAPER_THAN_USUAL = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """One run of each way on one track, in CPU seconds."""

    floor_s: float
    usual_s: float
    line: Bill
    line_process_s: float
    """The line's whole process: start-up, a warm-up track and the track."""


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of one track."""

    track: str
    rounds: tuple[Round, ...]

    @property
    def floor_s(self) -> float:
        """Median CPU of the floor."""
        return median(one.floor_s for one in self.rounds)

    @property
    def usual_s(self) -> float:
        """Median CPU of the usual way."""
        return median(one.usual_s for one in self.rounds)

    @property
    def line_s(self) -> float:
        """Median CPU of the track on a line that already runs."""
        return median(one.line.total.cpu_s for one in self.rounds)

    @property
    def line_process_s(self) -> float:
        """Median CPU of a process that is started for this track."""
        return median(one.line_process_s for one in self.rounds)

    @property
    def encodes_beyond_the_first(self) -> int:
        """The same in every round: the line is deterministic."""
        return self.rounds[0].line.beyond_the_first

    @property
    def times_the_floor(self) -> float:
        """What the measured, mastered, verified way costs more than the bare one."""
        return self.line_s / self.floor_s

    @property
    def times_cheaper_than_usual(self) -> float:
        """What it saves."""
        return self.usual_s / self.line_s

    def stages(self) -> Mapping[str, Spent]:
        """Return the median of each stage."""
        bills = [one.line.stages for one in self.rounds]
        return {
            name: Spent(
                median(bill[name].wall_s for bill in bills),
                median(bill[name].python_s for bill in bills),
                median(bill[name].ffmpeg_s for bill in bills),
            )
            for name in bills[0]
        }


def measure(tracks: Sequence[Path], rounds: int, binary: FFmpegBinary) -> Iterator[Result]:
    """Run every way ``rounds`` times on each track."""
    for track in tracks:
        done = []
        for number in range(rounds):
            print(f"{track.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                done.append(_round(track, binary, Path(folder)))
        yield Result(track.name, tuple(done))


def _round(track: Path, binary: FFmpegBinary, folder: Path) -> Round:
    tiers = Settings().tiers()
    floor_s, _ = _cpu_s(lambda at: floor(binary.path, track, at, tiers), folder)
    process_s, bill = _cpu_s(lambda at: _line(binary, track, at), folder)
    usual_s, _ = _cpu_s(lambda at: usual(binary.path, track, at, tiers), folder)
    return Round(floor_s, usual_s, bill, process_s)


def _line(binary: FFmpegBinary, track: Path, folder: Path) -> Bill:
    warm_up = excerpt(binary.path, track, folder / "warm-up.wav", seconds=WARM_UP_S)
    return bill_of(track, folder, warm_up)


def _cpu_s(way: Callable[[Path], Given], below: Path) -> tuple[float, Given]:
    """Return the CPU that the way's processes used, and what it returned."""
    folder = below / "way"
    folder.mkdir()
    before = _children_s()
    result = way(folder)
    cpu_s = _children_s() - before
    shutil.rmtree(folder)
    return cpu_s, result


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(results: Sequence[Result], console: Console) -> None:
    """Print what each track cost, and where on the line."""
    table = Table(title="CPU seconds per track (medians)")
    table.add_column("track", no_wrap=True)
    headings = ("floor", "line", "cold", "usual", "re-enc.", "÷ floor", "usual ÷")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in results:
        table.add_row(
            one.track,
            f"{one.floor_s:.2f}",
            f"{one.line_s:.2f}",
            f"{one.line_process_s:.2f}",
            f"{one.usual_s:.2f}",
            str(one.encodes_beyond_the_first),
            f"{one.times_the_floor:.2f}",
            f"{one.times_cheaper_than_usual:.2f}",
        )
    console.print(table)
    for one in results:
        stages = Table(title=f"{one.track}: the line by stage, seconds")
        stages.add_column("stage")
        for heading in ("wall", "CPU Python", "CPU FFmpeg"):
            stages.add_column(heading, justify="right")
        for name, cost in one.stages().items():
            stages.add_row(
                name, f"{cost.wall_s:.2f}", f"{cost.python_s:.2f}", f"{cost.ffmpeg_s:.2f}"
            )
        console.print(stages)


def verdicts(results: Sequence[Result]) -> Iterator[tuple[bool, str]]:
    """Yield each promise, and whether it was kept."""
    first = [one for one in results if one.encodes_beyond_the_first == 0]
    if first:
        ratio = sum(one.line_s for one in first) / sum(one.floor_s for one in first)
        yield (
            ratio <= AT_MOST_TIMES_THE_FLOOR,
            f"{ratio:.2f} × the floor over the {len(first)} tracks whose first encodes passed "
            f"(reach: ≤ {AT_MOST_TIMES_THE_FLOOR})",
        )
    overall = sum(one.line_s for one in results) / sum(one.floor_s for one in results)
    cheaper = sum(one.usual_s for one in results) / sum(one.line_s for one in results)
    yield (
        cheaper >= AT_LEAST_TIMES_CHEAPER_THAN_USUAL,
        f"{cheaper:.2f} × cheaper than the usual way over all {len(results)} tracks "
        f"(reach: ≥ {AT_LEAST_TIMES_CHEAPER_THAN_USUAL:g}); {overall:.2f} × the floor",
    )


def save(results: Sequence[Result], binary: FFmpegBinary) -> Path:
    """Write every round to ``bench/out/cost.json`` and return its path."""
    OUT.mkdir(exist_ok=True)
    target = OUT / "cost.json"
    rows = [
        {
            **asdict(one),
            "floor_s": one.floor_s,
            "usual_s": one.usual_s,
            "line_s": one.line_s,
            "encodes_beyond_the_first": one.encodes_beyond_the_first,
            "times_the_floor": one.times_the_floor,
            "times_cheaper_than_usual": one.times_cheaper_than_usual,
        }
        for one in results
    ]
    document = {"ffmpeg": binary.version, "results": rows}
    target.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="bench.cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tracks", type=int, default=4, help="how many of the default ones")
    parser.add_argument("--track", type=Path, action="append", help="this file instead")
    given = parser.parse_args(arguments)
    folder = corpus_folder()
    tracks = given.track or [
        path for name in DEFAULT_TRACKS[: given.tracks] for path in folder.rglob(name)
    ]
    if not tracks:
        print(f"bench: no tracks in {folder}; `make corpus` brings them", file=sys.stderr)
        return 3
    binary = find_ffmpeg()
    console = Console()
    results = list(measure([path.resolve() for path in tracks], given.rounds, binary))
    show(results, console)
    kept = list(verdicts(results))
    for fine, text in kept:
        verdict = "kept" if fine else "NOT KEPT"
        console.print(f"{verdict}: {text}", highlight=False, soft_wrap=True)
    console.print(f"every round: {save(results, binary)}", highlight=False, soft_wrap=True)
    return 0 if all(fine for fine, _ in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
