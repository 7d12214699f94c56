"""Second-order sections: the designs of the Audio EQ Cookbook, and a cascade that streams.

Designs after Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
coefficients" (W3C Group Note "Audio EQ Cookbook", 2021): analogue prototypes through the bilinear
transform, with the Q of each prototype. The transform bends the frequency axis, so near half the
rate a response is narrower than its prototype's; ``dsp.matched`` has designs that are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import Biquad
from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

BUTTERWORTH_Q = math.sqrt(0.5)
MAX_HZ_PER_RATE = 0.49
"""The highest corner, as a share of the rate: at half the rate the transform's tangent is
infinite. A corner that lies higher is put here."""


def low_shelf(sample_rate_hz: float, hz: float, gain_db: float, q: float = BUTTERWORTH_Q) -> Biquad:
    """Return a shelf that is ``gain_db`` far below ``hz``, half of it there, 0 dB far above."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2.0 * math.sqrt(a) * alpha
    return _normalised(
        a * ((a + 1) - (a - 1) * cos + root),
        2 * a * ((a - 1) - (a + 1) * cos),
        a * ((a + 1) - (a - 1) * cos - root),
        (a + 1) + (a - 1) * cos + root,
        -2 * ((a - 1) + (a + 1) * cos),
        (a + 1) + (a - 1) * cos - root,
    )


def high_shelf(
    sample_rate_hz: float, hz: float, gain_db: float, q: float = BUTTERWORTH_Q
) -> Biquad:
    """Return a shelf that is ``gain_db`` far above ``hz``, half of it there, 0 dB far below."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2.0 * math.sqrt(a) * alpha
    return _normalised(
        a * ((a + 1) + (a - 1) * cos + root),
        -2 * a * ((a - 1) + (a + 1) * cos),
        a * ((a + 1) + (a - 1) * cos - root),
        (a + 1) - (a - 1) * cos + root,
        2 * ((a - 1) - (a + 1) * cos),
        (a + 1) - (a - 1) * cos - root,
    )


def peaking(sample_rate_hz: float, hz: float, gain_db: float, q: float) -> Biquad:
    """Return a bell of ``gain_db`` at ``hz``; ``q`` sets the width between half its gain in dB."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    a = 10.0 ** (gain_db / 40.0)
    return _normalised(
        1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a
    )


def high_pass(sample_rate_hz: float, hz: float, q: float = BUTTERWORTH_Q) -> Biquad:
    """Return a high-pass of 12 dB an octave, at ``hz`` as many dB as ``q`` is (−3 by default)."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    half = (1 + cos) / 2
    return _normalised(half, -2 * half, half, 1 + alpha, -2 * cos, 1 - alpha)


def low_pass(sample_rate_hz: float, hz: float, q: float = BUTTERWORTH_Q) -> Biquad:
    """Return a low-pass of 12 dB an octave, at ``hz`` as many dB as ``q`` is (−3 by default)."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    half = (1 - cos) / 2
    return _normalised(half, 2 * half, half, 1 + alpha, -2 * cos, 1 - alpha)


def all_pass(sample_rate_hz: float, hz: float, q: float = BUTTERWORTH_Q) -> Biquad:
    """Return an all-pass whose phase has turned by 180° at ``hz``."""
    cos, alpha = _corner(sample_rate_hz, hz, q)
    return _normalised(1 - alpha, -2 * cos, 1 + alpha, 1 + alpha, -2 * cos, 1 - alpha)


def _corner(sample_rate_hz: float, hz: float, q: float) -> tuple[float, float]:
    """Return the cookbook's cos ω₀ and α."""
    if not (sample_rate_hz > 0 and hz > 0 and q > 0):
        raise ValueError(f"no section at {hz} Hz of {sample_rate_hz} Hz with a Q of {q}")
    omega = 2.0 * math.pi * min(hz / sample_rate_hz, MAX_HZ_PER_RATE)
    return math.cos(omega), math.sin(omega) / (2.0 * q)


def _normalised(b0: float, b1: float, b2: float, a0: float, a1: float, a2: float) -> Biquad:
    return Biquad(b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0)


def response(
    sections: Sequence[Biquad], hz: NDArray[np.float64] | float, sample_rate_hz: float
) -> NDArray[np.complex128]:
    """Return the complex response of the sections in series at the frequencies ``hz``."""
    z = np.exp(-2j * np.pi * np.asarray(hz, dtype=np.float64) / sample_rate_hz)
    total = np.ones(z.shape, dtype=np.complex128)
    for s in sections:
        total = total * (s.b0 + z * (s.b1 + z * s.b2)) / (1.0 + z * (s.a1 + z * s.a2))
    return np.asarray(total)


def response_db(
    sections: Sequence[Biquad], hz: NDArray[np.float64] | float, sample_rate_hz: float
) -> NDArray[np.float64]:
    """Return the magnitude of ``response`` in dB; −inf at a zero."""
    with np.errstate(divide="ignore"):
        return np.asarray(20.0 * np.log10(np.abs(response(sections, hz, sample_rate_hz))))


class Cascade:
    """Sections in series over a stream of float32 blocks; state in float64, carried along.

    What comes out does not depend on how the stream was cut, to the bit. Every channel goes
    through the same sections (for mid and side apart, make two cascades of one channel).
    Finite in, finite out: what would leave float32's range stays at its end.
    """

    def __init__(self, sections: Sequence[Biquad], channels: int = 2) -> None:
        if channels < 1:
            raise ValueError(f"a cascade has one channel at least, not {channels}")
        self._sections = tuple(sections)
        self._coefficients = np.array(
            [(s.b0, s.b1, s.b2, s.a1, s.a2) for s in sections], dtype=np.float64
        ).reshape(-1, 5)
        self._state = np.zeros((channels, max(1, len(self._sections)), 2))
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
        _cascade(source, done, self._coefficients, self._state, self._frames)
        self._frames += len(block)
        return done

    def settle(self, levels: Sequence[float]) -> None:
        """Set the state to what a constant input, one level a channel, has left since forever."""
        for channel, level in enumerate(levels):
            x = float(level)
            for i, s in enumerate(self._sections):
                y = x * (s.b0 + s.b1 + s.b2) / (1.0 + s.a1 + s.a2)
                self._state[channel, i, 1] = s.b2 * x - s.a2 * y
                self._state[channel, i, 0] = y - s.b0 * x
                x = y


TILE_FRAMES = 256
SILENT_STATE = 1e-20
"""−400 dBFS. A filter that rings out in digital silence would end in denormal numbers, which
cost a hundred times as much: state below this is put to zero, at every 256th frame of the
stream, wherever its blocks are cut."""
_LARGEST = float(np.finfo(np.float32).max)


@kernel()
def _cascade(
    block: NDArray[np.float32],
    done: NDArray[np.float32],
    coefficients: NDArray[np.float64],
    state: NDArray[np.float64],
    position: int,
) -> None:
    """Filter ``block`` into ``done``; ``position`` is the stream's frame that it begins with.

    Each section is in transposed direct form II. A recursion is bound by latency, not by
    arithmetic: two sections and two channels in one loop cost little more than one. An odd
    last channel is computed twice. Tiles stay in the first cache between pairs of sections.
    """
    frames, channels = block.shape
    sections = coefficients.shape[0]
    left_tile = np.empty(TILE_FRAMES)
    right_tile = np.empty(TILE_FRAMES)
    for left in range(0, channels, 2):
        right = min(left + 1, channels - 1)
        start = 0
        while start < frames:
            end = min(frames, start + TILE_FRAMES - (position + start) % TILE_FRAMES)
            l_tile = left_tile[: end - start]
            r_tile = right_tile[: end - start]
            for i in range(l_tile.size):
                l_tile[i] = block[start + i, left]
                r_tile[i] = block[start + i, right]
            section = 0
            while section + 1 < sections:
                _two_sections(
                    l_tile, r_tile, coefficients[section], coefficients[section + 1],
                    state[left, section : section + 2], state[right, section : section + 2],
                )  # fmt: skip
                section += 2
            if section < sections:
                _one_section(
                    l_tile, r_tile, coefficients[section],
                    state[left, section], state[right, section],
                )  # fmt: skip
            for i in range(l_tile.size):
                done[start + i, left] = min(max(l_tile[i], -_LARGEST), _LARGEST)
                done[start + i, right] = min(max(r_tile[i], -_LARGEST), _LARGEST)
            if (position + end) % TILE_FRAMES == 0:
                _flush(state[left])
                _flush(state[right])
            start = end


@kernel()
def _flush(state: NDArray[np.float64]) -> None:
    for section in range(state.shape[0]):
        if abs(state[section, 0]) + abs(state[section, 1]) < SILENT_STATE:
            state[section, 0] = state[section, 1] = 0.0


@kernel()
def _one_section(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    c: NDArray[np.float64],
    left_state: NDArray[np.float64],
    right_state: NDArray[np.float64],
) -> None:
    b0, b1, b2, a1, a2 = c[0], c[1], c[2], c[3], c[4]
    p1, p2 = left_state[0], left_state[1]
    q1, q2 = right_state[0], right_state[1]
    for i in range(left.size):
        x, u = left[i], right[i]
        y = b0 * x + p1
        v = b0 * u + q1
        p1 = b1 * x + p2 - a1 * y
        q1 = b1 * u + q2 - a1 * v
        p2 = b2 * x - a2 * y
        q2 = b2 * u - a2 * v
        left[i], right[i] = y, v
    left_state[0], left_state[1] = p1, p2
    right_state[0], right_state[1] = q1, q2


@kernel()
def _two_sections(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
    left_state: NDArray[np.float64],
    right_state: NDArray[np.float64],
) -> None:
    b0, b1, b2, a1, a2 = c[0], c[1], c[2], c[3], c[4]
    d0, d1, d2, e1, e2 = d[0], d[1], d[2], d[3], d[4]
    p1, p2, p3, p4 = left_state[0, 0], left_state[0, 1], left_state[1, 0], left_state[1, 1]
    q1, q2, q3, q4 = right_state[0, 0], right_state[0, 1], right_state[1, 0], right_state[1, 1]
    for i in range(left.size):
        x, u = left[i], right[i]
        y = b0 * x + p1
        v = b0 * u + q1
        p1 = b1 * x + p2 - a1 * y
        q1 = b1 * u + q2 - a1 * v
        p2 = b2 * x - a2 * y
        q2 = b2 * u - a2 * v
        z = d0 * y + p3
        w = d0 * v + q3
        p3 = d1 * y + p4 - e1 * z
        q3 = d1 * v + q4 - e1 * w
        p4 = d2 * y - e2 * z
        q4 = d2 * v - e2 * w
        left[i], right[i] = z, w
    left_state[0, 0], left_state[0, 1], left_state[1, 0], left_state[1, 1] = p1, p2, p3, p4
    right_state[0, 0], right_state[0, 1], right_state[1, 0], right_state[1, 1] = q1, q2, q3, q4
