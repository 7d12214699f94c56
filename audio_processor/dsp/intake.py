"""From blocks of any size to the planar chunks of fixed size that every meter works on.

Because all meters see the same chunks however the stream was cut, their figures cannot
depend on the cutting: block-size invariance is a property of this module alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.dsp.spikes import CONTEXT_FRAMES, THRESHOLD, repair_spikes
from audio_processor.errors import CorruptMedia
from audio_processor.model import Block

BACK_FRAMES = 64
"""Frames of the past that a chunk shows before its own."""
CLEAN_AHEAD_FRAMES = 64
"""Frames of the future behind a chunk's own that are final: an interpolator may use them."""
AHEAD_FRAMES = CLEAN_AHEAD_FRAMES + CONTEXT_FRAMES

CHUNK_TENTHS = 5
"""The meters' chunk, in 100 ms: few calls, and still within a core's second cache."""

_INFINITY_BITS = 0x7F800000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the programme, channel by channel, with some of what is around it."""

    samples: NDArray[np.float32]
    """Shape ``(channels, columns)``, C-contiguous. Frame ``i`` of the chunk is column
    ``BACK_FRAMES + i``; the programme is surrounded by silence. Valid until the next one."""
    frames: int
    first_frame: int
    """The chunk's position in the programme."""


class Intake:
    """Collects blocks; yields chunks of ``chunk_frames``, and at the end a shorter one."""

    def __init__(
        self, sample_rate_hz: int, channels: int, chunk_frames: int, *, repair: bool = False
    ) -> None:
        if channels < 1:
            raise ValueError(f"a stream has one channel at least, not {channels}")
        self.frames = 0
        """Frames pushed so far."""
        self.spikes = 0
        """Samples repaired so far; see ``dsp.spikes``."""
        self._rate_hz = sample_rate_hz
        self._channels = channels
        self._chunk_frames = chunk_frames
        self._repair = repair
        columns = BACK_FRAMES + chunk_frames + AHEAD_FRAMES
        self._samples = np.zeros((channels, columns), dtype=np.float32)
        self._bits = self._samples.view(np.int32)
        self._filled = BACK_FRAMES
        self._clean = BACK_FRAMES
        self._loud = False
        self._first_frame = 0
        self._closed = False

    def push(self, block: Block) -> Iterator[Chunk]:
        """Take a block of any length; yield each chunk that it completes.

        Raises ``CorruptMedia`` at the first sample that is NaN or infinite, ``ValueError``
        for a block of another shape or after ``rest``.
        """
        if self._closed:
            raise ValueError("the meter has been read out: it takes no more audio")
        if block.ndim != 2 or block.shape[1] != self._channels:
            raise ValueError(f"a block of shape {block.shape} is not (frames, {self._channels})")
        block = np.ascontiguousarray(block, dtype=np.float32)
        start = 0
        while start < len(block):
            taken = min(len(block) - start, self._samples.shape[1] - self._filled)
            part = block[start : start + taken]
            largest_bits = _deinterleave(part, self._samples, self._filled, self._bits)
            if largest_bits >= _INFINITY_BITS:
                self._reject(part)
            self._loud |= bool(np.int32(largest_bits).view(np.float32) >= THRESHOLD)
            start += taken
            self.frames += taken
            self._filled += taken
            if self._filled == self._samples.shape[1]:
                yield self._complete(self._chunk_frames)
                self._shift()

    def rest(self) -> Iterator[Chunk]:
        """Close the stream; yield what is left of it, as chunks of full size but the last."""
        self._closed = True
        while self._first_frame < self.frames:
            self._samples[:, self._filled :] = 0.0
            left = self.frames - self._first_frame
            yield self._complete(min(left, self._chunk_frames))
            self._shift()

    def _complete(self, frames: int) -> Chunk:
        if self._repair and self._loud:
            end = self._samples.shape[1] - CONTEXT_FRAMES
            self.spikes += repair_spikes(self._samples, self._clean, end)
            self._loud = bool(np.abs(self._samples[:, end:]).max() >= THRESHOLD)
        return Chunk(self._samples, frames, self._first_frame)

    def _shift(self) -> None:
        kept = BACK_FRAMES + AHEAD_FRAMES
        self._samples[:, :kept] = self._samples[:, self._chunk_frames :].copy()
        self._first_frame += self._chunk_frames
        self._filled -= self._chunk_frames
        self._clean = BACK_FRAMES + CLEAN_AHEAD_FRAMES

    def _reject(self, block: Block) -> None:
        bad = ~np.isfinite(block).all(axis=1)
        at_s = (self.frames + int(np.argmax(bad))) / self._rate_hz
        raise CorruptMedia(f"a sample that is not a number, {at_s:.3f} s into the audio")


@kernel()
def largest_magnitude(bits: NDArray[np.int32]) -> np.int32:
    """Return the bit pattern of the largest magnitude among floats given as bit patterns.

    Without their sign, floats order as the integers of the same bits do, and infinities and
    NaNs above them all: one integer maximum finds the peak and what is not a number.
    """
    largest = np.int32(0)
    for i in range(bits.size):
        largest = max(largest, bits[i] & np.int32(0x7FFFFFFF))
    return largest


@kernel()
def _deinterleave(
    block: NDArray[np.float32], planes: NDArray[np.float32], at: int, bits: NDArray[np.int32]
) -> np.int32:
    """Copy a block into the planes; return the bit pattern of its largest magnitude."""
    frames, channels = block.shape
    largest = np.int32(0)
    for channel in range(channels):
        plane = planes[channel, at : at + frames]
        if channels == 2:  # a stride that the compiler knows is one that it can vectorise
            for i in range(frames):
                plane[i] = block[i, channel]
        else:
            for i in range(frames):
                plane[i] = block[i, channel]
        largest = max(largest, largest_magnitude(bits[channel, at : at + frames]))
    return largest
