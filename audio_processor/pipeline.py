"""One track's way, from a claimed row to a published ladder. Read this first.

::

    claim → fetch → probe → treat → analyse → plan → render → verify → package → publish → (record)

Each step takes what the step before returned, so nothing unverified can be published. The
steps that need no queue and no store are ``workbench``'s. What becomes of the row is decided
in ``outcome.py`` and recorded by the worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audio_processor import called_off
from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.errors import SourceMissing
from audio_processor.job import Job
from audio_processor.mastering.studio import Studio
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.encode import Encoder
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.placement import Placement
from audio_processor.model import Claim, Package, Receipt, Source
from audio_processor.naming import printable, track_id_of
from audio_processor.ports import ObjectStore, Progress
from audio_processor.scratch import Scratch
from audio_processor.settings import Settings
from audio_processor.telemetry import heard
from audio_processor.workbench import Workbench, process_limits


@dataclass(frozen=True, slots=True)
class Line:
    """What every track's way has in common."""

    settings: Settings
    binary: FFmpegBinary
    encoder: Encoder
    placement: Placement
    store: ObjectStore
    scratch: Scratch
    studio: Studio
    reserve_output: Callable[[Claim, str], None]

    def run(self, job: Job, progress: Progress) -> Receipt:
        """Take one claimed track to its receipt.

        Raises from the tree in ``errors.py``; nothing is visible to a listener unless all is
        published, and no file or process outlives the call.
        """
        track_id = track_id_of(job.claim.file_name)
        job.insist(partial(self.reserve_output, job.claim, track_id))
        with called_off.on(job), self.scratch.job_folder() as folder:
            limits = process_limits(self.settings.limits)
            supervisor = Supervisor(self.binary, folder, limits, self.placement)
            job.on_cancel(supervisor.cancel)
            bench = Workbench(self.settings, self.studio, supervisor, self.encoder, folder)
            try:
                return _Track(self, job, progress, track_id, folder, bench).run()
            finally:
                progress.finished(track_id)


@dataclass(frozen=True, slots=True)
class _Track:
    """One track on the line: the steps, each in terms of what the step before returned."""

    line: Line
    job: Job
    progress: Progress
    track_id: str
    folder: Path
    bench: Workbench

    def run(self) -> Receipt:
        bench, claim, advance = self.bench, self.job.claim, self._advance
        source = self.fetch()
        self._enter("probe")
        probed = bench.probe(source)
        self._enter("treat")
        treatment = bench.treat(source, probed, claim.mastering)
        self._enter("analyse")
        analysis = bench.analyse(source, probed, treatment, advance)
        heard(analysis.duration_s)
        self._enter("plan")
        plan = bench.plan(analysis, treatment)
        self._enter("render")
        ladder = bench.render(source, probed, treatment, analysis, plan, advance)
        self._enter("verify")
        verified = bench.verify(ladder, plan)
        self._enter("package")
        packaged = bench.package(
            claim.upload_id, source, probed, treatment, analysis, plan, verified
        )
        return self.publish(packaged)

    def fetch(self) -> Source:
        self._enter("fetch")
        name, storage = self.job.claim.file_name, self.line.settings.storage
        path = self.folder / "source"
        try:
            size_bytes = self.line.store.download(
                storage.raw_prefix + name,
                path,
                max_bytes=self.line.settings.limits.max_size_bytes,
                progress=lambda _bytes: self.job.check(),
            )
        except SourceMissing as error:
            self.line.store.ping()  # it knows by now of a refusal that looks like this
            raise SourceMissing(
                f"{printable(name)} is not where uploads lie, in {storage.raw_prefix!r}. "
                "Upload it again."
            ) from error
        return Source(path, name, self.track_id, size_bytes, _sha256(path))

    def publish(self, packaged: Package) -> Receipt:
        self._enter("publish")
        storage = self.line.settings.storage
        return publish(
            packaged,
            self.line.store,
            output_prefix=f"{storage.processed_prefix}{self.track_id}/",
            generation=self.job.generation,
            cache_control=CacheControl(**dict(storage.cache_control)),
            renew=partial(self.job.insist, self.job.renew),
            check=self.job.check,
            advance=self._advance,
        )

    @property
    def _advance(self) -> Callable[[float], None]:
        return partial(self.progress.advance, self.track_id)

    def _enter(self, stage: str) -> None:
        self.job.check()
        self.progress.stage(self.track_id, stage)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
