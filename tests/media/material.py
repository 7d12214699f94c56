"""Signals that sound like something, and files of every kind made from them with FFmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import Decoder, decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import Block, Probe

Pcm = NDArray[np.float32]


def music(duration_s: float, sample_rate_hz: int, channels: int = 2, seed: int = 5) -> Pcm:
    """Plucked chords over a drum pattern, each channel its own, peaks near −4 dBFS.

    Aperiodic enough that a cross-correlation has one clear maximum; all of it below 3.5 kHz,
    so that it is the same music at 8 kHz.
    """
    rng = np.random.default_rng(seed)
    frames = round(duration_s * sample_rate_hz)
    out = np.zeros((frames, channels))
    for channel in range(channels):
        for start_s in np.arange(0.05, duration_s, 0.21):
            start = round((start_s + 0.03 * rng.random()) * sample_rate_hz)
            t = np.arange(frames - start) / sample_rate_hz
            for partial in 220 * 2 ** (rng.integers(0, 24, 3) / 12):
                out[start:, channel] += np.exp(-5 * t) * np.sin(2 * np.pi * partial * t)
            burst = rng.standard_normal(len(t)) * np.exp(-60 * t) * 0.7
            out[start:, channel] += burst
    low_pass = signal.butter(4, 3400, fs=sample_rate_hz, output="sos")
    smooth = signal.sosfiltfilt(low_pass, out, axis=0)
    return np.asarray(0.63 * smooth / np.abs(smooth).max(), np.float32)


def tones(duration_s: float, sample_rate_hz: int, frequencies_hz: Sequence[float]) -> Pcm:
    """One sine of amplitude 0.25 a channel."""
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return np.asarray(0.25 * np.sin(2 * np.pi * np.outer(t, frequencies_hz)), np.float32)


def tone_gains(
    pcm: NDArray[np.floating], sample_rate_hz: int, frequencies_hz: Sequence[float]
) -> NDArray[np.float64]:
    """Return how much of each of ``tones`` is in each channel: shape (frequencies, channels)."""
    middle = pcm[len(pcm) // 4 : 3 * len(pcm) // 4].astype(np.float64)
    middle = middle * signal.windows.blackmanharris(len(middle))[:, None]
    t = np.arange(len(middle)) / sample_rate_hz
    scale = signal.windows.blackmanharris(len(middle)).sum() * 0.25 / 2
    spectrum = np.exp(-2j * np.pi * np.outer(frequencies_hz, t)) @ middle
    return np.asarray(np.abs(spectrum) / scale, np.float64)


def make(
    binary: FFmpegBinary,
    target: Path,
    pcm: Pcm,
    sample_rate_hz: int,
    arguments: Sequence[str],
    *,
    layout: str | None = None,
    before: Sequence[str] = (),
) -> Path:
    """Write the signal with FFmpeg's output ``arguments``; ``before`` are further inputs."""
    names = {1: "mono", 2: "stereo"}
    subprocess.run(
        [
            *(str(binary.path), "-v", "error", "-y"),
            *("-f", "f32le", "-ar", str(sample_rate_hz)),
            *("-ch_layout", layout or names[pcm.shape[1]], "-i", "pipe:0"),
            *(*before, *arguments, str(target)),
        ],
        input=np.ascontiguousarray(pcm).tobytes(),
        check=True,
    )
    return target


def read(supervisor: Supervisor, path: Path) -> tuple[Probe, Pcm, Decoder]:
    """Probe and decode as the line does."""
    probed = probe(supervisor, path, path.name)
    with decode(supervisor, path, probed, file_name=path.name) as decoder:
        blocks: list[Block] = list(decoder)
    return probed, np.concatenate(blocks), decoder


def lag_frames(reference: Pcm, heard: Pcm) -> float:
    """Return by how many frames ``heard`` is late, to a fraction of a frame."""
    a, b = reference[:, 0].astype(np.float64), heard[:, 0].astype(np.float64)
    correlation = signal.correlate(b, a, method="fft")
    peak = int(np.argmax(correlation))
    before, at, after = correlation[peak - 1 : peak + 2]
    return float(peak - (len(a) - 1) + 0.5 * (before - after) / (before - 2 * at + after))


def level_db(pcm: Pcm) -> float:
    """Return the RMS level over all channels in dBFS."""
    return float(10 * np.log10(np.mean(pcm.astype(np.float64) ** 2)))
