"""Hundreds of short tracks, no two alike: of each it can be told whose sound it is."""

from __future__ import annotations

import io
import random
import wave

import numpy as np

RATE_HZ = 44_100


def track(number: int, seed: int, seconds: float | None = None) -> bytes:
    """Return a 16-bit stereo WAV, of 1.5–2.5 s unless told: a chord and a pulse of its own."""
    own = random.Random(f"{seed}/{number}")
    frames = int((seconds or own.uniform(1.5, 3.0)) * RATE_HZ)
    at = np.arange(frames) / RATE_HZ
    root_hz = own.uniform(110.0, 440.0)
    chord = sum(
        np.sin(2 * np.pi * root_hz * ratio * at + own.uniform(0, 6.0)) / (1 + step)
        for step, ratio in enumerate((1.0, own.choice((1.2, 1.25)), 1.5, 2.0))
    )
    pulse = np.random.default_rng(own.getrandbits(64)).normal(0, 0.3, frames)
    pulse *= np.exp(-8.0 * (at * own.uniform(1.5, 4.0) % 1.0))
    level = own.uniform(0.05, 0.3)
    left, right = level * (chord + pulse), level * (chord - 0.5 * pulse)
    samples = np.clip(np.stack([left, right], axis=1), -1, 1) * 32767
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
