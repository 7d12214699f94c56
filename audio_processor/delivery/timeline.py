"""One timeline for all tiers: how much silence goes before the encoder.

A decoder yields an AAC-LC stream ``AAC_FRAME`` samples late (the MDCT's overlap; FFmpeg's
native encoder and decoder, measured). That is 23.2 ms at 44.1 kHz and 42.7 ms at 24 kHz, so
that a player which switches tiers would jump by the difference. Every tier is therefore
padded to the lead of the slowest one.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from audio_processor.media.adts import FRAME_SAMPLES

AAC_FRAME = FRAME_SAMPLES
"""Samples in an AAC-LC frame; the decoder's delay is one frame."""


def alignment_padding(sample_rates_hz: Iterable[int]) -> dict[int, int]:
    """Return, by tier rate, the frames of silence to put before that tier's programme.

    The lowest rate needs none. What is left of misalignment is the rounding to a whole
    frame: at most half a frame of each tier, 11 µs at 44.1 kHz.
    """
    rates = set(sample_rates_hz)
    if not rates:
        return {}
    lead_s = Fraction(AAC_FRAME, min(rates))
    return {rate: round((lead_s - Fraction(AAC_FRAME, rate)) * rate) for rate in sorted(rates)}


def lead_frames(padding_frames: int) -> int:
    """Return how many decoded frames come before the programme's first."""
    return AAC_FRAME + padding_frames
