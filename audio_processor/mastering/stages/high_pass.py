"""High-pass against DC and rumble: Butterworth of 12, 18 or 24 dB an octave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.biquad import high_pass
from audio_processor.dsp.cascade import Cascade
from audio_processor.dsp.filters import Biquad
from audio_processor.mastering.parameters import OutOfRange, hold_ranges, parameter, parameters
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

OPENING_S = 1.0
"""How much of a programme its DC offset is estimated from."""


@dataclass(frozen=True, slots=True)
class HighPass:
    """A Butterworth high-pass that begins as if the programme's DC offset had always been.

    A filter that starts from rest would answer an offset with a thump of its size. So the
    offset is estimated first, as the mean of the first second under a Hann window (tones above
    2.4 Hz are 31 dB down in it, above 10 Hz 70 dB), and the state is what that offset has
    left behind. Digital silence before the first sound stays digital silence.
    """

    name: ClassVar[str] = "high_pass"

    cutoff_hz: float = parameter(20.0, 10.0, 60.0, "Where the level is 3 dB down.")
    order: int = parameter(
        2, 2, 4, "Steepness: 2, 3 or 4, for 12, 18 or 24 dB an octave below the cutoff."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)
        if self.order != int(self.order):
            allowed = {each.name: found for each, found in parameters(self)}["order"]
            raise OutOfRange("order", self.order, allowed)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the filtered blocks; the first second comes when it is known."""
        del tally  # it takes no gain off any band for a time
        cascade = Cascade(butterworth(sample_rate_hz, self.cutoff_hz, int(self.order)))
        waiting: list[Block] | None = []
        waited, opening_frames = 0, round(OPENING_S * sample_rate_hz)
        for block in blocks:
            if waiting is None:
                yield cascade.process(block)
                continue
            silent = 0 if waiting else _leading_silence(block)
            if silent:
                yield block[:silent]
            if silent < len(block):
                waiting.append(block[silent:].copy())  # its maker may use the block again
                waited += len(block) - silent
            if waited >= opening_frames:
                yield from _open(cascade, waiting, opening_frames)
                waiting = None
        if waiting:
            yield from _open(cascade, waiting, opening_frames)


def butterworth(sample_rate_hz: float, cutoff_hz: float, order: int) -> tuple[Biquad, ...]:
    """Return the sections of a Butterworth high-pass: order // 2 of second order, one of first."""
    sections = [
        high_pass(sample_rate_hz, cutoff_hz, 0.5 / math.sin(math.pi * (2 * i + 1) / (2 * order)))
        for i in range(order // 2)
    ]
    if order % 2:
        k = math.tan(math.pi * cutoff_hz / sample_rate_hz)
        sections.append(Biquad(1 / (1 + k), -1 / (1 + k), 0.0, (k - 1) / (k + 1), 0.0))
    return tuple(sections)


def dc_offset(frames: Block) -> NDArray[np.float64]:
    """Return each channel's mean under a Hann window, sample positions at its cells' middles."""
    window = np.sin(np.pi * (np.arange(len(frames)) + 0.5) / len(frames)) ** 2
    return np.asarray((frames * window[:, np.newaxis]).sum(axis=0) / window.sum())


def _open(cascade: Cascade, waiting: list[Block], opening_frames: int) -> Iterator[Block]:
    cascade.settle(dc_offset(np.concatenate(waiting)[:opening_frames]).tolist())
    for block in waiting:
        yield cascade.process(block)


def _leading_silence(block: Block) -> int:
    """Return the number of frames before the first that is not digital silence."""
    sounding = block.any(axis=1)
    return int(np.argmax(sounding)) if sounding.any() else len(block)
