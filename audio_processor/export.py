"""Master a local file into a local file: the line's own steps, without queue and store.

WAV and FLAC are written at the source's rate, limited to the master's ceiling and dithered
where they hold integers; an m4a is the ladder's best tier, as the line would deliver it. What is
told of the file is measured on the file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from audio_processor.delivery.m4a import mux_m4a
from audio_processor.dsp.dither import Dither
from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.stage import watched
from audio_processor.errors import ConfigError, VerificationFailed
from audio_processor.mastering.plan import plan_warnings
from audio_processor.mastering.render import levelled, limited
from audio_processor.mastering.studio import Studio
from audio_processor.mastering.treatment import Treatment
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.lossless import Container, PcmForm, write_pcm
from audio_processor.model import Analysis, Blocks, Loudness, Mastering, Plan, Probe, Source
from audio_processor.ports import Progress
from audio_processor.settings import Settings
from audio_processor.workbench import Workbench, open_encoder, process_limits

CEILING_TOLERANCE_DB = 0.1
"""How far an independent meter may read a limited signal over its ceiling; DESIGN's promise."""
LOUDNESS_TOLERANCE_LU = 0.1
MAX_RENDERS = 4
"""A file further from the plan's loudness is rendered again, by what it was off."""

MIN_FLAC_FRAMES = 16
"""The smallest block that RFC 9639 §8.2 and FFmpeg's encoder know."""

LOCAL_REFERENCE = "given"
"""The name under which a studio has the reference that a command was given."""

BitDepth = Literal[16, 24, 32]


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What the file is to be."""

    bit_depth: BitDepth = 24
    sample_rate_hz: int | None = None
    """None keeps the source's; an m4a has its tier's."""


def export_form(bit_depth: int, sample_rate_hz: int | None) -> ExportForm:
    """Return what the file is to be. Raises ``ConfigError`` for a depth that there is not."""
    match bit_depth:
        case 16 | 24 | 32:
            return ExportForm(bit_depth, sample_rate_hz)
    raise ConfigError(f"A bit depth of {bit_depth} cannot be written: choose 16, 24 or 32.")


def local_wish(
    preset: str | None, mastering: str | None, *, matched: bool, strength_percent: float | None
) -> str | None:
    """Return a command's options in the form of a row's wish.

    Raises ``ConfigError`` where two of them say different things.
    """
    if mastering is not None:
        if preset is not None or matched or strength_percent is not None:
            raise ConfigError("--mastering stands for itself: say all of it in the JSON.")
        return mastering
    asked: dict[str, object] = {}
    if preset is not None:
        asked["preset"] = preset
    if matched:
        asked["reference"] = LOCAL_REFERENCE
    if strength_percent is not None:
        asked["match_strength_percent"] = strength_percent
    return json.dumps(asked) if asked else None


def names_of(references: Iterable[Path]) -> str:
    """Return what is told of the references that a command was given: names, and no folders."""
    return ", ".join(file.name for file in references)


@dataclass(frozen=True, slots=True)
class Mastered:
    """What was done and what the written file measures."""

    target: Path
    source: Loudness
    delivered: Loudness
    """Of the written file, decoded again."""
    mastering: Mastering
    plan: Plan
    duration_s: float
    sample_rate_hz: int
    size_bytes: int
    warnings: tuple[str, ...]


def master_file(
    file: Path,
    target: Path,
    settings: Settings,
    studio: Studio,
    *,
    wish: str | None,
    form: ExportForm,
    progress: Progress,
) -> Mastered:
    """Master ``file`` into ``target``, whose ending says what it becomes: wav, flac or m4a.

    The target appears whole or not at all. Raises ``ConfigError`` for a target that cannot
    be, ``MasteringRejected``, ``VerificationFailed``, and what decoding raises.
    """
    container = container_of(target, form)
    binary = find_ffmpeg(settings.ffmpeg.path)
    encoder = open_encoder(settings.encoder, binary)
    with _folder_beside(target) as scratch:
        supervisor = Supervisor(binary, scratch, process_limits(settings.limits))
        if container == "m4a":
            best = max(settings.ladder.tiers, key=lambda tier: tier.bit_rate)
            ladder = settings.ladder.model_copy(update={"tiers": (best,)})
            settings = settings.model_copy(update={"ladder": ladder})
        bench = Workbench(settings, studio, supervisor, encoder, scratch)
        source = Source(file.resolve(), file.name, file.stem, file.stat().st_size, "")
        try:
            job = _prepare(bench, source, wish, progress)
            _hold_length(job, target, container, form)
            made = scratch / f"mastered.{container}"
            if container == "m4a":
                mastered = _as_m4a(bench, source, job, made, progress)
            else:
                mastered = _as_pcm(bench, source, job, made, container, form, progress)
            made.replace(target)
        finally:
            progress.finished(source.track_id)
    return replace(mastered, target=target)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """Make a folder beside the target, so that the finished file needs only a new name.

    Raises ``ConfigError`` where the target cannot be written.
    """
    folder = target.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: there is nowhere to write {target.name}.")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder: name a file in it.")
    try:
        made = tempfile.TemporaryDirectory(prefix=".audio-processor-", dir=folder)
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: {error.strerror}. Name a file elsewhere."
        ) from error
    with made as name:
        yield Path(name)


def container_of(target: Path, form: ExportForm) -> Literal["wav", "flac", "m4a"]:
    """Return what the target's ending asks for. Raises ``ConfigError`` where that cannot be."""
    match target.suffix.lower():
        case ".wav":
            return "wav"
        case ".flac" if form.bit_depth == 32:
            raise ConfigError(f"{target.name}: FLAC holds 16 or 24 bits; give --bit-depth 24.")
        case ".flac":
            return "flac"
        case ".m4a" if form.sample_rate_hz is not None:
            raise ConfigError(f"{target.name}: an m4a has the rate of the ladder's best tier.")
        case ".m4a":
            return "m4a"
        case ending:
            raise ConfigError(
                f"{target.name} ends in {ending or 'nothing'!r}: name a .wav, .flac or .m4a."
            )


@dataclass(frozen=True, slots=True)
class _Job:
    """What was decided and measured before anything is rendered."""

    probed: Probe
    treatment: Treatment
    analysis: Analysis
    plan: Plan

    def mastered(self, target: Path, delivered: Loudness, rate_hz: int) -> Mastered:
        return Mastered(
            target=target,
            source=self.analysis.source,
            delivered=delivered,
            mastering=self.treatment.told(self.analysis.stages),
            plan=self.plan,
            duration_s=self.analysis.duration_s,
            sample_rate_hz=rate_hz,
            size_bytes=target.stat().st_size,
            warnings=(
                *self.analysis.warnings,
                *plan_warnings(self.plan, self.treatment.targets),
            ),
        )


def _prepare(bench: Workbench, source: Source, wish: str | None, progress: Progress) -> _Job:
    progress.stage(source.track_id, "probe")
    probed = bench.probe(source)
    progress.stage(source.track_id, "treat")
    treatment = bench.treat(source, probed, wish)
    progress.stage(source.track_id, "analyse")
    advance = partial(progress.advance, source.track_id)
    analysis = bench.analyse(source, probed, treatment, advance)
    return _Job(probed, treatment, analysis, bench.plan(analysis, treatment))


def _hold_length(job: _Job, target: Path, container: str, form: ExportForm) -> None:
    """Raise ``ConfigError`` for what is too short for the container."""
    rate_hz = job.probed.sample_rate_hz
    frames = job.analysis.frames * (form.sample_rate_hz or rate_hz) / rate_hz
    if container == "flac" and round(frames) < MIN_FLAC_FRAMES:
        raise ConfigError(
            f"{target.name}: FLAC holds no fewer than {MIN_FLAC_FRAMES} samples a channel, "
            f"and there would be {round(frames)}: name a .wav."
        )


def _as_m4a(
    bench: Workbench, source: Source, job: _Job, made: Path, progress: Progress
) -> Mastered:
    progress.stage(source.track_id, "render")
    advance = partial(progress.advance, source.track_id)
    ladder = bench.render(source, job.probed, job.treatment, job.analysis, job.plan, advance)
    progress.stage(source.track_id, "verify")
    verified = bench.verify(ladder, job.plan)
    best = verified.ladder.best
    mux_m4a(bench.supervisor, best.encoded, made, tags=job.probed.tags, cover=job.probed.cover)
    mastered = job.mastered(made, best.programme, best.encoded.tier.sample_rate_hz)
    return replace(mastered, warnings=(*mastered.warnings, *verified.warnings))


def _as_pcm(
    bench: Workbench,
    source: Source,
    job: _Job,
    made: Path,
    container: Container,
    form: ExportForm,
    progress: Progress,
) -> Mastered:
    rate_hz = form.sample_rate_hz or job.probed.sample_rate_hz
    pcm = PcmForm(container, form.bit_depth, rate_hz)
    advance = partial(progress.advance, source.track_id)
    for _ in range(MAX_RENDERS):
        progress.stage(source.track_id, "render")
        with bench.decode(source, job.probed) as decoder:
            rendered = _rendered(decoder, job, pcm)
            counted = watched(rendered, job.analysis.duration_s * rate_hz, advance)
            write_pcm(bench.supervisor, counted, made, pcm, tags=job.probed.tags)
        progress.stage(source.track_id, "verify")
        delivered = _measured(bench, made)
        missing_lu = _missing_lu(delivered, job.plan)
        if abs(missing_lu) <= LOUDNESS_TOLERANCE_LU:
            break
        # bare transients are limited otherwise than the envelope foretold: now it is known how
        job = replace(job, plan=replace(job.plan, gain_db=job.plan.gain_db + missing_lu))
    _check(delivered, job.plan)
    return job.mastered(made, delivered, rate_hz)


def _rendered(blocks: Blocks, job: _Job, pcm: PcmForm) -> Blocks:
    """Chain, gain and rider at the source's rate; ceiling and dither at the file's own."""
    rate_hz, plan = job.probed.sample_rate_hz, job.plan
    has_spikes = job.analysis.facts.decoder_spikes > 0
    blocks = levelled(blocks, rate_hz, job.treatment.chain, plan, has_spikes=has_spikes)
    blocks = limited(blocks, rate_hz, plan, out_rate_hz=pcm.sample_rate_hz)
    if pcm.bit_depth != 32:
        blocks = Dither(pcm.bit_depth)(blocks, pcm.sample_rate_hz)
    return blocks


def _measured(bench: Workbench, made: Path) -> Loudness:
    """Decode the written file and measure it."""
    written = Source(made, made.name, made.stem, made.stat().st_size, "")
    probed = bench.probe(written)
    meter = LevelMeter(probed.sample_rate_hz, 2)
    with bench.decode(written, probed) as decoder:
        for block in decoder:
            meter.push(block)
    return meter.result()


def _missing_lu(delivered: Loudness, plan: Plan) -> float:
    """Return what the file lacks of the planned loudness; 0 where there is nothing to compare."""
    measured, planned = delivered.integrated_lufs, plan.predicted_lufs
    if plan.mode == "none" or measured is None or planned is None:
        return 0.0
    return planned - measured


def _check(delivered: Loudness, plan: Plan) -> None:
    """Hold the file against the plan. Raises ``VerificationFailed``."""
    peak_dbtp = delivered.true_peak_dbtp
    if peak_dbtp is not None and peak_dbtp > plan.ceiling_dbtp + CEILING_TOLERANCE_DB:
        raise VerificationFailed(
            f"The file peaks at {peak_dbtp:.2f} dBTP, above its ceiling of {plan.ceiling_dbtp:g}."
        )
    missing_lu = _missing_lu(delivered, plan)
    if abs(missing_lu) > LOUDNESS_TOLERANCE_LU:
        raise VerificationFailed(
            f"The file is {-missing_lu:+.2f} LU off the planned {plan.predicted_lufs:.2f} LUFS "
            f"after {MAX_RENDERS} renders."
        )
