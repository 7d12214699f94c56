"""Streams in hops of one size: how a stage with a latency keeps N frames in, N frames out.

A step that sees only hops of one length gives the same for every cut of the stream, and one
that knows its latency can have it taken off: the head is skipped, the tail is driven out
with silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from audio_processor.dsp.stage import rechunk
from audio_processor.model import Block

Step = Callable[[Block], Block]
"""Takes a hop ``(hop_frames, channels)``, returns as many frames, late by its latency. What it
returns is the stream's from then on: it keeps no hold of it."""
Given = Callable[[int, int], None]
"""Told which frames of the step's last hop, from one until before another, are passed on."""


def through_hops(
    blocks: Iterator[Block],
    hop_frames: int,
    latency_frames: int,
    step: Step,
    given: Given | None = None,
) -> Iterator[Block]:
    """Yield what ``step`` makes of the stream, in place in time and of the same length."""
    taken = passed = 0
    late = latency_frames
    for hop, frames in _hops_and_silence(blocks, hop_frames):
        taken += frames
        if frames == 0 and passed == taken:
            return
        done = step(hop)
        first = min(late, hop_frames)
        late -= first
        after = min(hop_frames, first + taken - passed)
        if after > first:
            passed += after - first
            if given is not None:
                given(first, after)
            yield done[first:after]


def _hops_and_silence(blocks: Iterator[Block], hop_frames: int) -> Iterator[tuple[Block, int]]:
    """Yield full hops, each with the number of its frames that are the stream's; no end."""
    channels = 0
    for block in rechunk(blocks, hop_frames):
        channels = block.shape[1]
        hop = block
        if len(block) < hop_frames or not block.flags.writeable:
            # a kernel takes a read-only array for another type and would be compiled anew
            hop = np.zeros((hop_frames, channels), dtype=np.float32)
            hop[: len(block)] = block
        yield hop, len(block)
    while channels:
        yield np.zeros((hop_frames, channels), dtype=np.float32), 0


class Delay:
    """Hands a stereo stream on, hop by hop, so many frames late."""

    def __init__(self, frames: int, hop_frames: int) -> None:
        self._line = np.zeros((frames + hop_frames, 2), dtype=np.float32)
        self._hop_frames = hop_frames

    def push(self, hop: Block) -> Block:
        """Take a hop and return another, as a new array."""
        line = self._line
        line[: -self._hop_frames] = line[self._hop_frames :]
        line[-self._hop_frames :] = hop
        return line[: self._hop_frames].copy()
