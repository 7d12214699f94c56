"""The fixed set: synthetic programmes that each press one stage's button, and real excerpts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import Block

RATE_HZ = 44_100
DURATION_S = 10.0
EXCERPT_S = 20.0
EXCERPT_AT_S = 20.0

Mono = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Programme:
    """Something to master: stereo, ``(frames, 2)``."""

    name: str
    sample_rate_hz: int
    audio: Block


def _frames() -> int:
    return round(DURATION_S * RATE_HZ)


def _time() -> Mono:
    return np.arange(_frames()) / RATE_HZ


def _noise(seed: int, tilt: float) -> Mono:
    """Noise whose power falls by ``tilt`` × 3 dB an octave: 1 is pink, 2 is brown."""
    rng = np.random.default_rng(seed)
    hz = np.fft.rfftfreq(_frames(), 1 / RATE_HZ)
    shape = np.maximum(hz, 20.0) ** (-tilt / 2.0)
    phase = rng.uniform(0.0, 2.0 * np.pi, hz.size)
    noise = np.fft.irfft(shape * np.exp(1j * phase), _frames())
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _hits(every_s: float, decay_s: float) -> Mono:
    """An envelope that is struck again and again."""
    return np.asarray(np.exp(-(_time() % every_s) / decay_s))


def _stereo(left: Mono, right: Mono, peak: float) -> Block:
    audio = np.stack((left, right), axis=1)
    return np.asarray(audio * (peak / np.abs(audio).max()), np.float32)


def _pink() -> Block:
    both, own = _noise(1, 1.0), (_noise(2, 1.0), _noise(3, 1.0))
    return _stereo(both + 0.5 * own[0], both + 0.5 * own[1], 0.5)


def _bass() -> Block:
    """A bass line with a wide, out-of-phase foundation: what mono sub and high-pass are for."""
    time = _time()
    note = 41.2 * 2.0 ** (np.floor(time * 2.0) % 5 / 12.0)
    phase = 2.0 * np.pi * np.cumsum(note) / RATE_HZ
    tone = np.tanh(2.0 * np.sin(phase)) * _hits(0.5, 0.3)
    wide = 0.4 * np.sin(phase)
    rumble = 0.2 * np.sin(2.0 * np.pi * 12.0 * time)
    return _stereo(tone + wide + rumble, tone - wide + rumble, 0.8)


def _drums() -> Block:
    """Steep transients over little else: the limiter's and the transient stage's case."""
    kick = np.sin(2.0 * np.pi * 55.0 * _time()) * _hits(0.5, 0.06)
    snare = _noise(4, 0.0) * np.roll(_hits(0.5, 0.04), RATE_HZ // 4)
    hat = np.diff(_noise(5, 0.0), prepend=0.0) * _hits(0.125, 0.01)
    return _stereo(kick + 0.25 * snare + 0.1 * hat, kick + 0.2 * snare + 0.14 * hat, 0.97)


def _voice() -> Block:
    """Harmonics under a moving pitch, with bursts of sibilance every second."""
    time = _time()
    pitch = 180.0 * (1.0 + 0.02 * np.sin(2.0 * np.pi * 5.0 * time))
    phase = 2.0 * np.pi * np.cumsum(pitch) / RATE_HZ
    vowel = sum(np.sin(k * phase) / k**1.4 for k in range(1, 24))
    hiss = np.diff(np.diff(_noise(6, 0.0), prepend=0.0), prepend=0.0)
    sibilance = hiss * np.roll(_hits(1.0, 0.05), RATE_HZ // 2)
    spoken = vowel * (0.4 + 0.6 * (np.sin(2.0 * np.pi * 0.7 * time) > 0)) + 0.8 * sibilance
    return _stereo(spoken, spoken, 0.4)


def _sections() -> Block:
    """Quiet verse, loud chorus, three times: a wide loudness range, and hooks to lift."""
    level = np.where((_time() // (DURATION_S / 6)) % 2 == 0, 0.12, 1.0)
    left, right = _noise(7, 1.2) * level, _noise(8, 1.2) * level
    return _stereo(left + 0.6 * right, right + 0.6 * left, 0.9)


def _loud() -> Block:
    """A clipped, dense, narrow master, louder than any target."""
    dense = np.clip(2.5 * (_noise(9, 1.0) + np.sin(2.0 * np.pi * 110.0 * _time())), -1.0, 1.0)
    return _stereo(dense, 0.9 * dense + 0.05 * _noise(10, 1.0), 1.0)


def _phasey() -> Block:
    """Left against right: the mono-compatibility guard's case."""
    one, other = _noise(11, 1.0), _noise(12, 1.0)
    return _stereo(one + 0.3 * other, 0.3 * other - 0.8 * one, 0.6)


SYNTHETIC: Mapping[str, Callable[[], Block]] = MappingProxyType(
    {
        "pink": _pink,
        "bass": _bass,
        "drums": _drums,
        "voice": _voice,
        "sections": _sections,
        "loud": _loud,
        "phasey": _phasey,
    }
)
MUSIC = ("battle-epic.ogg", "love_theme.ogg", "frantic.ogg", "sad.ogg")
"""Loud and wide, sung, dense, quiet: tracks of ``corpus.toml``."""


def synthetic(name: str) -> Programme:
    """Return one of ``SYNTHETIC``, the same samples at every call."""
    return Programme(name, RATE_HZ, SYNTHETIC[name]())


def excerpt(file: Path, folder: Path) -> Programme:
    """Return twenty seconds of a track, from twenty seconds on."""
    supervisor = Supervisor(find_ffmpeg(), folder, ProcessLimits())
    probed = probe(supervisor, file, file.name)
    with decode(supervisor, file, probed, file_name=file.name) as decoder:
        whole = np.concatenate(list(decoder))
    start, length = (round(s * probed.sample_rate_hz) for s in (EXCERPT_AT_S, EXCERPT_S))
    chosen = whole[start : start + length]
    return Programme(file.stem, probed.sample_rate_hz, np.ascontiguousarray(chosen))
