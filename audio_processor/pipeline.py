"""One track's way, from a claimed row to a published ladder. Read this first.

::

    claim → fetch → probe → analyse → plan → render → verify → package → publish → (record)

Each step takes what the step before returned, so nothing unverified can be published. What
becomes of the row is decided in ``outcome.py`` and recorded by the worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from audio_processor.delivery.candidates import Tolerance
from audio_processor.delivery.ladder import LadderSpec, Programme, TierSpec, render_ladder
from audio_processor.delivery.package import PackageInputs, package
from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.delivery.verify import verify
from audio_processor.job import Job
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.plan import PlanLimits, make_plan
from audio_processor.mastering.tiers import TierForecast, levelled_envelope
from audio_processor.media.bandwidth import aac_cutoff_hz
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import Decoder, decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.placement import Placement
from audio_processor.media.probe import MediaLimits, probe
from audio_processor.model import (
    Analysis,
    Claim,
    Envelope,
    Ladder,
    Package,
    Plan,
    Probe,
    Receipt,
    Source,
    Spectrum,
    Verified,
)
from audio_processor.naming import track_id_of
from audio_processor.ports import ObjectStore, Progress
from audio_processor.scratch import Scratch
from audio_processor.settings import LimitSettings, Settings, TierSettings

RANGE_TOLERANCE_LU = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """What every track's way has in common."""

    settings: Settings
    binary: FFmpegBinary
    placement: Placement
    store: ObjectStore
    scratch: Scratch
    chain: Chain
    reserve_output: Callable[[Claim, str], None]

    def run(self, job: Job, progress: Progress) -> Receipt:
        """Take one claimed track to its receipt.

        Raises from the tree in ``errors.py``; nothing is visible to a listener unless all is
        published, and no file or process outlives the call.
        """
        track_id = track_id_of(job.claim.file_name)
        self.reserve_output(job.claim, track_id)
        with self.scratch.job_folder() as folder:
            limits = process_limits(self.settings.limits)
            supervisor = Supervisor(self.binary, folder, limits, self.placement)
            job.on_cancel(supervisor.cancel)
            try:
                return _Track(self, job, progress, track_id, folder, supervisor).run()
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
    supervisor: Supervisor

    def run(self) -> Receipt:
        source = self.fetch()
        probed = self.probe(source)
        analysis = self.analyse(source, probed)
        plan = self.plan(analysis)
        analysis = replace(analysis, warnings=(*analysis.warnings, *self._plan_warnings(plan)))
        ladder = self.render(source, probed, analysis, plan)
        verified = self.verify(ladder, plan)
        packaged = self.package(source, probed, analysis, plan, verified)
        return self.publish(packaged)

    def fetch(self) -> Source:
        self._enter("fetch")
        name, storage = self.job.claim.file_name, self.line.settings.storage
        path = self.folder / "source"
        size_bytes = self.line.store.download(
            storage.raw_prefix + name,
            path,
            max_bytes=self.line.settings.limits.max_size_bytes,
            progress=lambda _bytes: self.job.check(),
        )
        return Source(path, name, self.track_id, size_bytes, _sha256(path))

    def probe(self, source: Source) -> Probe:
        self._enter("probe")
        limits = media_limits(self.line.settings.limits)
        return probe(self.supervisor, source.path, source.file_name, limits)

    def analyse(self, source: Source, probed: Probe) -> Analysis:
        self._enter("analyse")
        with self._decode(source, probed) as decoder:
            analysis = analyse(decoder, probed.sample_rate_hz, self.line.chain)
        warnings = (*probed.warnings, *decoder.warnings, *analysis.warnings)
        return replace(analysis, warnings=warnings)

    def plan(self, analysis: Analysis) -> Plan:
        self._enter("plan")
        loudness = self.line.settings.loudness
        limits = PlanLimits(
            max_gain_db=loudness.max_gain_db,
            max_gain_reduction_db=loudness.max_gain_reduction_db,
        )
        return make_plan(analysis, self.line.settings.targets(), limits)

    def render(self, source: Source, probed: Probe, analysis: Analysis, plan: Plan) -> Ladder:
        self._enter("render")
        ladder = self.line.settings.ladder
        envelope = levelled_envelope(analysis, plan)
        spec = LadderSpec(
            tiers=tuple(
                self._tier_spec(each, envelope, analysis.spectrum, plan) for each in ladder.tiers
            ),
            max_candidates=ladder.max_candidates,
            tolerance=self._tolerance(plan),
            folder=self.folder,
            stall_timeout_s=self.line.settings.limits.stall_timeout_s,
        )
        programme = Programme(
            open=partial(self._decode, source, probed),
            sample_rate_hz=probed.sample_rate_hz,
            frames=analysis.frames,
            has_spikes=analysis.facts.decoder_spikes > 0,
        )
        advance = partial(self.progress.advance, self.track_id)
        return render_ladder(self.supervisor, programme, self.line.chain, plan, spec, advance)

    def verify(self, ladder: Ladder, plan: Plan) -> Verified:
        self._enter("verify")
        return verify(ladder, self.line.settings.tiers(), self._tolerance(plan))

    def package(
        self, source: Source, probed: Probe, analysis: Analysis, plan: Plan, verified: Verified
    ) -> Package:
        self._enter("package")
        return package(
            self.supervisor,
            PackageInputs(
                upload_id=self.job.claim.upload_id,
                source=source,
                probe=probed,
                analysis=analysis,
                targets=self.line.settings.targets(),
                plan=plan,
                verified=verified,
                segment_duration_s=self.line.settings.ladder.segment_duration_s,
                folder=self.folder / "package",
            ),
        )

    def publish(self, packaged: Package) -> Receipt:
        self._enter("publish")
        self.job.begin_publishing()
        storage = self.line.settings.storage
        return publish(
            packaged,
            self.line.store,
            output_prefix=f"{storage.processed_prefix}{self.track_id}/",
            cache_control=CacheControl(**dict(storage.cache_control)),
            before_first_write=self.job.renew,
            before_last_write=self.job.renew,
            check=self.job.check,
            advance=partial(self.progress.advance, self.track_id),
        )

    def _enter(self, stage: str) -> None:
        self.job.check()
        self.progress.stage(self.track_id, stage)

    def _decode(self, source: Source, probed: Probe) -> AbstractContextManager[Decoder]:
        limits = self.line.settings.limits
        return decode(
            self.supervisor,
            source.path,
            probed,
            file_name=source.file_name,
            max_duration_s=limits.max_duration_s,
            accept_truncated=limits.accept_truncated,
            stall_timeout_s=limits.stall_timeout_s,
        )

    def _plan_warnings(self, plan: Plan) -> Iterator[str]:
        targets = self.line.settings.targets()
        range_lu = plan.predicted_range_lu
        if targets.range_mode == "preserve" or range_lu is None:
            return
        if range_lu > targets.range_lu + RANGE_TOLERANCE_LU:
            yield (
                f"The loudness range stays at {range_lu:.1f} LU, above the {targets.range_lu:g} LU "
                "asked for: the level changes faster than it may be ridden."
            )

    def _tier_spec(
        self, each: TierSettings, envelope: Envelope, spectrum: Spectrum | None, plan: Plan
    ) -> TierSpec:
        forecast = TierForecast(envelope, spectrum, plan, aac_cutoff_hz(each.as_tier()))
        ceiling_dbtp = plan.ceiling_dbtp
        if plan.mode != "none":  # what is delivered as it is, is delivered alike on all tiers
            ceiling_dbtp = min(each.first_ceiling_dbtp, ceiling_dbtp)
        return TierSpec(each.as_tier(), ceiling_dbtp, forecast.trim_db, forecast.band_loss_lu)

    def _tolerance(self, plan: Plan) -> Tolerance:
        loudness = self.line.settings.loudness
        return Tolerance(
            loudness_lufs=plan.predicted_lufs,
            loudness_lu=loudness.tolerance_lu,
            true_peak_dbtp=loudness.delivered_true_peak_dbtp,
        )


def process_limits(limits: LimitSettings) -> ProcessLimits:
    """Return what one FFmpeg process may use."""
    mib = limits.address_space_mib
    return ProcessLimits(
        cpu_s=limits.cpu_s, address_space_bytes=None if mib is None else mib * 1024**2
    )


def media_limits(limits: LimitSettings) -> MediaLimits:
    """Return what a file may declare of itself."""
    return MediaLimits(
        max_duration_s=limits.max_duration_s,
        max_channels=limits.max_channels,
        min_sample_rate_hz=limits.min_sample_rate_hz,
        max_sample_rate_hz=limits.max_sample_rate_hz,
        max_cover_bytes=limits.max_cover_bytes,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
