"""How far apart two files sound, by a spectrum and a meter that are not the product's.

Mid is decoded by FFmpeg to 44.1 kHz and its power averaged over the whole file (Welch, Hann
windows of 32768 samples, overlapping by half), summed in the 1/3 octaves from 25 Hz to 16 kHz
(IEC 61260-1, base 2) and put over the K-weighted level of that same spectrum (pyloudnorm's
filters): quiet passages, which the gates of a loudness leave out, shift nothing.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyloudnorm import IIRfilter
from scipy import signal

from bench.meter import listen

RATE_HZ = 44_100
WINDOW_FRAMES = 32_768
BANDS_HZ: NDArray[np.float64] = 1000.0 * 2.0 ** (np.arange(-16, 13) / 3.0)
"""25 Hz … 16 kHz, 29 of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """One file, as FFmpeg's loudness meter and this module's spectrum have it."""

    integrated_lufs: float
    true_peak_dbtp: float
    thirds_db: NDArray[np.float64]
    """Mid in each of ``BANDS_HZ``, in dB over its K-weighted level."""

    def differences_db(self, other: Sound) -> NDArray[np.float64]:
        """Return by how much each band is above the other's."""
        return self.thirds_db - other.thirds_db

    def distance_db(self, other: Sound) -> float:
        """Return the mean magnitude of the differences."""
        return float(np.abs(self.differences_db(other)).mean())


def sound_of(ffmpeg: Path, file: Path) -> Sound:
    """Decode and measure."""
    heard = listen(ffmpeg, file)
    argv = [str(ffmpeg), "-nostdin", "-v", "error", "-i", str(file), "-map", "0:a:0"]
    argv += ["-ac", "2", "-ar", str(RATE_HZ), "-f", "f32le", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    mid = np.frombuffer(raw, np.float32).reshape(-1, 2).mean(axis=1, dtype=np.float64)
    hz, density = signal.welch(mid, RATE_HZ, nperseg=WINDOW_FRAMES)
    level_db = 10.0 * np.log10(float((density * _k_weighting(hz)).sum()) * hz[1])
    return Sound(heard.integrated_lufs, heard.true_peak_dbtp, _thirds_db(hz, density) - level_db)


def _thirds_db(hz: NDArray[np.float64], density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum a density in each band; a bin on a border lends it the part that lies inside."""
    borders_hz = (np.arange(hz.size + 1) - 0.5) * hz[1]
    below = np.concatenate(((0.0,), np.cumsum(density))) * hz[1]
    edges_hz = BANDS_HZ[:, np.newaxis] * 2.0 ** (np.array([-1.0, 1.0]) / 6.0)
    power = np.diff(np.interp(edges_hz, borders_hz, below), axis=1)[:, 0]
    return np.asarray(10.0 * np.log10(power))


def _k_weighting(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighting's power gain at each frequency."""
    gain = np.ones(hz.size)
    for section in (
        IIRfilter(4.0, 1 / np.sqrt(2), 1500.0, RATE_HZ, "high_shelf"),
        IIRfilter(0.0, 0.5, 38.0, RATE_HZ, "high_pass"),
    ):
        _, response = signal.freqz(section.b, section.a, worN=hz, fs=RATE_HZ)
        gain *= section.passband_gain**2 * np.abs(response) ** 2
    return gain
