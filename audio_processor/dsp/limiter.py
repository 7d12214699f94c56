"""A look-ahead true-peak limiter that leaves what it need not touch untouched, bit for bit.

A stream passes in cells of eight frames, all channels linked: ``peak_cells`` finds each
cell's true peak; ``1 − ceiling / peak`` is the reduction that it needs; ``reduction`` turns
these into a smooth course that is never less than needed; the delayed signal is multiplied
by one minus it, linear within a cell. Since the course is smooth over several milliseconds
and flat where a peak arrives, the moving gain makes next to no new peaks between samples;
``MARGIN_DB`` covers what it does make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.dsp.peak_cells import CELL_FRAMES, KEPT_CELLS, LAG_CELLS, PeakCells
from audio_processor.dsp.reduction import (
    GainComputer,
    GainReduction,
    ReductionTally,
    ReductionTimes,
)
from audio_processor.dsp.stage import rechunk
from audio_processor.model import Block

HOP_CELLS = 1024
HOP_FRAMES = HOP_CELLS * CELL_FRAMES
MARGIN_DB = 0.03
_TIMES = ReductionTimes()


@dataclass(frozen=True, slots=True)
class Limiter:
    """A stage: gain, then a ceiling that the true peak does not pass by more than 0.1 dB.

    N frames in, N out, in place in time, in blocks of the limiter's own size. Samples come
    out as ``input × gain`` (bit for bit as they came, at 0 dB) where no reduction is active.
    The times are those of ``ReductionTimes``. ``observer`` is told once, at the end of each
    stream. Input must be finite.
    """

    ceiling_dbtp: float
    gain_db: float = 0.0
    lookahead_ms: float = _TIMES.lookahead_ms
    release_ms: float = _TIMES.release_ms
    sustain_attack_ms: float = _TIMES.sustain_attack_ms
    sustain_release_ms: float = _TIMES.sustain_release_ms
    observer: Callable[[GainReduction], None] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ceiling_dbtp) and math.isfinite(self.gain_db)):
            raise ValueError("ceiling_dbtp and gain_db must be finite")
        _ = self.times

    @property
    def times(self) -> ReductionTimes:
        """The gain computer's time constants. Raises ``ValueError`` for one not positive."""
        return ReductionTimes(
            self.lookahead_ms, self.release_ms, self.sustain_attack_ms, self.sustain_release_ms
        )

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the limited stream."""
        stream: _Stream | None = None
        taken = given = 0
        for block in rechunk(blocks, HOP_FRAMES):
            if stream is None:
                stream = _Stream(self, sample_rate_hz, block.shape[1])
            taken += len(block)
            limited = stream.push(block)[: taken - given]
            given += len(limited)
            if len(limited):
                yield limited
        if stream is None:
            return
        nothing = np.empty((0, stream.channels), dtype=np.float32)
        while given < taken:
            limited = stream.push(nothing)[: taken - given]
            given += len(limited)
            if len(limited):
                yield limited
        if self.observer is not None:
            self.observer(stream.gain_reduction(taken))


class _Stream:
    """One stream's audio between detection and output, and what is known of its peaks."""

    def __init__(self, limiter: Limiter, sample_rate_hz: int, channels: int) -> None:
        self.channels = channels
        self._factor = np.float32(10.0 ** (limiter.gain_db / 20.0))
        self._ceiling = np.float32(10.0 ** ((limiter.ceiling_dbtp - MARGIN_DB) / 20.0))
        self._computer = GainComputer(limiter.times, CELL_FRAMES / sample_rate_hz)
        # a cell's gain runs from its own border to the next one's, hence one cell more
        self._latency_cells = LAG_CELLS + self._computer.lookahead_cells + 1
        self._kept_cells = max(self._latency_cells, KEPT_CELLS)
        self._peak_cells = PeakCells(self._kept_cells, HOP_CELLS, float(self._ceiling))
        frames = (self._kept_cells + HOP_CELLS) * CELL_FRAMES
        self._window = np.zeros((frames, channels), dtype=np.float32)
        self._needs = np.zeros(HOP_CELLS + 1, dtype=np.float32)
        self._reduction = np.zeros(HOP_CELLS + 1, dtype=np.float32)
        self._tally = ReductionTally()
        self._still_to_skip = self._latency_cells * CELL_FRAMES

    def push(self, block: Block) -> Block:
        """Take up to one hop (what is missing is silence); return what is due of the output."""
        self._append(block)
        peaks = self._peak_cells.next_hop(self._window)
        self._needs[0] = self._needs[-1]
        self._needs[1:] = 1.0 - self._ceiling / np.maximum(peaks, self._ceiling)
        # a border has to meet the needs of the two cells that it parts
        required = np.maximum(self._needs[:-1], self._needs[1:])
        self._reduction[0] = self._reduction[-1]
        active = self._computer.advance(required, self._reduction[1:])
        first = (self._kept_cells - self._latency_cells) * CELL_FRAMES
        limited = self._window[first : first + HOP_FRAMES].copy()
        if active or self._reduction[0] > 0.0:
            apply_reduction(limited, self._reduction)
            self._tally.add(self._reduction[1:])
        skipped = min(self._still_to_skip, HOP_FRAMES)
        self._still_to_skip -= skipped
        return limited[skipped:]

    def _append(self, block: Block) -> None:
        kept_frames = self._kept_cells * CELL_FRAMES
        self._window[:kept_frames] = self._window[HOP_FRAMES:]
        end = kept_frames + len(block)
        if self._factor == 1.0:
            self._window[kept_frames:end] = block
        else:
            np.multiply(block, self._factor, out=self._window[kept_frames:end])
        self._window[end:] = 0.0

    def gain_reduction(self, frames: int) -> GainReduction:
        """Return what was done so far to a stream of so many frames."""
        return self._tally.result(frames / CELL_FRAMES)


@kernel()
def apply_reduction(audio: Block, reduction: NDArray[np.float32]) -> None:
    """Multiply each cell by one minus the reduction, linear from border to border, in place."""
    channels = audio.shape[1]
    for cell in range(audio.shape[0] // CELL_FRAMES):
        left, right = reduction[cell], reduction[cell + 1]
        if left <= 0.0 and right <= 0.0:
            continue
        step = (right - left) / np.float32(CELL_FRAMES)
        frames = audio[cell * CELL_FRAMES : (cell + 1) * CELL_FRAMES]
        for i in range(CELL_FRAMES):
            gain = np.float32(1.0) - (left + step * np.float32(i))
            for c in range(channels):
                frames[i, c] *= gain
