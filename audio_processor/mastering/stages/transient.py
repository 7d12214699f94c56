"""Transient sculpt: how hard notes begin and how long they ring, whatever their level.

Two slow followers go after the programme's level in dB, as in the transient designers of
the trade: one climbs late, and what it lacks at the start of a note is *attack*; the other
falls late, and what it has too much of is *sustain*. Each difference, in dB and so the same
for quiet and loud music, sets a bounded gain.

The level is the energy of both channels, smoothed over 5 ms and held over half a period of
20 Hz: of a steady tone it is steady, so both differences are zero and nothing is touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.cells import (
    SMOOTHING_CELLS,
    SMOOTHING_LATENCY_CELLS,
    cell_energies,
    cell_frames,
    hann_weights,
    multiply_cells,
)
from audio_processor.dsp.hops import Delay, through_hops
from audio_processor.dsp.jit import kernel
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

MAX_GAIN_DB = 6.0
"""What 100 % adds at most, and −100 % takes off; attack and sustain together no more."""
HALF_DB = 6.0
"""The difference at which half of that is reached; it grows with the square below."""
LARGEST_DIFFERENCE_DB = 24.0
HOLD_S = 0.025
CLIMB_S, SINK_S = 0.020, 0.060
"""The attack's follower: upwards late, downwards soon enough for the next note."""
RING_S = 0.300
"""The sustain's follower, downwards; upwards it is there at once."""
FLOOR, CEILING = 1e-9, 1e12
"""Energies below −90 dBFS are silence; the other end keeps wild samples from infinity."""
HOP_FRAMES = 4096
_BORDER_REACH = 2
"""A border's gain is a mean of the two cells' before it and the two after it."""


@dataclass(frozen=True, slots=True)
class TransientSculpt:
    """A gain of −6 to +6 dB at the beginnings of notes, and another where they ring out."""

    name: ClassVar[str] = "transient"

    attack_percent: float = parameter(
        0.0, -100.0, 100.0, "Harder (+) or softer (−) beginnings of notes; 100 is up to 6 dB."
    )
    sustain_percent: float = parameter(
        0.0, -100.0, 100.0, "Longer (+) or drier (−) ends of notes; 100 is up to 6 dB."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the sculpted stream, or the blocks as they are where both are 0 %."""
        if self.attack_percent == 0.0 and self.sustain_percent == 0.0:
            return blocks
        stream = _Stream(self, sample_rate_hz, tally)
        return through_hops(blocks, HOP_FRAMES, stream.latency_frames, stream.step, stream.given)


class _Stream:
    def __init__(
        self, sculpt: TransientSculpt, sample_rate_hz: int, tally: StageTally | None
    ) -> None:
        self._cell_frames = cell_frames(sample_rate_hz)
        self._cells = HOP_FRAMES // self._cell_frames
        self._tally = tally
        self.latency_frames = self._cell_frames * (SMOOTHING_LATENCY_CELLS + _BORDER_REACH)
        self._dry = Delay(self.latency_frames, HOP_FRAMES)
        cell_s = self._cell_frames / sample_rate_hz
        hold_cells = math.ceil(HOLD_S / cell_s) + 1
        self._weights = hann_weights()
        self._energies = np.zeros(SMOOTHING_CELLS - 1 + self._cells, dtype=np.float32)
        floor_db = 10.0 * math.log10(FLOOR)
        self._levels_db = np.full(hold_cells - 1 + self._cells, floor_db)
        self._gains = np.ones(2 * _BORDER_REACH - 1 + self._cells, dtype=np.float32)
        self._borders = np.ones(self._cells + 1, dtype=np.float32)
        self._followers_db = np.full(2, floor_db)
        self._coefficients = np.array(
            [
                MAX_GAIN_DB * sculpt.attack_percent / 100.0,
                MAX_GAIN_DB * sculpt.sustain_percent / 100.0,
                1.0 - math.exp(-cell_s / CLIMB_S),
                1.0 - math.exp(-cell_s / SINK_S),
                1.0 - math.exp(-cell_s / RING_S),
            ]
        )

    def step(self, hop: Block) -> Block:
        cells = self._cells
        for history in (self._energies, self._levels_db, self._gains):
            history[:-cells] = history[cells:].copy()
        cell_energies(hop, self._energies[-cells:])
        _decide(
            self._energies, self._weights, self._levels_db, self._followers_db,
            self._coefficients, self._gains, self._borders,
        )  # fmt: skip
        sculpted = self._dry.push(hop)
        multiply_cells(sculpted, self._borders)
        return sculpted

    def given(self, first: int, after: int) -> None:
        """Count what was taken off the frames of the last hop that the stream was given."""
        if self._tally is not None:
            cells = slice(first // self._cell_frames, -(-after // self._cell_frames))
            self._tally.take("transient", np.maximum(0.0, 1.0 - self._borders[1:][cells]))


@kernel()
def _decide(
    energies: NDArray[np.float32],
    weights: NDArray[np.float32],
    levels_db: NDArray[np.float64],
    followers_db: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    gains: NDArray[np.float32],
    borders: NDArray[np.float32],
) -> None:
    """From the cells' energies to the gains at their borders; histories are in the arrays."""
    cells = borders.size - 1
    hold = levels_db.size - cells
    attack_db, sustain_db = coefficients[0], coefficients[1]
    climb, sink, ring = coefficients[2], coefficients[3], coefficients[4]
    borders[0] = borders[cells]
    for cell in range(cells):
        energy = 0.0
        for k in range(weights.size):
            energy += weights[k] * min(energies[cell + k], CEILING)
        levels_db[hold + cell] = 10.0 * math.log10(max(energy, FLOOR))
        level_db = levels_db[cell]
        for held_db in levels_db[cell + 1 : cell + hold + 1]:
            level_db = max(level_db, held_db)

        late_db, long_db = followers_db[0], followers_db[1]
        late_db += (level_db - late_db) * (climb if level_db > late_db else sink)
        late_db = max(late_db, level_db - LARGEST_DIFFERENCE_DB)
        long_db += (level_db - long_db) * (1.0 if level_db > long_db else ring)
        long_db = min(long_db, level_db + LARGEST_DIFFERENCE_DB)
        followers_db[0], followers_db[1] = late_db, long_db

        gain_db = attack_db * _share(level_db - late_db) + sustain_db * _share(long_db - level_db)
        gain_db = min(max(gain_db, -MAX_GAIN_DB), MAX_GAIN_DB)
        g = gains[cell:]
        g[3] = 10.0 ** (gain_db / 20.0)
        borders[cell + 1] = (g[0] + g[3] + np.float32(3.0) * (g[1] + g[2])) * np.float32(0.125)


@kernel()
def _share(difference_db: float) -> float:
    """How much of the largest gain a difference asks for: 0 to 1, flat at 0."""
    if difference_db <= 0.0:
        return 0.0
    square = difference_db * difference_db
    return square / (square + HALF_DB * HALF_DB)
