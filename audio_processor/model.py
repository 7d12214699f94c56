"""The frozen types that a track passes through on its way down the line.

    Claim → Source → Probe → Analysis → Plan → Ladder → Verified → Package → Receipt

Levels are in dB (LUFS, LU, dBTP, dBFS) and end in their unit; a level that does not exist
(the loudness of silence) is ``None``, never an infinity. Times end in ``_s``, rates in
``_hz``; a *frame* is one sample of every channel. Blocks of audio are float32 arrays of
shape ``(frames, channels)``, full scale = ±1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:  # the queue's commands need these types' names, not numpy's 0.1 s
    import numpy as np
    from numpy.typing import NDArray

Block: TypeAlias = "NDArray[np.float32]"
Blocks: TypeAlias = Iterator[Block]

UploadStatus = Literal["0", "processing", "completed", "failed"]
PENDING: UploadStatus = "0"
PROCESSING: UploadStatus = "processing"
COMPLETED: UploadStatus = "completed"
FAILED: UploadStatus = "failed"


# ── claim ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this worker owns for as long as it renews the lease."""

    upload_id: str
    file_name: str
    attempt: int
    """1 for the first try; counted at the claim."""
    lease_token: str = field(repr=False)
    worker_id: str
    uploaded_at: datetime | None = None
    suspect: bool = False
    """It has lost its worker twice, and may be the reason: nothing is to run beside it."""
    mastering: str | None = None
    """The row's wish: a preset's name or JSON; None where it has none."""


# ── fetch ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Source:
    """The raw file, in the job's private folder."""

    path: Path
    """A name of our own choosing; the artist's name never reaches a command line."""
    file_name: str
    track_id: str
    """The file name's stem: the name of the output folder and of the m4a."""
    size_bytes: int
    sha256: str


# ── probe ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CoverArt:
    """An embedded picture, as it will go into the m4a's ``covr`` atom."""

    data: bytes = field(repr=False)
    mime_type: Literal["image/jpeg", "image/png"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What the container says of itself; nothing here is trusted as measured."""

    container: str
    """FFmpeg's demuxer name: ``mp3``, ``wav``, ``mov,mp4,m4a,3gp,3g2,mj2`` …"""
    codec: str
    sample_rate_hz: int
    channels: int
    channel_layout: str
    bit_depth: int | None
    bit_rate: int | None
    declared_duration_s: float | None
    tags: Mapping[str, str]
    """Lower-case names: title, artist, album, date, genre, track, …"""
    cover: CoverArt | None
    warnings: tuple[str, ...] = ()


# ── analyse ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Loudness:
    """One programme's figures by BS.1770-5, EBU Tech 3341 and Tech 3342."""

    integrated_lufs: float | None
    """Gated, over the whole programme; None for silence and below 400 ms."""
    range_lu: float | None
    """From the 10th to the 95th percentile of the short-term loudness (Tech 3342)."""
    true_peak_dbtp: float | None
    """Largest peak between the samples too, all channels."""
    sample_peak_dbfs: float | None
    momentary_max_lufs: float | None
    short_term_max_lufs: float | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The programme in hops short enough to predict gain riding and limiting from.

    ``peak[i]`` is the largest true peak (linear, all channels) and ``energy[i]`` the mean
    K-weighted square summed over the channels (BS.1770-5's Σ Gᵢ·zᵢ) in hop ``i``.
    """

    hop_frames: int
    sample_rate_hz: int
    frames: int
    """Programme length; the last hop may be short."""
    peak: NDArray[np.float32]
    energy: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Long-term average power spectrum, channels summed: bins from 0 Hz to half the rate."""

    sample_rate_hz: int
    power: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Waveform:
    """Min/max pairs for drawing, as bbc/audiowaveform's version 2 stores them."""

    sample_rate_hz: int
    samples_per_pixel: int
    channels: int
    data: NDArray[np.int16]
    """Shape ``(length, channels, 2)``: minimum, maximum."""


@dataclass(frozen=True, slots=True)
class SignalFacts:
    """What the ear or an engineer would complain of."""

    clipped_runs: int
    """Runs of three or more successive samples at full scale."""
    leading_silence_s: float
    trailing_silence_s: float
    dc_offset: tuple[float, ...]
    """Mean of each channel, full scale = 1."""
    correlation: float | None
    """L/R correlation −1…1; None for mono or silence."""
    decoder_spikes: int
    """Isolated samples far above full scale, left out of the gain decision."""


@dataclass(frozen=True, slots=True)
class BandReduction:
    """The gain that a mastering stage took off one band; levels positive, in dB."""

    band: str
    deepest_db: float
    mean_db: float
    """Mean over the time in which more than 0.1 dB was taken off; 0 where it never was."""
    active_fraction: float
    """That time as a share of the whole, 0…1."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What one mastering stage was set to and what it did to the programme."""

    stage: str
    parameters: Mapping[str, float]
    energy_added_db: float | None
    """Its output's mean square over its input's; None where either is silent."""
    reductions: tuple[BandReduction, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchFigures:
    """What a reference match was made from and how far its curves went."""

    profile_sha256: str
    """Head of the SHA-256 of the reference's profile: which sound a name stood for."""
    mid_db: tuple[float, float]
    """The mid curve's smallest and largest gain over frequency, in dB."""
    side_db: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mastering:
    """The mastering that a programme was given."""

    preset: str
    preset_version: int
    reason: str | None = None
    """Why ``auto`` chose this preset."""
    reference: str | None = None
    """Name of the profile that the programme was matched to."""
    match: MatchFigures | None = None
    """What the match did; None without a reference."""
    stages: tuple[StageFigures, ...] = ()
    """In the order of the chain; empty where no stage was on."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """One decode's measurements, after the mastering chain."""

    sample_rate_hz: int
    channels: int
    frames: int
    source: Loudness
    """Before the mastering chain, on the stereo downmix."""
    mastered: Loudness
    """After the mastering chain: what the plan starts from."""
    envelope: Envelope
    facts: SignalFacts
    waveform: Waveform
    spectrum: Spectrum | None = None
    """After the mastering chain; tells how much loudness a codec's band limit takes."""
    stages: tuple[StageFigures, ...] = ()
    """What the mastering chain did."""
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return self.frames / self.sample_rate_hz


# ── plan ─────────────────────────────────────────────────────────────────────────────────

RangeMode = Literal["limit", "preserve"]
PlanMode = Literal["none", "static", "limited", "ridden", "ridden+limited"]
"""none: silence or too short · static: one gain · limited: and a limiter · ridden: and a rider."""
LimitedBy = Literal[
    "silence",
    "too_short",
    "max_gain",
    "max_gain_reduction",
    "peaks",
    "codec_peak",
    "codec_band",
    "codec_loudness",
]
"""What kept a target from being reached. The codec's: it overshoots whatever the ceiling · the
programme lies above the treble that the tier keeps · loudness stayed off for no single reason."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What a delivered master is to measure."""

    integrated_lufs: float = -14.0
    true_peak_dbtp: float = -1.5
    range_lu: float = 11.0
    range_mode: RangeMode = "limit"


@dataclass(frozen=True, slots=True)
class GainCurve:
    """A slow gain over time, linear between its points."""

    hop_s: float
    gain_db: NDArray[np.float32]
    """Gain at ``i × hop_s``; the last point holds to the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """From the measurement to what is to be done with the gain: a pure decision."""

    mode: PlanMode
    gain_db: float
    ceiling_dbtp: float
    rider: GainCurve | None
    predicted_lufs: float | None
    predicted_range_lu: float | None
    predicted_true_peak_dbtp: float | None
    predicted_gain_reduction_db: float
    """The limiter's deepest gain reduction; 0 where it never acts."""
    limited_by: LimitedBy | None
    """Why the target is not reached, or None."""

    @property
    def achieved(self) -> bool:
        """Whether the plan expects to reach the loudness target within ±0.1 LU."""
        return self.limited_by is None


# ── render ───────────────────────────────────────────────────────────────────────────────


EncoderName = Literal["aac", "fdkaac"]
"""FFmpeg's native AAC encoder · the Fraunhofer encoder, in a process of its own."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One rung of the ladder."""

    name: str
    bit_rate: int
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Dip:
    """A place in the programme, and by how much: of an overshoot, or of the gain taken there."""

    at_s: float
    depth_db: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to encode a tier."""

    ceiling_dbtp: float
    coder: Literal["twoloop", "fast"] = "twoloop"
    """Of FFmpeg's encoder, as ``tns``; another makes these choices itself."""
    tns: bool = True
    trim_db: float = 0.0
    """Added to the plan's gain for this tier alone."""
    dips: tuple[Dip, ...] = field(default=(), repr=False)
    """Where the gain gives way for some milliseconds, because an earlier encode overshot there."""


@dataclass(frozen=True, slots=True)
class EncodedTier:
    """One tier as encoded: an ADTS stream, ready to be measured and packaged."""

    tier: Tier
    candidate: Candidate
    path: Path
    """Raw ADTS (.aac)."""
    source_frames: int
    """Programme frames at the tier's own rate, before padding."""
    lead_frames: int
    """Frames the decoder yields before the programme: encoder delay + alignment padding."""
    aac_frames: int
    """ADTS frames of 1024 samples in the file."""
    encoder: EncoderName = "aac"
    """Which encoder made it."""


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """What a candidate measured once decoded again."""

    candidate: Candidate
    measured: Loudness
    accepted: bool
    overshoots: tuple[Dip, ...] = field(default=(), repr=False)
    """Where the decoded encode was over the delivered limit."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A tier with its measured, accepted encode."""

    encoded: EncodedTier
    measured: Loudness
    """Of the decoded rendition, lead and tail included: what a player of the ladder is given."""
    programme: Loudness
    """Of the best tier's decode without lead and tail: what a gapless player of the m4a is given.
    On the other tiers, ``measured``."""
    decoded_frames: int
    """Frames at the tier's rate that the decoder gave, lead and tail included."""
    tried: tuple[CandidateResult, ...]
    limited_by: LimitedBy | None


@dataclass(frozen=True, slots=True)
class Ladder:
    """All tiers, encoded, decoded again and measured."""

    renditions: tuple[Rendition, ...]
    """In the settings' order: low, med, high."""

    @property
    def best(self) -> Rendition:
        """The rendition that the m4a is muxed from: the highest bit rate."""
        return max(self.renditions, key=lambda r: r.encoded.tier.bit_rate)


# ── verify ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Verified:
    """A ladder within tolerance, or within it but for the reasons its renditions state.

    Only ``delivery.verify`` makes one.
    """

    ladder: Ladder
    warnings: tuple[str, ...] = ()


# ── package ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Segment:
    """One transport-stream segment on disk."""

    path: Path
    name: str
    duration_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class HlsRendition:
    """A tier cut into segments, with its measured bandwidths in bit/s."""

    tier: Tier
    segments: tuple[Segment, ...]
    bandwidth: int
    """Largest segment's rate (RFC 8216 §4.3.4.2)."""
    average_bandwidth: int
    playlist: str


@dataclass(frozen=True, slots=True)
class M4a:
    """The gapless download file."""

    path: Path
    size_bytes: int
    bit_rate: int
    priming_frames: int
    remainder_frames: int
    frames: int


@dataclass(frozen=True, slots=True)
class Package:
    """Everything that will be published, whole, on disk or in memory."""

    track_id: str
    verified: Verified
    renditions: tuple[HlsRendition, ...]
    master_playlist: str
    m4a: M4a
    metadata: Mapping[str, Any]
    """What metadata.json says; validated against docs/metadata.schema.json."""
    waveform_json: str
    summary: TrackSummary


# ── publish, record ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that everything is in the store."""

    track_id: str
    output_prefix: str
    objects: int
    bytes: int
    summary: TrackSummary


@dataclass(frozen=True, slots=True)
class RenditionSummary:
    """One delivered file in figures, measured after it was decoded again."""

    name: str
    """A tier's, or ``m4a``."""
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    range_lu: float | None
    duration_s: float
    average_bandwidth: int
    """bit/s, container included."""
    candidates: int
    """Encodes until one was within tolerance."""
    limited_by: LimitedBy | None
    """Why this file is not what was aimed at, or None."""


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """What the row keeps of a completed track, for ``explain`` and for the closing table."""

    track_id: str
    duration_s: float
    """Of the decoded upload."""
    source: Loudness
    """Of the upload."""
    plan_mode: PlanMode
    gain_db: float
    """The one gain that was given to all of it."""
    limited_by: LimitedBy | None
    """Why the target was not reached, or None."""
    renditions: tuple[RenditionSummary, ...]
    warnings: tuple[str, ...] = ()
    """Sentences for the artist or an engineer."""
