"""Tracks to report on, and reports made of them by the line's own steps."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.encode import NativeAac
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Block
from audio_processor.reporting.gather import Gathered, gather_file
from audio_processor.settings import Settings
from audio_processor.telemetry import NullProgress
from audio_processor.wiring import open_studio
from audio_processor.workbench import Workbench, process_limits

RATE_HZ = 44_100

HOSTILE_TITLE = "</title><script>alert('t')</script>\u202e<img src=x onerror=alert(1)> & \"'"
HOSTILE_NAME = "\"><svg onload=alert(1)>&amp;'.flac"


def band(seconds: float, *, seed: int = 3, rate_hz: int = RATE_HZ) -> Block:
    """Drums, bass, chords and hiss, quiet verse then loud chorus, wide but mono-compatible."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate_hz)
    t = np.arange(frames) / rate_hz
    beat = t % 0.5
    root_hz = np.array([110.0, 87.31, 130.81, 98.0])[(t // 2).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(root_hz) / rate_hz
    bass = 0.2 * np.sin(phase) * np.exp(-2 * beat)
    chord = sum(np.sin(phase * ratio * 2 + ratio) for ratio in (1, 1.25, 1.5)) * 0.05
    kick = 0.6 * np.sin(2 * np.pi * 55 * beat) * np.exp(-beat * 24)
    hat = 0.1 * rng.standard_normal(frames) * np.exp(-(t % 0.25) * 50)
    section = np.where(t < seconds / 2, 0.35, 0.8)
    left, right = bass + kick + chord + hat, bass + kick + 0.7 * chord + np.roll(hat, 29)
    both = np.stack([left * section, right * section], 1)
    return np.asarray(both - both.mean(axis=0), np.float32)


def write_wav(path: Path, audio: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Path:
    """16-bit PCM, full scale where the audio is beyond it."""
    samples = np.rint(np.clip(audio, -1.0, 1.0) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return path


def read_wav(path: Path) -> tuple[Block, int]:
    """24-bit PCM, as excerpts are written."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 3
        raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, 3)
        padded = np.concatenate([np.zeros((len(raw), 1), np.uint8), raw], axis=1)
        samples = padded.view("<i4").reshape(-1, file.getnchannels())
        return (samples / 2.0**31).astype(np.float32), file.getframerate()


def tagged(source: Path, target: Path, tags: Mapping[str, str]) -> Path:
    """The same audio in another container, with tags."""
    given = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
    subprocess.run(
        [str(find_ffmpeg().path), "-loglevel", "error", "-y", "-i", str(source), *given, "--",
         f"file:{target}"],
        check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return target


@contextmanager
def reported(
    file: Path, *, settings: Settings | None = None, wish: str | None = None
) -> Iterator[Gathered]:
    """The file's report; its recordings can be decoded as long as the context lasts."""
    settings = settings or Settings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        limits = process_limits(settings.limits)
        supervisor = Supervisor(find_ffmpeg(settings.ffmpeg.path), folder, limits)
        bench = Workbench(settings, open_studio(settings), supervisor, NativeAac(), folder)
        yield gather_file(file, bench, NullProgress(), wish=wish)
