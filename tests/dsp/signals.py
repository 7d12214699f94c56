"""Test signals, synthesised from the text of the standards; levels are peaks in dBFS.

EBU Tech 3341 (v4, 2023) table 1 and Tech 3342 (v4, 2023) table 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from audio_processor.model import Block

TONE_HZ = 1000.0
FADE_S = 0.010


def amplitude(dbfs: float) -> float:
    return float(10.0 ** (dbfs / 20.0))


def stereo(channel: NDArray[np.float64]) -> Block:
    """The same signal in both channels, as every case but 3341's sixth has it."""
    return multichannel([channel, channel])


def multichannel(channels: Iterable[NDArray[np.float64]]) -> Block:
    return np.ascontiguousarray(np.stack(list(channels), axis=1), dtype=np.float32)


def tone(rate_hz: int, *segments: tuple[float, float]) -> NDArray[np.float64]:
    """A 1 kHz sine of unbroken phase, in segments of ``(level_dbfs, seconds)``.

    A level of −inf is silence. Segments end on the nearest frame to where they should.
    """
    ends = np.rint(np.cumsum([seconds for _, seconds in segments]) * rate_hz).astype(int)
    levels = np.repeat([amplitude(level) for level, _ in segments], np.diff(ends, prepend=0))
    return levels * np.sin(2.0 * np.pi * TONE_HZ / rate_hz * np.arange(ends[-1]))


SILENCE_DBFS = float("-inf")


def faded(signal: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Tapered with a 10 ms fade-in and fade-out."""
    frames = round(FADE_S * rate_hz)
    ramp = np.arange(frames) / frames
    gain = np.ones(signal.size)
    gain[:frames] = ramp
    gain[signal.size - frames :] = ramp[::-1]
    return signal * gain


def peak_tone(rate_hz: int, divisor: int, peak: float, phase_degrees: float) -> NDArray[np.float64]:
    """Tech 3341 cases 15–19: a sine at ``rate / divisor`` that the samples straddle."""
    phase = 2.0 * np.pi * np.arange(rate_hz) / divisor + np.radians(phase_degrees)
    return faded(peak * np.sin(phase), rate_hz)


def peak_burst(rate_hz: int, offset: int) -> NDArray[np.float64]:
    """Tech 3341 cases 20–23: one period of fs/4 at full scale within fs/6 at half scale.

    Synthesised at 4 × fs, continuous in phase at both sides, low-pass filtered, and every
    fourth sample kept from ``offset`` on.
    """
    carrier = 0.5 * np.sin(2.0 * np.pi * np.arange(24 * (rate_hz // 60)) / 24)
    burst = np.sin(2.0 * np.pi * np.arange(16) / 16)
    whole = np.concatenate((carrier, burst, carrier))
    return faded(_half_band(whole)[offset::4], rate_hz)


def _half_band(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep what a quarter of the rate can carry; linear phase, no delay."""
    time = np.arange(-256, 257)
    taps = np.sinc(0.25 * 0.95 * time) * np.kaiser(time.size, 8.0)
    return np.convolve(signal, taps / taps.sum(), mode="same")


def cut(block: Block, lengths: Iterable[int]) -> Iterator[Block]:
    """The block in pieces of these lengths (a length of 0 is an empty block), then the rest."""
    at = 0
    for length in lengths:
        yield block[at : at + length]
        at += length
    yield block[at:]
