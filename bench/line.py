"""One track through the public library, in a process of its own that accounts for itself.

``python -m bench.line TRACK FOLDER [--warm-up FILE]`` prints one line of JSON: a ``Bill``.
A daemon pays for imports and compiled code once, so a short warm-up track may go first; the
bill is of the real track alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from audio_processor import AudioProcessor, Settings

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall and CPU seconds (user and system); ``ffmpeg_s`` is that of ended children."""

    wall_s: float
    python_s: float
    ffmpeg_s: float

    @property
    def cpu_s(self) -> float:
        """CPU of the process and its children."""
        return self.python_s + self.ffmpeg_s

    def __sub__(self, earlier: Spent) -> Spent:
        return Spent(
            self.wall_s - earlier.wall_s,
            self.python_s - earlier.python_s,
            self.ffmpeg_s - earlier.ffmpeg_s,
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """What one track cost, and where."""

    total: Spent
    stages: dict[str, Spent]
    encodes: dict[str, int]
    """By tier: how many candidates were encoded."""
    peak_rss_mib: dict[str, float]
    """The Python process's high-water mark when each stage ended: where it grew."""

    @property
    def beyond_the_first(self) -> int:
        """Encodes that a tier needed after its first."""
        return sum(self.encodes.values()) - len(self.encodes)


@dataclass(slots=True)
class StageBill:
    """A progress listener that reads the clocks at every change of stage."""

    stages: dict[str, Spent] = field(default_factory=dict)
    peak_rss_mib: dict[str, float] = field(default_factory=dict)
    _left: tuple[str, Spent] | None = None

    def stage(self, _track_id: str, stage: str) -> None:
        """Bill the stage that ends here."""
        self._close()
        self._left = (stage, spent())

    def advance(self, _track_id: str, _fraction: float) -> None:
        """Ignore it."""

    def finished(self, _track_id: str) -> None:
        """Bill the last stage."""
        self._close()

    def _close(self) -> None:
        if self._left is not None:
            name, since = self._left
            self.stages[name] = spent() - since
            peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.peak_rss_mib[name] = round(peak_kib / 1024, 1)
            self._left = None


def spent() -> Spent:
    """Return what this process and its ended children have used until now."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(
        time.perf_counter(), mine.ru_utime + mine.ru_stime, theirs.ru_utime + theirs.ru_stime
    )


def settings_below(folder: Path, preset: str | None = None) -> Settings:
    """Return the default settings, all that is written below ``folder``, with this preset."""
    mastering = {} if preset is None else {"mastering": {"preset": preset}}
    return Settings.model_validate(
        {
            **mastering,
            "database": {"path": folder / "queue.db"},
            "storage": {"folder": folder / "store"},
            "scratch": {"folder": folder / "scratch"},
        }
    )


def run_line(track: Path, folder: Path, warm_up: Path | None, preset: str | None = None) -> Bill:
    """Process the track in this process. Raises ``RuntimeError`` where it does not complete."""
    settings = settings_below(folder, preset)
    stages = StageBill()
    if warm_up is not None:
        with AudioProcessor(None, None, settings=settings) as processor:
            processor.enqueue(warm_up)
            _drain(processor)
    with AudioProcessor(None, None, settings=settings, progress=stages) as processor:
        upload_id = processor.enqueue(track)
        before = spent()
        _drain(processor)
        total = spent() - before
        summary = processor.find(upload_id).summary
    assert summary is not None
    tiers = {tier.name for tier in settings.tiers()}  # the m4a is one tier's encode again
    encodes = {one.name: one.candidates for one in summary.renditions if one.name in tiers}
    return Bill(total, stages.stages, encodes, stages.peak_rss_mib)


def _drain(processor: AudioProcessor) -> None:
    if processor.process_pending_tracks() != (1, 0):
        raise RuntimeError("the track did not complete")


def line_argv(
    track: Path, folder: Path, warm_up: Path | None = None, preset: str | None = None
) -> list[str]:
    """Return the command that prints the track's bill."""
    argv = [sys.executable, "-m", "bench.line", str(track), str(folder)]
    if warm_up is not None:
        argv += ["--warm-up", str(warm_up)]
    return argv if preset is None else [*argv, "--preset", preset]


def bill_of(
    track: Path, folder: Path, warm_up: Path | None = None, preset: str | None = None
) -> Bill:
    """Run the line on the track in a fresh process and return its bill."""
    done = subprocess.run(
        line_argv(track, folder, warm_up, preset),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return read_bill(done.stdout)


def read_bill(text: str) -> Bill:
    """Return the bill that the last line of the text is."""
    raw: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    stages = {name: Spent(**one) for name, one in raw["stages"].items()}
    return Bill(Spent(**raw["total"]), stages, raw["encodes"], raw["peak_rss_mib"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the bill of one track."""
    parser = argparse.ArgumentParser(prog="bench.line", description=__doc__)
    parser.add_argument("track", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--warm-up", type=Path)
    parser.add_argument("--preset")
    given = parser.parse_args(arguments)
    bill = run_line(given.track, given.folder, given.warm_up, given.preset)
    print(json.dumps(asdict(bill)))


if __name__ == "__main__":
    main()
