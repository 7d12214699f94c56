"""Programmes to plan for: music-like, stepped, rising; and what other meters say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyebur128
from numpy.typing import NDArray

from audio_processor.dsp.gain import Gain
from audio_processor.dsp.limiter import Limiter
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain
from audio_processor.model import Analysis, Block, Plan

RATE_HZ = 48_000


def blocks(audio: Block, frames: int = 16_384) -> Iterator[Block]:
    return (audio[start : start + frames] for start in range(0, len(audio), frames))


def analysed(audio: Block, rate_hz: int = RATE_HZ) -> Analysis:
    return analyse(blocks(audio), rate_hz, Chain())


def mastered(audio: Block, plan: Plan, rate_hz: int = RATE_HZ) -> Block:
    """The master that the plan describes: gain, rider, limiter."""
    ridden = Gain(plan.gain_db, plan.rider)(blocks(audio), rate_hz)
    return np.concatenate(list(Limiter(plan.ceiling_dbtp)(ridden, rate_hz)))


@dataclass(frozen=True)
class Reading:
    integrated_lufs: float
    range_lu: float


def libebur128(audio: Block, rate_hz: int = RATE_HZ) -> Reading:
    mode = pyebur128.MeasurementMode
    state = pyebur128.R128State(audio.shape[1], rate_hz, mode.MODE_I | mode.MODE_LRA)
    state.add_frames(np.ascontiguousarray(audio, np.float32).reshape(-1), len(audio))
    return Reading(
        pyebur128.get_loudness_global(state),
        pyebur128.get_loudness_range(state),
    )


def stereo(mono: NDArray[np.float64]) -> Block:
    return np.repeat(mono[:, None], 2, axis=1).astype(np.float32)


def band(seconds: float, level_db: float = 0.0, seed: int = 1, rate_hz: int = RATE_HZ) -> Block:
    """Drums, bass and a chord: a crest factor as music has it, peak near full scale at 0 dB."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate_hz)
    time = np.arange(frames) / rate_hz
    beat = time % 0.5
    kick = np.exp(-beat / 0.04) * np.sin(2 * np.pi * (50 + 80 * np.exp(-beat / 0.02)) * beat)
    snare_beat = (time + 0.25) % 1.0
    snare = np.exp(-snare_beat / 0.05) * rng.standard_normal(frames) * 0.25
    bass = 0.15 * np.sin(2 * np.pi * 55 * time) * (1 + 0.3 * np.sin(2 * np.pi * 0.5 * time))
    chord = sum(0.04 * np.sin(2 * np.pi * f * time + f) for f in (220.0, 277.2, 329.6, 440.0))
    left = 0.7 * kick + snare + bass + chord
    right = 0.7 * kick + 0.8 * snare + bass + np.roll(chord, rate_hz // 100)
    loud = np.stack([left, right], axis=1) * 0.9 * 10.0 ** (level_db / 20.0)
    return np.asarray(loud, dtype=np.float32)


def levels(points: list[tuple[float, float]], rate_hz: int = RATE_HZ) -> Block:
    """The band under a fader: ``(seconds, dB)`` each held, with 20 ms between them."""
    faded = np.repeat(
        [10.0 ** (db / 20.0) for _, db in points],
        [round(seconds * rate_hz) for seconds, _ in points],
    )
    ramp = round(0.02 * rate_hz)
    fader = np.convolve(np.pad(faded, ramp // 2, mode="edge"), np.ones(ramp) / ramp, "same")
    fader = fader[ramp // 2 : ramp // 2 + faded.size]
    return np.asarray(
        band(faded.size / rate_hz, rate_hz=rate_hz) * fader[:, None], dtype=np.float32
    )


def crescendo(seconds: float, from_db: float, to_db: float, rate_hz: int = RATE_HZ) -> Block:
    audio = band(seconds, rate_hz=rate_hz)
    fader = 10.0 ** (np.linspace(from_db, to_db, len(audio)) / 20.0)
    return np.asarray(audio * fader[:, None], dtype=np.float32)
