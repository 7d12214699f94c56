"""Reads ``metadata.json`` back into values: what was delivered, as measured when it was made.

The document is ours, but it comes out of a bucket that others write to, and may be older than
this version: whatever is missing or of another type ends in one ``ValueError``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast, get_args

from audio_processor.model import (
    BandReduction,
    EncoderName,
    LimitedBy,
    Loudness,
    Mastering,
    MatchFigures,
    PlanMode,
    RangeMode,
    SignalFacts,
    StageFigures,
    Targets,
)
from audio_processor.reporting.data import Delivered, DeliveredFile, PlanTold, SourceFile

MAX_BYTES = 16 * 2**20

Json = Mapping[str, Any]


def parse_metadata(data: bytes) -> Delivered:
    """Return what the document says. Raises ``ValueError`` naming what is wrong with it."""
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    return read_metadata(document)


def read_metadata(document: Json) -> Delivered:
    """Return what the parsed document says. Raises ``ValueError`` naming what is wrong with it."""
    try:
        return _delivered(document)
    except (KeyError, IndexError) as error:
        raise ValueError(f"it lacks {error}") from error
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is not of the form it should be ({error})") from error


def _delivered(document: Json) -> Delivered:
    loudness, m4a = document["loudness"], document["m4a"]
    renditions = tuple(document["renditions"])
    kept = next((each for each in renditions if each["name"] == m4a["rendition"]), None)
    if kept is None:
        raise ValueError("its m4a is of no rendition")
    return Delivered(
        track_id=str(document["track_id"]),
        source=_source(document),
        targets=_targets(loudness["target"]),
        source_loudness=_loudness(loudness["source"]),
        mastered_loudness=_loudness(loudness["mastered"]),
        facts=_facts(document["signal"]),
        source_duration_s=float(document["source"]["duration_s"]),
        plan=_plan(document["plan"]),
        mastering=_mastering(document.get("mastering")),
        files=(*map(_rendition, renditions), _m4a(m4a, kept)),
        m4a_trim_db=float(kept["encode"]["trim_db"]),
        m4a_ceiling_dbtp=float(kept["encode"]["ceiling_dbtp"]),
        processed_at=str(document["processed_at"]),
        tools={str(name): str(version) for name, version in document["tools"].items()},
        warnings=tuple(map(str, document["warnings"])),
    )


def _source(document: Json) -> SourceFile:
    source = document["source"]
    return SourceFile(
        file_name=str(document["file_name"]),
        size_bytes=int(source["size_bytes"]),
        sha256=str(source["sha256"]),
        container=str(source["container"]),
        codec=str(source["codec"]),
        sample_rate_hz=int(source["sample_rate_hz"]),
        channels=int(source["channels"]),
        channel_layout=str(source["channel_layout"]),
        bit_depth=_whole(source["bit_depth"]),
        bit_rate=_whole(source["bit_rate"]),
        tags={str(name): str(text) for name, text in source["tags"].items()},
    )


def _targets(target: Json) -> Targets:
    return Targets(
        integrated_lufs=float(target["integrated_lufs"]),
        true_peak_dbtp=float(target["true_peak_dbtp"]),
        range_lu=float(target["range_lu"]),
        range_mode=cast("RangeMode", _one_of(target["range_mode"], RangeMode)),
    )


def _loudness(levels: Json) -> Loudness:
    return Loudness(
        integrated_lufs=_level(levels["integrated_lufs"]),
        range_lu=_level(levels["range_lu"]),
        true_peak_dbtp=_level(levels["true_peak_dbtp"]),
        sample_peak_dbfs=_level(levels["sample_peak_dbfs"]),
        momentary_max_lufs=_level(levels["momentary_max_lufs"]),
        short_term_max_lufs=_level(levels["short_term_max_lufs"]),
    )


def _facts(signal: Json) -> SignalFacts:
    return SignalFacts(
        clipped_runs=int(signal["clipped_runs"]),
        leading_silence_s=float(signal["leading_silence_s"]),
        trailing_silence_s=float(signal["trailing_silence_s"]),
        dc_offset=tuple(map(float, signal["dc_offset"])),
        correlation=_level(signal["correlation"]),
        decoder_spikes=int(signal["decoder_spikes"]),
    )


def _plan(plan: Json) -> PlanTold:
    rider = plan["rider"]
    return PlanTold(
        mode=cast("PlanMode", _one_of(plan["mode"], PlanMode)),
        gain_db=float(plan["gain_db"]),
        ceiling_dbtp=float(plan["ceiling_dbtp"]),
        limited_by=_limited_by(plan["limited_by"]),
        predicted_gain_reduction_db=float(plan["predicted_gain_reduction_db"]),
        rider_db=(
            None if rider is None else (float(rider["min_gain_db"]), float(rider["max_gain_db"]))
        ),
    )


def _mastering(mastering: Json | None) -> Mastering | None:
    if mastering is None:
        return None
    reason, reference = mastering.get("reason"), mastering.get("reference")
    match = mastering.get("match")  # earlier documents did not tell of it
    return Mastering(
        preset=str(mastering["preset"]),
        preset_version=int(mastering["preset_version"]),
        reason=None if reason is None else str(reason),
        reference=None if reference is None else str(reference),
        match=None if match is None else _match(match),
        stages=tuple(map(_stage, mastering["stages"])),
    )


def _match(match: Json) -> MatchFigures:
    mid_db, side_db = (
        (float(curve["min_gain_db"]), float(curve["max_gain_db"]))
        for curve in (match["mid"], match["side"])
    )
    return MatchFigures(str(match["profile_sha256"]), mid_db, side_db)


def _stage(stage: Json) -> StageFigures:
    return StageFigures(
        stage=str(stage["stage"]),
        parameters={str(name): float(value) for name, value in stage["parameters"].items()},
        energy_added_db=_level(stage["energy_added_db"]),
        reductions=tuple(
            BandReduction(
                band=str(band["band"]),
                deepest_db=float(band["deepest_db"]),
                mean_db=float(band["mean_db"]),
                active_fraction=float(band["active_fraction"]),
            )
            for band in stage["reductions"]
        ),
    )


def _rendition(rendition: Json) -> DeliveredFile:
    return DeliveredFile(
        name=str(rendition["name"]),
        loudness=_loudness(rendition["loudness"]),
        duration_s=float(rendition["duration_s"]),
        sample_rate_hz=int(rendition["sample_rate_hz"]),
        nominal_bit_rate=int(rendition["nominal_bit_rate"]),
        bit_rate=int(rendition["average_bandwidth"]),
        size_bytes=int(rendition["size_bytes"]),
        encodes=len(rendition["candidates"]),
        limited_by=_limited_by(rendition["limited_by"]),
        encoder=_encoder(rendition),
    )


def _m4a(m4a: Json, kept: Json) -> DeliveredFile:
    return DeliveredFile(
        name="m4a",
        loudness=_loudness(m4a["loudness"]),
        duration_s=float(m4a["duration_s"]),
        sample_rate_hz=int(m4a["sample_rate_hz"]),
        nominal_bit_rate=int(kept["nominal_bit_rate"]),
        bit_rate=int(m4a["bit_rate"]),
        size_bytes=int(m4a["size_bytes"]),
        encodes=len(kept["candidates"]),
        limited_by=_limited_by(kept["limited_by"]),
        encoder=_encoder(kept),
    )


def _encoder(rendition: Json) -> EncoderName:
    return cast("EncoderName", _one_of(rendition["encode"]["encoder"], EncoderName))


def _limited_by(reason: object) -> LimitedBy | None:
    return None if reason is None else cast("LimitedBy", _one_of(reason, LimitedBy))


def _one_of(value: object, choices: Any) -> str:
    if value not in get_args(choices):
        raise ValueError(f"it says {str(value)[:40]!r} where it may say {get_args(choices)}")
    return str(value)


def _level(value: object) -> float | None:
    return None if value is None else float(cast("float", value))


def _whole(value: object) -> int | None:
    return None if value is None else int(cast("int", value))
