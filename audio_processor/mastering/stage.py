"""What a mastering stage is: a stage of the signal path that has a name and may be watched.

The rules of ``dsp.stage`` hold: parameters are frozen, state is local to the call, the
output does not depend on how the input was cut, N frames in and N out in place in time
(latency compensated), float32 throughout, nothing is clipped, memory does not grow. Blocks are
stereo, ``(frames, 2)``. At its neutral parameters a stage hands the blocks on as they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.reduction import ReductionTally
from audio_processor.model import BandReduction, Block


class StageTally:
    """What one run of one stage did to the gain, band by band; filled by the stage."""

    def __init__(self) -> None:
        self._tallies: dict[str, ReductionTally] = {}
        self._cells: dict[str, int] = {}

    def take(self, band: str, reduction: NDArray[np.float32]) -> None:
        """Count gain reductions ``1 − gain`` (0…1), one value for each equal span of time."""
        self._tallies.setdefault(band, ReductionTally()).add(reduction)
        self._cells[band] = self._cells.get(band, 0) + reduction.size

    def result(self) -> tuple[BandReduction, ...]:
        """Return what was counted, in the order in which the bands first came."""
        return tuple(
            BandReduction(band, found.deepest_db, found.mean_db, found.active_fraction)
            for band, tally in self._tallies.items()
            for found in (tally.result(self._cells[band]),)
        )


class MasteringStage(Protocol):
    """One step of the mastering chain; a frozen dataclass of ``parameters.parameter`` fields."""

    name: ClassVar[str]
    """Its table in a preset: ``high_pass``, ``equaliser``, …"""

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the processed blocks; ``tally`` is filled as they pass, where one is given."""
        ...
