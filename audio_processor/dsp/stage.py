"""What a stage of the signal path is, and how a stream is cut into blocks of one size.

A stage is a frozen dataclass of parameters. Calling it with blocks and a rate yields blocks:

* state is local to the call, so one stage may run in many streams at once;
* what comes out does not depend on how the input was cut (stages whose arithmetic would
  see the cuts pass their input through ``rechunk`` first);
* latency is compensated and the tail is yielded at the end: N frames in, N frames out,
  unless the stage changes the rate;
* the caller's blocks are never written to; a block may be yielded as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from audio_processor.model import Block


class Stage(Protocol):
    """One step of the signal path."""

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the processed blocks, float32 of shape ``(frames, channels)``."""
        ...


Advance = Callable[[float], None]
"""Told how much of a stream has passed, 0…1."""


def watched(blocks: Iterator[Block], frames: float, advance: Advance) -> Iterator[Block]:
    """Yield the blocks as they come; ``advance`` is told the share of ``frames`` that passed."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        advance(min(1.0, done / max(1.0, frames)))


def rechunk(blocks: Iterator[Block], frames: int) -> Iterator[Block]:
    """Yield the stream in C-contiguous blocks of exactly ``frames``, the last one shorter.

    Empty blocks vanish; a stream without frames yields nothing. A block that already fits
    passes through uncopied, so what is yielded may be read-only.
    """
    pending: Block | None = None
    filled = 0
    for block in blocks:
        start = 0
        while start < len(block):
            if filled == 0 and len(block) - start >= frames:
                yield np.ascontiguousarray(block[start : start + frames], dtype=np.float32)
                start += frames
                continue
            if pending is None:
                pending = np.empty((frames, block.shape[1]), dtype=np.float32)
            taken = min(frames - filled, len(block) - start)
            pending[filled : filled + taken] = block[start : start + taken]
            filled += taken
            start += taken
            if filled == frames:
                yield pending
                pending, filled = None, 0
    if pending is not None and filled:
        yield pending[:filled]
