"""The rules that a ladder is judged by, as functions from what was measured to findings. Pure.

From RFC 8216, Apple's HLS authoring specification and what was promised of the sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from audio_processor.delivery.adts import FRAME_SAMPLES
from audio_processor.delivery.playlist import target_duration_s
from audio_processor.delivery.playlist_reader import MasterPlaylist, MediaPlaylist
from audio_processor.delivery.report import Finding, RenditionReport, Severity
from audio_processor.delivery.transport_stream import CLOCK_HZ
from audio_processor.delivery.validate_media import SegmentFacts
from audio_processor.model import Loudness

BANDWIDTH_TOLERANCE = 0.10
"""Apple: stated bit rates within 10 % of the measured ones."""
ALIGNMENT_MS = 0.1
SECOND_OPINION_LU = 0.1
RUNT = 0.1
"""A last segment shorter than this part of the target duration is a runt."""
_SAME_TIME_S = 0.001
_WRAP = 1 << 33
"""Time stamps have 33 bits."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the sound is to measure; None = not judged."""

    loudness_lufs: float | None = -14.0
    loudness_lu: float = 0.3
    true_peak_dbtp: float | None = -1.0


@dataclass(frozen=True, slots=True)
class Rung:
    """One variant with everything that was found out about it."""

    name: str
    media: MediaPlaylist
    segments: tuple[SegmentFacts, ...]
    report: RenditionReport

    @property
    def judged(self) -> bool:
        """Whether its segments are of a kind that is judged here, and all there."""
        return bool(self.segments) and all(s.real_s is not None for s in self.segments)

    @property
    def frame_s(self) -> float:
        """One AAC frame."""
        return FRAME_SAMPLES / (self.segments[0].sample_rate_hz or 44_100)


def master_rules(master: MasterPlaylist, where: str) -> Iterator[Finding]:
    """What the master playlist says of itself and of each variant."""
    if not master.independent_segments:
        yield Finding(
            "master.independent_segments",
            "warning",
            where,
            "EXT-X-INDEPENDENT-SEGMENTS is missing.",
        )
    for variant in master.variants:
        if variant.bandwidth is None:
            yield Finding("master.bandwidth", "error", variant.uri, "BANDWIDTH is missing.")
        if variant.average_bandwidth is None:
            yield Finding(
                "master.average_bandwidth", "warning", variant.uri, "AVERAGE-BANDWIDTH is missing."
            )
        if variant.codecs is None:
            yield Finding(
                "master.codecs", "error", variant.uri, "CODECS is missing: players have to guess."
            )


def media_rules(rung: Rung) -> Iterator[Finding]:
    """What a media playlist says, against its segments as they are."""
    media, where = rung.media, rung.name
    if not media.entries:  # it could not be read, and that has been said
        return
    if not media.ended or media.playlist_type != "VOD":
        lacking = "EXT-X-ENDLIST" if not media.ended else "EXT-X-PLAYLIST-TYPE:VOD"
        severity: Severity = "warning" if media.ended else "error"
        yield Finding("media.vod", severity, where, f"{lacking} is missing.")
    longest = target_duration_s([stated for _, stated in media.entries])
    if media.target_duration_s is None or media.target_duration_s < longest:
        yield Finding(
            "media.target_duration",
            "error",
            where,
            f"EXT-X-TARGETDURATION is {media.target_duration_s}, the longest segment {longest}.",
        )
    yield from _segment_rules(rung)


def _segment_rules(rung: Rung) -> Iterator[Finding]:
    where = rung.name
    for tag in rung.media.not_judged:
        yield Finding("segment.kind", "note", where, f"{tag} is used: not judged here.")
    kinds = dict.fromkeys(s.not_judged for s in rung.segments if s.not_judged)
    for kind in kinds:
        yield Finding("segment.kind", "note", where, f"Not judged: {kind}.")
    for segment in rung.segments:
        at = f"{where}/{segment.name.rpartition('/')[2]}"
        if segment.fault is not None:
            rule = "segment.exists" if segment.real_s is None else "segment.continuity"
            yield Finding(rule, "error", at, segment.fault)
        elif segment.real_s is not None and abs(segment.real_s - segment.stated_s) > rung.frame_s:
            yield Finding(
                "media.extinf",
                "error",
                at,
                f"EXTINF says {segment.stated_s:.3f} s, it holds {segment.real_s:.3f} s.",
            )
    yield from _order(rung)
    if not rung.segments:
        return
    last = rung.segments[-1]
    target = rung.media.target_duration_s or 0
    if len(rung.segments) > 1 and last.real_s is not None and last.real_s < RUNT * target:
        yield Finding(
            "segment.runt", "warning", where, f"The last segment lasts {last.real_s * 1000:.0f} ms."
        )


def _order(rung: Rung) -> Iterator[Finding]:
    """Whether each segment's time stamps begin where the one before ends."""
    for before, after in pairwise(rung.segments):
        if before.pts is None or before.real_s is None or after.pts is None:
            continue
        gap = (after.pts - before.pts - before.real_s * CLOCK_HZ + _WRAP / 2) % _WRAP - _WRAP / 2
        if abs(gap) > rung.frame_s * CLOCK_HZ / 2:
            yield Finding(
                "segment.order",
                "error",
                f"{rung.name}/{after.name.rpartition('/')[2]}",
                f"Begins {gap * 1000 / CLOCK_HZ:+.0f} ms from the end of the one before.",
            )


def stated_rules(rung: Rung) -> Iterator[Finding]:
    """What the master playlist states of a variant, against what was measured."""
    report = rung.report
    for rule, stated, measured in (
        ("master.bandwidth", report.stated_bandwidth, report.bandwidth),
        ("master.average_bandwidth", report.stated_average_bandwidth, report.average_bandwidth),
    ):
        if stated is None or measured is None:
            continue
        excess = stated / measured - 1
        if abs(excess) > BANDWIDTH_TOLERANCE:
            severity: Severity = "error" if excess < 0 else "warning"
            yield Finding(
                rule, severity, rung.name, f"{stated} bit/s is stated, {measured} was measured."
            )
    types = {s.object_type for s in rung.segments if s.object_type is not None}
    if report.codecs is not None and types and not _codecs_fit(report.codecs, types):
        held = ", ".join(f"mp4a.40.{kind}" for kind in sorted(types))
        yield Finding(
            "master.codecs", "error", rung.name, f"CODECS says {report.codecs}, it holds {held}."
        )


def _codecs_fit(codecs: str, types: set[int]) -> bool:
    """Whether CODECS is right; HE-AAC (5, 29) shows as LC in an ADTS header."""
    audio = [c.strip() for c in codecs.split(",") if c.strip().startswith("mp4a.40.")]
    allowed = {"mp4a.40.2": {2}, "mp4a.40.5": {2, 5}, "mp4a.40.29": {2, 5, 29}}
    return len(audio) == 1 and types <= allowed.get(audio[0], set())


def ladder_rules(rungs: Sequence[Rung]) -> Iterator[Finding]:
    """Whether the variants can be switched between without a jump."""
    judged = [rung for rung in rungs if rung.judged]
    if not judged:
        return
    first = judged[0]
    for rung in judged[1:]:
        yield from _cuts(first, rung)
        if rung.report.offset_ms is not None and abs(rung.report.offset_ms) > ALIGNMENT_MS:
            yield Finding(
                "ladder.alignment",
                "error" if abs(rung.report.offset_ms) > 1.0 else "warning",
                rung.name,
                f"Sounds {rung.report.offset_ms:+.2f} ms against {first.name}.",
            )


def _cuts(first: Rung, rung: Rung) -> Iterator[Finding]:
    if len(first.segments) != len(rung.segments):
        yield Finding(
            "ladder.cuts",
            "error",
            rung.name,
            f"{len(rung.segments)} segments, {first.name} has {len(first.segments)}.",
        )
        return
    differences = [abs(a - b) for a, b in zip(_starts(first), _starts(rung), strict=True)]
    worst_s = max(differences)
    if worst_s > _SAME_TIME_S:
        frame_s = max(first.frame_s, rung.frame_s)
        yield Finding(
            "ladder.cuts",
            "error" if worst_s > 1.01 * frame_s else "warning",
            rung.name,
            f"Cut up to {worst_s * 1000:.1f} ms from where {first.name} is.",
        )


def _starts(rung: Rung) -> list[float]:
    """Return when each segment starts on the clock that players go by, in seconds."""
    first_s = (rung.segments[0].pts or 0) / CLOCK_HZ
    return list(accumulate((s.real_s or 0.0 for s in rung.segments[:-1]), initial=first_s))


def sound_rules(
    where: str,
    measured: Loudness,
    expected: Expectations,
    *,
    excuse: str | None,
    second_opinion_lufs: float | None,
) -> Iterator[Finding]:
    """Loudness and true peak; a miss that the ladder's own metadata explains is a warning."""
    severity: Severity = "error" if excuse is None else "warning"
    because = "" if excuse is None else f" (limited by {excuse.replace('_', ' ')})"
    integrated, peak = measured.integrated_lufs, measured.true_peak_dbtp
    if integrated is None:
        yield Finding("loudness.integrated", "note", where, "Silence, or too short to measure.")
    elif (
        expected.loudness_lufs is not None
        and abs(integrated - expected.loudness_lufs) > expected.loudness_lu
    ):
        yield Finding(
            "loudness.integrated",
            severity,
            where,
            f"{integrated:.2f} LUFS instead of {expected.loudness_lufs:.2f}{because}.",
        )
    if peak is not None and expected.true_peak_dbtp is not None and peak > expected.true_peak_dbtp:
        # above full scale, every player's converter clips: nothing excuses that
        yield Finding(
            "loudness.true_peak",
            "error" if peak > 0 else severity,
            where,
            f"{peak:+.2f} dBTP, above {expected.true_peak_dbtp:.2f}{because}.",
        )
    if (
        integrated is not None
        and second_opinion_lufs is not None
        and abs(integrated - second_opinion_lufs) > SECOND_OPINION_LU
    ):
        yield Finding(
            "loudness.second_opinion",
            "warning",
            where,
            f"pyloudnorm measures {second_opinion_lufs:.2f} LUFS, this meter {integrated:.2f}.",
        )


def metadata_rules(document: Mapping[str, object], rungs: Sequence[Rung]) -> Iterator[Finding]:
    """Whether metadata.json tells of the ladder that it lies beside."""
    renditions = document.get("renditions")
    told = {
        r.get("name"): r
        for r in (renditions if isinstance(renditions, list) else [])
        if isinstance(r, dict)
    }
    for rung in rungs:
        rendition = told.get(rung.name)
        if rendition is None:
            yield Finding(
                "metadata.agrees", "warning", rung.name, "metadata.json does not name it."
            )
            continue
        last = rung.segments[-1] if rung.segments else None
        for key, measured in (
            ("segments", len(rung.segments)),
            ("sha256", last and last.sha256),
            ("average_bandwidth", rung.report.average_bandwidth),
        ):
            if measured is not None and rendition.get(key) != measured:
                yield Finding(
                    "metadata.agrees",
                    "warning",
                    rung.name,
                    f"metadata.json says {key} = {rendition.get(key)}, it is {measured}.",
                )
