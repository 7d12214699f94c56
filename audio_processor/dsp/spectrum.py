"""Long-term average spectrum: short windows at a fixed stride over the whole programme.

A window every 0.74 s at 44.1 kHz is a thousand for a ten-minute track: enough for an average,
at a hundredth of a meter's cost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.filters import Biquad, k_weighting
from audio_processor.model import Block, Spectrum

WINDOW_FRAMES = 4096
STRIDE_FRAMES = 8 * WINDOW_FRAMES


class SpectrumMeter:
    """Accumulates ``push``ed blocks; what it measures does not depend on how they were cut."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._window = np.hanning(WINDOW_FRAMES).astype(np.float32)[:, np.newaxis]
        self._power = np.zeros(WINDOW_FRAMES // 2 + 1)
        self._windows = 0
        self._buffer = np.zeros((WINDOW_FRAMES, 2), np.float32)
        self._at = 0
        """Frames since the present stride's start."""

    def push(self, block: Block) -> None:
        """Take in a block of shape ``(frames, 2)``."""
        start = 0
        while start < len(block):
            if self._at < WINDOW_FRAMES:
                taken = min(WINDOW_FRAMES - self._at, len(block) - start)
                self._buffer[self._at : self._at + taken] = block[start : start + taken]
                self._advance(taken)
                if self._at == WINDOW_FRAMES:
                    self._add()
            else:
                taken = min(STRIDE_FRAMES - self._at, len(block) - start)
                self._advance(taken)
            start += taken

    def result(self) -> Spectrum:
        """Return the mean power spectrum, both channels summed; zeros for no whole window."""
        return Spectrum(self._sample_rate_hz, self._power / max(1, self._windows))

    def _advance(self, frames: int) -> None:
        self._at = (self._at + frames) % STRIDE_FRAMES

    def _add(self) -> None:
        spectrum = np.fft.rfft(self._buffer * self._window, axis=0)
        self._power += (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        self._windows += 1


def band_limit_loss_lu(spectrum: Spectrum, cutoff_hz: float) -> float:
    """Return how much loudness goes with everything above ``cutoff_hz``, 0 or more.

    The K-weighted power below the cutoff against all of it (BS.1770-5 Annex 1; no gating: the
    loud parts weigh most in both).
    """
    bins = spectrum.power.size
    hz = np.linspace(0.0, spectrum.sample_rate_hz / 2, bins)
    weighting = k_weighting(spectrum.sample_rate_hz)
    omega = 2.0 * np.pi * hz / spectrum.sample_rate_hz
    weighted = spectrum.power * _gain(weighting.shelf, omega) * _gain(weighting.high_pass, omega)
    total = float(weighted.sum())
    kept = float(weighted[hz <= cutoff_hz].sum())
    return 0.0 if total <= 0.0 or kept <= 0.0 else max(0.0, -10.0 * float(np.log10(kept / total)))


def _gain(section: Biquad, omega: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power gain |H(ω)|² of a second-order section."""
    z1 = np.exp(-1j * omega)
    z2 = z1 * z1
    response = (section.b0 + section.b1 * z1 + section.b2 * z2) / (
        1.0 + section.a1 * z1 + section.a2 * z2
    )
    return np.asarray(np.abs(response) ** 2)
