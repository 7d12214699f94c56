"""Excerpts to compare by ear: before and after, equally loud, and nobody told which is which.

The louder one is taken down to the other, and both further where either would clip: what is
left to hear is the sound, not the level. Both are cut from the same frames of one timeline,
for the line keeps programmes in place: *before* is converted to *after*'s rate by the very
resampler that the line used.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.dsp.resample import Resample
from audio_processor.dsp.true_peak import TruePeakMeter
from audio_processor.errors import ConfigError, RequestRefused
from audio_processor.model import Block
from audio_processor.reporting.data import Programme, Series
from audio_processor.reporting.gather import Gathered, Recording
from audio_processor.reporting.plots import level_change

EXCERPT_S = 15.0
EXCERPTS = 3
CEILING_DBTP = -1.0
"""Room for whatever plays the files; what would peak higher takes both excerpts down."""
MATCHED_LU = 0.02
FADE_S = 0.01
KEY_NAME = "key.json"

_ROUNDS = 4
_DEPTH_BYTES = 3

Side = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Order:
    """What excerpts are asked for."""

    folder: Path
    seed: int | None = None
    """None draws from the system's own randomness."""
    replace: bool = False
    """Whether a folder that holds something may be written to."""


@dataclass(frozen=True, slots=True)
class Levelled:
    """A pair of excerpts at one loudness."""

    before: Block
    after: Block
    before_gain_db: float
    after_gain_db: float
    loudness_lufs: float | None
    """Of both; None where there is silence in one of them."""


def check_folder(order: Order) -> None:
    """Raise ``ConfigError`` where the excerpts may not be written."""
    folder = order.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: name one for the excerpts.")
    if folder.is_dir() and not order.replace and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: name a new folder, or use --force.")
    absolute = folder.absolute()
    there = next(each for each in (absolute, *absolute.parents) if each.exists())
    if not os.access(there, os.W_OK):  # nor by root, where the file system is read-only
        raise _unwritable(folder, f"{there} is read-only here")


def write_excerpts(gathered: Gathered, order: Order) -> tuple[Path, ...]:
    """Write pairs of excerpts and the key; return the files.

    Raises ``ConfigError`` as ``check_folder`` and where one cannot be written,
    ``RequestRefused`` where there is no before or no after, and what decoding raises.
    """
    check_folder(order)
    data = gathered.data
    if gathered.before is None or gathered.after is None or not (data.before and data.after):
        raise RequestRefused("There are no excerpts to compare: before or after is missing.")
    rate = gathered.after.sample_rate_hz
    length = min(data.before.duration_s, data.after.duration_s)
    starts = [round(start_s * rate) for start_s in choose_starts(data.before, data.after)]
    frames = round(min(EXCERPT_S, length) * rate)
    before = cut(gathered.before, starts, frames, rate)
    after = cut(gathered.after, starts, frames, rate)
    try:
        return _written(order, data.title, rate, starts, list(zip(before, after, strict=True)))
    except OSError as error:
        raise _unwritable(order.folder, str(error.strerror)) from error


def _written(
    order: Order, title: str, rate: int, starts: Sequence[int], pairs: Sequence[tuple[Block, Block]]
) -> tuple[Path, ...]:
    """Level and write the pairs, each in an order that is drawn. Raises ``OSError``."""
    order.folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(order.seed) if order.seed is not None else secrets.SystemRandom()
    files: list[Path] = []
    told: list[dict[str, object]] = []
    for number, (start, (a, b)) in enumerate(zip(starts, pairs, strict=True), 1):
        pair = levelled(_faded(a, rate), _faded(b, rate), rate)
        first: Side = "before" if draw.random() < 0.5 else "after"
        second: Side = "after" if first == "before" else "before"
        entry: dict[str, object] = {
            "excerpt": number,
            "start_s": round(start / rate, 3),
            "duration_s": round(len(a) / rate, 3),
            "loudness_lufs": None if pair.loudness_lufs is None else round(pair.loudness_lufs, 2),
        }
        for letter, side in (("A", first), ("B", second)):
            path = order.folder / f"excerpt-{number}-{letter}.wav"
            write_wav(path, pair.before if side == "before" else pair.after, rate)
            gain_db = pair.before_gain_db if side == "before" else pair.after_gain_db
            entry[letter] = {"file": path.name, "is": side, "gain_db": round(gain_db, 3)}
            files.append(path)
        told.append(entry)
    key = order.folder / KEY_NAME
    document = {"title": title, "sample_rate_hz": rate, "excerpts": told}
    key.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return (*files, key)


def _unwritable(folder: Path, because: str) -> ConfigError:
    return ConfigError(
        f"The excerpts cannot be written to {folder}: {because}. Use --abx to name another folder."
    )


# ── where ────────────────────────────────────────────────────────────────────────────────


def choose_starts(before: Programme, after: Programme) -> list[float]:
    """Return where the excerpts begin, in seconds, in order of time; at least one.

    First the loudest passage, then the one whose level was changed the most against the rest,
    then the next loudest, none of them overlapping, as many as fit.
    """
    length = min(before.duration_s, after.duration_s)
    window_s = min(EXCERPT_S, length)
    tenth_s = after.levels.tenth_s
    width = max(1, int(window_s / tenth_s))
    loudness = _sliding_mean(after.levels.energy, width)
    if not loudness.size:
        return [0.0]
    _, change = level_change(before, after)
    known = change[np.isfinite(change)]
    usual = float(np.median(known)) if known.size else 0.0
    moved = np.where(np.isfinite(change), np.abs(change - usual), 0.0)
    changed = _sliding_mean(
        np.pad(moved, (0, max(0, after.levels.energy.size - moved.size))), width
    )
    audible = loudness > 0.01 * loudness.max()
    last = max(0.0, length - window_s)
    chosen: list[float] = []
    free = np.ones(loudness.size, bool)
    for scores in (loudness, np.where(audible, changed, 0.0), loudness)[:EXCERPTS]:
        if not free.any():
            break
        best = int(np.argmax(np.where(free, scores, -1.0)))
        chosen.append(min(best * tenth_s, last))
        free[max(0, best - width + 1) : best + width] = False
    return sorted(chosen)


def _sliding_mean(values: Series, width: int) -> Series:
    if values.size < width:
        return np.zeros(0)
    running = np.concatenate(([0.0], np.cumsum(values)))
    means: Series = (running[width:] - running[:-width]) / width
    return means


# ── cutting and levelling ────────────────────────────────────────────────────────────────


def cut(recording: Recording, starts: Sequence[int], frames: int, rate_hz: int) -> list[Block]:
    """Decode the recording to ``rate_hz`` and return so many frames from each start.

    In one pass; only what is asked for is held. A recording that ends early is silence there.
    """
    excerpts = [np.zeros((frames, 2), np.float32) for _ in starts]
    end = max(starts) + frames
    at = 0
    with recording.open() as blocks:
        for block in Resample(rate_hz)(blocks, recording.sample_rate_hz):
            for start, excerpt in zip(starts, excerpts, strict=True):
                first, after = max(at, start), min(at + len(block), start + frames)
                if first < after:
                    excerpt[first - start : after - start] = block[first - at : after - at]
            at += len(block)
            if at >= end:
                break
    return excerpts


def levelled(before: Block, after: Block, rate_hz: int) -> Levelled:
    """Return the pair at one loudness, neither above −1 dBTP.

    The louder is attenuated to the quieter; gates see levels, so it is measured again until
    both agree within 0.02 LU. Where one is silent both stay as they are.
    """
    gains = [0.0, 0.0]
    pair = [before, after]
    measured = [_lufs(each, rate_hz) for each in pair]
    for _ in range(_ROUNDS):
        first, second = measured
        if first is None or second is None or abs(first - second) <= MATCHED_LU:
            break
        louder = 0 if first > second else 1
        gains[louder] -= abs(first - second)
        measured[louder] = _lufs(_scaled(pair[louder], gains[louder]), rate_hz)
    peaks = [
        _peak_dbtp(_scaled(each, gain), rate_hz) for each, gain in zip(pair, gains, strict=True)
    ]
    highest = max((peak for peak in peaks if peak is not None), default=CEILING_DBTP)
    down = min(0.0, CEILING_DBTP - highest)
    gains = [gain + down for gain in gains]
    made = [_scaled(each, gain) for each, gain in zip(pair, gains, strict=True)]
    known = None if None in measured else _lufs(made[0], rate_hz)
    return Levelled(made[0], made[1], gains[0], gains[1], known)


def _scaled(block: Block, gain_db: float) -> Block:
    return np.multiply(block, np.float32(10.0 ** (gain_db / 20.0)), dtype=np.float32)


def _lufs(block: Block, rate_hz: int) -> float | None:
    meter = LoudnessMeter(rate_hz, 2)
    meter.push(block)
    return meter.result().integrated_lufs


def _peak_dbtp(block: Block, rate_hz: int) -> float | None:
    meter = TruePeakMeter(rate_hz, 2)
    meter.push(block)
    highest = float(meter.envelope().max(initial=0.0))
    return 20.0 * float(np.log10(highest)) if highest > 0.0 else None


def _faded(block: Block, rate_hz: int) -> Block:
    """Return the excerpt with raised-cosine ends: a cut in the music clicks."""
    frames = min(round(FADE_S * rate_hz), len(block) // 2)
    if not frames:
        return block
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / frames)).astype(np.float32)
    faded = block.copy()
    faded[:frames] *= ramp[:, np.newaxis]
    faded[-frames:] *= ramp[::-1, np.newaxis]
    return faded


def write_wav(path: Path, block: Block, rate_hz: int) -> None:
    """Write 24-bit PCM. Samples are within full scale by then; nothing is clipped."""
    steps = np.rint(block.astype(np.float64) * (2**23 - 1)).astype("<i4")
    packed = np.ascontiguousarray(steps).view(np.uint8).reshape(-1, 4)[:, :_DEPTH_BYTES]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(block.shape[1])
        file.setsampwidth(_DEPTH_BYTES)
        file.setframerate(rate_hz)
        file.writeframes(packed.tobytes())
