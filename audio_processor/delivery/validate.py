"""Judge any HLS ladder and its m4a, ours or another's: fetch, demux, decode, measure, say.

Rules, by id: ``master.parses`` · ``master.codecs`` · ``master.bandwidth`` ·
``master.average_bandwidth`` · ``master.independent_segments`` · ``media.parses`` ·
``media.vod`` · ``media.target_duration`` · ``media.extinf`` · ``segment.exists`` ·
``segment.kind`` · ``segment.order`` · ``segment.continuity`` · ``segment.decodes`` ·
``segment.runt`` · ``ladder.cuts`` · ``ladder.alignment`` · ``loudness.integrated`` ·
``loudness.true_peak`` · ``loudness.second_opinion`` · ``m4a.exists`` · ``m4a.decodes`` ·
``m4a.faststart`` · ``m4a.gapless`` · ``m4a.length`` · ``m4a.tags`` · ``metadata.exists`` ·
``metadata.schema`` · ``metadata.agrees``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.playlist import average_bandwidth, peak_bandwidth
from audio_processor.delivery.playlist_reader import (
    MasterPlaylist,
    MediaPlaylist,
    VariantLine,
    is_master,
    read_master,
    read_media,
)
from audio_processor.delivery.report import Finding, M4aReport, RenditionReport, Report
from audio_processor.delivery.transport_stream import CLOCK_HZ
from audio_processor.delivery.validate_document import excuse_of, schema_findings, told_m4a
from audio_processor.delivery.validate_m4a import judge_m4a
from audio_processor.delivery.validate_media import Heard, collect, listen, offset_ms
from audio_processor.delivery.validate_rules import (
    Expectations,
    Rung,
    ladder_rules,
    master_rules,
    media_rules,
    metadata_rules,
    sound_rules,
    stated_rules,
)
from audio_processor.delivery.validate_sources import LadderSource, resolve
from audio_processor.errors import PermanentError, SourceMissing
from audio_processor.media.ffmpeg import FFmpegFailed, Supervisor

__all__ = ["Expectations", "Report", "ValidationLimits", "validate"]

_HE_AAC = ("mp4a.40.5", "mp4a.40.29")


@dataclass(frozen=True, slots=True)
class ValidationLimits:
    """What a ladder that we did not make may ask of us."""

    document_bytes: int = 8 * 2**20
    segment_bytes: int = 64 * 2**20
    m4a_bytes: int = 2 * 2**30
    variants: int = 16
    second_opinion_s: float = 600.0
    """Longest programme that pyloudnorm is asked about; it wants it whole in memory."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A rung, with its decoded sound where it could be decoded."""

    rung: Rung
    heard: Heard | None
    findings: tuple[Finding, ...]


def validate(
    source: LadderSource,
    supervisor: Supervisor,
    folder: Path,
    *,
    expected: Expectations | None = None,
    limits: ValidationLimits | None = None,
) -> Report:
    """Judge the ladder; ``folder`` is scratch.

    Whatever is wrong with the ladder is in the report. Raises ``StoreUnavailable`` where
    its place cannot be reached, and ``EncoderTimeout``.
    """
    return _Validation(
        source, supervisor, folder, expected or Expectations(), limits or ValidationLimits()
    ).run()


@dataclass(frozen=True, slots=True)
class _Validation:
    source: LadderSource
    supervisor: Supervisor
    folder: Path
    expected: Expectations
    limits: ValidationLimits

    def run(self) -> Report:
        found: list[Finding] = []
        name, master = self._master(found)
        document = self._metadata(found)
        heard = self._align([self._listen(v, name) for v in self._variants(master, found)])
        for each in heard:
            found += [*each.findings, *media_rules(each.rung), *stated_rules(each.rung)]
            found += self._sound(each, document)
        rungs = [each.rung for each in heard]
        found += ladder_rules(rungs)
        if rungs and not any(rung.judged for rung in rungs):
            found.append(
                Finding("segment.kind", "warning", "", "No rendition could be judged by its sound.")
            )
        if document is not None:
            found += metadata_rules(document, rungs)
        m4a = self._m4a(document, found)
        return Report(
            location=self.source.describe(),
            findings=tuple(dict.fromkeys(found)),
            renditions=tuple(rung.report for rung in rungs),
            m4a=m4a,
        )

    def _master(self, found: list[Finding]) -> tuple[str, MasterPlaylist | None]:
        """Find and read the master playlist; a lone media playlist counts as its only variant."""
        for name in self.source.playlist_names():
            try:
                text = self._text(name)
                if not is_master(text):
                    read_media(text)
                    found.append(
                        Finding("master.parses", "error", name, "It lists segments, not variants.")
                    )
                    return name, MasterPlaylist((VariantLine(name, None, None, None),), True)
                master = read_master(text)
            except SourceMissing:
                continue
            except (ValueError, PermanentError) as error:
                found.append(Finding("master.parses", "error", name, f"{error}."))
                return name, None
            found += master_rules(master, name)
            return name, master
        found.append(Finding("master.parses", "error", "", "There is no master playlist."))
        return "", None

    def _variants(
        self, master: MasterPlaylist | None, found: list[Finding]
    ) -> Sequence[VariantLine]:
        variants = () if master is None else master.variants
        if len(variants) > self.limits.variants:
            most = self.limits.variants
            found.append(
                Finding("master.parses", "error", "", f"Only the first {most} variants were read.")
            )
        return variants[: self.limits.variants]

    def _listen(self, variant: VariantLine, master_name: str) -> _Heard:
        """Fetch and decode one variant."""
        name = _variant_name(variant.uri)
        report = RenditionReport(name, variant.codecs, variant.bandwidth, variant.average_bandwidth)
        try:
            playlist = resolve(master_name, variant.uri)
            media = read_media(self._text(playlist))
        except (ValueError, PermanentError) as error:
            broken = Finding("media.parses", "error", name, f"{str(error).rstrip('.')}.")
            empty = MediaPlaylist(
                (), None, None, ended=False, independent_segments=False, not_judged=()
            )
            return _Heard(Rung(name, empty, (), report), None, (broken,))
        if media.not_judged:
            return _Heard(
                Rung(name, media, (), replace(report, segments=len(media.entries))), None, ()
            )
        stream = self.folder / "variant.aac"
        segments = tuple(
            collect(self.source, playlist, media, stream, segment_bytes=self.limits.segment_bytes)
        )
        rung = Rung(name, media, segments, _measured(report, segments, variant.codecs))
        try:
            heard, findings = self._decode(rung, stream)
        finally:
            stream.unlink(missing_ok=True)
        if heard is not None:
            rung = replace(
                rung,
                report=replace(
                    rung.report,
                    loudness=heard.loudness,
                    second_opinion_lufs=heard.second_opinion_lufs,
                ),
            )
        return _Heard(rung, heard, findings)

    def _decode(self, rung: Rung, stream: Path) -> tuple[Heard | None, tuple[Finding, ...]]:
        rate_hz = rung.report.sample_rate_hz
        if rate_hz is None or not rung.judged:
            return None, ()
        try:
            heard = listen(
                self.supervisor,
                stream,
                rate_hz,
                "aac",
                second_opinion_s=self.limits.second_opinion_s,
            )
        except FFmpegFailed as error:
            return None, (Finding("segment.decodes", "error", rung.name, f"{error}."),)
        if heard.complaints:
            complaint = heard.complaints.splitlines()[0]
            return heard, (Finding("segment.decodes", "error", rung.name, complaint),)
        return heard, ()

    def _align(self, heard: Sequence[_Heard]) -> list[_Heard]:
        """Measure each rung's delay against the first that sounds."""
        first = next((each for each in heard if each.heard is not None), None)
        return [each if first is None else _aligned(first, each) for each in heard]

    def _sound(self, each: _Heard, document: Mapping[str, Any] | None) -> Iterator[Finding]:
        if each.heard is not None:
            yield from sound_rules(
                each.rung.name,
                each.heard.loudness,
                self.expected,
                excuse=excuse_of(document, each.rung.name),
                second_opinion_lufs=each.heard.second_opinion_lufs,
            )

    def _metadata(self, found: list[Finding]) -> Mapping[str, Any] | None:
        """Read metadata.json and hold it against the published schema."""
        try:
            document = json.loads(self._text(METADATA_NAME))
        except SourceMissing:
            found.append(Finding("metadata.exists", "note", METADATA_NAME, "There is none."))
            return None
        except (ValueError, PermanentError, RecursionError) as error:
            found.append(Finding("metadata.schema", "error", METADATA_NAME, f"{error}."))
            return None
        found += schema_findings(document)
        return document if isinstance(document, dict) else None

    def _m4a(self, document: Mapping[str, Any] | None, found: list[Finding]) -> M4aReport | None:
        path = self.folder / "validated.m4a"
        for name in dict.fromkeys([*told_m4a(document), *self.source.m4a_names()]):
            try:
                self.source.fetch(name, path, max_bytes=self.limits.m4a_bytes)
            except SourceMissing:
                continue
            except PermanentError as error:
                found.append(Finding("m4a.exists", "error", name, str(error)))
                return None
            report, heard, findings = judge_m4a(self.supervisor, path, name)
            path.unlink()
            found += findings
            if heard is not None:
                excuse = excuse_of(document, None)
                found += sound_rules(
                    name, heard.loudness, self.expected, excuse=excuse, second_opinion_lufs=None
                )
            return report
        found.append(Finding("m4a.exists", "warning", "", "There is no m4a."))
        return None

    def _text(self, name: str) -> str:
        path = self.folder / "document"
        self.source.fetch(name, path, max_bytes=self.limits.document_bytes)
        text = path.read_bytes().decode("utf-8")  # UnicodeDecodeError is a ValueError
        path.unlink()
        return text


def _measured(
    report: RenditionReport, segments: Sequence[Any], codecs: str | None
) -> RenditionReport:
    """Add what the segments alone tell."""
    durations = [s.real_s for s in segments]
    report = replace(report, segments=len(segments))
    if not segments or None in durations:
        return report
    sizes = [s.size_bytes for s in segments]
    doubled = 2 if codecs is not None and any(c in codecs for c in _HE_AAC) else 1
    return replace(
        report,
        bandwidth=peak_bandwidth(sizes, durations),
        average_bandwidth=average_bandwidth(sizes, durations),
        sample_rate_hz=segments[0].sample_rate_hz * doubled,
        duration_s=sum(durations),
    )


def _aligned(first: _Heard, each: _Heard) -> _Heard:
    reference_hz, rate_hz = first.rung.report.sample_rate_hz, each.rung.report.sample_rate_hz
    if first.heard is None or each.heard is None or reference_hz is None or rate_hz is None:
        return each
    # players lay segments out by their time stamps
    laid_late_ms = (_first_pts(each) - _first_pts(first)) * 1000 / CLOCK_HZ
    late_ms = offset_ms(
        first.heard.excerpt, reference_hz, each.heard.excerpt, rate_hz, expected_ms=-laid_late_ms
    )
    if late_ms is not None:
        late_ms += laid_late_ms
    report = replace(each.rung.report, offset_ms=late_ms)
    return replace(each, rung=replace(each.rung, report=report))


def _first_pts(each: _Heard) -> int:
    return each.rung.segments[0].pts or 0


def _variant_name(uri: str) -> str:
    """Return ``low`` for ``low/playlist.m3u8``, else the URI itself."""
    folder = uri.split("?", 1)[0].rpartition("/")[0]
    return unquote(folder) or uri
