"""The stage that takes decoder spikes out of the signal, by the rule the analysis measures by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audio_processor.dsp.intake import BACK_FRAMES, Chunk, Intake
from audio_processor.model import Block

_CHUNK_FRAMES = 16_384


@dataclass(frozen=True, slots=True)
class RepairSpikes:
    """Replaces each decoder spike by the line between its neighbours; ``dsp.spikes`` has the rule.

    Audio without spikes comes out bit for bit. Raises ``CorruptMedia`` for NaN or infinity.
    """

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the repaired stream in blocks of the stage's own size."""
        intake: Intake | None = None
        for block in blocks:
            if intake is None:
                intake = Intake(sample_rate_hz, block.shape[1], _CHUNK_FRAMES, repair=True)
            for chunk in intake.push(block):
                yield interleaved(chunk)
        if intake is not None:
            for chunk in intake.rest():
                yield interleaved(chunk)


def interleaved(chunk: Chunk) -> Block:
    """Return the chunk's own frames as a block of shape ``(frames, channels)``."""
    own = chunk.samples[:, BACK_FRAMES : BACK_FRAMES + chunk.frames]
    return np.ascontiguousarray(own.T)
