"""The compressors of a split stream: peaks of short cells, gains, and the sum of the bands.

Feed-forward and in decibels, with the soft knee and, behind the gain computer, the *smooth
decoupled* ballistics of D. Giannoulis, M. Massberg, J. D. Reiss, "Digital Dynamic Range
Compressor Design: A Tutorial and Analysis", JAES 60(6), 2012. Gains are computed once a cell
and are straight lines within it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

CELL_FRAMES = 16
HOLD_PARTS = 4
"""A peak is held in so many parts of the hold: up to one part longer than asked for."""
MAKEUP = 6
"""The make-up's place in a band's coefficients."""
GAIN = 4
"""The last gain's place in a band's state."""
_NOTHING_DB = 1e-6
"""A releasing reduction below this is over."""


@dataclass(frozen=True, slots=True)
class BandCompression:
    """One band's compressor."""

    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    knee_db: float
    makeup_db: float

    def coefficients(self, cell_ms: float) -> tuple[float, ...]:
        """Return what the kernel needs: floor, curve, what a cell keeps, make-up."""
        return (
            10.0 ** ((self.threshold_db - self.knee_db / 2.0) / 20.0),
            self.threshold_db,
            1.0 - 1.0 / self.ratio,
            self.knee_db,
            math.exp(-cell_ms / self.attack_ms),
            math.exp(-cell_ms / self.release_ms),
            10.0 ** (self.makeup_db / 20.0),
        )


class Compressors:
    """One stream's three compressors and their state.

    ``lowest_hz`` is each band's lowest frequency whose level is to be steady: peaks are held
    for half of its period.
    """

    def __init__(
        self,
        bands: tuple[BandCompression, ...],
        lowest_hz: tuple[float, ...],
        sample_rate_hz: int,
    ) -> None:
        cell_ms = 1000.0 * CELL_FRAMES / sample_rate_hz
        self._coefficients = np.array([band.coefficients(cell_ms) for band in bands])
        self._part_cells = np.array([_part_cells(hz, cell_ms) for hz in lowest_hz])
        self._state = np.zeros((3, 5))
        self._state[:, GAIN] = self._coefficients[:, MAKEUP]
        self._parts = np.zeros((3, HOLD_PARTS))
        self._ages = np.zeros((3, 2), dtype=np.int64)

    def mix(self, bands: NDArray[np.float32], mixed: Block) -> NDArray[np.float32]:
        """Write the sum of the compressed bands; return the reductions ``1 − gain``.

        ``bands`` has the shape ``(3, 2, frames)`` or longer, ``mixed`` ``(frames, 2)``,
        whole cells; the reductions are without make-up, of shape ``(3, cells)``, for the ends
        of the cells.
        """
        cells = len(mixed) // CELL_FRAMES
        peaks = np.empty((3, cells), dtype=np.float32)
        gains = np.empty((3, cells + 1), dtype=np.float32)
        reductions = np.empty((3, cells), dtype=np.float32)
        cell_peaks(bands.view(np.int32), peaks.view(np.int32))
        compute_gains(
            peaks, self._coefficients, self._part_cells,
            self._state, self._parts, self._ages, gains, reductions,
        )  # fmt: skip
        mix_bands(bands, gains, mixed)
        return reductions


def _part_cells(lowest_hz: float, cell_ms: float) -> int:
    return max(1, math.ceil(500.0 / lowest_hz / cell_ms / HOLD_PARTS))


@kernel()
def static_reduction_db(
    level_db: float, threshold_db: float, slope: float, knee_db: float
) -> float:
    """What the curve takes off a steady level; ``slope`` is ``1 − 1 / ratio``."""
    over_db = level_db - threshold_db
    if 2.0 * over_db <= -knee_db:
        return 0.0
    if 2.0 * over_db < knee_db:
        return slope * (over_db + knee_db / 2.0) ** 2 / (2.0 * knee_db)
    return slope * over_db


@kernel()
def cell_peaks(bits: NDArray[np.int32], peaks: NDArray[np.int32]) -> None:
    """Write each cell's largest magnitude over both channels, all as floats' bit patterns.

    Without their sign floats order as the integers of the same bits do, and an integer maximum
    is one that the vector unit has.
    """
    for b in range(3):
        for cell in range(peaks.shape[1]):
            left = bits[b, 0, cell * CELL_FRAMES : (cell + 1) * CELL_FRAMES]
            right = bits[b, 1, cell * CELL_FRAMES : (cell + 1) * CELL_FRAMES]
            largest = np.int32(0)
            for i in range(CELL_FRAMES):
                largest = max(largest, left[i] & np.int32(0x7FFFFFFF))
                largest = max(largest, right[i] & np.int32(0x7FFFFFFF))
            peaks[b, cell] = largest


@kernel()
def compute_gains(
    peaks: NDArray[np.float32],
    coefficients: NDArray[np.float64],
    part_cells: NDArray[np.int64],
    state: NDArray[np.float64],
    parts: NDArray[np.float64],
    ages: NDArray[np.int64],
    gains: NDArray[np.float32],
    reductions: NDArray[np.float32],
) -> None:
    """Fill each band's gain at the cells' borders, the first from the hop before."""
    to_db, to_log = 20.0 / math.log(10.0), -math.log(10.0) / 20.0
    for b in range(3):
        floor, threshold_db, slope, knee_db = coefficients[b, :4]
        keep_attack, keep_release, makeup = coefficients[b, 4:]
        released, smoothed, held, current = state[b, :4]
        slot, age = ages[b]
        gains[b, 0] = state[b, GAIN]
        for cell in range(reductions.shape[1]):
            current = max(current, float(peaks[b, cell]))
            level = max(held, current)
            wanted = 0.0
            if level > floor:
                wanted = static_reduction_db(to_db * math.log(level), threshold_db, slope, knee_db)
            released = max(wanted, wanted + keep_release * (released - wanted))
            smoothed = released + keep_attack * (smoothed - released)
            gain = 1.0
            if smoothed > _NOTHING_DB:
                gain = math.exp(to_log * smoothed)
            else:
                released = smoothed = 0.0
            reductions[b, cell] = np.float32(1.0 - gain)
            gains[b, cell + 1] = np.float32(makeup * gain)
            age += 1
            if age == part_cells[b]:  # a part is whole: it takes the oldest one's place
                parts[b, slot] = current
                held = parts[b].max()
                slot = (slot + 1) % HOLD_PARTS
                age, current = 0, 0.0
        state[b, 0], state[b, 1], state[b, 2], state[b, 3] = released, smoothed, held, current
        state[b, GAIN] = gains[b, reductions.shape[1]]
        ages[b, 0], ages[b, 1] = slot, age


@kernel()
def mix_bands(bands: NDArray[np.float32], gains: NDArray[np.float32], mixed: Block) -> None:
    """Write the sum of the bands times their gains, linear from border to border."""
    part = np.float32(1.0 / CELL_FRAMES)
    for cell in range(mixed.shape[0] // CELL_FRAMES):
        low, mid, high = gains[0, cell], gains[1, cell], gains[2, cell]
        low_step = (gains[0, cell + 1] - low) * part
        mid_step = (gains[1, cell + 1] - mid) * part
        high_step = (gains[2, cell + 1] - high) * part
        span = slice(cell * CELL_FRAMES, (cell + 1) * CELL_FRAMES)
        frames = mixed[span]
        for c in range(2):
            low_in, mid_in, high_in = bands[0, c, span], bands[1, c, span], bands[2, c, span]
            for i in range(CELL_FRAMES):
                at = np.float32(i + 1)
                frames[i, c] = (
                    (low + low_step * at) * low_in[i]
                    + (mid + mid_step * at) * mid_in[i]
                    + (high + high_step * at) * high_in[i]
                )
