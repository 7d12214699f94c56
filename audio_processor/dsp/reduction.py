"""The limiter's gain computer: from required to applied gain reduction, cell by cell.

It knows no audio, only one number per *cell* (a short, fixed time): the reduction
``1 − gain`` that the cell needs. So the limiter runs it on cells of a few samples, and the
governor runs the very same code on the programme's envelope to foresee the outcome.

Look-ahead maximum, two-stage release, then a FIR as long as the look-ahead: Hämäläinen,
*Smoothing of the Control Signal Without Clipped Output in Digital Peak Limiters* (DAFx-02).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel

ACTIVE = 1.0 - 10.0 ** (-0.1 / 20.0)
"""Reductions of less than 0.1 dB do not count as limiting in the statistics."""
SILENCED = 1e-9
"""The smallest gain that the statistics know: float32 has nothing between it and 0."""
NEGLIGIBLE = 1e-4
"""A releasing reduction below this (0.001 dB) is over: exactly 0 from there on."""

# positions in ``GainComputer.reals``
FAST_RELEASE, SUSTAIN_ATTACK, SUSTAIN_RELEASE, FAST, SUSTAINED, SUM_1, SUM_2 = range(7)
# positions in ``GainComputer.integers``
CELLS, FIRST, SECOND, HEAD, SIZE, QUIET = range(6)


@dataclass(frozen=True, slots=True)
class ReductionTimes:
    """The limiter's time constants."""

    lookahead_ms: float = 5.0
    release_ms: float = 80.0
    """Time constant of the release after a short peak."""
    sustain_attack_ms: float = 250.0
    """How long limiting must last for 63 % of it to count as sustained."""
    sustain_release_ms: float = 700.0
    """Time constant of the sustained part's release."""

    def __post_init__(self) -> None:
        times = (self.release_ms, self.sustain_attack_ms, self.sustain_release_ms)
        if not min(self.lookahead_ms, *times) > 0 or not math.isfinite(sum(times)):
            raise ValueError("the limiter's times must be positive")


class GainComputer:
    """The running state of one stream's gain computer.

    ``lookahead_cells`` is at once the look-ahead, the length of the smoothing FIR and the
    latency: ``advance`` yields the reduction for the cell that lies so far back.
    """

    def __init__(self, times: ReductionTimes, cell_s: float) -> None:
        # two boxes of lengths a and b make a FIR of a + b − 1, which is to be the window
        cells = max(2, round(times.lookahead_ms / 1000.0 / cell_s))
        first = (cells + 1) // 2
        second = cells + 1 - first
        self.lookahead_cells = cells - 1
        self.reals = np.zeros(7, dtype=np.float64)
        self.reals[FAST_RELEASE] = _decay(cell_s, times.release_ms)
        self.reals[SUSTAIN_ATTACK] = 1.0 - _decay(cell_s, times.sustain_attack_ms)
        self.reals[SUSTAIN_RELEASE] = _decay(cell_s, times.sustain_release_ms)
        self.integers = np.zeros(6, dtype=np.int64)
        self.integers[FIRST], self.integers[SECOND] = first, second
        self.integers[QUIET] = 2 * cells
        self.candidates = np.zeros((2, cells), dtype=np.float64)
        self.boxes = np.zeros((2, max(first, second)), dtype=np.float64)

    def advance(self, required: NDArray[np.float32], reduction: NDArray[np.float32]) -> bool:
        """Take the next cells' required reductions; write those ``lookahead_cells`` earlier.

        Returns whether any written value is above zero.
        """
        return bool(
            reduce_cells(
                required, reduction, self.reals, self.integers, self.candidates, self.boxes
            )
        )


@dataclass(frozen=True, slots=True)
class GainReduction:
    """What a limiter did, or would do, to one stream; levels positive, in dB."""

    deepest_db: float
    mean_db: float
    """Mean over the time in which more than 0.1 dB was taken off; 0 where it never was."""
    active_fraction: float
    """That time as a share of the whole, 0…1."""


class ReductionTally:
    """Adds up what was applied."""

    def __init__(self) -> None:
        self._sums = np.array([0.0, 0.0, 0.0, 1.0])

    def add(self, reduction: NDArray[np.float32]) -> None:
        """Count one value a cell."""
        tally_cells(reduction, self._sums)

    def result(self, cells: float) -> GainReduction:
        """Return what was done to a stream of so many cells."""
        deepest, active, log_gains, pending_gain = (float(value) for value in self._sums)
        log_gains += math.log(pending_gain)
        return GainReduction(
            deepest_db=_reduction_db(math.log(max(1.0 - deepest, SILENCED))),
            mean_db=_reduction_db(log_gains / active) if active else 0.0,
            active_fraction=min(1.0, active / cells) if cells else 0.0,
        )


def _reduction_db(log_gain: float) -> float:
    return abs(20.0 / math.log(10.0) * log_gain)


def _decay(cell_s: float, time_ms: float) -> float:
    return math.exp(-cell_s * 1000.0 / time_ms)


@kernel()
def reduce_cells(
    required: NDArray[np.float32],
    reduction: NDArray[np.float32],
    reals: NDArray[np.float64],
    integers: NDArray[np.int64],
    candidates: NDArray[np.float64],
    boxes: NDArray[np.float64],
) -> bool:
    """Run the gain computer over a run of cells; state is carried in the arrays."""
    any_active = False
    idle_after = 2 * candidates.shape[1]
    for i in range(required.shape[0]):
        u = float(required[i])
        if u <= 0.0 and integers[QUIET] >= idle_after:
            integers[CELLS] += 1
            reduction[i] = 0.0
            continue
        held = _look_ahead(u, integers, candidates)
        released = _release(held, reals)
        if u > 0.0 or released > 0.0:
            integers[QUIET] = 0
        else:
            integers[QUIET] += 1
        smooth = _smooth(released, reals, integers, boxes)
        integers[CELLS] += 1
        if integers[QUIET] >= idle_after:  # all windows are empty: forget rounding residues
            reals[SUM_1] = reals[SUM_2] = 0.0
            smooth = 0.0
        reduction[i] = max(smooth, 0.0)
        any_active = any_active or smooth > 0.0
    return any_active


@kernel()
def _look_ahead(u: float, integers: NDArray[np.int64], candidates: NDArray[np.float64]) -> float:
    """Sliding maximum over the window: a queue of falling values, the first one leads."""
    window = candidates.shape[1]
    now, head, size = integers[CELLS], integers[HEAD], integers[SIZE]
    if size and candidates[1, head] <= now - window:
        head = (head + 1) % window
        size -= 1
    while size and candidates[0, (head + size - 1) % window] <= u:
        size -= 1
    slot = (head + size) % window
    candidates[0, slot] = u
    candidates[1, slot] = now
    integers[HEAD], integers[SIZE] = head, size + 1
    return float(candidates[0, head])


@kernel()
def _release(held: float, reals: NDArray[np.float64]) -> float:
    """Never below what is held; above it, the slower of a short and a sustained memory."""
    fast = max(held, reals[FAST] * reals[FAST_RELEASE])
    sustained = reals[SUSTAINED]
    if fast > sustained:
        sustained += (fast - sustained) * reals[SUSTAIN_ATTACK]
    else:
        sustained *= reals[SUSTAIN_RELEASE]
    reals[FAST] = fast if fast > NEGLIGIBLE else 0.0
    reals[SUSTAINED] = sustained if sustained > NEGLIGIBLE else 0.0
    return float(max(reals[FAST], reals[SUSTAINED]))


@kernel()
def _smooth(
    value: float,
    reals: NDArray[np.float64],
    integers: NDArray[np.int64],
    boxes: NDArray[np.float64],
) -> float:
    """Two moving averages in a row."""
    first, second, now = integers[FIRST], integers[SECOND], integers[CELLS]
    slot = now % first
    reals[SUM_1] += value - boxes[0, slot]
    boxes[0, slot] = value
    mean = reals[SUM_1] / first
    slot = now % second
    reals[SUM_2] += mean - boxes[1, slot]
    boxes[1, slot] = mean
    return float(reals[SUM_2] / second)


@kernel()
def tally_cells(reduction: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    """Update the deepest reduction, the number of active cells and the logarithm of their gains.

    The last is kept as a sum and a product not yet in it: logarithms are dear.
    """
    for value in reduction:
        if value > ACTIVE:
            sums[0] = max(sums[0], value)
            sums[1] += 1.0
            sums[3] *= max(1.0 - value, SILENCED)
            if sums[3] < 1e-100:
                sums[2] += math.log(sums[3])
                sums[3] = 1.0
