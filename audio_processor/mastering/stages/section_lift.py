"""The section lift: louder sections a little louder, quieter ones a little quieter, slowly.

What an engineer's hand on the fader does for a chorus. The level of the three seconds around
a moment (K-weighted, BS.1770-5) is compared with the long-term level up to there; the
difference, bent by a tanh so that it saturates, sets the gain: from ``−lift_db`` to half of
``+lift_db``, so that the energy of a programme stays about where it was. The gain moves by
1 dB/s at most, and a step of the programme's level becomes a ramp of some three seconds,
centred on it: the audio waits 2.5 s for its gain.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import KWeightedEnergy
from audio_processor.dsp.intake import BACK_FRAMES, Chunk
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.stage import rechunk
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

HOP_TENTHS = 5
AROUND_TENTHS = 15
"""To each side of a moment: what its level is the mean of."""
SMOOTHING_TENTHS = 10
"""To each side of a point: the length of the last smoothing."""
MEMORY_S = 120.0
"""How long the long-term level remembers."""
SATURATION_DB = 3.0
"""So far above the long-term level, three quarters of the lift are reached."""
RAISED = 0.5
"""Loud sections are raised by so much of what quiet ones are lowered: they have most of the
energy, which is to stay where it was."""
MAX_STEP_DB = 0.1
"""Between two points, a tenth of a second apart."""
SILENCE = 10.0 ** ((-70.0 + 0.691) / 10.0)
"""BS.1770-5's absolute gate, as energy: below it the long-term level does not move."""
LOUDEST = 2.0
"""A tenth counts with this energy at most: a decoder's spike is no section."""


@dataclass(frozen=True, slots=True)
class SectionLift:
    """A stage: slow gain, from ``−lift_db`` to half of ``+lift_db``. Neutral at 0."""

    name: ClassVar[str] = "section_lift"

    lift_db: float = parameter(
        0.8, 0.0, 1.5, "How far a quiet section is lowered at most; a loud one is lifted by half."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)

    @property
    def is_neutral(self) -> bool:
        """Whether the gain is 1 throughout: then blocks pass as they are."""
        return self.lift_db == 0.0

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield the stream with its sections lifted."""
        return blocks if self.is_neutral else self._lift(blocks, sample_rate_hz, tally)

    def _lift(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None
    ) -> Iterator[Block]:
        stream = _Stream(self.lift_db, sample_rate_hz)
        for block in rechunk(blocks, stream.hop_frames):
            yield from stream.push(block, tally)
        yield from stream.rest(tally)


class GainCourse:
    """Gains at the borders between tenths of a second, from the tenths' mean energies.

    Decides only: knows no audio. For N tenths it gives N + 1 points, in order.
    """

    def __init__(self, lift_db: float) -> None:
        self._lift_db = lift_db
        self._tenths: deque[float] = deque(maxlen=2 * AROUND_TENTHS)
        self._targets: deque[float] = deque(maxlen=2 * SMOOTHING_TENTHS + 1)
        self._read = 0
        self._decided = 0
        self._keep = math.exp(-0.1 / MEMORY_S)
        self._weight = self._energy = 0.0
        ramp = np.hanning(2 * SMOOTHING_TENTHS + 3)[1:-1]
        self._window = tuple(float(each) for each in ramp / ramp.sum())

    def take(self, energy: float) -> Iterator[float]:
        """Take the next tenth's mean energy; yield the points, in dB, that are now known."""
        self._tenths.append(min(energy, LOUDEST))
        self._read += 1
        if self._read >= AROUND_TENTHS:
            yield from self._decide()

    def rest(self) -> Iterator[float]:
        """Yield the points that are left at the stream's end."""
        while self._decided <= self._read:
            if self._read - len(self._tenths) < self._decided - AROUND_TENTHS:
                self._tenths.popleft()
            yield from self._decide()
        for _ in range(SMOOTHING_TENTHS):
            yield from self._smooth(self._targets[-1])

    def _decide(self) -> Iterator[float]:
        """Decide on the next border: its target, and the point that this completes."""
        self._decided += 1
        level = sum(self._tenths) / max(len(self._tenths), 1)
        target_db = self._lift_db * self._share(level)
        if not self._targets:
            for _ in range(SMOOTHING_TENTHS):
                yield from self._smooth(target_db)
        else:
            last_db = self._targets[-1]
            target_db = min(max(target_db, last_db - MAX_STEP_DB), last_db + MAX_STEP_DB)
        yield from self._smooth(target_db)

    def _share(self, level: float) -> float:
        """Return how much of the lift a level is due, −1…1, and remember the level."""
        if level > SILENCE:
            self._weight = self._weight * self._keep + 1.0
            self._energy = self._energy * self._keep + level
        if self._weight == 0.0:
            return 0.0
        mean = self._energy / self._weight
        share = math.tanh(10.0 * math.log10(max(level, SILENCE) / mean) / SATURATION_DB)
        return RAISED * share if share > 0.0 else share

    def _smooth(self, target_db: float) -> Iterator[float]:
        self._targets.append(target_db)
        if len(self._targets) == self._targets.maxlen:
            yield sum(w * t for w, t in zip(self._window, self._targets, strict=True))


class _Stream:
    """One stream's audio that waits for its gain."""

    def __init__(self, lift_db: float, sample_rate_hz: int) -> None:
        self._tenth_frames = max(round(sample_rate_hz / 10), 1)
        self.hop_frames = HOP_TENTHS * self._tenth_frames
        self._meter = KWeightedEnergy(sample_rate_hz, 2, self._tenth_frames)
        self._planes = np.zeros((2, BACK_FRAMES + self.hop_frames), dtype=np.float32)
        self._course = GainCourse(lift_db)
        self._points: deque[float] = deque()
        self._waiting: deque[Block] = deque()

    def push(self, block: Block, tally: StageTally | None) -> Iterator[Block]:
        """Take a hop (or the stream's last frames); yield the hops whose gain is known."""
        self._waiting.append(np.array(block))
        for energy in self._energies(block):
            self._points.extend(self._course.take(float(energy)))
        yield from self._due(tally)

    def rest(self, tally: StageTally | None) -> Iterator[Block]:
        """Yield what still waits."""
        if self._waiting:
            self._points.extend(self._course.rest())
            yield from self._due(tally)

    def _energies(self, block: Block) -> NDArray[np.float64]:
        frames = len(block)
        self._planes[:, BACK_FRAMES : BACK_FRAMES + frames] = block.T
        sums = self._meter.take(Chunk(self._planes, frames, 0))
        counts = np.full(sums.size, self._tenth_frames)
        counts[-1] = frames - (sums.size - 1) * self._tenth_frames
        return np.asarray(sums / counts)

    def _due(self, tally: StageTally | None) -> Iterator[Block]:
        while self._waiting:
            tenths = -(-len(self._waiting[0]) // self._tenth_frames)
            if len(self._points) <= tenths:
                return
            block = self._waiting.popleft()
            points_db = [self._points.popleft() for _ in range(tenths)]
            gains = 10.0 ** (np.array([*points_db, self._points[0]]) / 20.0)
            apply_gains(block, gains, self._tenth_frames)
            if tally is not None:
                reductions = 1.0 - (gains[:-1] + gains[1:]) / 2.0
                tally.take("full", np.maximum(reductions, 0.0).astype(np.float32))
            yield block


@kernel()
def apply_gains(audio: Block, gains: NDArray[np.float64], tenth_frames: int) -> None:
    """Multiply each tenth by a straight line between the gains at its borders, in place."""
    for tenth in range(gains.shape[0] - 1):
        frames = audio[tenth * tenth_frames : (tenth + 1) * tenth_frames]
        left = np.float32(gains[tenth])
        step = np.float32((gains[tenth + 1] - gains[tenth]) / tenth_frames)
        for i in range(frames.shape[0]):
            gain = left + step * np.float32(i)
            frames[i, 0] *= gain
            frames[i, 1] *= gain
