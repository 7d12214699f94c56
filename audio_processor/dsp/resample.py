"""Sample-rate conversion in a stream: soxr, with an exact output length.

soxr aligns its output with its input itself (its latency is taken off the head and flushed
at the tail), so all that is left to do here is to hold the length to
``round(frames × target / source)`` and to feed it blocks of one size.

Quality ``HQ`` is linear phase, passes 0.91 of the Nyquist band and keeps aliases and images
20 bits down; ``VHQ`` keeps them 28 bits down at 1.4 times the cost, and a lossy encoder
behind it cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soxr

from audio_processor.dsp.stage import rechunk
from audio_processor.model import Block

FEED_FRAMES = 8192
"""Large enough that soxr's overhead per call is gone, small enough for the cache."""


@dataclass(frozen=True, slots=True)
class Resample:
    """A stage that converts to ``target_rate_hz``; an identity where the rate is right already.

    N frames in give ``round(N × target / source)`` frames out (half to even).
    """

    target_rate_hz: int
    quality: Literal["HQ", "VHQ"] = "HQ"

    def __post_init__(self) -> None:
        if self.target_rate_hz <= 0:
            raise ValueError(f"target_rate_hz must be positive, not {self.target_rate_hz}")

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the stream at the target rate."""
        if sample_rate_hz == self.target_rate_hz:
            return blocks
        return self._convert(blocks, sample_rate_hz)

    def _convert(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        stream: soxr.ResampleStream | None = None
        taken = given = 0
        channels = 0
        for block in rechunk(blocks, FEED_FRAMES):
            if stream is None:
                channels = block.shape[1]
                stream = soxr.ResampleStream(
                    sample_rate_hz, self.target_rate_hz, channels, "float32", self.quality
                )
            taken += len(block)
            converted = stream.resample_chunk(block)
            given += len(converted)
            if len(converted):
                yield converted
        if stream is None:
            return
        owed = round(taken * self.target_rate_hz / sample_rate_hz) - given
        tail = stream.resample_chunk(np.empty((0, channels), dtype=np.float32), last=True)
        yield from _exactly(tail, owed)


def _exactly(tail: Block, frames: int) -> Iterator[Block]:
    """Trim the tail to ``frames``, or hold its end with silence where soxr gave one too few."""
    if frames <= 0:
        return
    if len(tail) < frames:
        tail = np.concatenate([tail, np.zeros((frames - len(tail), tail.shape[1]), np.float32)])
    yield tail[:frames]
