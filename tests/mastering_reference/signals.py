"""Programmes of a known spectrum, and a spectrum analyser that is not the product's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audio_processor.dsp.bands import BANDS, CENTRES_HZ
from audio_processor.mastering.profile import Profile, ProfileMeter
from audio_processor.model import Block, Loudness

RATE_HZ = 44_100
THIRDS_HZ = 1000.0 * 2.0 ** (np.arange(-16, 13) / 3.0)
"""25 Hz to 16 kHz."""

Shape = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Frequencies in Hz → what is added to pink noise, in dB."""


def level(_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(_hz.shape)


def tilted(db_per_octave: float) -> Shape:
    return lambda hz: db_per_octave * np.log2(hz / 1000.0)


def humps(*peaks: tuple[float, float]) -> Shape:
    """Hills and valleys of an octave's width, ``(hz, db)`` each."""

    def shape(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        octaves = [np.log2(hz / centre_hz) for centre_hz, _ in peaks]
        hills = [db * np.exp(-((o / 0.7) ** 2)) for o, (_, db) in zip(octaves, peaks, strict=True)]
        return np.asarray(np.sum(hills, axis=0))

    return shape


def low_passed(cutoff_hz: float) -> Shape:
    return lambda hz: np.where(hz > cutoff_hz, -160.0, 0.0)


def noise(
    mid: Shape = level,
    side: Shape | None = level,
    *,
    rate_hz: int = RATE_HZ,
    seconds: float = 12.0,
    rms_db: float = -26.0,
    seed: int = 1,
) -> Block:
    """Pink noise under the shapes, mid and side apart (side 6 dB lower), from 10 Hz on."""
    frames = round(rate_hz * seconds)
    rng = np.random.default_rng(seed)
    planes = [_shaped(each, frames, rate_hz, rng) for each in (mid, side or level)]
    centre, around = planes[0], planes[1] * (0.5 if side else 0.0)
    stereo = np.stack((centre + around, centre - around), axis=1)
    stereo *= 10.0 ** (rms_db / 20.0) / np.sqrt(np.mean(stereo**2))
    return np.ascontiguousarray(stereo, np.float32)


def _shaped(
    shape: Shape, frames: int, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    hz = np.asarray(np.fft.rfftfreq(frames, 1.0 / rate_hz), np.float64)
    gain = np.zeros(hz.size)
    there = hz >= 10.0
    gain[there] = 10.0 ** (shape(hz[there]) / 20.0) / np.sqrt(hz[there])
    phases = np.exp(2j * np.pi * rng.random(hz.size))
    plane = np.fft.irfft(gain * phases * rng.rayleigh(size=hz.size), n=frames)
    return np.asarray(plane / np.sqrt(np.mean(plane**2)))


def profile_of(audio: Block, rate_hz: int = RATE_HZ) -> Profile:
    meter = ProfileMeter(rate_hz)
    meter.push(audio)
    return meter.result()


def profile(
    mid_db: NDArray[np.float64],
    side_db: NDArray[np.float64] | None = None,
    integrated_lufs: float | None = -14.0,
) -> Profile:
    """A profile out of thin air."""
    side = np.full(BANDS, -np.inf) if side_db is None else side_db
    loudness = Loudness(integrated_lufs, 6.0, -1.0, -1.2, -9.0, -11.0)
    return Profile(np.asarray(mid_db, float), np.asarray(side, float), loudness, 0.5, 200.0)


def pink(offset_db: float = -30.0) -> NDArray[np.float64]:
    """Pink noise has the same power in each band."""
    return np.full(CENTRES_HZ.size, offset_db)


def thirds_db(audio: Block, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Mid in each 1/3 octave, by Welch's method, in dB."""
    mid = audio.mean(axis=1, dtype=np.float64)
    hz, density = signal.welch(mid, rate_hz, nperseg=32_768)
    low, high = THIRDS_HZ * 2 ** (-1 / 6), THIRDS_HZ * 2 ** (1 / 6)
    powers = [density[(hz >= a) & (hz < b)].sum() * hz[1] for a, b in zip(low, high, strict=True)]
    return np.asarray(10.0 * np.log10(np.maximum(powers, 1e-30)))


def cut(audio: Block, borders: list[int]) -> Iterator[Block]:
    return iter(np.split(audio, sorted(borders)))
