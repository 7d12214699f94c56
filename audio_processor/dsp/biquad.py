"""Second-order sections: the designs of the Audio EQ Cookbook, and their response.

After Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
coefficients" (W3C Group Note "Audio EQ Cookbook", 2021): analogue prototypes through the bilinear
transform, with the Q of each prototype. The transform bends the frequency axis, so near half the
rate a response is narrower than its prototype's; ``dsp.matched`` has designs that are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.cascade import Cascade
from audio_processor.dsp.filters import Biquad

__all__ = [
    "BUTTERWORTH_Q",
    "Biquad",
    "Cascade",
    "all_pass",
    "high_pass",
    "high_shelf",
    "low_pass",
    "low_shelf",
    "peaking",
    "response",
    "response_db",
]

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
