"""Real tracks through ``once`` on every back end, each delivered number checked by FFmpeg.

``python -m bench.acceptance`` starts a PostgreSQL, a MariaDB and an S3 server of its own,
runs the program as an operator would (``migrate``, ``enqueue``, ``once``; configuration by
environment), fetches what was published and measures it with FFmpeg's ``ebur128=peak=true``.
Prints one markdown table and writes it to ``bench/out/acceptance.md``; 1 on any fault.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from audio_processor.media.binary import find_ffmpeg
from bench.back_ends import BACK_ENDS, BackEnd, BackEndName, running
from bench.corpus import corpus_folder, corpus_tracks
from bench.delivered import Delivered, File, judge

OUT = Path(__file__).with_name("out")
SHORT_S, LONG_S = 130.0, 320.0
HEADINGS = (
    "track", "back end", "mode", "source LUFS / dBTP / LRA", "low", "med", "high", "m4a",
    "LRA", "encodes", "verdict",
)  # fmt: skip


def accept(back_end: BackEnd, tracks: Sequence[Path], ffmpeg: Path) -> Iterator[Delivered]:
    """Run the program on the tracks and yield what was delivered of each."""
    back_end.run("migrate")
    back_end.run("enqueue", *map(str, tracks))
    back_end.run("once")
    for track in tracks:
        fetched = back_end.folder / "fetched"
        yield judge(ffmpeg, track, back_end.read, fetched, back_end.name)
        shutil.rmtree(fetched)


def table(delivered: Sequence[Delivered]) -> Iterator[str]:
    """Yield the lines of the markdown table, then every fault."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|" + "---|" * len(HEADINGS)
    for one in delivered:
        source = one.source
        cells = (
            one.track,
            one.back_end,
            one.mode,
            f"{source.integrated_lufs:.1f} / {source.true_peak_dbtp:.1f} / {source.range_lu:.1f}",
            *map(_file_cell, one.files),
            f"{one.files[-1].heard.range_lu:.1f}",
            " ".join(str(file.encodes) for file in one.files if file.encodes),
            "**FAULT**" if one.faults else "ok",
        )
        yield f"| {' | '.join(cells)} |"
    faults = [
        f"{one.track} on {one.back_end}: {fault}" for one in delivered for fault in one.faults
    ]
    files = sum(len(one.files) for one in delivered)
    yield ""
    yield (
        f"{len(delivered)} tracks, {files} delivered files and ladders; per file FFmpeg's LUFS / "
        f"dBTP / measured kbit/s; {len(faults)} faults."
    )
    for fault in faults:
        yield f"- {fault}"


def _file_cell(file: File) -> str:
    heard = file.heard
    rate = file.average_bit_rate / 1000
    return f"{heard.integrated_lufs:.2f} / {heard.true_peak_dbtp:.2f} / {rate:.1f}"


def chosen(name: BackEndName, n: int) -> list[Path]:
    """Return short tracks for the services and other, longer ones for the embedded default."""
    short = corpus_tracks(n, max_duration_s=SHORT_S)
    if name != "embedded":
        return short
    longer = [track for track in corpus_tracks(max_duration_s=LONG_S) if track not in short]
    return (longer + short)[:n]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 1 on a fault, 3 where a server or the music cannot be had."""
    parser = argparse.ArgumentParser(prog="bench.acceptance", description=__doc__)
    parser.add_argument("--tracks", type=int, default=12, help="per back end")
    parser.add_argument("--back-end", choices=BACK_ENDS, action="append")
    given = parser.parse_args(arguments)
    names: Sequence[BackEndName] = given.back_end or BACK_ENDS
    if len(corpus_tracks(given.tracks)) < given.tracks:
        print(f"acceptance: no corpus in {corpus_folder()}; `make corpus` brings it")
        return 3
    ffmpeg = find_ffmpeg().path
    delivered: list[Delivered] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="acceptance-") as folder,
            running(names, Path(folder)) as back_ends,
        ):
            for back_end in back_ends:
                for one in accept(back_end, chosen(back_end.name, given.tracks), ffmpeg):
                    said = "; ".join(one.faults) or "ok"
                    print(f"{back_end.name}: {one.track}: {said}", file=sys.stderr, flush=True)
                    delivered.append(one)
    except (pytest.skip.Exception, pytest.fail.Exception) as unavailable:
        print(f"acceptance: {unavailable.msg}", file=sys.stderr)
        return 3
    lines = "\n".join(table(delivered))
    print(lines)
    OUT.mkdir(exist_ok=True)
    (OUT / "acceptance.md").write_text(f"{lines}\n", encoding="utf-8")
    return 1 if any(one.faults for one in delivered) else 0


if __name__ == "__main__":
    sys.exit(main())
