"""metadata.json: what came in, what was decided, what was delivered and measured. Pure.

The document's form is published in ``docs/metadata.schema.json``; the types in
``document.py`` say the same to the type checker, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from audio_processor.delivery import document as doc
from audio_processor.delivery.playlist import AAC_LC, PLAYLIST_NAME, target_duration_s, uri
from audio_processor.model import (
    Analysis,
    Candidate,
    EncoderName,
    HlsRendition,
    Loudness,
    M4a,
    Mastering,
    MatchFigures,
    Plan,
    Probe,
    Rendition,
    Source,
    Targets,
    Verified,
    Waveform,
)

METADATA_NAME = "metadata.json"
SCHEMA_VERSION = "1.0"
"""Raised in its second part when something is added, in its first when something changes."""


@dataclass(frozen=True, slots=True)
class MetadataInputs:
    """Everything that the document tells of."""

    upload_id: str
    source: Source
    probe: Probe
    mastering: Mastering
    analysis: Analysis
    targets: Targets
    plan: Plan
    verified: Verified
    renditions: Sequence[HlsRendition]
    segment_digests: Sequence[str]
    """SHA-256 of each rendition's segments, one after the other."""
    m4a: M4a
    m4a_sha256: str
    segment_duration_s: float
    tools: Mapping[str, str]
    processed_at: datetime


def build_metadata(given: MetadataInputs) -> doc.Metadata:
    """Return the document. It holds no path and nothing of the machine but tool versions."""
    analysis = given.analysis
    best = given.verified.ladder.best.encoded.tier
    return {
        "schema_version": SCHEMA_VERSION,
        "track_id": given.source.track_id,
        "upload_id": given.upload_id,
        "file_name": given.source.file_name,
        "generation": None,  # told by publishing: what is only packaged is no attempt's
        "processed_at": given.processed_at.astimezone(UTC).isoformat(timespec="seconds"),
        "source": _source(given.source, given.probe, analysis),
        "loudness": {
            "target": {
                "integrated_lufs": _level(given.targets.integrated_lufs),
                "true_peak_dbtp": _level(given.targets.true_peak_dbtp),
                "range_lu": _level(given.targets.range_lu),
                "range_mode": given.targets.range_mode,
            },
            "source": _loudness(analysis.source),
            "mastered": _loudness(analysis.mastered),
        },
        "signal": _signal(analysis),
        "mastering": _mastering(given.mastering),
        "plan": _plan(given.plan),
        "renditions": [
            _rendition(rendition, hls, digest)
            for rendition, hls, digest in zip(
                given.verified.ladder.renditions,
                given.renditions,
                given.segment_digests,
                strict=True,
            )
        ],
        "m4a": {
            "file": f"{given.source.track_id}.m4a",
            "rendition": best.name,
            "sample_rate_hz": best.sample_rate_hz,
            "bit_rate": given.m4a.bit_rate,
            "size_bytes": given.m4a.size_bytes,
            "sha256": given.m4a_sha256,
            "priming_frames": given.m4a.priming_frames,
            "remainder_frames": given.m4a.remainder_frames,
            "frames": given.m4a.frames,
            "duration_s": _seconds(given.m4a.frames / best.sample_rate_hz),
            "loudness": _loudness(given.verified.ladder.best.programme),
        },
        "waveform": _waveform(analysis.waveform),
        "settings": {"segment_duration_s": given.segment_duration_s},
        "tools": dict(sorted(given.tools.items())),
        "warnings": [*analysis.warnings, *given.verified.warnings],
    }


def _source(source: Source, probe: Probe, analysis: Analysis) -> doc.SourceFacts:
    cover = probe.cover
    return {
        "container": probe.container,
        "codec": probe.codec,
        "sample_rate_hz": probe.sample_rate_hz,
        "channels": probe.channels,
        "channel_layout": probe.channel_layout,
        "bit_depth": probe.bit_depth,
        "bit_rate": probe.bit_rate,
        "duration_s": _seconds(analysis.duration_s),
        "declared_duration_s": (
            None if probe.declared_duration_s is None else _seconds(probe.declared_duration_s)
        ),
        "size_bytes": source.size_bytes,
        "sha256": source.sha256,
        "tags": dict(sorted(probe.tags.items())),
        "cover": (
            None if cover is None else {"mime_type": cover.mime_type, "size_bytes": len(cover.data)}
        ),
    }


def _signal(analysis: Analysis) -> doc.Signal:
    facts = analysis.facts
    return {
        "clipped_runs": facts.clipped_runs,
        "decoder_spikes": facts.decoder_spikes,
        "leading_silence_s": _seconds(facts.leading_silence_s),
        "trailing_silence_s": _seconds(facts.trailing_silence_s),
        "dc_offset": [round(offset, 6) + 0.0 for offset in facts.dc_offset],
        "correlation": None if facts.correlation is None else round(facts.correlation, 4) + 0.0,
    }


def _mastering(mastering: Mastering) -> doc.MasteringFacts:
    return {
        "preset": mastering.preset,
        "preset_version": mastering.preset_version,
        "reason": mastering.reason,
        "reference": mastering.reference,
        "match": None if mastering.match is None else _match(mastering.match),
        "stages": [
            {
                "stage": stage.stage,
                "parameters": dict(stage.parameters),
                "energy_added_db": _known(stage.energy_added_db),
                "reductions": [
                    {
                        "band": band.band,
                        "deepest_db": _level(band.deepest_db),
                        "mean_db": _level(band.mean_db),
                        "active_fraction": round(band.active_fraction, 4),
                    }
                    for band in stage.reductions
                ],
            }
            for stage in mastering.stages
        ],
    }


def _match(match: MatchFigures) -> doc.MatchFacts:
    return {
        "profile_sha256": match.profile_sha256,
        "mid": _curve(*match.mid_db),
        "side": _curve(*match.side_db),
    }


def _curve(min_db: float, max_db: float) -> doc.CurveFacts:
    return {"min_gain_db": _level(min_db), "max_gain_db": _level(max_db)}


def _plan(plan: Plan) -> doc.PlanFacts:
    rider = plan.rider
    return {
        "mode": plan.mode,
        "achieved": plan.achieved,
        "limited_by": plan.limited_by,
        "gain_db": _level(plan.gain_db),
        "ceiling_dbtp": _level(plan.ceiling_dbtp),
        "rider": (
            None
            if rider is None
            else {
                "hop_s": _seconds(rider.hop_s),
                "points": len(rider.gain_db),
                "min_gain_db": _level(float(rider.gain_db.min())),
                "max_gain_db": _level(float(rider.gain_db.max())),
            }
        ),
        "predicted_lufs": _known(plan.predicted_lufs),
        "predicted_range_lu": _known(plan.predicted_range_lu),
        "predicted_true_peak_dbtp": _known(plan.predicted_true_peak_dbtp),
        "predicted_gain_reduction_db": _level(plan.predicted_gain_reduction_db),
    }


def _rendition(rendition: Rendition, hls: HlsRendition, digest: str) -> doc.RenditionFacts:
    encoded, tier = rendition.encoded, rendition.encoded.tier
    durations_s = [segment.duration_s for segment in hls.segments]
    return {
        "name": tier.name,
        "playlist": f"{uri(tier.name)}/{PLAYLIST_NAME}",
        "codecs": AAC_LC,
        "nominal_bit_rate": tier.bit_rate,
        "sample_rate_hz": tier.sample_rate_hz,
        "bandwidth": hls.bandwidth,
        "average_bandwidth": hls.average_bandwidth,
        "duration_s": _seconds(sum(durations_s)),
        "target_duration_s": target_duration_s(durations_s),
        "segments": len(hls.segments),
        "size_bytes": sum(segment.size_bytes for segment in hls.segments),
        "sha256": digest,
        "aac_frames": encoded.aac_frames,
        "lead_frames": encoded.lead_frames,
        "source_frames": encoded.source_frames,
        "loudness": _loudness(rendition.measured),
        "limited_by": rendition.limited_by,
        "encode": _candidate(encoded.candidate, encoded.encoder),
        "candidates": [
            {
                "encode": _candidate(result.candidate, encoded.encoder),
                "measured": _loudness(result.measured),
                "accepted": result.accepted,
            }
            for result in rendition.tried
        ],
    }


def _candidate(candidate: Candidate, encoder: EncoderName) -> doc.Encode:
    is_native = encoder == "aac"
    return {
        "encoder": encoder,
        "ceiling_dbtp": _level(candidate.ceiling_dbtp),
        "coder": candidate.coder if is_native else None,
        "tns": candidate.tns if is_native else None,
        "trim_db": _level(candidate.trim_db),
        "dips": len(candidate.dips),
    }


def _waveform(waveform: Waveform) -> doc.WaveformFacts:
    return {"samples_per_pixel": waveform.samples_per_pixel, "length": len(waveform.data)}


def _loudness(measured: Loudness) -> doc.Levels:
    return {
        "integrated_lufs": _known(measured.integrated_lufs),
        "range_lu": _known(measured.range_lu),
        "true_peak_dbtp": _known(measured.true_peak_dbtp),
        "sample_peak_dbfs": _known(measured.sample_peak_dbfs),
        "momentary_max_lufs": _known(measured.momentary_max_lufs),
        "short_term_max_lufs": _known(measured.short_term_max_lufs),
    }


def _level(value_db: float) -> float:
    """Round to what a level is known to; never −0.0."""
    return round(float(value_db), 3) + 0.0


def _known(value_db: float | None) -> float | None:
    return None if value_db is None else _level(value_db)


def _seconds(value_s: float) -> float:
    return round(float(value_s), 6)
