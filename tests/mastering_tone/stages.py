"""The stages under test at telling settings, and how to hear what one does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.equaliser import Equaliser
from audio_processor.mastering.stages.high_pass import HighPass
from audio_processor.mastering.stages.mono_sub import MonoSub
from audio_processor.mastering.stages.width import StereoWidth
from audio_processor.model import Block
from tests.dsp_limiter.signals import run, whole

ALL_BANDS = Equaliser(low_shelf_db=6.0, mid_cut_db=-6.0, presence_db=6.0, high_shelf_db=-6.0)

STAGES: dict[str, MasteringStage] = {
    "high-pass": HighPass(30.0),
    "high-pass of 24 dB": HighPass(60.0, 4),
    "equaliser": ALL_BANDS,
    "mono sub": MonoSub(100.0),
    "narrow": StereoWidth(40.0),
    "mono": StereoWidth(0.0),
    "wide": StereoWidth(200.0, correlation_floor=0.3),
    "microshift": StereoWidth(100.0, 100.0),
    "wide, shifted, unguarded": StereoWidth(170.0, 60.0, -1.0),
    "narrow, shifted": StereoWidth(50.0, 60.0, 0.9),
}


def mid_side(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = block.astype(np.float64).T
    return (left + right) / 2, (left - right) / 2


def left_right(mid: NDArray[np.float64], side: NDArray[np.float64]) -> Block:
    return np.stack([mid + side, mid - side], axis=1).astype(np.float32)


def response(
    stage: MasteringStage,
    rate_hz: int,
    hz: NDArray[np.float64],
    into: Callable[[NDArray[np.float64]], Block] = lambda x: left_right(x, 0 * x),
    out: Callable[[Block], NDArray[np.float64]] = lambda block: mid_side(block)[0],
) -> NDArray[np.complex128]:
    """What the stage does from one component to another, from its answer to an impulse."""
    frames = rate_hz
    impulse = np.zeros(frames)
    impulse[0] = 1.0
    answer = out(run(stage, whole(into(impulse)), rate_hz))
    return np.asarray(np.exp(-2j * np.pi * np.outer(hz / rate_hz, np.arange(frames))) @ answer)


def decibels(ratio: NDArray[np.complex128] | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(ratio), 1e-15)))
