"""A cascade of second-order sections over a stream: state carried, cuts unheard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import Biquad
from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

TILE_FRAMES = 256
SILENT_STATE = 1e-20
"""−400 dBFS. A filter that rings out in digital silence would end in denormal numbers, which
cost a hundred times as much: state below this is put to zero, at every 256th frame of the
stream, wherever its blocks are cut."""
_IDENTITY = Biquad(1.0, 0.0, 0.0, 0.0, 0.0)
_LARGEST = float(np.finfo(np.float32).max)


class Cascade:
    """Sections in series over a stream of float32 blocks; state in float64, carried along.

    What comes out does not depend on how the stream was cut, to the bit. Every channel goes
    through the same sections; ``mid_side`` makes a cascade with two sets. Finite in, finite
    out: what would leave float32's range stays at its end.
    """

    def __init__(self, sections: Sequence[Biquad], channels: int = 2) -> None:
        if channels < 1:
            raise ValueError(f"a cascade has one channel at least, not {channels}")
        self._set_up([sections] * channels, matrix=False)

    @classmethod
    def mid_side(cls, mid: Sequence[Biquad], side: Sequence[Biquad]) -> Cascade:
        """Return a cascade for left and right that filters (L+R)/2 and (L−R)/2, each its way."""
        made = cls.__new__(cls)
        made._set_up([mid, side], matrix=True)
        return made

    def _set_up(self, of_channels: Sequence[Sequence[Biquad]], *, matrix: bool) -> None:
        longest = max(len(sections) for sections in of_channels)
        longest += longest % 2
        self._sections = [[*s, *[_IDENTITY] * (longest - len(s))] for s in of_channels]
        self._coefficients = np.array(
            [[(s.b0, s.b1, s.b2, s.a1, s.a2) for s in sections] for sections in self._sections],
            dtype=np.float64,
        ).reshape(len(of_channels), longest, 5)
        self._state = np.zeros((len(of_channels), longest, 2))
        self._matrix = matrix
        self._frames = 0

    def process(self, block: Block) -> Block:
        """Return the next block of the stream, ``(frames, channels)``, filtered, as a new array."""
        channels = self._state.shape[0]
        if block.ndim != 2 or block.shape[1] != channels:
            raise ValueError(f"a block of shape {block.shape} is not (frames, {channels})")
        done = np.empty(block.shape, dtype=np.float32)
        source = np.ascontiguousarray(block, dtype=np.float32)
        if not source.flags.writeable:  # a read-only array is another type to numba
            source = source.copy()
        _cascade(source, done, self._coefficients, self._state, self._matrix, self._frames)
        self._frames += len(block)
        return done

    @property
    def at_rest(self) -> bool:
        """Whether nothing rings: silence in is silence out from here on."""
        return not self._state.any()


@kernel()
def _cascade(
    block: NDArray[np.float32],
    done: NDArray[np.float32],
    coefficients: NDArray[np.float64],
    state: NDArray[np.float64],
    matrix: bool,
    position: int,
) -> None:
    """Filter ``block`` into ``done``; ``position`` is the stream's frame that it begins with.

    The block goes tile by tile through pairs of sections, two channels at a time; a tile stays
    in the first cache. Sections come in twos: where one is missing, another does nothing.
    """
    frames, channels = block.shape
    sections = coefficients.shape[1]
    left_tile = np.empty(TILE_FRAMES)
    right_tile = np.empty(TILE_FRAMES)
    start = 0
    while start < frames:
        end = min(frames, start + TILE_FRAMES - (position + start) % TILE_FRAMES)
        l_tile = left_tile[: end - start]
        r_tile = right_tile[: end - start]
        for left in range(0, channels, 2):
            right = min(left + 1, channels - 1)
            _load(block[start:end], left, l_tile)
            _load(block[start:end], right, r_tile)
            if matrix:
                _turn(l_tile, r_tile, 0.5)
            for i in range(0, sections, 2):
                if left == right:
                    _two(l_tile, coefficients[left, i : i + 2], state[left, i : i + 2])
                else:
                    _four(
                        l_tile, r_tile,
                        coefficients[left : right + 1, i : i + 2],
                        state[left : right + 1, i : i + 2],
                    )  # fmt: skip
            if matrix:
                _turn(l_tile, r_tile, 1.0)
            if left != right:
                _store(r_tile, done[start:end], right)
            _store(l_tile, done[start:end], left)
        start = end
        if (position + end) % TILE_FRAMES == 0:
            _flush(state)


@kernel()
def _load(block: NDArray[np.float32], channel: int, tile: NDArray[np.float64]) -> None:
    for i in range(tile.size):
        tile[i] = block[i, channel]


@kernel()
def _store(tile: NDArray[np.float64], done: NDArray[np.float32], channel: int) -> None:
    for i in range(tile.size):
        done[i, channel] = min(max(tile[i], -_LARGEST), _LARGEST)


@kernel()
def _turn(left: NDArray[np.float64], right: NDArray[np.float64], scale: float) -> None:
    """Left and right to mid and side (``scale`` ½) or back (1)."""
    for i in range(left.size):
        a, b = left[i], right[i]
        left[i] = (a + b) * scale
        right[i] = (a - b) * scale


@kernel()
def _flush(state: NDArray[np.float64]) -> None:
    for channel in range(state.shape[0]):
        for section in range(state.shape[1]):
            if abs(state[channel, section, 0]) + abs(state[channel, section, 1]) < SILENT_STATE:
                state[channel, section, 0] = state[channel, section, 1] = 0.0


@kernel()
def _two(tile: NDArray[np.float64], c: NDArray[np.float64], state: NDArray[np.float64]) -> None:
    """Two sections, one channel, in place; in transposed direct form II, like the four below."""
    b0, b1, b2, a1, a2 = c[0, 0], c[0, 1], c[0, 2], c[0, 3], c[0, 4]
    d0, d1, d2, e1, e2 = c[1, 0], c[1, 1], c[1, 2], c[1, 3], c[1, 4]
    p1, p2, p3, p4 = state[0, 0], state[0, 1], state[1, 0], state[1, 1]
    for i in range(tile.size):
        x = tile[i]
        y = b0 * x + p1
        p1 = b1 * x + p2 - a1 * y
        p2 = b2 * x - a2 * y
        z = d0 * y + p3
        p3 = d1 * y + p4 - e1 * z
        p4 = d2 * y - e2 * z
        tile[i] = z
    state[0, 0], state[0, 1], state[1, 0], state[1, 1] = p1, p2, p3, p4


@kernel()
def _four(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    c: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Two sections, two channels: a recursion waits for itself, so four cost little over one."""
    b0, b1, b2, a1, a2 = c[0, 0, 0], c[0, 0, 1], c[0, 0, 2], c[0, 0, 3], c[0, 0, 4]
    d0, d1, d2, e1, e2 = c[0, 1, 0], c[0, 1, 1], c[0, 1, 2], c[0, 1, 3], c[0, 1, 4]
    f0, f1, f2, g1, g2 = c[1, 0, 0], c[1, 0, 1], c[1, 0, 2], c[1, 0, 3], c[1, 0, 4]
    h0, h1, h2, k1, k2 = c[1, 1, 0], c[1, 1, 1], c[1, 1, 2], c[1, 1, 3], c[1, 1, 4]
    p1, p2, p3, p4 = state[0, 0, 0], state[0, 0, 1], state[0, 1, 0], state[0, 1, 1]
    q1, q2, q3, q4 = state[1, 0, 0], state[1, 0, 1], state[1, 1, 0], state[1, 1, 1]
    for i in range(left.size):
        x, u = left[i], right[i]
        y = b0 * x + p1
        v = f0 * u + q1
        p1 = b1 * x + p2 - a1 * y
        q1 = f1 * u + q2 - g1 * v
        p2 = b2 * x - a2 * y
        q2 = f2 * u - g2 * v
        z = d0 * y + p3
        w = h0 * v + q3
        p3 = d1 * y + p4 - e1 * z
        q3 = h1 * v + q4 - k1 * w
        p4 = d2 * y - e2 * z
        q4 = h2 * v - k2 * w
        left[i], right[i] = z, w
    state[0, 0, 0], state[0, 0, 1], state[0, 1, 0], state[0, 1, 1] = p1, p2, p3, p4
    state[1, 0, 0], state[1, 0, 1], state[1, 1, 0], state[1, 1, 1] = q1, q2, q3, q4
