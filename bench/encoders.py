"""FFmpeg's AAC encoder against fdkaac, on real tracks, each through the whole line's steps.

``python -m bench.encoders [--fdkaac PATH] [--tracks N] [--track FILE …]`` prints, for each track
and encoder, the CPU of everything from probe to package and of one bare encode a tier, how many
encodes each tier took, what each tier measures, and how far it lies from the source in time. The
two ways alternate within one run, so that a busy machine does both the same wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import signal

from audio_processor import Settings
from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.media.decode import decode_adts
from audio_processor.media.encode import Encoder, NativeAac
from audio_processor.media.fdkaac import Fdkaac
from audio_processor.media.fdkaac_binary import find_fdkaac
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Block, Candidate, EncodedTier, Ladder, Source, Verified
from audio_processor.wiring import open_studio
from audio_processor.workbench import Workbench, process_limits
from bench.corpus import corpus_folder
from bench.line import Spent, spent

OUT = Path(__file__).with_name("out")
DEFAULT_TRACKS = (
    *("airship_2.ogg", "battle-epic.ogg", "chipdisko.ogg", "classic.ogg", "frantic.ogg"),
    *("love_theme.ogg", "menu.opus", "sad.ogg", "track1.opus", "treeboss.ogg"),
)
EXCERPT_S, HEARD_S = 60.0, 20.0
"""Of a bare encode, long enough that FFmpeg's start weighs little; of a correlation."""
FINE_HZ = 192_000
_TRUE_PEAK_DBTP, _LOUDNESS_LU, _OFFSET_MS = -1.0, 0.3, 0.05

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rung:
    """One tier as delivered."""

    tier: str
    encodes: int
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    limited_by: str | None
    offset_ms: float
    """Of the decoded programme against the source, by correlation."""
    bare_encode_s: float
    """CPU of one encode of the source at the tier's rate, the encoder's process alone."""


@dataclass(frozen=True, slots=True)
class Run:
    """One track through one encoder."""

    track: str
    encoder: str
    cpu: Spent
    promised_lufs: float | None
    rungs: tuple[Rung, ...]

    def faults(self) -> Iterator[str]:
        """Yield what is out of tolerance with no reason given."""
        for rung in self.rungs:
            where = f"{self.track} {self.encoder} {rung.tier}"
            if abs(rung.offset_ms) > _OFFSET_MS:
                yield f"{where}: {rung.offset_ms:+.3f} ms from the source"
            if rung.limited_by is not None or None in (rung.integrated_lufs, self.promised_lufs):
                continue
            if rung.true_peak_dbtp is not None and rung.true_peak_dbtp > _TRUE_PEAK_DBTP:
                yield f"{where}: {rung.true_peak_dbtp:+.2f} dBTP"
            assert rung.integrated_lufs is not None and self.promised_lufs is not None
            if abs(rung.integrated_lufs - self.promised_lufs) > _LOUDNESS_LU:
                yield f"{where}: {rung.integrated_lufs:.2f} LUFS for {self.promised_lufs:.2f}"


def run(track: Path, encoder: Encoder, ffmpeg: FFmpegBinary, settings: Settings) -> Run:
    """Take the track from probe to package."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        supervisor = Supervisor(ffmpeg, folder, process_limits(settings.limits))
        bench = Workbench(settings, open_studio(settings), supervisor, encoder, folder)
        source = Source(track, track.name, track.stem, track.stat().st_size, "")
        before = spent()
        probed = bench.probe(source)
        treatment = bench.treat(source, probed, None)
        analysis = bench.analyse(source, probed, treatment)
        plan = bench.plan(analysis, treatment)
        ladder = bench.render(source, probed, treatment, analysis, plan)
        verified: Verified = bench.verify(ladder, plan)
        bench.package("bench", source, probed, treatment, analysis, plan, verified)
        cpu = spent() - before
        with bench.decode(source, probed) as decoder:
            pcm = _first(decoder, round(EXCERPT_S * probed.sample_rate_hz))
        rungs = _rungs(supervisor, encoder, ladder, pcm, probed.sample_rate_hz)
        return Run(track.name, encoder.name, cpu, plan.predicted_lufs, rungs)


def _rungs(
    supervisor: Supervisor, encoder: Encoder, ladder: Ladder, pcm: Pcm, rate_hz: int
) -> tuple[Rung, ...]:
    return tuple(
        Rung(
            one.encoded.tier.name,
            len(one.tried),
            one.measured.integrated_lufs,
            one.measured.true_peak_dbtp,
            one.limited_by,
            _offset_ms(supervisor, one.encoded, pcm, rate_hz),
            _bare_encode_s(supervisor, encoder, one.encoded, pcm, rate_hz),
        )
        for one in ladder.renditions
    )


def _offset_ms(supervisor: Supervisor, encoded: EncodedTier, pcm: Pcm, rate_hz: int) -> float:
    tier_hz = encoded.tier.sample_rate_hz
    frames = encoded.lead_frames + round(HEARD_S * tier_hz)
    with decode_adts(supervisor, encoded.path, sample_rate_hz=tier_hz) as blocks:
        heard = _first(blocks, frames)
    a = soxr.resample(pcm[: round(HEARD_S * rate_hz), 0], rate_hz, FINE_HZ, quality="VHQ").astype(
        np.float64
    )
    b = soxr.resample(heard[:, 0], tier_hz, FINE_HZ, quality="VHQ").astype(np.float64)
    correlation = signal.correlate(b, a, method="fft")
    lag = int(np.argmax(np.abs(correlation))) - (len(a) - 1)
    return 1000 * (lag / FINE_HZ - encoded.lead_frames / tier_hz)


def _bare_encode_s(
    supervisor: Supervisor, encoder: Encoder, encoded: EncodedTier, pcm: Pcm, rate_hz: int
) -> float:
    """Return the CPU of the child alone; ours (dither, pipe) is in the run's."""
    tier = encoded.tier
    at_rate = soxr.resample(pcm, rate_hz, tier.sample_rate_hz, quality="HQ")
    before = spent()
    encoder.encode(
        supervisor,
        iter(np.array_split(at_rate, max(1, len(at_rate) // 16_384))),
        tier=tier,
        candidate=Candidate(-1.5),
        target=supervisor.job_dir / "bare.aac",
        padding_frames=0,
    )
    return (spent() - before).ffmpeg_s


def _first(blocks: Iterator[Block], frames: int) -> Pcm:
    """Return the first frames of a stream."""
    parts: list[Block] = []
    missing = frames
    for block in blocks:
        parts.append(block[:missing])
        missing -= len(parts[-1])
        if missing <= 0:
            break
    return np.concatenate(parts)


def show(runs: Sequence[Run], console: Console) -> None:
    """Print every run, and the sums."""
    table = Table(title="One track, two encoders")
    for heading in ("track", "encoder", "CPU s", "encodes", "LUFS", "dBTP", "offset ms"):
        table.add_column(heading, justify="left" if heading == "track" else "right")
    for one in runs:
        table.add_row(
            one.track,
            one.encoder,
            f"{one.cpu.cpu_s:.2f}",
            " ".join(str(rung.encodes) for rung in one.rungs),
            " ".join(f"{rung.integrated_lufs or 0:.2f}" for rung in one.rungs),
            " ".join(f"{rung.true_peak_dbtp or 0:.2f}" for rung in one.rungs),
            " ".join(f"{rung.offset_ms:+.3f}" for rung in one.rungs),
        )
    console.print(table)
    for name in ("aac", "fdkaac"):
        mine = [one for one in runs if one.encoder == name]
        bare = {
            rung.tier: sum(
                r.bare_encode_s for one in mine for r in one.rungs if r.tier == rung.tier
            )
            for rung in mine[0].rungs
        }
        encodes = sum(rung.encodes for one in mine for rung in one.rungs)
        console.print(
            f"{name}: {sum(one.cpu.cpu_s for one in mine):.1f} CPU s in all, {encodes} encodes of "
            f"{sum(len(one.rungs) for one in mine)} tiers; bare encodes of {EXCERPT_S:g} s: "
            + ", ".join(f"{tier} {seconds:.2f}" for tier, seconds in bare.items()),
            highlight=False,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; 1 where something is out of tolerance."""
    parser = argparse.ArgumentParser(prog="bench.encoders", description=__doc__)
    parser.add_argument("--fdkaac", type=Path, help="else the one on PATH")
    parser.add_argument("--tracks", type=int, default=len(DEFAULT_TRACKS))
    parser.add_argument("--track", type=Path, action="append", help="this file instead")
    parser.add_argument("--first-ceilings", help="dBTP of low, med, high: -3,-3,-2")
    given = parser.parse_args(arguments)
    folder = corpus_folder()
    tracks = given.track or [folder / name for name in DEFAULT_TRACKS[: given.tracks]]
    if not all(track.is_file() for track in tracks):
        print(f"bench: not all tracks are in {folder}; `make corpus` brings them", file=sys.stderr)
        return 3
    ffmpeg, settings = find_ffmpeg(), Settings()
    if given.first_ceilings:
        settings = _with_ceilings(settings, [float(c) for c in given.first_ceilings.split(",")])
    encoders: tuple[Encoder, ...] = (NativeAac(), Fdkaac(find_fdkaac(given.fdkaac, ffmpeg)))
    runs = []
    run(tracks[0], encoders[1], ffmpeg, settings)  # kernels are compiled, files are cached
    for track in tracks:
        for encoder in encoders:
            print(f"{track.name}: {encoder.name}", file=sys.stderr, flush=True)
            runs.append(run(track, encoder, ffmpeg, settings))
    console = Console()
    show(runs, console)
    faults = [fault for one in runs for fault in one.faults()]
    for fault in faults:
        console.print(f"OUT OF TOLERANCE: {fault}", highlight=False, soft_wrap=True)
    OUT.mkdir(exist_ok=True)
    document = {"versions": dict(encoders[1].versions), "runs": [asdict(one) for one in runs]}
    (OUT / "encoders.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    return 1 if faults else 0


def _with_ceilings(settings: Settings, ceilings_dbtp: Sequence[float]) -> Settings:
    tiers = tuple(
        tier.model_copy(update={"first_ceiling_dbtp": ceiling})
        for tier, ceiling in zip(settings.ladder.tiers, ceilings_dbtp, strict=True)
    )
    ladder = settings.ladder.model_copy(update={"tiers": tiers})
    return settings.model_copy(update={"ladder": ladder})


if __name__ == "__main__":
    sys.exit(main())
