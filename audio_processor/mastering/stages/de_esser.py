"""De-esser: takes sibilants down, and nothing else.

The programme is split by a linear-phase filter and its own complement, so the two bands add
up to the programme bit for bit as long as nothing is taken off. A sibilant is a *burst* of the
upper band, high against the programme around it; so the threshold is relative to two levels,
and the stage does the same to a quiet programme as to a loud one:

* the middle of the programme (above 300 Hz: bass says nothing of a voice), averaged over 0.4 s;
* the upper band itself, averaged in dB over 1.5 s, so that bursts hardly count: what is bright
  all the time is the programme's tone, and tone is the equaliser's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.biquad import Cascade, high_pass
from audio_processor.dsp.cells import (
    SMOOTHING_CELLS,
    SMOOTHING_LATENCY_CELLS,
    cell_energies,
    cell_frames,
    hann_weights,
    take_off_cells,
)
from audio_processor.dsp.hops import Delay, through_hops
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.reduction import GainComputer, ReductionTimes
from audio_processor.dsp.symmetric_fir import SplitBand
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

KNEE_DB = 6.0
BURST_DB = 10.0
"""How far above its own average the upper band is a burst."""
MIDDLE_HZ = 300.0
MIDDLE_AVERAGE_S, TONE_AVERAGE_S = 0.4, 1.5
FLOOR, CEILING = 1e-8, 1e12
"""Energies: −80 dBFS, below which nothing is a sibilant; the other end tames wild samples."""
HOP_FRAMES = 4096
HIGHEST_SPLIT = 0.45
"""Of the rate: where the split lies above, there is no upper band."""


@dataclass(frozen=True, slots=True)
class DeEsser:
    """Takes up to ``max_reduction_db`` off the band above ``split_hz`` while it bursts out."""

    name: ClassVar[str] = "de_esser"

    split_hz: float = parameter(5500.0, 3000.0, 10_000.0, "Where the sibilants' band begins.")
    threshold_db: float = parameter(
        -10.0, -40.0, 10.0, "Level of that band against the programme's middle that is too much."
    )
    ratio: float = parameter(4.0, 1.0, 20.0, "dB above the threshold for one dB of output.")
    max_reduction_db: float = parameter(6.0, 0.0, 12.0, "Never more than this is taken off.")
    attack_ms: float = parameter(
        2.0, 1.0, 10.0, "Time in which a reduction is reached, all of it before the sibilant."
    )
    release_ms: float = parameter(50.0, 10.0, 500.0, "Time constant in which it is given back.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the stream without its sharpness; the blocks as they are where none can be."""
        if self.ratio == 1.0 or self.max_reduction_db == 0.0:
            return blocks
        if self.split_hz > HIGHEST_SPLIT * sample_rate_hz:
            return blocks
        stream = _Stream(self, sample_rate_hz, tally)
        return through_hops(blocks, HOP_FRAMES, stream.latency_frames, stream.step, stream.given)


class _Stream:
    def __init__(self, de_esser: DeEsser, sample_rate_hz: int, tally: StageTally | None) -> None:
        self._cell_frames = cell_frames(sample_rate_hz)
        self._cells = HOP_FRAMES // self._cell_frames
        self._tally = tally
        cell_s = self._cell_frames / sample_rate_hz
        times = ReductionTimes(
            lookahead_ms=de_esser.attack_ms,
            release_ms=de_esser.release_ms,
            sustain_attack_ms=1e9,  # sibilants do not last: no second, slower release
        )
        self._computer = GainComputer(times, cell_s)
        decided_cells = SMOOTHING_LATENCY_CELLS + self._computer.lookahead_cells + 1
        self._split = SplitBand(sample_rate_hz, de_esser.split_hz, HOP_FRAMES)
        self._upper = Delay(decided_cells * self._cell_frames, HOP_FRAMES)
        self.latency_frames = self._split.latency_frames + decided_cells * self._cell_frames
        self._dry = Delay(self.latency_frames, HOP_FRAMES)
        self._middle = Cascade((high_pass(sample_rate_hz, MIDDLE_HZ),))
        self._weights = hann_weights()
        self._upper_energies = np.zeros(SMOOTHING_CELLS - 1 + self._cells, dtype=np.float32)
        self._middle_energies = np.zeros_like(self._upper_energies)
        self._averages = np.zeros(3)
        self._settings = np.array(
            [
                de_esser.threshold_db,
                1.0 - 1.0 / de_esser.ratio,
                de_esser.max_reduction_db,
                1.0 - math.exp(-cell_s / MIDDLE_AVERAGE_S),
                1.0 - math.exp(-cell_s / TONE_AVERAGE_S),
            ]
        )
        self._needs = np.zeros(self._cells + 1, dtype=np.float32)
        self._shares = np.zeros(self._cells + 1, dtype=np.float32)

    def step(self, hop: Block) -> Block:
        cells = self._cells
        upper = self._split.upper(hop)
        for history in (self._upper_energies, self._middle_energies):
            history[:-cells] = history[cells:].copy()
        cell_energies(upper, self._upper_energies[-cells:])
        cell_energies(self._middle.process(hop), self._middle_energies[-cells:])
        self._needs[0] = self._needs[-1]
        _decide(
            self._upper_energies, self._middle_energies, self._weights,
            self._settings, self._averages, self._needs[1:],
        )  # fmt: skip
        # a border has to meet the needs of the two cells that it parts
        required = np.maximum(self._needs[:-1], self._needs[1:])
        self._shares[0] = self._shares[-1]
        active = self._computer.advance(required, self._shares[1:])
        upper = self._upper.push(upper)
        clean = self._dry.push(hop)
        if active or self._shares[0] > 0.0:
            take_off_cells(clean, upper, self._shares)
        return clean

    def given(self, first: int, after: int) -> None:
        """Count what was taken off the frames of the last hop that the stream was given."""
        if self._tally is not None:
            cells = slice(first // self._cell_frames, -(-after // self._cell_frames))
            self._tally.take("sibilance", self._shares[1:][cells])


@kernel()
def _decide(
    upper_energies: NDArray[np.float32],
    middle_energies: NDArray[np.float32],
    weights: NDArray[np.float32],
    settings: NDArray[np.float64],
    averages: NDArray[np.float64],
    needs: NDArray[np.float32],
) -> None:
    """Write each cell's reduction ``1 − gain``; the cells' histories precede them.

    ``averages`` holds the two levels' averages (an energy, dB) and the number of cells so far.
    An average begins as the mean of what has been heard, so that a start is no sibilant.
    """
    threshold_db, slope, most_db = settings[0], settings[1], settings[2]
    for cell in range(needs.size):
        upper = 0.0
        middle = 0.0
        for k in range(weights.size):
            upper += weights[k] * min(upper_energies[cell + k], CEILING)
            middle += weights[k] * min(middle_energies[cell + k], CEILING)
        averages[2] += 1.0
        first_ones = 1.0 / averages[2]
        averages[0] += (middle - averages[0]) * max(settings[3], first_ones)
        upper_db = 10.0 * math.log10(max(upper, FLOOR))
        averages[1] += (upper_db - averages[1]) * max(settings[4], first_ones)
        middle_db = 10.0 * math.log10(max(averages[0], FLOOR))
        over_db = upper_db - max(middle_db + threshold_db, averages[1] + BURST_DB)
        reduction_db = min(slope * _above_knee(over_db), most_db)
        needs[cell] = 1.0 - 10.0 ** (-reduction_db / 20.0)


@kernel()
def _above_knee(over_db: float) -> float:
    """How far above a threshold counts: nothing below its knee, a parabola in it."""
    if over_db <= -0.5 * KNEE_DB:
        return 0.0
    if over_db >= 0.5 * KNEE_DB:
        return over_db
    return (over_db + 0.5 * KNEE_DB) ** 2 / (2.0 * KNEE_DB)
