"""Stereo width by mid and side, a widening for what is narrow, and a guard for mono."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.correlation_guard import (
    HOPS,
    PRODUCTS,
    CorrelationGuard,
    Shares,
    add_products,
    hop_frames,
)
from audio_processor.dsp.jit import kernel
from audio_processor.dsp.microshift import Microshift
from audio_processor.dsp.stage import rechunk
from audio_processor.mastering.parameters import hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block

MICROSHIFT_DEPTH = 0.5
"""Of the turned mid in the side at 100 %."""


@dataclass(frozen=True, slots=True)
class StereoWidth:
    """The side by ``width_percent``, and of the mid a little, turned, into the side.

    Microshift (``dsp.microshift``) adds the mid above 250 Hz, turned in phase, to the side, at
    −6 dB at 100 %. Left and right then differ by turns in bands of about half an octave, each
    up to +3.5 and −6 dB off what it was; a mono source's correlation becomes 0.6.

    Both change the side alone, so the sum L+R is what it was, to float32's rounding.

    The guard measures the correlation of left and right over 0.21 s, every 10 ms, as it would
    be. Where it would fall below ``correlation_floor`` it takes back what the stage adds, as
    far as needed and at most to the source's own side (or what of it ``width_percent``
    leaves), smoothly over 0.1 s and beforehand. A source that is itself below the floor is
    not narrowed. What the guard took off the side's level is the tally's band ``side``.
    """

    name: ClassVar[str] = "width"

    width_percent: float = parameter(
        100.0, 0.0, 200.0, "Level of the side: 0 is mono, 100 the source's, 200 twice that."
    )
    microshift_percent: float = parameter(
        0.0, 0.0, 100.0, "How much of a turned mid joins the side, to widen what is narrow."
    )
    correlation_floor: float = parameter(
        0.0, -1.0, 1.0, "Widening stops where left and right would correlate less than this."
    )

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        """Yield as many frames as came; the very same blocks at 100 % and no microshift."""
        if self.microshift_percent == 0.0 and self.width_percent == 100.0:
            return blocks
        if self.microshift_percent == 0.0 and self.width_percent < 100.0:
            return self._narrow(blocks)
        return self._widen(blocks, sample_rate_hz, tally)

    def _narrow(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            yield _with_side(np.array(block, dtype=np.float32), self.width_percent / 100.0)

    def _widen(
        self, blocks: Iterator[Block], rate_hz: int, tally: StageTally | None
    ) -> Iterator[Block]:
        """Hold one chunk back: the guard sees ahead of what is yielded."""
        kept, hop = min(1.0, self.width_percent / 100.0), hop_frames(rate_hz)
        extra_of = _Extra(self, rate_hz)
        guard = CorrelationGuard(self.correlation_floor, hop)
        held: tuple[Block, NDArray[np.float32]] | None = None
        for chunk in rechunk(blocks, hop * HOPS):
            block = np.array(chunk)  # the caller's own may have changed when its turn comes
            extra = extra_of(block)
            products = np.zeros((HOPS, PRODUCTS))
            add_products(block, extra, kept, hop, products)
            shares = guard.take(products)
            if held is not None:
                yield _mixed(*held, kept, hop, shares, tally)
            held = block, extra
        if held is not None:
            yield _mixed(*held, kept, hop, guard.take(np.zeros((HOPS, PRODUCTS))), tally)


class _Extra:
    """What joins the side that is kept: more of it, and some of the turned mid."""

    def __init__(self, stage: StereoWidth, rate_hz: int) -> None:
        self._gain = max(0.0, stage.width_percent / 100.0 - 1.0)
        self._depth = MICROSHIFT_DEPTH * stage.microshift_percent / 100.0
        self._microshift = Microshift(rate_hz) if self._depth else None

    def __call__(self, block: Block) -> NDArray[np.float32]:
        if self._microshift is None:
            extra = np.zeros(len(block), dtype=np.float32)
        else:
            extra = self._microshift.process(block)
        _add_up(block, self._gain, self._depth, extra)
        return extra


def _with_side(block: Block, gain: float) -> Block:
    done = np.empty_like(block)
    _scale_side(block, gain, done)
    return done


def _mixed(
    block: Block,
    extra: NDArray[np.float32],
    kept: float,
    hop: int,
    shares: Shares,
    tally: StageTally | None,
) -> Block:
    if tally is not None:
        tally.take("side", shares.reduction[: -(-len(block) // hop)])
    done = np.empty_like(block)
    _mix(block, extra, kept, hop, shares.points, done)
    return done


_LARGEST = float(np.finfo(np.float32).max)
"""Finite in, finite out: what would leave float32's range stays at its end."""


@kernel()
def _scale_side(block: Block, gain: float, done: Block) -> None:
    for i in range(len(block)):
        left, right = np.float64(block[i, 0]), np.float64(block[i, 1])
        mid, side = 0.5 * (left + right), gain * (0.5 * (left - right))
        done[i, 0] = min(max(mid + side, -_LARGEST), _LARGEST)
        done[i, 1] = min(max(mid - side, -_LARGEST), _LARGEST)


@kernel()
def _add_up(block: Block, gain: float, depth: float, extra: NDArray[np.float32]) -> None:
    """Turn ``extra``, the turned mid, into gain × side + depth × turned mid."""
    for i in range(extra.size):
        side = 0.5 * (np.float64(block[i, 0]) - np.float64(block[i, 1]))
        extra[i] = min(max(gain * side + depth * extra[i], -_LARGEST), _LARGEST)


@kernel()
def _mix(
    block: Block,
    extra: NDArray[np.float32],
    kept: float,
    hop: int,
    points: NDArray[np.float64],
    done: Block,
) -> None:
    """Write mid ± (kept side + share × extra); the share runs straight from point to point."""
    for h in range(-(-extra.size // hop)):
        pairs = block[h * hop : (h + 1) * hop]
        added = extra[h * hop : (h + 1) * hop]
        out = done[h * hop : (h + 1) * hop]
        share, step = points[h], (points[h + 1] - points[h]) / hop
        for i in range(added.size):
            left, right = np.float64(pairs[i, 0]), np.float64(pairs[i, 1])
            side = kept * (0.5 * (left - right)) + (share + step * i) * added[i]
            mid = 0.5 * (left + right)
            out[i, 0] = min(max(mid + side, -_LARGEST), _LARGEST)
            out[i, 1] = min(max(mid - side, -_LARGEST), _LARGEST)
