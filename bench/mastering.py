"""What each preset costs on a long track, next to the line without mastering; and flat memory.

``python -m bench.mastering`` masters one real track with every preset, twice as the line does
(once analysed, once rendered), and divides by the CPU seconds of the whole line with mastering
off, measured in the same run. ``--flat`` instead sends three hours through the fullest preset and
prints the process's peak memory as it goes.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.repair import RepairSpikes
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.catalogue import LEVEL_DEPENDENT
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.preset import packaged
from audio_processor.mastering.profile import ProfileMeter
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import Block
from bench.corpus import corpus_folder
from bench.line import bill_of, spent
from bench.ways import excerpt

OUT = Path(__file__).with_name("out")
DEFAULT_TRACK = "knalgan_theme.ogg"
ROUNDS = 3
BLOCK_FRAMES = 16_384
TRANSPARENT_REACH = 0.03
FULLEST_REACH = 0.40
FLAT_HOURS = 3.0
FLAT_RATE_HZ = 44_100
FLAT_GROWTH_MIB = 16.0
"""What three hours may add to what ten minutes took: the meters' figures, by the second."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds that a preset adds to a track's way."""

    preset: str
    analysis_s: float
    """Beyond an analysis without a chain: the first pass, and the source's own meter."""
    render_s: float
    """The second pass."""
    survey_s: float = 0.0
    """A decode and its loudness, for presets that need the programme's level."""

    @property
    def total_s(self) -> float:
        """All passes."""
        return self.analysis_s + self.render_s + self.survey_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return 1 where a reach is missed."""
    parser = argparse.ArgumentParser(prog="bench.mastering", description=__doc__)
    parser.add_argument("--track", default=DEFAULT_TRACK)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--flat", action="store_true", help="three hours through each preset")
    parser.add_argument("--preset", help="with --flat: this preset instead of the fullest")
    given = parser.parse_args(arguments)
    if given.flat:
        return flat(given.preset or fullest())
    track = corpus_folder() / given.track
    if not track.is_file():
        print(f"{given.track} is not in {corpus_folder()}; run `make corpus`", file=sys.stderr)
        return 2
    return costs(track, given.rounds)


def fullest() -> str:
    """Return the preset with the most stages."""
    return max(packaged().values(), key=lambda preset: len(preset.stages)).name


def costs(track: Path, rounds: int) -> int:
    """Measure and print every preset's cost."""
    rate_hz, audio = _decoded(track)
    names = list(packaged())
    for name in names:  # compiles, and touches what the first run of a stage touches
        _drain(name, audio[: 20 * rate_hz], rate_hz)
    found: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(rounds):
        plain_s = _spend(partial(_analyse, Chain(), audio, rate_hz))
        for name in names:
            chain = Chain(packaged()[name].stages)
            analysis_s = _spend(partial(_analyse, chain, audio, rate_hz))
            render_s = _spend(partial(_drain, name, audio, rate_hz))
            found[name].append(Cost(name, max(0.0, analysis_s - plain_s), render_s))
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        warm_up = excerpt(find_ffmpeg().path, track, Path(folder) / "warm-up.wav", seconds=5.0)
        bill = bill_of(track, Path(folder) / "line", warm_up, preset="off")
    survey_s = _heard_s(track, lambda rate: LevelMeter(rate, 2))
    profile_s = _heard_s(track, ProfileMeter)
    match_s = _match_s(audio, rate_hz)
    rows = [_middle(name, found[name], survey_s) for name in names]
    line_s, encode_s = bill.total.cpu_s, bill.stages["render"].ffmpeg_s
    _print(track, len(audio) / rate_hz, rows, line_s, encode_s)
    print(
        f"auto adds a profile: {profile_s:.2f} CPU s, {profile_s / line_s:.1%} of the line; a "
        f"reference match that and {match_s:.2f}, {(profile_s + match_s) / line_s:.1%} in all"
    )
    OUT.mkdir(exist_ok=True)
    report = {"line_s": line_s, "encode_s": encode_s, "presets": [asdict(row) for row in rows]}
    (OUT / "mastering.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    return _verdict(rows, line_s)


def _middle(name: str, costs: Sequence[Cost], survey_s: float) -> Cost:
    needs_its_level = any(isinstance(s, LEVEL_DEPENDENT) for s in packaged()[name].stages)
    return Cost(
        name,
        median(one.analysis_s for one in costs),
        median(one.render_s for one in costs),
        survey_s if needs_its_level else 0.0,
    )


def _heard_s(track: Path, meter_at: Callable[[int], LevelMeter | ProfileMeter]) -> float:
    """Return what it costs to decode a track into a meter, FFmpeg included."""
    before = spent()
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        supervisor = Supervisor(find_ffmpeg(), Path(folder), ProcessLimits())
        probed = probe(supervisor, track, track.name)
        meter = meter_at(probed.sample_rate_hz)
        with decode(supervisor, track, probed, file_name=track.name) as decoder:
            for block in RepairSpikes()(decoder, probed.sample_rate_hz):
                meter.push(block)
        meter.result()
    return (spent() - before).cpu_s


def _match_s(audio: Block, rate_hz: int) -> float:
    """Return what two passes through a reference match cost."""
    meter = ProfileMeter(rate_hz)
    meter.push(audio)
    heard = meter.result()
    brighter = replace(heard, mid_db=heard.mid_db + np.linspace(-3.0, 3.0, heard.mid_db.size))
    chain = Chain((ReferenceMatch().toward(heard, brighter),))
    return 2.0 * _spend(partial(_through, chain, audio, rate_hz))


def _print(
    track: Path, duration_s: float, rows: Sequence[Cost], line_s: float, encode_s: float
) -> None:
    table = Table(title=f"{track.name}, {duration_s:.0f} s: CPU seconds of mastering")
    headings = (
        "stages",
        "survey",
        "analysis +",
        "render +",
        "all",
        "of the line",
        "of the encodes",
    )
    for heading in ("preset", *headings):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    for row in rows:
        table.add_row(
            row.preset,
            str(len(packaged()[row.preset].stages)),
            f"{row.survey_s:.2f}",
            f"{row.analysis_s:.2f}",
            f"{row.render_s:.2f}",
            f"{row.total_s:.2f}",
            f"{row.total_s / line_s:.1%}",
            f"{row.total_s / encode_s:.1%}",
        )
    Console(width=110).print(table)
    print(f"the line with mastering off: {line_s:.2f} CPU s, its render's FFmpegs {encode_s:.2f}")


def _verdict(rows: Sequence[Cost], line_s: float) -> int:
    by_name = {row.preset: row.total_s / line_s for row in rows}
    dearest = max(by_name, key=lambda name: by_name[name])
    missed = 0
    for name, reach in (("transparent", TRANSPARENT_REACH), (dearest, FULLEST_REACH)):
        kept = by_name[name] <= reach
        missed += not kept
        word = "kept" if kept else "NOT KEPT"
        print(f"{word}: {name} costs {by_name[name]:.1%} of the line (reach: ≤ {reach:.0%})")
    return 1 if missed else 0


def flat(preset: str) -> int:
    """Send three hours through a preset; print peak memory at ten minutes and at the end."""
    chain, frames = Chain(packaged()[preset].stages), 0
    marks = {round(600 * FLAT_RATE_HZ): 0.0}
    start_s = time.process_time()
    for block in chain(_endless(round(FLAT_HOURS * 3600 * FLAT_RATE_HZ)), FLAT_RATE_HZ):
        frames += len(block)
        for mark, seen in marks.items():
            if not seen and frames >= mark:
                marks[mark] = _peak_rss_mib()
    early, late = next(iter(marks.values())), _peak_rss_mib()
    kept = late - early <= FLAT_GROWTH_MIB
    print(
        f"{'kept' if kept else 'NOT KEPT'}: {preset}, {FLAT_HOURS:g} h in "
        f"{time.process_time() - start_s:.0f} CPU s: peak RSS {early:.0f} MiB after ten minutes, "
        f"{late:.0f} MiB at the end (reach: + {FLAT_GROWTH_MIB:g} MiB at most)"
    )
    return 0 if kept else 1


def _endless(frames: int) -> Iterator[Block]:
    """Noise with a slow swell, made as it is asked for."""
    rng, done = np.random.default_rng(7), 0
    while done < frames:
        length = min(BLOCK_FRAMES, frames - done)
        level = 0.05 + 0.2 * (1.0 + np.sin(done / FLAT_RATE_HZ / 20.0))
        yield (level * rng.standard_normal((length, 2))).astype(np.float32)
        done += length


def _decoded(track: Path) -> tuple[int, Block]:
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        supervisor = Supervisor(find_ffmpeg(), Path(folder), ProcessLimits())
        probed = probe(supervisor, track, track.name)
        with decode(supervisor, track, probed, file_name=track.name) as decoder:
            return probed.sample_rate_hz, np.concatenate(list(decoder))


def _blocks(audio: Block) -> Iterator[Block]:
    return (audio[start : start + BLOCK_FRAMES] for start in range(0, len(audio), BLOCK_FRAMES))


def _drain(preset: str, audio: Block, rate_hz: int) -> None:
    _through(Chain(packaged()[preset].stages), audio, rate_hz)


def _through(chain: Chain, audio: Block, rate_hz: int) -> None:
    for _ in chain(_blocks(audio), rate_hz):
        pass


def _analyse(chain: Chain, audio: Block, rate_hz: int) -> None:
    analyse(_blocks(audio), rate_hz, chain)


def _spend(work: Callable[[], None]) -> float:
    start_s = time.process_time()
    work()
    return time.process_time() - start_s


def _peak_rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
