"""The multiband compressor: three bands, each with a soft-knee compressor of its own.

The crossover is ``dsp.crossover``: its bands' sum is flat in magnitude (within 1e-5 dB), so
where no band compresses only phase is changed. The compressors are ``dsp.compressor``'s, both
channels share one gain. Below the threshold and its knee the gain is the make-up.

* Levels are peaks in dBFS: a full-scale sine has 0. A peak is held for half a period of the
  band's lowest frequency, so that a steady tone has a steady level and its gain no ripple.
* Gains are computed once a cell of 16 frames; a cell's straight line ends on the gain that its
  own peak asks for, so nothing is delayed and nothing looked ahead.
* The attack time is the time constant of the way down, in decibels; on the way up attack and
  release act one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from audio_processor.dsp.compressor import CELL_FRAMES, BandCompression, Compressors
from audio_processor.dsp.crossover import BANDS, Crossover
from audio_processor.dsp.stage import rechunk
from audio_processor.mastering.parameters import OutOfRange, Range, hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

HOP_FRAMES = 512 * CELL_FRAMES
LOWEST_HZ = 20.0
"""The lowest frequency whose level is steady."""

ONE_KNOB = Range(1.0, 10.0, "One knob for all three ratios: 1 is off, 4 the defaults.")
ONE_KNOB_DEFAULTS = 4.0
TYPICAL_DB = (-10.0, -10.0, -18.0)
"""The bands' held peaks in music at −14 LUFS: what its energy loses to the default curves is
what these levels lose (medians of the corpus: 12.6, 6.5 and 0.1 dB)."""

_BEGINS = "Peak level where it begins, dBFS."
_RATIO = "Decibels of input for one more of output."
_ATTACK = "Time constant of the way down."
_RELEASE = "Time constant of the way up."
_KNEE = "Width of the bend around the threshold."
_MAKEUP = "Gain of the band, always."


@dataclass(frozen=True, slots=True)
class MultibandCompressor:
    """A stage: three bands compressed apart. Neutral where all ratios are 1 without make-up."""

    name: ClassVar[str] = "multiband"

    low_split_hz: float = parameter(250.0, 60.0, 1000.0, "Where low and mid part.")
    high_split_hz: float = parameter(4000.0, 1500.0, 12000.0, "Where mid and high part.")

    low_threshold_db: float = parameter(-25.0, -40.0, 0.0, _BEGINS)
    low_ratio: float = parameter(6.0, 1.0, 10.0, _RATIO)
    low_attack_ms: float = parameter(20.0, 0.5, 200.0, _ATTACK)
    low_release_ms: float = parameter(200.0, 10.0, 2000.0, _RELEASE)
    low_knee_db: float = parameter(6.0, 0.0, 24.0, _KNEE)
    low_makeup_db: float = parameter(0.0, -12.0, 24.0, _MAKEUP)

    mid_threshold_db: float = parameter(-20.0, -40.0, 0.0, _BEGINS)
    mid_ratio: float = parameter(3.0, 1.0, 10.0, _RATIO)
    mid_attack_ms: float = parameter(12.0, 0.5, 200.0, _ATTACK)
    mid_release_ms: float = parameter(150.0, 10.0, 2000.0, _RELEASE)
    mid_knee_db: float = parameter(6.0, 0.0, 24.0, _KNEE)
    mid_makeup_db: float = parameter(0.0, -12.0, 24.0, _MAKEUP)

    high_threshold_db: float = parameter(-15.0, -40.0, 0.0, _BEGINS)
    high_ratio: float = parameter(4.0, 1.0, 10.0, _RATIO)
    high_attack_ms: float = parameter(5.0, 0.5, 200.0, _ATTACK)
    high_release_ms: float = parameter(100.0, 10.0, 2000.0, _RELEASE)
    high_knee_db: float = parameter(6.0, 0.0, 24.0, _KNEE)
    high_makeup_db: float = parameter(0.0, -12.0, 24.0, _MAKEUP)

    def __post_init__(self) -> None:
        hold_ranges(self)

    @classmethod
    def one_knob(cls, compression_ratio: float) -> MultibandCompressor:
        """Return the compressor that one knob from 1 (off) to 10 sets.

        Each band's ratio is ``1 + (default − 1) × (compression_ratio − 1) / 3``, 10 at most:
        4 gives the defaults, 6 to 3 to 4, of which it is about the mean. The make-up gives
        each band back what its curve takes off a band of typical level, so that the knob
        changes dynamics and, on a typical programme, not the tonal balance. Raises
        ``OutOfRange`` for ``compression_ratio``.
        """
        if not ONE_KNOB.low <= compression_ratio <= ONE_KNOB.high:
            raise OutOfRange("compression_ratio", compression_ratio, ONE_KNOB)
        share = (compression_ratio - 1.0) / (ONE_KNOB_DEFAULTS - 1.0)
        settings = {}
        for name, band, typical_db in zip(BANDS, cls().bands, TYPICAL_DB, strict=True):
            ratio = min(1.0 + (band.ratio - 1.0) * share, 10.0)
            over_db = max(typical_db - band.threshold_db, 0.0)
            settings[f"{name}_ratio"] = ratio
            settings[f"{name}_makeup_db"] = over_db * (1.0 - 1.0 / ratio)
        return cls(**settings)

    @property
    def bands(self) -> tuple[BandCompression, ...]:
        """The compressors of the low, the mid and the high band."""
        names = [each.name for each in fields(BandCompression)]
        return tuple(
            BandCompression(**{name: getattr(self, f"{band}_{name}") for name in names})
            for band in BANDS
        )

    @property
    def is_neutral(self) -> bool:
        """Whether every band's gain is 1 whatever comes: then blocks pass as they are."""
        return all(band.ratio == 1.0 and band.makeup_db == 0.0 for band in self.bands)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the compressed stream."""
        return blocks if self.is_neutral else self._compress(blocks, sample_rate_hz, tally)

    def _compress(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None
    ) -> Iterator[Block]:
        splitter = Crossover(self.low_split_hz, self.high_split_hz).splitter(sample_rate_hz)
        lowest_hz = (LOWEST_HZ, self.low_split_hz, self.high_split_hz)
        compressors = Compressors(self.bands, lowest_hz, sample_rate_hz)
        bands = np.zeros((3, 2, HOP_FRAMES), dtype=np.float32)
        for block in rechunk(blocks, HOP_FRAMES):
            cells = -(-len(block) // CELL_FRAMES)
            mixed = np.zeros((cells * CELL_FRAMES, 2), dtype=np.float32)
            mixed[: len(block)] = block
            splitter.split(mixed, bands)
            reductions = compressors.mix(bands, mixed)
            if tally is not None:
                for band, reduction in zip(BANDS, reductions, strict=True):
                    tally.take(band, reduction)
            yield mixed[: len(block)]
