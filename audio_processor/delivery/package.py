"""Package: from a verified ladder to everything that will be published, whole, on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from audio_processor.delivery.m4a import mux_m4a
from audio_processor.delivery.metadata import MetadataInputs, build_metadata
from audio_processor.delivery.playlist import (
    Variant,
    average_bandwidth,
    master_playlist,
    media_playlist,
    peak_bandwidth,
)
from audio_processor.delivery.segments import CutPlan, TierLength, cut, plan_cuts
from audio_processor.delivery.waveform import waveform_json
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import (
    Analysis,
    EncodedTier,
    HlsRendition,
    M4a,
    Mastering,
    Package,
    Plan,
    Probe,
    Rendition,
    RenditionSummary,
    Source,
    Targets,
    TrackSummary,
    Verified,
)

_DISTRIBUTIONS = ("audio-processor", "numpy", "numba", "soxr", "mutagen")
"""Whose versions may change a delivered byte."""
_HASH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PackageInputs:
    """What the line knows of a track by the time it is packaged."""

    upload_id: str
    source: Source
    probe: Probe
    mastering: Mastering
    analysis: Analysis
    targets: Targets
    plan: Plan
    verified: Verified
    segment_duration_s: float
    encoder_versions: Mapping[str, str]
    folder: Path
    """An empty or missing folder of the job's own, for what is made here."""


def package(supervisor: Supervisor, given: PackageInputs) -> Package:
    """Cut the ladder, mux the m4a and write the documents.

    Raises ``VerificationFailed`` where a packaged file is not the encode that was measured,
    and what FFmpeg's supervisor raises.
    """
    given.folder.mkdir(parents=True, exist_ok=True)
    ladder = given.verified.ladder
    encodes = [rendition.encoded for rendition in ladder.renditions]
    plans = plan_cuts(
        [TierLength(e.tier.sample_rate_hz, e.aac_frames) for e in encodes],
        given.segment_duration_s,
    )
    renditions = tuple(
        # by number: a tier's name is data, not a path
        _hls_rendition(supervisor, encoded, plan, given.folder / f"tier{number}")
        for number, (encoded, plan) in enumerate(zip(encodes, plans, strict=True))
    )
    m4a = mux_m4a(
        supervisor,
        ladder.best.encoded,
        given.folder / "track.m4a",
        tags=given.probe.tags,
        cover=given.probe.cover,
    )
    metadata = build_metadata(
        MetadataInputs(
            upload_id=given.upload_id,
            source=given.source,
            probe=given.probe,
            mastering=given.mastering,
            analysis=given.analysis,
            targets=given.targets,
            plan=given.plan,
            verified=given.verified,
            renditions=renditions,
            segment_digests=[_sha256(s.path for s in r.segments) for r in renditions],
            m4a=m4a,
            m4a_sha256=_sha256([m4a.path]),
            segment_duration_s=given.segment_duration_s,
            tools={**tool_versions(supervisor.binary), **given.encoder_versions},
            processed_at=datetime.now(UTC),
        )
    )
    return Package(
        track_id=given.source.track_id,
        verified=given.verified,
        renditions=renditions,
        master_playlist=master_playlist(
            [Variant(r.tier.name, r.bandwidth, r.average_bandwidth) for r in renditions]
        ),
        m4a=m4a,
        metadata=metadata,
        waveform_json=waveform_json(given.analysis.waveform),
        summary=_summary(given, renditions, m4a),
    )


def tool_versions(binary: FFmpegBinary) -> Mapping[str, str]:
    """Return the versions of what shapes the output, by name."""
    versions = {"ffmpeg": binary.version, "libavcodec": binary.libavcodec}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from a bare checkout
            continue
    return versions


def _hls_rendition(
    supervisor: Supervisor, encoded: EncodedTier, plan: CutPlan, folder: Path
) -> HlsRendition:
    segments = cut(supervisor, encoded, plan, folder)
    sizes = [segment.size_bytes for segment in segments]
    return HlsRendition(
        tier=encoded.tier,
        segments=segments,
        bandwidth=peak_bandwidth(sizes, plan.durations_s),
        average_bandwidth=average_bandwidth(sizes, plan.durations_s),
        playlist=media_playlist(segments),
    )


def _summary(given: PackageInputs, renditions: Iterable[HlsRendition], m4a: M4a) -> TrackSummary:
    verified = given.verified
    best = verified.ladder.best
    delivered = [
        _row(
            hls.tier.name,
            rendition,
            duration_s=sum(segment.duration_s for segment in hls.segments),
            average_bandwidth=hls.average_bandwidth,
        )
        for rendition, hls in zip(verified.ladder.renditions, renditions, strict=True)
    ]
    duration_s = m4a.frames / best.encoded.tier.sample_rate_hz
    delivered.append(
        replace(
            _row("m4a", best, duration_s=duration_s, average_bandwidth=m4a.bit_rate),
            integrated_lufs=best.programme.integrated_lufs,
            true_peak_dbtp=best.programme.true_peak_dbtp,
            range_lu=best.programme.range_lu,
        )
    )
    return TrackSummary(
        track_id=given.source.track_id,
        duration_s=given.analysis.duration_s,
        source=given.analysis.source,
        plan_mode=given.plan.mode,
        gain_db=given.plan.gain_db,
        limited_by=given.plan.limited_by,
        renditions=tuple(delivered),
        warnings=(*given.analysis.warnings, *verified.warnings),
    )


def _row(
    name: str, rendition: Rendition, *, duration_s: float, average_bandwidth: int
) -> RenditionSummary:
    measured = rendition.measured
    return RenditionSummary(
        name=name,
        integrated_lufs=measured.integrated_lufs,
        true_peak_dbtp=measured.true_peak_dbtp,
        range_lu=measured.range_lu,
        duration_s=duration_s,
        average_bandwidth=average_bandwidth,
        candidates=len(rendition.tried),
        limited_by=rendition.limited_by,
    )


def _sha256(paths: Iterable[Path]) -> str:
    """Return the digest of the files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_HASH_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
