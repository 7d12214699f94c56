"""What is delivered: loudness, loudness range and the ladder's tiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from audio_processor.settings.base import Group, Problem, setting

if TYPE_CHECKING:
    from audio_processor.model import Tier

AAC_SAMPLE_RATES_HZ = (
    7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000,
)  # fmt: skip
"""ISO/IEC 14496-3 §1.6.3.4, table 1.18: the rates that an index exists for."""
_AAC_FRAME = 1024
_AAC_MAX_FRAME_BITS = 6144
"""Per channel: the decoder's input buffer, ISO/IEC 14496-3 §4.5.3.1."""
_CHANNELS = 2
_MAX_TIERS = 8


class LoudnessSettings(Group):
    """What every delivered track is to measure (BS.1770-5)."""

    integrated_lufs: float = setting(
        -14.0, "Integrated loudness.", ge=-40, le=-5, also=("target", "target_lufs", "lufs")
    )
    true_peak_dbtp: float = setting(
        -1.5,
        "Ceiling of the master, before the codec.",
        ge=-20,
        le=0,
        also=("ceiling", "true_peak"),
    )
    delivered_true_peak_dbtp: float = setting(
        -1.0, "Most that a delivered file may peak at once decoded again.", ge=-20, le=0
    )
    tolerance_lu: float = setting(
        0.3, "How far a delivered file may be from the target.", ge=0.1, le=3, also=("tolerance",)
    )
    max_gain_db: float = setting(
        24.0, "Most that a quiet track is raised; more would raise its noise.", ge=0, le=60
    )
    max_gain_reduction_db: float = setting(
        12.0,
        "Deepest that the limiter may act; a track that needs more stays quieter.",
        ge=0,
        le=30,
    )

    max_mean_gain_reduction_db: float = setting(
        6.0,
        "Most that the limiter may take off on average while it acts; the governor backs the "
        "target off for a track that would need more.",
        ge=0,
        le=30,
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a master ceiling above what may be delivered."""
        if self.true_peak_dbtp > self.delivered_true_peak_dbtp:
            yield Problem(
                "true_peak_dbtp",
                "must be at most loudness.delivered_true_peak_dbtp, "
                f"{self.delivered_true_peak_dbtp}: the codec only adds to peaks",
            )


class LoudnessRangeSettings(Group):
    """What becomes of a wide loudness range (EBU Tech 3342)."""

    mode: Literal["limit", "preserve"] = setting(
        "limit", "`limit` brings a range above the target down; `preserve` leaves it."
    )
    target_lu: float = setting(11.0, "Widest range in `limit` mode.", ge=3, le=30, also=("target",))


class TierSettings(Group):
    """One rung of the ladder: AAC-LC, stereo."""

    name: str = setting(
        ..., "Folder of the tier's playlist and segments.", pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$"
    )
    bit_rate: int = setting(
        ..., "Nominal rate of the encoder.", ge=8_000, le=512_000, also=("bitrate",)
    )
    sample_rate_hz: int = setting(..., "One of AAC's rates.", also=("sample_rate",))
    first_ceiling_dbtp: float = setting(
        -2.5,
        "Limiter's ceiling of the first encode. A lower one costs a little level, "
        "a second encode costs CPU.",
        ge=-12,
        le=0,
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what AAC-LC cannot carry."""
        if self.sample_rate_hz not in AAC_SAMPLE_RATES_HZ:
            nearest = min(AAC_SAMPLE_RATES_HZ, key=lambda rate: abs(rate - self.sample_rate_hz))
            yield Problem(
                "sample_rate_hz",
                f"is not a rate that AAC knows; the nearest is {nearest}",
            )
            return
        most = _CHANNELS * _AAC_MAX_FRAME_BITS * self.sample_rate_hz // _AAC_FRAME
        if self.bit_rate > most:
            yield Problem(
                "bit_rate", f"AAC carries at most {most} bit/s at {self.sample_rate_hz} Hz"
            )

    def as_tier(self) -> Tier:
        """Return the model's form of this tier."""
        from audio_processor.model import Tier

        return Tier(self.name, self.bit_rate, self.sample_rate_hz)


DEFAULT_TIERS = (
    TierSettings(name="low", bit_rate=48_000, sample_rate_hz=24_000, first_ceiling_dbtp=-4.0),
    TierSettings(name="med", bit_rate=64_000, sample_rate_hz=32_000, first_ceiling_dbtp=-4.0),
    TierSettings(name="high", bit_rate=128_000, sample_rate_hz=44_100, first_ceiling_dbtp=-2.5),
)


class LadderSettings(Group):
    """The renditions that are published, lowest first; the `.m4a` is the highest."""

    segment_duration_s: float = setting(
        10.0, "Aimed length of a segment.", ge=2, le=60, also=("segment_duration",)
    )
    max_candidates: int = setting(
        6, "Encodes tried per tier until one is within tolerance.", ge=1, le=12
    )
    tiers: tuple[TierSettings, ...] = setting(
        DEFAULT_TIERS, "The tiers, one to eight; a list given here replaces the whole default."
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a ladder without tiers or with too many, and names that occur twice."""
        if not 1 <= len(self.tiers) <= _MAX_TIERS:
            yield Problem("tiers", f"must have one to {_MAX_TIERS} tables, not {len(self.tiers)}")
        for name, count in Counter(tier.name for tier in self.tiers).items():
            if count > 1:
                yield Problem(
                    "tiers", f"'{name}' names {count} tiers: each needs a name of its own"
                )
