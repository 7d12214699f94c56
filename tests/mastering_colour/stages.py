"""The stages under test at telling settings, and how to hear what one adds to a tone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.character import Character
from audio_processor.mastering.stages.de_esser import DeEsser
from audio_processor.mastering.stages.glow import HarmonicGlow
from audio_processor.mastering.stages.transient import TransientSculpt
from audio_processor.model import Block
from tests.dsp_limiter.signals import run, whole

STAGES: dict[str, MasteringStage] = {
    "character": Character(100.0),
    "a little character": Character(8.0),
    "glow": HarmonicGlow(100.0),
    "glow of the bass": HarmonicGlow(40.0, 40.0, 1500.0),
    "attack": TransientSculpt(100.0, 0.0),
    "dry": TransientSculpt(-60.0, -100.0),
    "attack and sustain": TransientSculpt(100.0, 100.0),
    "de-esser": DeEsser(),
    "de-esser of all": DeEsser(3000.0, -40.0, 20.0, 12.0, 10.0, 500.0),
}

PERIOD = 32_768
"""Tones have a whole and odd number of periods in so many frames: spectra need no window."""


def both(mono: NDArray[np.float64]) -> Block:
    """The signal on both channels."""
    return np.repeat(mono[:, None], 2, axis=1).astype(np.float32)


def sine(cycles: float, frames: int, phase: float = 0.0) -> NDArray[np.float64]:
    """A sine of full scale with so many cycles in ``PERIOD`` frames."""
    return np.asarray(np.sin(2 * np.pi * cycles / PERIOD * np.arange(frames) + phase))


@dataclass(frozen=True)
class Tone:
    """A steady sine's spectrum after a stage: the amplitudes of a sine, in dBFS."""

    cycles: int
    spectrum_db: NDArray[np.float64]

    def harmonic_db(self, order: int) -> float:
        return float(self.spectrum_db[order * self.cycles])

    @property
    def highest_order(self) -> int:
        """The last harmonic below half the rate."""
        return (PERIOD // 2 - 1) // self.cycles

    def rest_db(self, up_to_order: int) -> float:
        """The largest line that is neither constant nor a harmonic up to that order."""
        rest = self.spectrum_db.copy()
        rest[0] = -np.inf
        rest[self.cycles :: self.cycles][:up_to_order] = -np.inf
        return float(rest.max())


def hear(stage: MasteringStage, hz: float, rate_hz: int, level: float = 1.0) -> Tone:
    """Send a sine near ``hz`` through the stage and look at the left channel."""
    cycles = round(hz / rate_hz * PERIOD) | 1
    heard = run(stage, whole(both(level * sine(cycles, 3 * PERIOD))), rate_hz)
    steady = heard[PERIOD : 2 * PERIOD, 0].astype(np.float64)
    amplitudes = np.abs(np.fft.rfft(steady)) * 2 / PERIOD
    return Tone(cycles, 20 * np.log10(np.maximum(amplitudes, 1e-15)))


def decibels(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-15)))


def rms(signal: Block | NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(signal.astype(np.float64)))))
