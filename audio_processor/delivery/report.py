"""What a validation found: the figures of each delivered file, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_processor.model import Loudness

Severity = Literal["error", "warning", "note"]
"""error: a listener or a player suffers · warning: it falls short · note: it was not judged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that did not hold, or could not be judged."""

    rule: str
    """Stable: ``master.codecs``, ``loudness.true_peak`` …; all are listed in ``validate.py``."""
    severity: Severity
    where: str
    """The file or rendition that it is about."""
    message: str


@dataclass(frozen=True, slots=True)
class RenditionReport:
    """One variant of the ladder as measured; what could not be measured is None."""

    name: str
    codecs: str | None
    stated_bandwidth: int | None
    stated_average_bandwidth: int | None
    bandwidth: int | None = None
    average_bandwidth: int | None = None
    segments: int = 0
    sample_rate_hz: int | None = None
    duration_s: float | None = None
    loudness: Loudness | None = None
    second_opinion_lufs: float | None = None
    """Integrated loudness by pyloudnorm."""
    offset_ms: float | None = None
    """Against the first measured rendition: by time stamp and cross-correlation."""


@dataclass(frozen=True, slots=True)
class M4aReport:
    """The download file as measured."""

    name: str
    size_bytes: int
    sample_rate_hz: int
    decoded_frames: int
    """What a decode that honours the edit list gives."""
    priming_frames: int | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one ladder."""

    location: str
    findings: tuple[Finding, ...]
    renditions: tuple[RenditionReport, ...]
    m4a: M4aReport | None

    @property
    def ok(self) -> bool:
        """Whether nothing was found that a listener or a player suffers from."""
        return all(finding.severity != "error" for finding in self.findings)
