"""Gathers the report of a file: mastered, encoded and packaged as an upload, then measured.

The file is taken down the line's own steps in a private folder. *After* is the m4a that comes
out, decoded without lead and tail. ``upload`` does the same for what was published long ago.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from audio_processor.dsp.bands import power
from audio_processor.dsp.stage import watched
from audio_processor.mastering.profile import Profile
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import Blocks, Probe, Source
from audio_processor.naming import track_id_of
from audio_processor.ports import Progress
from audio_processor.reporting.data import (
    Delivered,
    GainDone,
    Limits,
    Programme,
    Reference,
    ReportData,
    SourceFile,
    Story,
)
from audio_processor.reporting.delivered import read_metadata
from audio_processor.reporting.reduction import gain_done
from audio_processor.reporting.series import ProgrammeMeter
from audio_processor.settings import Settings
from audio_processor.workbench import Workbench

A_FILE = "file"
"""The status of what is no upload."""

Advance = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """A programme that can be decoded again; valid as long as its folder is there."""

    open: Callable[[], AbstractContextManager[Blocks]]
    sample_rate_hz: int
    frames: int
    """As declared, for progress; 0 where unknown."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A report's data, and the two programmes for excerpts of them."""

    data: ReportData
    before: Recording | None
    after: Recording | None


def gather_file(
    file: Path,
    bench: Workbench,
    progress: Progress,
    *,
    wish: str | None = None,
) -> Gathered:
    """Master, encode, measure and package the file as an upload would be, then report on that.

    ``bench.folder`` holds the outputs, and needs the room of a job's scratch folder; nothing is
    written elsewhere. Raises what the line raises for an upload that fails.
    """
    track_id = track_id_of(file.name)
    enter, advance = partial(progress.stage, track_id), partial(progress.advance, track_id)
    path = file.resolve()
    source = Source(path, file.name, track_id, path.stat().st_size, sha256(path))
    enter("analyse")
    probed = bench.probe(source)
    treatment = bench.treat(source, probed, wish)
    analysis = bench.analyse(source, probed, treatment, advance)
    plan = bench.plan(analysis, treatment)
    enter("render")
    ladder = bench.render(source, probed, treatment, analysis, plan, advance)
    verified = bench.verify(ladder, plan)
    enter("package")
    packaged = bench.package("", source, probed, treatment, analysis, plan, verified)
    enter("measure before")
    opened = partial(bench.decode, source, probed)
    before = Recording(opened, probed.sample_rate_hz, analysis.frames)
    measured = measure(before, advance)
    enter("measure after")
    after, heard = listen(bench.supervisor, packaged.m4a.path, advance)
    delivered = read_metadata(packaged.metadata)
    data = assemble(
        bench.settings,
        story=Story(upload_id=None, status=A_FILE),
        file_name=file.name,
        delivered=delivered,
        before=measured,
        after=heard,
        profiles=bench.studio.profiles,
        gain=gain_done(analysis, plan, delivered),
    )
    return Gathered(data, before, after)


# ── shared with uploads ──────────────────────────────────────────────────────────────────


def measure(recording: Recording, advance: Advance) -> Programme:
    """Decode the recording through the meters. Raises what decoding raises."""
    meter = ProgrammeMeter(recording.sample_rate_hz)
    with recording.open() as decoded:
        blocks = watched(decoded, recording.frames, advance) if recording.frames else decoded
        for block in blocks:
            meter.push(block)
    return meter.result()


def listen(supervisor: Supervisor, path: Path, advance: Advance) -> tuple[Recording, Programme]:
    """Return an m4a as a gapless player hears it: FFmpeg follows its edit list."""
    probed = probe(supervisor, path, path.name)
    opened = partial(decode, supervisor, path, probed, file_name=path.name)
    recording = Recording(opened, probed.sample_rate_hz, declared_frames(probed))
    return recording, measure(recording, advance)


def declared_frames(probed: Probe) -> int:
    """Return the length that a file declares; 0 for none."""
    return round((probed.declared_duration_s or 0.0) * probed.sample_rate_hz)


def sha256(path: Path) -> str:
    """Return the file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def assemble(
    settings: Settings,
    *,
    story: Story,
    file_name: str,
    delivered: Delivered | None,
    before: Programme | None,
    after: Programme | None,
    profiles: Mapping[str, Profile],
    gain: GainDone | None,
    source: SourceFile | None = None,
    notes: tuple[str, ...] = (),
) -> ReportData:
    """Put the parts together. The title is the tags' own, else the file's name."""
    loudness = settings.loudness
    source = source or (delivered.source if delivered else None)
    tags: Mapping[str, str] = source.tags if source else {}
    return ReportData(
        title=tags.get("title") or file_name,
        story=story,
        source=source,
        before=before,
        after=after,
        delivered=delivered,
        limits=Limits(loudness.tolerance_lu, loudness.delivered_true_peak_dbtp),
        reference=_reference(delivered, profiles),
        gain=gain,
        notes=notes,
        made_at=datetime.now(UTC),
        version=_version(),
    )


def _version() -> str:
    try:
        return version("audio-processor")
    except PackageNotFoundError:  # run from a bare checkout
        return "unknown"


def _reference(delivered: Delivered | None, profiles: Mapping[str, Profile]) -> Reference | None:
    """Return the curve of the stored profile that the track was matched to, if it is known."""
    name = delivered.mastering.reference if delivered and delivered.mastering else None
    if name is None or name not in profiles:
        return None
    profile = profiles[name]
    bands = (power(profile.mid_db) + power(profile.side_db)).reshape(-1, 4).sum(axis=1)
    levels_db = np.full(bands.size, np.nan)
    levels_db[bands > 0.0] = 10.0 * np.log10(bands[bands > 0.0])
    return Reference(name, levels_db)
