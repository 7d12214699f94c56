"""Short programmes and profiles made for a purpose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audio_processor.mastering.profile import BANDS, CENTRES_HZ, Profile
from audio_processor.model import Block, Loudness


def noise(rate_hz: int, seconds: float, level_db: float = -12.0) -> Block:
    """Stereo noise in bursts, half of it common to both channels, with a DC offset."""
    generator = np.random.default_rng(7)
    frames = round(rate_hz * seconds)
    both = generator.standard_normal((frames, 1))
    apart = generator.standard_normal((frames, 2))
    bursts = 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 4 * np.arange(frames) / rate_hz))
    shaped = (both + apart) / 8 * bursts[:, np.newaxis] * 10 ** (level_db / 20)
    return np.asarray(shaped + 0.01, dtype=np.float32)


def cut(audio: Block, frames: int) -> Iterator[Block]:
    return (audio[start : start + frames] for start in range(0, len(audio), frames))


def profile(
    *,
    lufs: float | None = -14.0,
    plr_db: float = 13.0,
    range_lu: float = 6.0,
    low_db: float = -2.5,
    high_db: float = -23.0,
    correlation: float | None = 0.6,
) -> Profile:
    """A profile with these shares of its power below 250 Hz and above 4 kHz."""
    low, high = CENTRES_HZ < 250.0, CENTRES_HZ > 4000.0
    shares = {"low": 10 ** (low_db / 10), "high": 10 ** (high_db / 10)}
    power = np.empty(BANDS)
    power[low] = shares["low"] / low.sum()
    power[high] = shares["high"] / high.sum()
    power[~low & ~high] = (1.0 - shares["low"] - shares["high"]) / (~low & ~high).sum()
    silent = np.full(BANDS, -np.inf)
    peak = None if lufs is None else lufs + plr_db
    return Profile(
        mid_db=silent if lufs is None else 10 * np.log10(power),
        side_db=silent,
        loudness=Loudness(lufs, range_lu, peak, peak, lufs, lufs),
        correlation=correlation,
        duration_s=200.0,
    )
