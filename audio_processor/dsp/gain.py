"""Static gain and a slow gain curve, applied in one pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block, GainCurve

CELL_FRAMES = 64
"""Between two cell borders the gain is a straight line in amplitude: it leaves the straight
line in dB by less than 1e-6 dB at the rider's slopes. Cells lie on the programme's own
frame count, so where a block is cut does not matter."""
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class Gain:
    """A stage that applies ``gain_db`` plus ``rider``, linear in dB between its points.

    The curve's first point is at frame 0 of the stream; the last holds to the end. With
    0 dB and no rider the blocks pass through untouched.
    """

    gain_db: float = 0.0
    rider: GainCurve | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.gain_db):
            raise ValueError(f"gain_db must be finite, not {self.gain_db}")
        if self.rider is not None and not (self.rider.hop_s > 0 and len(self.rider.gain_db)):
            raise ValueError("a gain curve needs a positive hop_s and at least one point")

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield blocks cut as they came."""
        if self.rider is not None:
            return self._ride(blocks, self.rider, sample_rate_hz)
        if self.gain_db == 0.0:
            return blocks
        return self._scale(blocks)

    def _scale(self, blocks: Iterator[Block]) -> Iterator[Block]:
        factor = np.float32(10.0 ** (self.gain_db / 20.0))
        loudest = _LARGEST / np.maximum(factor, np.float32(1.0))
        for block in blocks:
            bounded = block if factor <= 1.0 else np.clip(block, -loudest, loudest)
            yield np.multiply(bounded, factor, dtype=np.float32)

    def _ride(self, blocks: Iterator[Block], rider: GainCurve, rate_hz: int) -> Iterator[Block]:
        points_db = np.ascontiguousarray(rider.gain_db, dtype=np.float32).copy()
        hop_frames = rider.hop_s * rate_hz
        start = 0
        for block in blocks:
            ridden = np.array(block, dtype=np.float32, order="C")
            apply_curve(ridden, start, self.gain_db, points_db, hop_frames)
            start += len(block)
            yield ridden


@kernel()
def curve_factor(
    frame: int, gain_db: float, points_db: NDArray[np.float32], hop_frames: float
) -> float:
    """The linear gain at a frame: ``gain_db`` plus the curve's value there, in dB."""
    at = frame / hop_frames
    left = int(at)
    last = points_db.shape[0] - 1
    if left >= last:
        ridden_db = float(points_db[last])
    else:
        ridden_db = points_db[left] + (points_db[left + 1] - points_db[left]) * (at - left)
    return float(10.0 ** ((gain_db + ridden_db) / 20.0))


@kernel()
def apply_curve(
    block: Block,
    start: int,
    gain_db: float,
    points_db: NDArray[np.float32],
    hop_frames: float,
) -> None:
    """Multiply the block, whose first frame is the stream's frame ``start``, in place."""
    frames, channels = block.shape
    done = 0
    while done < frames:
        cell = (start + done) // CELL_FRAMES
        first, after = cell * CELL_FRAMES, (cell + 1) * CELL_FRAMES
        end = min(frames, after - start)
        left = curve_factor(first, gain_db, points_db, hop_frames)
        right = curve_factor(after, gain_db, points_db, hop_frames)
        has_point = int(first / hop_frames) != int(after / hop_frames)
        step = (right - left) / CELL_FRAMES
        for i in range(done, end):
            if has_point:
                factor = np.float32(curve_factor(start + i, gain_db, points_db, hop_frames))
            else:
                factor = np.float32(left + step * (start + i - first))
            for c in range(channels):
                block[i, c] *= factor
        done = end
