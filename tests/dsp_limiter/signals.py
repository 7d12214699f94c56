"""What a limiter fears, from a seed; and how a stream may be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray

from audio_processor.dsp.stage import Stage
from audio_processor.model import Block

Signal = NDArray[np.float64]

RATES_HZ = (8_000, 22_050, 44_100, 48_000, 96_000, 192_000)


def noise(rng: Generator, frames: int, channels: int) -> Signal:
    return np.asarray(rng.standard_normal((frames, channels)) * 0.3)


def clicks(rng: Generator, frames: int, channels: int) -> Signal:
    signal = np.zeros((frames, channels))
    count = 1 + frames // 200
    signal[rng.integers(0, frames, count), rng.integers(0, channels, count)] = rng.uniform(
        -2.0, 2.0, count
    )
    return signal


def square_at_quarter_rate(rng: Generator, frames: int, channels: int) -> Signal:
    """Samples at ±0.7 of a waveform that reaches 1 between them, switched on and off."""
    wave = np.sin(np.pi / 2 * np.arange(frames) + np.pi / 4)
    gate = (np.arange(frames) // int(rng.integers(50, 2000))) % 2
    return np.asarray((np.sign(wave) * gate)[:, None] * rng.uniform(0.5, 2.0, channels))


def random_signs(rng: Generator, frames: int, channels: int) -> Signal:
    return rng.choice([-1.0, 1.0], (frames, channels))


def bursts(rng: Generator, frames: int, channels: int) -> Signal:
    levels = np.repeat(10.0 ** rng.uniform(-2.0, 0.5, frames // 300 + 1), 300)[:frames]
    return noise(rng, frames, channels) * levels[:, None]


def tones(rng: Generator, frames: int, channels: int) -> Signal:
    """Two sines anywhere below 0.49 of the rate, hard switched."""
    time = np.arange(frames)[:, None]
    wave = sum(
        np.sin(2 * np.pi * rng.uniform(0.0005, 0.49) * time + rng.uniform(0, 6.28, channels))
        for _ in range(2)
    )
    gate = np.sin(2 * np.pi * rng.uniform(0.0001, 0.01) * time) > 0
    return np.asarray(wave * gate)


SIGNALS: tuple[Callable[[Generator, int, int], Signal], ...] = (
    noise,
    clicks,
    square_at_quarter_rate,
    random_signs,
    bursts,
    tones,
)


@st.composite
def hostile(draw: st.DrawFn, max_frames: int = 12_000) -> Block:
    """A stream of one kind, or of two laid over each other, mono or stereo."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.integers(1, max_frames))
    channels = draw(st.sampled_from((1, 2)))
    kinds = draw(st.lists(st.sampled_from(SIGNALS), min_size=1, max_size=2))
    level = draw(st.floats(0.05, 4.0))
    mixed = sum(kind(rng, frames, channels) for kind in kinds) * level
    return np.asarray(mixed).astype(np.float32)


def cut_at_random(block: Block, seed: int) -> Iterator[Block]:
    """The stream in blocks of any length: none, one frame, a few, thousands."""
    rng = np.random.default_rng(seed)
    at = 0
    while at < len(block):
        length = int(rng.choice([0, 1, 7, 64, 1000, 8192, 20_000]))
        yield block[at : at + length]
        at += length


def whole(block: Block) -> Iterator[Block]:
    return iter([block])


def run(stage: Stage, blocks: Iterable[Block], rate_hz: int, channels: int = 2) -> Block:
    """Everything that the stage yields, in one block."""
    parts = list(stage(iter(blocks), rate_hz))
    assert all(part.dtype == np.float32 and part.ndim == 2 for part in parts)
    return np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)
