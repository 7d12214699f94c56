"""The mastering chain: stages one after another, none by default.

It stands before the meters in the analysis and before the gain in the render, so both see
the same programme. An empty chain hands the blocks on as they are and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audio_processor.dsp.stage import Stage
from audio_processor.model import Block


@dataclass(frozen=True, slots=True)
class Chain:
    """Stages in the order that the signal meets them; itself a stage."""

    stages: tuple[Stage, ...] = ()

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield what comes out of the last stage. Mastering stages keep the rate."""
        for stage in self.stages:
            blocks = stage(blocks, sample_rate_hz)
        return blocks
