"""Containers that are whole, and what is odd about the sound in them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.hostile import writers
from tests.hostile.inputs import CORRUPT, LIMIT, HostileInput, Process, Reject, Workshop, made
from tests.media.material import Pcm

RATE = 44_100


def _spoilt(sample: float, at: float) -> bytes:
    pcm = _sine()
    pcm[round(at * (len(pcm) - 1)), 1] = sample
    return writers.float_wav(pcm)


def _sine(seconds: float = 3.0, level: float = 0.1) -> Pcm:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(level * np.sin(2 * np.pi * np.outer(t, (330, 440))), np.float32)


def _square() -> Pcm:
    return np.asarray(np.sign(_sine()) + (_sine() == 0), np.float32)


def _spiked() -> bytes:
    pcm = _sine()
    pcm[40_000, 0] = 10 ** (84 / 20)
    pcm[90_000, 1] = -(10 ** (84 / 20))
    return writers.float_wav(pcm)


def _int16(frames: int, value: int = 3000) -> bytes:
    return np.full((frames, 2), value, "<i2").tobytes()


def _surround(channels: int, workshop: Workshop) -> bytes:
    return workshop.encoded("wav", "-c:a pcm_s16le", channels=channels)


def inputs() -> Iterator[HostileInput]:
    """Few samples, none, wrong ones, odd ones, too many."""
    nothing = Reject(CORRUPT, "no audio")
    yield made("samples", "none, in a wav", nothing, writers.wav(b""), "wav")
    yield made("samples", "none, in an aiff", nothing, writers.aiff(b""), "aiff")
    yield made("samples", "none, in a flac", nothing, writers.streaminfo(RATE, 2, 0), "flac")
    for frames in (1, 2, 399, 400, 1023):
        verdict = Process(frames / RATE, 0.0)
        data = writers.wav(_int16(frames))
        yield made("samples", f"{frames} in a wav", verdict, data, "wav")
    for title, value in (("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf)):
        refused = Reject(CORRUPT, "not a number")
        for place, at in (("first", 0.0), ("middle", 0.5), ("last", 1.0)):
            yield made("samples", f"{title}, {place}", refused, _spoilt(value, at), "wav")
    yield made(
        *("samples", "all NaN", Reject(CORRUPT, "not a number")),
        writers.float_wav(np.full((RATE, 2), np.nan)),
        "wav",
    )
    yield made("samples", "+84 dBFS spikes", Process(), _spiked(), "wav")
    whole: dict[str, Pcm] = {
        "digital silence": np.zeros((3 * RATE, 2), np.float32),
        "silence but for one sample": np.eye(3 * RATE, 2, dtype=np.float32),
        "DC at half scale": np.full((3 * RATE, 2), 0.5, np.float32),
        "DC at full scale": np.ones((3 * RATE, 2), np.float32),
        "full-scale square": _square(),
        "alternating full scale": np.tile([[1.0, -1.0], [-1.0, 1.0]], (RATE * 3 // 2, 1)),
        "full-scale noise": np.random.default_rng(4)
        .uniform(-1, 1, (3 * RATE, 2))
        .astype(np.float32),
        "denormals": np.full((3 * RATE, 2), 1e-42, np.float32),
        "integers in a float file": _sine() * 32768,
        "a sine at +100 dBFS": _sine() * 1e6,
        "left against right": _sine()[:, :1] * np.array([1, -1]),
    }
    for title, pcm in whole.items():
        yield made("samples", title, Process(), writers.float_wav(pcm), "wav")
    for title, scale in (("a sine at +580 dBFS", 1e30), ("the largest floats", 3.4e39)):
        pcm = np.asarray(np.minimum(_sine().astype(np.float64) * scale, 3.4e38), np.float32)
        yield made(
            "samples",
            title,
            Reject(CORRUPT, "not a number|too large"),
            writers.float_wav(pcm),
            "wav",
        )
    yield from _forms()


def _forms() -> Iterator[HostileInput]:
    """Rates and channels from one end to the other."""
    yield made(
        *("form", "1 Hz, ten days", Reject(LIMIT, "sample rate")),
        writers.wav(bytes(864_000), channels=1, bits=8, rate_hz=1),
        "wav",
    )
    for rate_hz, verdict in (
        (7_999, Reject(LIMIT, "sample rate")),
        (8_000, Process(1.0)),
        (192_000, Process(1.0)),
        (192_001, Reject(LIMIT, "sample rate")),
        (384_000, Reject(LIMIT, "sample rate")),
        (0x7FFFFFFF, Reject(LIMIT, "sample rate")),
    ):
        data = writers.wav(_int16(min(rate_hz, 400_000)), rate_hz=rate_hz)
        yield made("form", f"{rate_hz} Hz", verdict, data, "wav")
    for channels in (6, 8):
        yield made(
            *("form", f"{channels} channels", Process()),
            partial(_surround, channels),
            "wav",
        )
    for channels in (9, 16, 32, 64, 255, 65_535):
        data = writers.wav(bytes(2 * channels * 50), channels=channels)
        verdict = Reject(LIMIT, "channels") if channels < 256 else Reject(CORRUPT)
        yield made("form", f"{channels} channels", verdict, data, "wav")
    for channels in (3, 5, 7):
        data = writers.wav(bytes(2 * channels * RATE), channels=channels)
        yield made("form", f"{channels} channels without a layout", Process(1.0), data, "wav")
