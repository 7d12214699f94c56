"""What is compared: the figures of one programme through one preset, and how far they may move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np

from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.catalogue import LEVEL_DEPENDENT
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.plan import make_plan
from audio_processor.mastering.profile import Profile, ProfileMeter, third_octave_db
from audio_processor.mastering.render import levelled, limited
from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.input_level import InputLevel
from audio_processor.model import Block, Targets
from bench.regress.programmes import Programme

BLOCK_FRAMES = 16_384
SILENT_DB = -90.0
"""Bands below this have no say in the spectral distance."""

TOLERANCES: Mapping[str, float] = MappingProxyType(
    {
        "integrated_lufs": 0.05,
        "true_peak_dbtp": 0.1,
        "crest_db": 0.1,
        "correlation": 0.01,
        "spectral_distance_db": 0.1,
        "residual_db": 0.5,
    }
)
"""Wide enough for another CPU's rounding, too narrow for an audible change."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One master against its source."""

    integrated_lufs: float
    true_peak_dbtp: float
    crest_db: float
    """Sample peak over RMS."""
    correlation: float
    """L/R, −1…1."""
    spectral_distance_db: float
    """Mean absolute difference of the 1/3-octave mid spectra, both at one loudness."""
    residual_db: float
    """What is left when the source, at the gain that fits best, is taken off the master: its
    energy against the master's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that moved further than it may."""

    programme: str
    preset: str
    figure: str
    golden: float
    found: float

    def __str__(self) -> str:
        return (
            f"{self.programme} through {self.preset}: {self.figure} is {self.found:.3f}, "
            f"was {self.golden:.3f} (±{TOLERANCES[self.figure]:g})"
        )


def measure(programme: Programme, stages: Sequence[MasteringStage]) -> Figures:
    """Master the programme as the line would, without a codec, and measure what came of it.

    Stages that are set for a level are given it, as ``Studio.treatment`` does.
    """
    rate_hz = programme.sample_rate_hz
    before = _profile(programme.audio, rate_hz)
    if any(isinstance(stage, LEVEL_DEPENDENT) for stage in stages):
        stages = (InputLevel.for_loudness(before.loudness.integrated_lufs), *stages)
    chain = Chain(tuple(stages))
    analysis = analyse(_blocks(programme.audio), rate_hz, chain)
    plan = make_plan(analysis, Targets())
    blocks = levelled(_blocks(programme.audio), rate_hz, chain, plan, has_spikes=False)
    master = np.concatenate(list(limited(blocks, rate_hz, plan, out_rate_hz=rate_hz)))
    after = _profile(master, rate_hz)
    level = after.loudness.integrated_lufs
    assert level is not None and before.loudness.integrated_lufs is not None
    moved = third_octave_db(after) - third_octave_db(before)
    heard = third_octave_db(before) > SILENT_DB
    shift = level - before.loudness.integrated_lufs
    return Figures(
        integrated_lufs=level,
        true_peak_dbtp=after.loudness.true_peak_dbtp or 0.0,
        crest_db=_crest_db(master),
        correlation=after.correlation or 0.0,
        spectral_distance_db=float(np.mean(np.abs(moved[heard] - shift))),
        residual_db=_residual_db(programme.audio, master),
    )


def differences(
    programme: str, preset: str, golden: Mapping[str, float], found: Figures
) -> Iterator[Difference]:
    """Yield each figure that is further from its golden than its tolerance."""
    for figure, value in asdict(found).items():
        if figure not in golden:
            yield Difference(programme, preset, figure, math.nan, value)
        elif not abs(value - golden[figure]) <= TOLERANCES[figure]:
            yield Difference(programme, preset, figure, golden[figure], value)


def _blocks(audio: Block) -> Iterator[Block]:
    return (audio[start : start + BLOCK_FRAMES] for start in range(0, len(audio), BLOCK_FRAMES))


def _profile(audio: Block, rate_hz: int) -> Profile:
    meter = ProfileMeter(rate_hz)
    meter.push(audio)
    return meter.result()


def _crest_db(audio: Block) -> float:
    rms = math.sqrt(float(np.mean(audio.astype(np.float64) ** 2)))
    return 20.0 * math.log10(float(np.abs(audio).max()) / rms)


def _residual_db(source: Block, master: Block) -> float:
    """−120 dB or more: below it is rounding."""
    before, after = source.astype(np.float64).ravel(), master.astype(np.float64).ravel()
    gain = float(np.dot(before, after) / np.dot(before, before))
    rest = after - gain * before
    ratio = float(np.dot(rest, rest) / np.dot(after, after))
    return max(-120.0, 10.0 * math.log10(max(ratio, 1e-12)))
