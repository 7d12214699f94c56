"""Gains that move: levels taken and gains applied in cells of about 0.7 ms.

A detector looks at one level a cell and decides one gain a border between cells; between two
borders the gain is a straight line. That is smooth enough to be inaudible, and a logarithm a
cell costs next to nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

_NOMINAL_S = 0.0007
_LARGEST = np.finfo(np.float32).max
SMOOTHING_CELLS = 7
"""Length of the window, a Hann of 5 ms, that levels are smoothed with; see ``hann_weights``."""
SMOOTHING_LATENCY_CELLS = SMOOTHING_CELLS // 2


def cell_frames(sample_rate_hz: int) -> int:
    """Return the power of two nearest to 0.7 ms, at most 256: 32 frames at 44.1 and 48 kHz."""
    return int(min(256, 2 ** max(0, round(math.log2(_NOMINAL_S * sample_rate_hz)))))


def hann_weights() -> NDArray[np.float32]:
    """Return the smoothing window's weights: their sum is one, no end is zero."""
    at = np.arange(1, SMOOTHING_CELLS + 1) / (SMOOTHING_CELLS + 1)
    weights = np.sin(np.pi * at) ** 2
    return np.asarray(weights / weights.sum(), dtype=np.float32)


@kernel(reassociate=True)
def cell_energies(block: Block, energies: NDArray[np.float32]) -> None:
    """Write each cell's mean square, the channels' summed; the cells share the block evenly."""
    flat = block.reshape(-1)
    width = flat.size // energies.size
    scale = np.float32(block.shape[1] / width)
    for cell in range(energies.size):
        energy = np.float32(0.0)
        for value in flat[cell * width : (cell + 1) * width]:
            energy += value * value
        energies[cell] = scale * energy


@kernel()
def multiply_cells(block: Block, gains: NDArray[np.float32]) -> None:
    """Multiply stereo by a gain that is linear between the cells' borders, in place.

    Where both borders' gain is one, samples stay as they are. Finite samples stay finite.
    """
    flat = block.reshape(-1)
    cells = gains.size - 1
    width = flat.size // cells
    for cell in range(cells):
        left, right = gains[cell], gains[cell + 1]
        if left == np.float32(1.0) and right == np.float32(1.0):
            continue
        step = (right - left) * np.float32(2.0 / width)
        values = flat[cell * width : (cell + 1) * width]
        for i in range(width):
            value = values[i] * (left + step * np.float32(i >> 1))
            values[i] = min(max(value, -_LARGEST), _LARGEST)


@kernel()
def take_off_cells(block: Block, part: Block, shares: NDArray[np.float32]) -> None:
    """Subtract from stereo a share of ``part``, linear between the cells' borders, in place."""
    flat, flat_part = block.reshape(-1), part.reshape(-1)
    cells = shares.size - 1
    width = flat.size // cells
    for cell in range(cells):
        left, right = shares[cell], shares[cell + 1]
        if left == np.float32(0.0) and right == np.float32(0.0):
            continue
        step = (right - left) * np.float32(2.0 / width)
        values = flat[cell * width : (cell + 1) * width]
        parts = flat_part[cell * width : (cell + 1) * width]
        for i in range(width):
            values[i] -= (left + step * np.float32(i >> 1)) * parts[i]
