"""High-pass against DC and rumble, of linear phase: waveforms keep their shape.

A filter that turns the phases of the bass pulls the peaks of a limited master apart, and the
limiter behind the chain then has to push them down again (docs/decisions/0016).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.linear_high_pass import LinearHighPass
from audio_processor.mastering.parameters import choice, hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

EDGE_S = 1.0
"""How much of a programme its DC offset is estimated from, at either end."""

CUTOFF_CYCLES = {2: 0.4186229, 4: 0.5039605}
"""By order: the cutoff's cycles in one average, where one section, or each of two, has so much
of its share: ``1 − sinc⁴ = 2^(−1/2)``, or ``2^(−1/4)``."""


@dataclass(frozen=True, slots=True)
class HighPass:
    """One or two linear-phase sections; they begin and end as if the DC offset went on.

    Beyond the programme's ends a filter takes something for granted, and would answer an offset
    that comes from nowhere with a thump of its size. So the offset is estimated, as the mean of
    the first and of the last second under a Hann window (tones above 2.4 Hz are 31 dB down in it,
    above 10 Hz 70 dB). A channel that begins or ends in digital silence is taken to go on in it.
    Digital silence before the first sound stays digital silence.
    """

    name: ClassVar[str] = "high_pass"

    cutoff_hz: float = parameter(20.0, 10.0, 60.0, "Where the level is 3 dB down.")
    order: int = choice(2, (2, 4), "Steepness below the cutoff: 2 for 12 dB an octave, 4 for 24.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the filtered blocks; the first second comes when it is known."""
        del tally  # it takes no gain off any band for a time
        average_frames = averaged_frames(sample_rate_hz, self.cutoff_hz, int(self.order))
        for _ in range(int(self.order) // 2):
            blocks = _section(blocks, average_frames, round(EDGE_S * sample_rate_hz))
        return blocks


def averaged_frames(sample_rate_hz: float, cutoff_hz: float, order: int) -> int:
    """Return the moving averages' length: a whole number, so the cutoff is off by up to ½ in it.

    That is 0.2 % at most at 44.1 kHz, 0.9 % at 8 kHz (60 Hz, 0.1 dB), and less the higher the
    rate and the lower the cutoff. At rates so low that it would be one frame, two are taken:
    otherwise nothing at all would be left.
    """
    return max(2, round(CUTOFF_CYCLES[order] * sample_rate_hz / cutoff_hz))


def dc_offset(frames: Block) -> NDArray[np.float64]:
    """Return each channel's mean under a Hann window, sample positions at its cells' middles."""
    window = np.sin(np.pi * (np.arange(len(frames)) + 0.5) / len(frames)) ** 2
    return np.asarray((frames * window[:, np.newaxis]).sum(axis=0) / window.sum())


def _section(blocks: Iterator[Block], average_frames: int, edge_frames: int) -> Iterator[Block]:
    """Yield the stream through one section, of the same length and in place in time."""
    opening: list[Block] = []
    waiting = edge_frames
    stream: _Stream | None = None
    for block in blocks:
        if stream is not None:
            yield from stream.push(block)
            continue
        silent = 0 if opening else _leading_silence(block)
        if silent:
            yield block[:silent]
        if silent < len(block):
            opening.append(block[silent:].copy())  # its maker may use the block again
            waiting -= len(block) - silent
        if waiting <= 0:
            stream = _Stream(np.concatenate(opening)[:edge_frames], average_frames, edge_frames)
            yield from stream.take(opening)
    if stream is None and opening:
        stream = _Stream(np.concatenate(opening), average_frames, edge_frames)
        yield from stream.take(opening)
    if stream is not None:
        yield from stream.rest()


class _Stream:
    """The programme from its first sound on: what is before and after it, and the latency."""

    def __init__(self, opening: Block, average_frames: int, edge_frames: int) -> None:
        self._filter = LinearHighPass(average_frames, _beyond(opening, opening[0]))
        self._late = self._filter.latency_frames
        self._edge_frames = edge_frames
        self._recent: deque[Block] = deque()
        self._recent_frames = 0

    def push(self, block: Block) -> Iterator[Block]:
        """Yield what is ready."""
        if not len(block):
            return
        self._recent.append(block.copy())
        self._recent_frames += len(block)
        while self._recent_frames - len(self._recent[0]) >= self._edge_frames:
            self._recent_frames -= len(self._recent.popleft())
        yield from self._in_place(self._filter.process(block))

    def take(self, blocks: list[Block]) -> Iterator[Block]:
        """Yield what is ready after these blocks."""
        for block in blocks:
            yield from self.push(block)

    def rest(self) -> Iterator[Block]:
        """Yield what the latency has held back."""
        closing = np.concatenate(self._recent)[-self._edge_frames :]
        after = _beyond(closing, closing[-1]).astype(np.float32)
        frames = self._filter.latency_frames
        yield from self._in_place(self._filter.process(np.repeat(after[np.newaxis], frames, 0)))

    def _in_place(self, done: Block) -> Iterator[Block]:
        skipped = min(self._late, len(done))
        self._late -= skipped
        if skipped < len(done):
            yield done[skipped:]


def _beyond(edge: Block, outermost: Block) -> NDArray[np.float64]:
    """Return what each channel is taken to be beyond an end of the programme."""
    return np.where(outermost == 0.0, 0.0, dc_offset(edge))


def _leading_silence(block: Block) -> int:
    """Return the number of frames before the first that is not digital silence."""
    sounding = block.any(axis=1)
    return int(np.argmax(sounding)) if sounding.any() else len(block)
