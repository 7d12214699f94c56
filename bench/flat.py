"""Does the cost stay flat? Hours of real music through the whole line, memory and disk watched.

``python -m bench.flat`` loops a real track to three hours of FLAC, runs the line on it in a
process of its own and samples ``/proc``: the resident set of the Python process (the kernel's
own high-water mark), of it and all its children together, and the bytes in the scratch folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from audio_processor.media.binary import find_ffmpeg
from bench.corpus import corpus_folder
from bench.line import ROOT, Bill, line_argv, read_bill
from bench.process_tree import bytes_below, kib_of, with_programs

OUT = Path(__file__).with_name("out")
TRACK = "knalgan_theme.ogg"
SAMPLE_EVERY_S = 0.05
SLOW_SAMPLE_EVERY_S = 0.5
"""What costs more to read: proportional shares of memory, and the scratch folder."""
MIB = 2**20
PYTHON_AT_MOST_MIB = 250.0
TOGETHER_AT_MOST_MIB = 512.0
SCRATCH_AT_MOST_TIMES_SOURCE = 3


@dataclass(slots=True)
class Peaks:
    """The highest values seen."""

    python_rss_mib: float = 0.0
    """VmHWM: the kernel's, which no sample can miss."""
    together_rss_mib: float = 0.0
    """Resident sets added up, so pages that processes share count more than once."""
    together_pss_mib: float = 0.0
    """The same with shared pages shared out: what the machine really gives."""
    processes: int = 0
    scratch_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Flat:
    """One run: what was put in, what it took and what came out."""

    hours: float
    source_bytes: int
    output_bytes: int
    wall_s: float
    samples: int
    peaks: Peaks
    bill: Bill

    def verdicts(self) -> Iterator[tuple[bool, str]]:
        """Yield each promise, and whether it was kept."""
        peaks, mib = self.peaks, self.peaks.scratch_bytes / MIB
        allowed = SCRATCH_AT_MOST_TIMES_SOURCE * self.source_bytes + self.output_bytes
        yield (
            peaks.python_rss_mib <= PYTHON_AT_MOST_MIB,
            f"peak RSS of the Python process {peaks.python_rss_mib:.0f} MiB "
            f"(reach: ≤ {PYTHON_AT_MOST_MIB:g})",
        )
        yield (
            peaks.together_rss_mib <= TOGETHER_AT_MOST_MIB,
            f"of it and all its children {peaks.together_rss_mib:.0f} MiB, "
            f"{peaks.together_pss_mib:.0f} MiB with shared pages shared out "
            f"(reach: ≤ {TOGETHER_AT_MOST_MIB:g})",
        )
        yield (
            peaks.scratch_bytes <= allowed,
            f"peak scratch {mib:.0f} MiB "
            f"(reach: ≤ {allowed / MIB:.0f}, three times the source and the outputs)",
        )


def looped(ffmpeg: Path, track: Path, target: Path, *, hours: float) -> Path:
    """Write the track over and over again into a FLAC of this length."""
    argv = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-stream_loop", "-1"]
    # a looped file's time stamps overlap at every seam: count samples instead
    argv += ["-i", str(track), "-map", "0:a:0", "-af", "asetpts=N/SR/TB"]
    argv += ["-t", f"{hours * 3600:g}"]
    argv += ["-c:a", "flac", "-sample_fmt", "s16", "-compression_level", "0", str(target)]
    subprocess.run(argv, check=True)
    return target


def watch(process: subprocess.Popen[str], scratch: Path) -> tuple[Peaks, int]:
    """Sample the process and its children until it ends; return the peaks and how many samples."""
    peaks, samples, slow_at = Peaks(), 0, 0.0
    while process.poll() is None:
        pids = with_programs(process.pid)
        peaks.processes = max(peaks.processes, len(pids))
        peaks.python_rss_mib = max(
            peaks.python_rss_mib, kib_of(process.pid, "status", "VmHWM") / 1024
        )
        together_mib = sum(kib_of(pid, "status", "VmRSS") for pid in pids) / 1024
        peaks.together_rss_mib = max(peaks.together_rss_mib, together_mib)
        if time.monotonic() >= slow_at:
            slow_at = time.monotonic() + SLOW_SAMPLE_EVERY_S
            shared_out_mib = sum(kib_of(pid, "smaps_rollup", "Pss") for pid in pids) / 1024
            peaks.together_pss_mib = max(peaks.together_pss_mib, shared_out_mib)
            peaks.scratch_bytes = max(peaks.scratch_bytes, bytes_below(scratch))
        samples += 1
        with suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_EVERY_S)
    return peaks, samples


def run(track: Path, hours: float, below: Path) -> Flat:
    """Make the long source, run the line on it, and return what it took."""
    source = looped(find_ffmpeg().path, track, below / "long.flac", hours=hours)
    folder = below / "line"
    started = time.monotonic()
    with subprocess.Popen(
        line_argv(source, folder), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        peaks, samples = watch(process, folder / "scratch")
        answer = process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"the line ended with {process.returncode}")
    return Flat(
        hours=hours,
        source_bytes=source.stat().st_size,
        output_bytes=bytes_below(folder / "store/mwonya_audio_tracks"),
        wall_s=time.monotonic() - started,
        samples=samples,
        peaks=peaks,
        bill=read_bill(answer),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="bench.flat", description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--track", type=Path, help="what to loop")
    given = parser.parse_args(arguments)
    track = given.track or next(corpus_folder().rglob(TRACK), None)
    if track is None:
        print(f"bench: {TRACK} is not there; `make corpus` brings it", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="bench-flat-") as folder:
        flat = run(track.resolve(), given.hours, Path(folder))
    print(
        f"{flat.hours:g} h of stereo, {flat.source_bytes / MIB:.0f} MiB of FLAC: "
        f"{flat.wall_s:.0f} s, {flat.bill.total.cpu_s:.0f} CPU s, encodes {flat.bill.encodes}, "
        f"up to {flat.peaks.processes} processes, {flat.samples} samples"
    )
    grown = ", ".join(f"{stage} {mib:.0f}" for stage, mib in flat.bill.peak_rss_mib.items())
    print(f"the Python process's peak RSS when each stage ended, MiB: {grown}")
    kept = list(flat.verdicts())
    for fine, text in kept:
        print(f"{'kept' if fine else 'NOT KEPT'}: {text}")
    OUT.mkdir(exist_ok=True)
    (OUT / "flat.json").write_text(json.dumps(asdict(flat), indent=2), encoding="utf-8")
    return 0 if all(fine for fine, _ in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
