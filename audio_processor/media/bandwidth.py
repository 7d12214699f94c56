"""How much treble an AAC tier keeps. Pure.

FFmpeg's own choice differs from version to version (5.75 kHz or 8.6 kHz for one and the same
48 kbit/s tier), so it is always told: what a tier sounds like, and how much loudness its cut
takes, then hang on the tier alone.
"""

from __future__ import annotations

from itertools import pairwise

from audio_processor.model import EncoderName, Tier

_CUTOFFS_HZ = (
    (16_000, 5_800),
    (24_000, 8_600),
    (32_000, 12_000),
    (64_000, 17_200),
    (96_000, 20_000),
)
"""Bit/s per channel and bandwidth: what FFmpeg 9's native encoder takes by itself, measured on
white noise at 24, 32 and 64 kbit/s a channel."""


_FDK_CUTOFFS_HZ = (
    (12_000, 6_400),
    (20_000, 9_640),
    (28_000, 13_050),
    (40_000, 14_260),
    (56_000, 15_500),
    (72_000, 16_120),
    (96_000, 17_000),
)
"""What libfdk-aac 2.0 takes by itself from this rate per channel on, measured on white noise."""
_FDK_LEAST_HZ = 5_000


def cutoff_hz(encoder: EncoderName, tier: Tier) -> int:
    """Return where this encoder cuts the tier's treble off."""
    return fdk_cutoff_hz(tier) if encoder == "fdkaac" else aac_cutoff_hz(tier)


def fdk_cutoff_hz(tier: Tier) -> int:
    """Return where a stereo tier's treble is cut off by libfdk-aac: the table's steps."""
    kept_hz = _FDK_LEAST_HZ
    for rate, hz in _FDK_CUTOFFS_HZ:
        if tier.bit_rate / 2 >= rate:
            kept_hz = hz
    return min(kept_hz, tier.sample_rate_hz // 2)


def aac_cutoff_hz(tier: Tier) -> int:
    """Return where a stereo tier's treble is cut off: linear between the table's points."""
    per_channel = tier.bit_rate / 2
    (low_rate, low_hz), *_ = _CUTOFFS_HZ
    cutoff_hz = low_hz * per_channel / low_rate
    for (rate, hz), (next_rate, next_hz) in pairwise(_CUTOFFS_HZ):
        if per_channel >= rate:
            share = min(1.0, (per_channel - rate) / (next_rate - rate))
            cutoff_hz = hz + share * (next_hz - hz)
    return min(round(cutoff_hz), tier.sample_rate_hz // 2)
