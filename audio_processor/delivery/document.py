"""The form of metadata.json as types; ``docs/metadata.schema.json`` says the same in JSON Schema.

A level that does not exist (the loudness of silence) is null. Bit rates are in bit/s.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from audio_processor.model import EncoderName, LimitedBy, PlanMode, RangeMode


class Levels(TypedDict):
    """What a meter says of one programme."""

    integrated_lufs: float | None
    range_lu: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    momentary_max_lufs: float | None
    short_term_max_lufs: float | None


class Target(TypedDict):
    """What a delivered master was to measure."""

    integrated_lufs: float
    true_peak_dbtp: float
    range_lu: float
    range_mode: RangeMode


class LoudnessFacts(TypedDict):
    """Before and after the mastering chain; the renditions have their own."""

    target: Target
    source: Levels
    mastered: Levels


class Cover(TypedDict):
    """The embedded picture, carried into the m4a."""

    mime_type: Literal["image/jpeg", "image/png"]
    size_bytes: int


class SourceFacts(TypedDict):
    """The raw upload; ``duration_s`` is decoded, ``declared_duration_s`` the container's word."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    channel_layout: str
    bit_depth: int | None
    bit_rate: int | None
    duration_s: float
    declared_duration_s: float | None
    size_bytes: int
    sha256: str
    tags: dict[str, str]
    cover: Cover | None


class Signal(TypedDict):
    """What an engineer would complain of."""

    clipped_runs: int
    decoder_spikes: int
    leading_silence_s: float
    trailing_silence_s: float
    dc_offset: list[float]
    correlation: float | None


class ReductionFacts(TypedDict):
    """The gain that a stage took off one band; positive dB, fraction of the time 0…1."""

    band: str
    deepest_db: float
    mean_db: float
    active_fraction: float


class StageFacts(TypedDict):
    """One mastering stage: what it was set to and what it did."""

    stage: str
    parameters: dict[str, float]
    energy_added_db: float | None
    reductions: list[ReductionFacts]


class CurveFacts(TypedDict):
    """How far a gain curve goes over frequency."""

    min_gain_db: float
    max_gain_db: float


class MatchFacts(TypedDict):
    """A reference match: what it was made from and what it did."""

    profile_sha256: str
    mid: CurveFacts
    side: CurveFacts


class MasteringFacts(TypedDict):
    """The mastering chain in its order; ``reason`` is why ``auto`` chose the preset."""

    preset: str
    preset_version: int
    reason: str | None
    reference: str | None
    match: MatchFacts | None
    stages: list[StageFacts]


class Rider(TypedDict):
    """The gain curve that brought the loudness range down."""

    hop_s: float
    points: int
    min_gain_db: float
    max_gain_db: float


class PlanFacts(TypedDict):
    """What was done with the gain, and what was expected of it."""

    mode: PlanMode
    achieved: bool
    limited_by: LimitedBy | None
    gain_db: float
    ceiling_dbtp: float
    rider: Rider | None
    predicted_lufs: float | None
    predicted_range_lu: float | None
    predicted_true_peak_dbtp: float | None
    predicted_gain_reduction_db: float


class Encode(TypedDict):
    """One way to encode a tier; ``coder`` and ``tns`` are choices of FFmpeg's encoder alone."""

    encoder: EncoderName
    ceiling_dbtp: float
    coder: Literal["twoloop", "fast"] | None
    tns: bool | None
    trim_db: float
    dips: int


class Tried(TypedDict):
    """An encode that was made, decoded and measured."""

    encode: Encode
    measured: Levels
    accepted: bool


class RenditionFacts(TypedDict):
    """One rung as delivered; ``sha256`` is of its segments, one after the other."""

    name: str
    playlist: str
    codecs: str
    nominal_bit_rate: int
    sample_rate_hz: int
    bandwidth: int
    average_bandwidth: int
    duration_s: float
    target_duration_s: int
    segments: int
    size_bytes: int
    sha256: str
    aac_frames: int
    lead_frames: int
    source_frames: int
    loudness: Levels
    limited_by: LimitedBy | None
    encode: Encode
    candidates: list[Tried]


class M4aFacts(TypedDict):
    """The download file; ``frames`` are the programme's, without priming and remainder."""

    file: str
    rendition: str
    sample_rate_hz: int
    bit_rate: int
    size_bytes: int
    sha256: str
    priming_frames: int
    remainder_frames: int
    frames: int
    duration_s: float
    loudness: Levels


class WaveformFacts(TypedDict):
    """What is in waveform.json."""

    samples_per_pixel: int
    length: int


class SettingsFacts(TypedDict):
    """Settings that shaped the output and are not told elsewhere."""

    segment_duration_s: float


class Metadata(TypedDict):
    """The whole document."""

    schema_version: str
    track_id: str
    upload_id: str
    file_name: str
    generation: str | None
    processed_at: str
    source: SourceFacts
    loudness: LoudnessFacts
    signal: Signal
    mastering: MasteringFacts
    plan: PlanFacts
    renditions: list[RenditionFacts]
    m4a: M4aFacts
    waveform: WaveformFacts
    settings: SettingsFacts
    tools: dict[str, str]
    warnings: list[str]
