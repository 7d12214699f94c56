"""What can be done to one audio file without queue or store: the line's steps, from probe on.

``pipeline`` walks these steps for an upload, ``export`` and the report for a file of the
operator's. Each takes what the step before returned.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from audio_processor.delivery.candidates import Tolerance
from audio_processor.delivery.ladder import LadderSpec, Programme, TierSpec, render_ladder
from audio_processor.delivery.package import PackageInputs, package
from audio_processor.delivery.verify import verify
from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.repair import RepairSpikes
from audio_processor.dsp.stage import Advance, watched
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.plan import PlanLimits, make_plan, plan_warnings
from audio_processor.mastering.profile import Profile, ProfileMeter
from audio_processor.mastering.studio import Studio
from audio_processor.mastering.tiers import TierForecast, levelled_envelope
from audio_processor.mastering.treatment import Treatment
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import Decoder, decode
from audio_processor.media.encode import Encoder, NativeAac
from audio_processor.media.fdkaac import Fdkaac
from audio_processor.media.fdkaac_binary import find_fdkaac
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.probe import MediaLimits, probe
from audio_processor.model import (
    Analysis,
    Envelope,
    Ladder,
    Package,
    Plan,
    Probe,
    Source,
    Spectrum,
    Verified,
)
from audio_processor.settings import EncoderSettings, LimitSettings, Settings, TierSettings


def _silent(_fraction: float) -> None:
    return


@dataclass(frozen=True, slots=True)
class Workbench:
    """One file, the folder to work in, and the tools."""

    settings: Settings
    studio: Studio
    supervisor: Supervisor
    encoder: Encoder
    folder: Path
    """Private and empty; whatever the steps make is in here."""

    def probe(self, source: Source) -> Probe:
        """Return what the file says of itself, within the limits."""
        limits = media_limits(self.settings.limits)
        return probe(self.supervisor, source.path, source.file_name, limits)

    def treat(self, source: Source, probed: Probe, wish: str | None) -> Treatment:
        """Decide the mastering; decodes the file only where the decision asks for its sound.

        Raises ``MasteringRejected`` for a wish that cannot be.
        """
        return self.studio.treatment(wish, _Ears(self, source, probed))

    def analyse(
        self,
        source: Source,
        probed: Probe,
        treatment: Treatment,
        advance: Advance = _silent,
    ) -> Analysis:
        """Decode through the mastering chain and measure."""
        rate_hz = probed.sample_rate_hz
        with self.decode(source, probed) as decoder:
            declared = (probed.declared_duration_s or 0.0) * rate_hz
            blocks = watched(decoder, declared, advance) if declared else decoder
            analysis = analyse(blocks, rate_hz, treatment.chain)
        so_far = (*probed.warnings, *treatment.warnings, *decoder.warnings)
        return replace(analysis, warnings=(*so_far, *analysis.warnings))

    def plan(self, analysis: Analysis, treatment: Treatment) -> Plan:
        """Decide the gain. Pure."""
        loudness = self.settings.loudness
        limits = PlanLimits(
            max_gain_db=loudness.max_gain_db,
            max_gain_reduction_db=loudness.max_gain_reduction_db,
            max_mean_gain_reduction_db=loudness.max_mean_gain_reduction_db,
        )
        return make_plan(analysis, treatment.targets, limits)

    def render(
        self,
        source: Source,
        probed: Probe,
        treatment: Treatment,
        analysis: Analysis,
        plan: Plan,
        advance: Advance = _silent,
    ) -> Ladder:
        """Encode every tier and measure what came of it."""
        ladder = self.settings.ladder
        envelope = levelled_envelope(analysis, plan)
        spec = LadderSpec(
            tiers=tuple(
                self._tier_spec(each, envelope, analysis.spectrum, plan) for each in ladder.tiers
            ),
            max_candidates=ladder.max_candidates,
            tolerance=self._tolerance(plan),
            folder=self.folder,
            encoder=self.encoder,
            stall_timeout_s=self.settings.limits.stall_timeout_s,
        )
        programme = Programme(
            open=partial(self.decode, source, probed),
            sample_rate_hz=probed.sample_rate_hz,
            frames=analysis.frames,
            has_spikes=analysis.facts.decoder_spikes > 0,
        )
        return render_ladder(self.supervisor, programme, treatment.chain, plan, spec, advance)

    def verify(self, ladder: Ladder, plan: Plan) -> Verified:
        """Judge the ladder. Raises ``VerificationFailed``."""
        return verify(ladder, self.settings.tiers(), self._tolerance(plan))

    def package(
        self,
        upload_id: str,
        source: Source,
        probed: Probe,
        treatment: Treatment,
        analysis: Analysis,
        plan: Plan,
        verified: Verified,
    ) -> Package:
        """Make everything that will be published."""
        warnings = (*analysis.warnings, *plan_warnings(plan, treatment.targets))
        return package(
            self.supervisor,
            PackageInputs(
                upload_id=upload_id,
                source=source,
                probe=probed,
                mastering=treatment.told(analysis.stages),
                analysis=replace(analysis, warnings=warnings),
                targets=treatment.targets,
                plan=plan,
                verified=verified,
                segment_duration_s=self.settings.ladder.segment_duration_s,
                encoder_versions=self.encoder.versions,
                folder=self.folder / "package",
            ),
        )

    def decode(self, source: Source, probed: Probe) -> AbstractContextManager[Decoder]:
        """Decode to stereo at the file's own rate."""
        limits = self.settings.limits
        return decode(
            self.supervisor,
            source.path,
            probed,
            file_name=source.file_name,
            max_duration_s=limits.max_duration_s,
            accept_truncated=limits.accept_truncated,
            stall_timeout_s=limits.stall_timeout_s,
        )

    def _tier_spec(
        self, each: TierSettings, envelope: Envelope, spectrum: Spectrum | None, plan: Plan
    ) -> TierSpec:
        cutoff_hz = self.encoder.cutoff_hz(each.as_tier())
        forecast = TierForecast(envelope, spectrum, plan, cutoff_hz)
        ceiling_dbtp = plan.ceiling_dbtp
        if plan.mode != "none":  # what is delivered as it is, is delivered alike on all tiers
            ceiling_dbtp = min(each.first_ceiling_dbtp, ceiling_dbtp)
        return TierSpec(each.as_tier(), ceiling_dbtp, forecast.trim_db, forecast.band_loss_lu)

    def _tolerance(self, plan: Plan) -> Tolerance:
        loudness = self.settings.loudness
        return Tolerance(
            loudness_lufs=plan.predicted_lufs,
            loudness_lu=loudness.tolerance_lu,
            true_peak_dbtp=loudness.delivered_true_peak_dbtp,
        )


@dataclass(frozen=True, slots=True)
class _Ears:
    """A file that the studio may listen to."""

    bench: Workbench
    source: Source
    probed: Probe

    def level(self) -> float | None:
        meter = LevelMeter(self.probed.sample_rate_hz, 2)
        with self.bench.decode(self.source, self.probed) as decoder:
            for block in RepairSpikes()(decoder, self.probed.sample_rate_hz):
                meter.push(block)
        return meter.result().integrated_lufs

    def profile(self, chain: Chain) -> Profile:
        rate_hz = self.probed.sample_rate_hz
        meter = ProfileMeter(rate_hz)
        with self.bench.decode(self.source, self.probed) as decoder:
            for block in chain(RepairSpikes()(decoder, rate_hz), rate_hz):
                meter.push(block)
        return meter.result()


def open_encoder(settings: EncoderSettings, ffmpeg: FFmpegBinary) -> Encoder:
    """Return the encoder that is asked for. Raises ``ConfigError`` where it is not to be had."""
    if settings.name == "fdkaac":
        return Fdkaac(find_fdkaac(settings.path, ffmpeg))
    return NativeAac()


def process_limits(limits: LimitSettings) -> ProcessLimits:
    """Return what one FFmpeg process may use."""
    return ProcessLimits(
        cpu_s=limits.cpu_s,
        data_bytes=limits.memory_mib * 2**20 or None,
        address_space_bytes=limits.address_space_mib * 2**20 or None,
        threads=limits.max_processes or None,
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
