"""Stereo test signals, and how a stage is run on them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.model import Block
from tests.dsp_limiter.signals import SIGNALS

RATE_HZ = 44_100
SPIKE = 10.0 ** (84.0 / 20.0)


@st.composite
def hostile_stereo(draw: st.DrawFn, max_frames: int = 60_000) -> Block:
    """Two kinds laid over each other, perhaps with silence, denormals and a decoder's spike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.integers(1, max_frames))
    kinds = draw(st.lists(st.sampled_from(SIGNALS), min_size=1, max_size=2))
    signal = sum(kind(rng, frames, 2) for kind in kinds) * draw(st.floats(0.01, 4.0))
    signal = np.asarray(signal)
    if draw(st.booleans()):
        signal[frames // 3 : frames // 2] = draw(st.sampled_from((0.0, 1e-40, -1e-42)))
    if draw(st.booleans()):
        signal[frames // 4, 0] = SPIKE
    return signal.astype(np.float32)


def time_s(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate_hz)) / rate_hz


def stereo(channel: NDArray[np.float64]) -> Block:
    return np.stack([channel, channel], axis=1).astype(np.float32)


def sine(frequency_hz: float, dbfs: float, seconds: float, rate_hz: int = RATE_HZ) -> Block:
    wave = np.sin(2.0 * np.pi * frequency_hz * time_s(seconds, rate_hz))
    return stereo(10.0 ** (dbfs / 20.0) * wave)


def run(
    stage: MasteringStage,
    blocks: Iterable[Block],
    rate_hz: int = RATE_HZ,
    tally: StageTally | None = None,
) -> Block:
    parts = list(stage(iter(blocks), rate_hz, tally))
    assert all(part.dtype == np.float32 and part.ndim == 2 for part in parts)
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.float32)


def energy_db(block: NDArray[np.float32] | NDArray[np.float64]) -> float:
    return float(10.0 * np.log10(np.square(block.astype(np.float64)).mean() + 1e-30))
