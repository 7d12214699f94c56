"""What a report is made of: frozen values, measured and read, nothing drawn yet.

*Before* is the source's stereo downmix at its own rate, *after* the delivered m4a as a gapless
player hears it. Levels that do not exist are None, in series NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from audio_processor.model import (
    EncoderName,
    GainCurve,
    LimitedBy,
    Loudness,
    Mastering,
    PlanMode,
    SignalFacts,
    Spectrum,
    Targets,
    TrackSummary,
    Waveform,
)

Series = NDArray[np.float64]

TENTH_S = 0.1
"""What a *tenth* nominally lasts; ``Levels.tenth_s`` is what it lasts at the programme's rate."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A programme over time, one value for each complete 100 ms (or window ending there)."""

    tenth_s: float
    energy: Series
    """K-weighted mean square of each tenth, channels summed (BS.1770-5's Σ Gᵢ·zᵢ)."""
    momentary_lufs: Series
    """The 400 ms window that begins with tenth ``i``; NaN in digital silence."""
    short_term_lufs: Series
    """The 3 s window that begins with tenth ``i``; NaN in digital silence."""
    peak: Series
    """Largest true peak in each tenth, linear."""
    rms: Series
    """Unweighted root mean square of both channels in each tenth, linear."""
    correlation: Series
    """L/R correlation, −1…1, of the second around each tenth; NaN below −70 dBFS."""


@dataclass(frozen=True, slots=True)
class StereoImage:
    """Where the samples lie between left and right: the goniometer's picture.

    ``counts[row, column]``: row 0 is mono in phase at full scale, column 0 is full left. A
    sample's distance from the centre is the root of its level, max(|L|, |R|); see
    ``series.StereoMeter``.
    """

    counts: NDArray[np.int64]
    mid_energy: float
    """Sum of ((L+R)/2)² over the programme."""
    side_energy: float


@dataclass(frozen=True, slots=True)
class BandSpectrum:
    """Long-term average power, one-sided: the sum of the bins is the mean square of a channel.

    ``mid`` and ``side`` are of (L±R)/2; their sum is the mean of left and right.
    """

    sample_rate_hz: int
    mid: Series
    side: Series

    @property
    def total(self) -> Series:
        """The mean power of left and right."""
        return self.mid + self.side

    def as_spectrum(self) -> Spectrum:
        """Return it in the line's form, for what the line asks of a spectrum."""
        return Spectrum(self.sample_rate_hz, self.total)


@dataclass(frozen=True, slots=True)
class Programme:
    """One programme, before or after, as the report's meters found it."""

    sample_rate_hz: int
    frames: int
    loudness: Loudness
    facts: SignalFacts
    waveform: Waveform
    levels: Levels
    image: StereoImage
    spectrum: BandSpectrum

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return self.frames / self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What the upload says of itself."""

    file_name: str
    size_bytes: int
    sha256: str
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    channel_layout: str
    bit_depth: int | None
    bit_rate: int | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A rendition, or the m4a, in figures measured after the encode."""

    name: str
    loudness: Loudness
    duration_s: float
    sample_rate_hz: int
    nominal_bit_rate: int
    bit_rate: int
    """Measured average, in bit/s, packaging included."""
    size_bytes: int
    encodes: int
    """How many encodes were tried until one was kept."""
    limited_by: LimitedBy | None
    encoder: EncoderName


@dataclass(frozen=True, slots=True)
class PlanTold:
    """What was decided about the gain."""

    mode: PlanMode
    gain_db: float
    ceiling_dbtp: float
    limited_by: LimitedBy | None
    predicted_gain_reduction_db: float
    rider_db: tuple[float, float] | None
    """Least and most gain of the level rider; None without one."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What ``metadata.json`` says of a delivery."""

    track_id: str
    source: SourceFile
    targets: Targets
    source_loudness: Loudness
    mastered_loudness: Loudness
    facts: SignalFacts
    """Of the source."""
    source_duration_s: float
    plan: PlanTold
    mastering: Mastering | None
    files: tuple[DeliveredFile, ...]
    """The renditions in their order, the m4a last."""
    m4a_trim_db: float
    """What the m4a's encode adds to the plan's gain."""
    m4a_ceiling_dbtp: float
    """The limiter's ceiling for it."""
    processed_at: str
    tools: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttemptTold:
    """One attempt at an upload."""

    number: int
    outcome: str
    started_at: datetime | None
    ended_at: datetime | None
    error: str
    """Code and message, or empty."""


@dataclass(frozen=True, slots=True)
class Story:
    """What became of an upload, as its row tells; a file of the operator's has no row."""

    upload_id: str | None
    status: str
    uploaded_at: datetime | None = None
    completed_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempts: tuple[AttemptTold, ...] = ()
    summary: TrackSummary | None = None
    """What the row keeps of a completed track."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the verdicts judge by, beside the targets: the settings' own."""

    tolerance_lu: float
    delivered_true_peak_dbtp: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The third-octave curve of what the mastering was matched to."""

    name: str
    levels_db: Series
    """Of ``mastering.profile.THIRD_OCTAVES_HZ``, relative to each other only: the curve is drawn
    at the K-weighted loudness of *after*. Not finite where the reference has nothing."""


@dataclass(frozen=True, slots=True)
class GainDone:
    """What the plan's gain came to over time, exact where the plan itself could be had."""

    rider: GainCurve | None
    tenth_s: float
    reduction_db: Series
    """The limiter's deepest gain reduction in each 100 ms, 0 or more: its own gain computer on
    the programme's true peaks every 5 ms, under the m4a's ceiling."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows."""

    title: str
    story: Story
    source: SourceFile | None
    before: Programme | None
    after: Programme | None
    delivered: Delivered | None
    limits: Limits
    reference: Reference | None
    gain: GainDone | None
    """None where the plan could not be had: an upload mastered by a chain, or long ago."""
    notes: tuple[str, ...]
    """What the report could not get, and why."""
    made_at: datetime
    version: str
