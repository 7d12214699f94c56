"""Gathers the report of an upload: what was uploaded, and of a completed one what was published.

Only reads from the store. What cannot be had is left out and named in the report's notes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from audio_processor.dsp.stage import watched
from audio_processor.errors import NameRejected, PermanentError, SourceMissing
from audio_processor.mastering.plan import PlanLimits
from audio_processor.mastering.studio import Studio
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import COMPLETED, Probe
from audio_processor.naming import track_id_of
from audio_processor.ports import ObjectStore, Progress
from audio_processor.reporting.data import (
    AttemptTold,
    Delivered,
    GainDone,
    Programme,
    SourceFile,
    Story,
)
from audio_processor.reporting.delivered import MAX_BYTES, parse_metadata
from audio_processor.reporting.gather import (
    Gathered,
    Recording,
    assemble,
    declared_frames,
    listen,
    measure,
    sha256,
)
from audio_processor.reporting.reduction import replayed
from audio_processor.reporting.rows import UploadRow
from audio_processor.settings import Settings

METADATA_NAME = "metadata.json"
_MAX_M4A_BYTES = 2 * 1024**3


def gather_upload(
    row: UploadRow,
    store: ObjectStore,
    settings: Settings,
    studio: Studio,
    supervisor: Supervisor,
    folder: Path,
    progress: Progress,
) -> Gathered:
    """Fetch what was uploaded and what was published into the folder, and report on that.

    Raises ``StoreUnavailable``, ``DiskFull``, ``EncoderTimeout``; whatever is wrong with the
    objects themselves is told in the report.
    """
    fetch = _Fetch(row, store, settings, supervisor, folder, progress)
    delivered = fetch.delivered()
    raw = fetch.raw()
    before = None if raw is None else fetch.before(raw)
    after = fetch.after()
    data = assemble(
        settings,
        story=_story(row),
        file_name=row.file_name,
        source=delivered.source if delivered else before[2] if before else None,
        delivered=delivered,
        before=before[1] if before else None,
        after=after[1] if after else None,
        profiles=studio.profiles,
        gain=fetch.gain(before[0], delivered) if before and delivered else None,
        notes=tuple(fetch.notes),
    )
    return Gathered(data, before[0] if before else None, after[0] if after else None)


class _Fetch:
    """Brings an upload's objects into the folder, and notes what could not be brought."""

    def __init__(
        self,
        row: UploadRow,
        store: ObjectStore,
        settings: Settings,
        supervisor: Supervisor,
        folder: Path,
        progress: Progress,
    ) -> None:
        self.notes: list[str] = []
        self._row = row
        self._store = store
        self._settings = settings
        self._supervisor = supervisor
        self._folder = folder
        self._enter = partial(progress.stage, row.file_name)
        self._advance = partial(progress.advance, row.file_name)

    def delivered(self) -> Delivered | None:
        """Return what metadata.json says, or None."""
        if self._row.status != COMPLETED:
            return None
        self._enter("fetch")
        try:
            key = self._output_prefix() + METADATA_NAME
            return parse_metadata(self._store.read(key, max_bytes=MAX_BYTES))
        except PermanentError as error:
            self.notes.append(f"{METADATA_NAME} could not be had: {error}")
        except ValueError as error:
            self.notes.append(f"{METADATA_NAME} could not be read: {error}.")
        return None

    def raw(self) -> Path | None:
        """Return the upload as a local file, from whichever prefix it is under, or None."""
        self._enter("fetch")
        storage, name = self._settings.storage, self._row.file_name
        target = self._folder / "source"
        try:
            track_id_of(name)
            for prefix in (storage.raw_prefix, storage.failed_prefix):
                try:
                    most = self._settings.limits.max_size_bytes
                    self._store.download(prefix + name, target, max_bytes=most)
                except SourceMissing:
                    continue
                return target
        except PermanentError as error:
            kind = "" if isinstance(error, NameRejected) else "The upload could not be fetched: "
            self.notes.append(f"{kind}{error}")
            return None
        self.notes.append("The upload itself is not in the store: there is no picture of before.")
        return None

    def before(self, path: Path) -> tuple[Recording, Programme, SourceFile] | None:
        """Return the upload as it came, or None where it cannot be decoded.

        One that was refused for being cut short is shown as far as it goes.
        """
        self._enter("measure before")
        name, limits = self._row.file_name, self._settings.limits
        try:
            probed = probe(self._supervisor, path, name)
            opened = partial(
                decode,
                self._supervisor,
                path,
                probed,
                file_name=name,
                max_duration_s=limits.max_duration_s,
                accept_truncated=True,
                stall_timeout_s=limits.stall_timeout_s,
            )
            recording = Recording(opened, probed.sample_rate_hz, declared_frames(probed))
            programme = measure(recording, self._advance)
        except PermanentError as error:
            self.notes.append(f"There is no picture of before: {error}")
            return None
        return recording, programme, _source_file(name, path, probed)

    def after(self) -> tuple[Recording, Programme] | None:
        """Return the published m4a, or None."""
        if self._row.status != COMPLETED:
            return None
        self._enter("measure after")
        target = self._folder / "delivered.m4a"
        try:
            key = f"{self._output_prefix()}{self._track_id()}.m4a"
            self._store.download(key, target, max_bytes=_MAX_M4A_BYTES)
            return listen(self._supervisor, target, self._advance)
        except PermanentError as error:
            self.notes.append(f"There is no picture of after: {error}")
            return None

    def gain(self, before: Recording, told: Delivered) -> GainDone | None:
        """Return what the plan's gain came to, or None where it cannot be found out."""
        self._enter("plan again")
        loudness = self._settings.loudness
        limits = PlanLimits(
            max_gain_db=loudness.max_gain_db,
            max_gain_reduction_db=loudness.max_gain_reduction_db,
        )
        try:
            with before.open() as blocks:
                told_of = watched(blocks, before.frames, self._advance) if before.frames else blocks
                return replayed(told_of, before.sample_rate_hz, told, limits)
        except PermanentError:  # what was decoded a moment ago
            return None

    def _track_id(self) -> str:
        return self._row.output_key or track_id_of(self._row.file_name)

    def _output_prefix(self) -> str:
        return f"{self._settings.storage.processed_prefix}{self._track_id()}/"


def _story(row: UploadRow) -> Story:
    return Story(
        upload_id=row.upload_id,
        status=row.status or "",
        uploaded_at=row.uploaded_at,
        completed_at=row.completed_at,
        error_code=row.error_code,
        error_message=row.error_message,
        attempts=tuple(
            AttemptTold(
                number=each.number,
                outcome=each.outcome,
                started_at=each.started_at,
                ended_at=each.ended_at,
                error=f"{each.error_code}: {each.error_message}" if each.error_code else "",
            )
            for each in row.history
        ),
        summary=row.summary,
    )


def _source_file(file_name: str, path: Path, probed: Probe) -> SourceFile:
    return SourceFile(
        file_name=file_name,
        size_bytes=path.stat().st_size,
        sha256=sha256(path),
        container=probed.container,
        codec=probed.codec,
        sample_rate_hz=probed.sample_rate_hz,
        channels=probed.channels,
        channel_layout=probed.channel_layout,
        bit_depth=probed.bit_depth,
        bit_rate=probed.bit_rate,
        tags=probed.tags,
    )
