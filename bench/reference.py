"""Reference matching on real pairs, beside Matchering 2.0: spectral distance, CPU, memory.

``python -m bench.reference`` matches ten tracks to one of their kind each, and some more.
Distances are ``bench.thirds``'s; ``bench.reference_ways`` says what CPU and memory are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from audio_processor.mastering.match import Guards
from audio_processor.media.binary import find_ffmpeg
from bench.corpus import corpus_folder
from bench.reference_job import Match
from bench.reference_ways import Cost, Way, matchering, matchering_python, ours, run
from bench.thirds import BANDS_HZ, Sound, sound_of
from bench.ways import excerpt

OUT = Path(__file__).with_name("out")
UNAVAILABLE = 3
WARM_UP_S = 5.0

PAIRS = (
    ("track1.opus", "track11.opus"),
    ("track11.opus", "track3_enhanced.opus"),
    ("track3_enhanced.opus", "track11.opus"),
    ("knalgan_theme.ogg", "track3_enhanced.opus"),
    ("vengeful.ogg", "frantic.ogg"),
    ("frantic.ogg", "frantic-old.ogg"),
    ("elvish-theme.ogg", "battle-epic.ogg"),
    ("into_the_shadows.ogg", "elvish-theme.ogg"),
    ("airship_2.ogg", "chipdisko.ogg"),
    ("ice_music.ogg", "airship_2.ogg"),
)
"""Target and reference: tracks of more than two minutes, each with one of its kind."""
OTHERS = (
    ("track1.opus", "track3_enhanced.opus"),
    ("knalgan_theme.ogg", "vengeful.ogg"),
    ("into_the_shadows.ogg", "vengeful.ogg"),
    ("darkforestkeep.ogg", "elvish-theme.ogg"),
    ("sad.ogg", "ice_music.ogg"),
    ("voc-night.ogg", "voc-daytime2.ogg"),
)
"""Shown without a promise: where the rails bind, where neighbouring bands ask for opposite
extremes, or too short for a program's start not to be what costs."""

SHRINKS_TO = 0.5
MOVES_AT_MOST_LU = 0.2
CPU_SHARE = 1 / 3
MEMORY_SHARE = 1 / 4


@dataclass(frozen=True, slots=True)
class Made:
    """What a way's file measures, and what it took to make."""

    distance_db: float
    integrated_lufs: float
    true_peak_dbtp: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Result:
    """One pair."""

    target: str
    reference: str
    promised: bool
    before_db: float
    beyond_rails_db: float
    """The part of the distance that no curve within the guard rails could take away."""
    before_lufs: float
    ours: Made
    match: Match
    theirs: Made | None
    """None where Matchering is not to be had."""

    @property
    def shrinks_to(self) -> float:
        """The distance that is left, as a share of what it was."""
        return self.ours.distance_db / self.before_db

    @property
    def moved_lu(self) -> float:
        """How much louder our file is than the target was: limiter and all."""
        return self.ours.integrated_lufs - self.before_lufs


class Bench:
    """The tracks as WAV in a folder, each decoded and measured once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ffmpeg = find_ffmpeg().path
        self._sounds: dict[str, Sound] = {}

    def warm_up(self, track: str) -> None:
        """Have our kernels compiled: a machine pays for that once, not each track."""
        target = self._folder / "warm-up.wav"
        excerpt(self._ffmpeg, self._wav(track), target, seconds=WARM_UP_S)
        run(ours(target, target, self._folder / "out.wav"))

    def compare(self, target: str, reference: str, theirs: Way | None, *, promised: bool) -> Result:
        """Match the pair both ways."""
        made, printed = self._make(ours, target, reference)
        before = self._sound(target)
        return Result(
            target=target,
            reference=reference,
            promised=promised,
            before_db=before.distance_db(self._sound(reference)),
            beyond_rails_db=_beyond_rails_db(before.differences_db(self._sound(reference))),
            before_lufs=before.integrated_lufs,
            ours=made,
            match=Match(**json.loads(printed.splitlines()[-1])),
            theirs=None if theirs is None else self._make(theirs, target, reference)[0],
        )

    def _make(self, way: Way, target: str, reference: str) -> tuple[Made, str]:
        out = self._folder / "out.wav"
        cost, printed = run(way(self._wav(target), self._wav(reference), out))
        sound = sound_of(self._ffmpeg, out)
        distance_db = sound.distance_db(self._sound(reference))
        return Made(distance_db, sound.integrated_lufs, sound.true_peak_dbtp, cost), printed

    def _sound(self, track: str) -> Sound:
        if track not in self._sounds:
            self._sounds[track] = sound_of(self._ffmpeg, self._wav(track))
        return self._sounds[track]

    def _wav(self, track: str) -> Path:
        """Return the track as both ways read it: 44.1 kHz, floats, for some peak over 0 dBFS."""
        wav = self._folder / f"{track}.wav"
        if not wav.exists():
            [source] = corpus_folder().rglob(track)
            argv = [str(self._ffmpeg), "-nostdin", "-v", "error", "-i", str(source)]
            argv += ["-map", "0:a:0", "-ac", "2", "-ar", "44100", "-c:a", "pcm_f32le", str(wav)]
            subprocess.run(argv, check=True)
        return wav


def _beyond_rails_db(differences_db: NDArray[np.float64]) -> float:
    guards = Guards()
    treble = np.greater(BANDS_HZ, guards.treble_hz)
    cut_db = np.where(treble, guards.max_treble_cut_db, guards.max_change_db)
    boost_db = np.where(treble, guards.max_treble_boost_db, guards.max_change_db)
    reachable = np.clip(differences_db, -boost_db, cut_db)
    return float(np.abs(differences_db - reachable).mean())


def show(results: Sequence[Result], console: Console) -> None:
    """Print a row for each pair."""
    table = Table(title="Distance to the reference in dB; CPU seconds; MiB")
    table.add_column("target ← reference", no_wrap=True)
    headings = ("dB", "beyond", "ours", "theirs", "left", "LU", "CPU", "theirs", "MiB", "theirs")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in results:
        theirs = one.theirs
        table.add_row(
            f"{one.target} ← {one.reference}" + ("" if one.promised else " *"),
            f"{one.before_db:.2f}",
            f"{one.beyond_rails_db:.2f}",
            f"{one.ours.distance_db:.2f}",
            f"{theirs.distance_db:.2f}" if theirs else "–",
            f"{one.shrinks_to:.2f}",
            f"{one.moved_lu:+.2f}",
            f"{one.ours.cost.cpu_s:.1f}",
            f"{theirs.cost.cpu_s:.1f}" if theirs else "–",
            f"{one.ours.cost.memory_mib:.0f}",
            f"{theirs.cost.memory_mib:.0f}" if theirs else "–",
        )
    console.print(table)
    console.print("dB: the distance before; beyond: what of it lies past the guard rails")
    console.print("left: what we leave of it; LU: by how much our file is louder; *: no promise")


def verdicts(results: Sequence[Result]) -> Iterator[tuple[bool, str]]:
    """Yield each promise, and whether it was kept."""
    worst = max(results, key=lambda one: one.shrinks_to)
    yield (
        worst.shrinks_to <= SHRINKS_TO,
        f"of the distance at most {worst.shrinks_to:.2f} is left (reach: ≤ {SHRINKS_TO:g})",
    )
    moved_lu = max(abs(one.moved_lu) for one in results)
    filter_lu = max(abs(one.match.loudness_moved_lu) for one in results)
    yield (
        moved_lu <= MOVES_AT_MOST_LU,
        f"loudness moves by {moved_lu:.2f} LU at most, by {filter_lu:.2f} LU before any gain "
        f"(reach: ≤ {MOVES_AT_MOST_LU:g})",
    )
    both = [(one, one.theirs) for one in results if one.theirs is not None]
    if not both:
        return
    nearer = sum(one.ours.distance_db <= theirs.distance_db for one, theirs in both)
    mean_db = sum(one.ours.distance_db for one, _ in both) / len(both)
    their_mean_db = sum(theirs.distance_db for _, theirs in both) / len(both)
    yield (
        nearer == len(both),
        f"nearer than Matchering on {nearer} of {len(both)}; {mean_db:.2f} dB against "
        f"{their_mean_db:.2f} in the mean (reach: on all)",
    )
    ours_s = sum(one.ours.cost.cpu_s for one, _ in both)
    share = ours_s / sum(theirs.cost.cpu_s for _, theirs in both)
    worst_share = max(one.ours.cost.cpu_s / theirs.cost.cpu_s for one, theirs in both)
    yield (
        share <= CPU_SHARE,
        f"{share:.2f} of its CPU over all, {worst_share:.2f} at most (reach: ≤ {CPU_SHARE:.2f})",
    )
    memory = max(one.ours.cost.memory_mib / theirs.cost.memory_mib for one, theirs in both)
    yield (
        memory <= MEMORY_SHARE,
        f"at most {memory:.2f} of its memory (reach: ≤ {MEMORY_SHARE:g})",
    )


def save(results: Sequence[Result]) -> Path:
    """Write what there is to ``bench/out/reference.json`` and return its path."""
    target = OUT / "reference.json"
    document = [{**asdict(one), "shrinks_to": one.shrinks_to} for one in results]
    target.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="bench.reference", description=__doc__)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many of the ten")
    parser.add_argument("--others", action="store_true", help="and those without a promise")
    parser.add_argument("--alone", action="store_true", help="without Matchering")
    given = parser.parse_args(arguments)
    pairs = [(*pair, True) for pair in PAIRS[: given.pairs]]
    pairs += [(*pair, False) for pair in OTHERS if given.others]
    if not all(list(corpus_folder().rglob(name)) for pair in pairs for name in pair[:2]):
        print(f"bench: tracks are missing in {corpus_folder()}; run `make corpus`", file=sys.stderr)
        return UNAVAILABLE
    OUT.mkdir(exist_ok=True)
    theirs = None if given.alone else matchering(matchering_python(OUT / "matchering"))
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder))
        bench.warm_up(pairs[0][0])
        for target, reference, promised in pairs:
            print(f"{target} ← {reference}", file=sys.stderr, flush=True)
            results.append(bench.compare(target, reference, theirs, promised=promised))
            save(results)
    console = Console(width=130)
    show(results, console)
    kept = list(verdicts([one for one in results if one.promised]))
    for fine, text in kept:
        console.print(f"{'kept' if fine else 'NOT KEPT'}: {text}", highlight=False, soft_wrap=True)
    console.print(f"every figure: {save(results)}", highlight=False, soft_wrap=True)
    return 0 if all(fine for fine, _ in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
