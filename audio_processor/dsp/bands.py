"""The grid on which spectra of programmes are kept and compared: 1/12 octaves, at any rate.

Powers are mean squares; a programme's are those of mid, ``(L + R) / 2``, and of side,
``(L − R) / 2``, an array of shape ``(2, BANDS)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import Biquad, k_weighting

BANDS_PER_OCTAVE = 12
BANDS = 124
"""1/12 octaves; four of them are one of the 31 nominal 1/3 octaves from 20 Hz to 20 kHz."""
EDGES_HZ: NDArray[np.float64] = 1000.0 * 2.0 ** ((np.arange(BANDS + 1) - 70) / BANDS_PER_OCTAVE)
"""17.5 Hz to 22.6 kHz, 125 of them."""
CENTRES_HZ: NDArray[np.float64] = np.sqrt(EDGES_HZ[:-1] * EDGES_HZ[1:])
THIRD_OCTAVES_HZ: NDArray[np.float64] = 1000.0 * 2.0 ** ((np.arange(31) - 17) / 3)
"""Exact centres, base 2 (IEC 61260-1's nominal 20 Hz … 20 kHz)."""


def power(band_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squares behind decibels."""
    return np.asarray(10.0 ** (band_db / 10.0))


def weighted_power(bands: NDArray[np.float64]) -> float:
    """Return the K-weighted mean square of both channels from mid and side's, ``(2, BANDS)``.

    L² + R² = 2 (M² + S²); BS.1770-5's loudness of it, but for the gates, is −0.691 LUFS + dB.
    """
    return 2.0 * float((bands * K_WEIGHTS).sum())


def decibels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decibels of mean squares; −inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(powers))


def _k_weights() -> NDArray[np.float64]:
    """Return the K-weighting's power gain at each band's centre."""
    rate_hz = 96_000
    weighting = k_weighting(rate_hz)
    z1 = np.exp(-2j * np.pi * CENTRES_HZ / rate_hz)

    def response(section: Biquad) -> NDArray[np.complex128]:
        above = section.b0 + (section.b1 + section.b2 * z1) * z1
        return np.asarray(above / (1.0 + (section.a1 + section.a2 * z1) * z1))

    return np.asarray(np.abs(response(weighting.shelf) * response(weighting.high_pass)) ** 2)


K_WEIGHTS = _k_weights()
