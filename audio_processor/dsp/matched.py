"""Shelves and bells that keep their analogue prototype's response up to half the rate.

The bilinear transform squeezes the whole analogue axis under half the rate: at 44.1 kHz the
cookbook's bell at 8 kHz is up to 1.8 dB off its prototype, its shelf 0.5 dB. Here the poles
are the prototype's own (impulse invariance, z = exp(sT)), and the zeros follow from matching
its magnitude at three frequencies: 0, half the rate, and the band's own, or a quarter of the
rate where that is lower. Martin Vicanek, "Matched Second Order Digital Filters" (2016), §2–3,
with the shelves of the Audio EQ Cookbook as prototypes. A band above half the rate does below
it what its prototype does there.

The match is close for the boost of a bell and of a low shelf, so the others are made of these:
a cut is the boost's inverse, and a high shelf is a low shelf of the opposite gain, raised.
"""

from __future__ import annotations

import math

from audio_processor.dsp.biquad import BUTTERWORTH_Q
from audio_processor.dsp.filters import Biquad


def peaking(sample_rate_hz: float, hz: float, gain_db: float, q: float) -> Biquad:
    """Return a bell of ``gain_db`` at ``hz``; ``q`` sets the width between half its gain in dB."""
    if gain_db < 0:
        return _inverse(peaking(sample_rate_hz, hz, -gain_db, q))
    a = 10.0 ** (gain_db / 40.0)
    return _match((1.0, a / q, 1.0), (1.0, 1.0 / (a * q), 1.0), hz, sample_rate_hz)


def low_shelf(sample_rate_hz: float, hz: float, gain_db: float, q: float = BUTTERWORTH_Q) -> Biquad:
    """Return a shelf that is ``gain_db`` far below ``hz``, half of it there, 0 dB far above."""
    if gain_db < 0:
        return _inverse(low_shelf(sample_rate_hz, hz, -gain_db, q))
    a = 10.0 ** (gain_db / 40.0)
    slope = math.sqrt(a) / q
    return _match((a, a * slope, a * a), (a, slope, 1.0), hz, sample_rate_hz)


def high_shelf(
    sample_rate_hz: float, hz: float, gain_db: float, q: float = BUTTERWORTH_Q
) -> Biquad:
    """Return a shelf that is ``gain_db`` far above ``hz``, half of it there, 0 dB far below."""
    shelf = low_shelf(sample_rate_hz, hz, -gain_db, q)
    raised = 10.0 ** (gain_db / 20.0)
    return Biquad(shelf.b0 * raised, shelf.b1 * raised, shelf.b2 * raised, shelf.a1, shelf.a2)


_Polynomial = tuple[float, float, float]
"""Of s in units of the band's angular frequency, highest power first."""


def _match(zeros: _Polynomial, poles: _Polynomial, hz: float, rate_hz: float) -> Biquad:
    if not (hz > 0 and rate_hz > 0):
        raise ValueError(f"no band at {hz} Hz of {rate_hz} Hz")
    omega = 2.0 * math.pi * hz / rate_hz
    a1, a2 = _mapped(poles, omega)
    at_zero, at_nyquist = (1.0 + a1 + a2) ** 2, (1.0 - a1 + a2) ** 2
    bottom = at_zero * _power(zeros, poles, 0.0)
    top = at_nyquist * _power(zeros, poles, math.pi / omega)
    between = min(omega, math.pi / 2.0)
    high = math.sin(between / 2.0) ** 2
    low = 1.0 - high
    wanted = _power(zeros, poles, between / omega) * (
        at_zero * low + at_nyquist * high - 16.0 * a2 * low * high
    )
    bend = (wanted - bottom * low - top * high) / (4.0 * low * high)
    half = (math.sqrt(bottom) + math.sqrt(top)) / 2.0
    # below 0 no section has this magnitude; none of our bands comes there
    b0 = (half + math.sqrt(max(0.0, half * half + bend))) / 2.0
    return Biquad(b0, (math.sqrt(bottom) - math.sqrt(top)) / 2.0, -bend / (4.0 * b0), a1, a2)


def _mapped(poles: _Polynomial, omega: float) -> tuple[float, float]:
    """Return ``a1, a2`` of the poles at z = exp(s·omega)."""
    damping = poles[1] / (2.0 * poles[0])
    square = poles[2] / poles[0]
    apart = math.sqrt(abs(square - damping * damping)) * omega
    decay = math.exp(-damping * omega)
    if square >= damping * damping:
        return -2.0 * decay * math.cos(apart), decay * decay
    # two real poles: cosh may overflow where exp(damping) takes it down again
    return -(math.exp(apart - damping * omega) + math.exp(-apart - damping * omega)), decay * decay


def _power(zeros: _Polynomial, poles: _Polynomial, x: float) -> float:
    """Return the prototype's squared magnitude at ``x`` times the band's frequency."""

    def squared(p: _Polynomial) -> float:
        return (p[2] - p[0] * x * x) ** 2 + (p[1] * x) ** 2

    return squared(zeros) / squared(poles)


def _inverse(section: Biquad) -> Biquad:
    """Return 1/H. Its poles are zeros of a minimum-phase section: inside the unit circle."""
    s = section
    return Biquad(1.0 / s.b0, s.a1 / s.b0, s.a2 / s.b0, s.b1 / s.b0, s.b2 / s.b0)
