"""The mastering chain: stages one after another, none by default.

It stands before the meters in the analysis and before the gain in the render, so both see
the same programme. An empty chain hands the blocks on as they are and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audio_processor.mastering.parameters import parameters
from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.model import Block, StageFigures


@dataclass(frozen=True, slots=True)
class Chain:
    """Stages in the order that the signal meets them."""

    stages: tuple[MasteringStage, ...] = ()

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, watch: ChainWatch | None = None
    ) -> Iterator[Block]:
        """Yield what comes out of the last stage. ``watch`` learns what each stage does."""
        for stage in self.stages:
            if watch is None:
                blocks = stage(blocks, sample_rate_hz)
            else:
                blocks = watch.through(stage, blocks, sample_rate_hz)
        return blocks


class ChainWatch:
    """Gathers each stage's figures while a chain runs; read ``result`` at the stream's end."""

    def __init__(self) -> None:
        self._energies: list[_Energy] = []
        self._stages: list[tuple[MasteringStage, StageTally]] = []

    def through(
        self, stage: MasteringStage, blocks: Iterator[Block], sample_rate_hz: int
    ) -> Iterator[Block]:
        """Run one stage between two energy meters; neighbours share theirs."""
        if not self._energies:
            self._energies.append(_Energy())
            blocks = self._energies[0].of(blocks)
        tally, after = StageTally(), _Energy()
        self._stages.append((stage, tally))
        self._energies.append(after)
        return after.of(stage(blocks, sample_rate_hz, tally))

    def result(self) -> tuple[StageFigures, ...]:
        """Return what each stage was set to and what it did."""
        return tuple(
            StageFigures(
                stage=stage.name,
                parameters={each.name: getattr(stage, each.name) for each, _ in parameters(stage)},
                energy_added_db=_ratio_db(after.sum, before.sum),
                reductions=tally.result(),
            )
            for (stage, tally), before, after in zip(
                self._stages, self._energies[:-1], self._energies[1:], strict=True
            )
        )


class _Energy:
    """The sum of the squares of what passes."""

    def __init__(self) -> None:
        self.sum = 0.0

    def of(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            self.sum += _energy(block)
            yield block


def _energy(block: Block) -> float:
    flat = block.reshape(-1)
    with np.errstate(over="ignore"):
        energy = float(np.dot(flat, flat))
    if math.isfinite(energy):
        return energy
    wide = flat.astype(np.float64)  # squares beyond float32's range, as a float file may have
    return float(np.dot(wide, wide))


def _ratio_db(after: float, before: float) -> float | None:
    if after <= 0.0 or before <= 0.0:
        return None
    return 10.0 * math.log10(after / before)
