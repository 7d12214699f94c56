"""What a high-pass does to waveforms: Butterworth's, which turns phases, next to ours.

``python -m bench.high_pass`` takes twenty seconds of every track of the corpus and prints, for
both at one cutoff: the sample crest factor, which is what a limiter has to deal with, and the
residual, what is left when the source is taken off. Below it: what ours sounds before a sound
begins, which is the price of linear phase, and the CPU seconds of both on a long programme.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import signal

from audio_processor.dsp.cascade import Cascade
from audio_processor.dsp.filters import Biquad
from audio_processor.mastering.stages.high_pass import HighPass, averaged_frames
from audio_processor.model import Block
from bench.corpus import corpus_tracks
from bench.regress.programmes import excerpt

RATE_HZ = 44_100
COST_S = 557
BLOCK_FRAMES = 16_384
ONSETS_HZ = (30.0, 50.0, 100.0, 400.0)
HEARD_MS = (10.0, 20.0, 40.0)

Filter = Callable[[Block, int], Block]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="bench.high_pass", description=__doc__)
    parser.add_argument("--cutoff-hz", type=float, default=20.0)
    parser.add_argument("--order", type=int, choices=(2, 4), default=2)
    given = parser.parse_args(arguments)
    tracks = corpus_tracks()
    if not tracks:
        print("the corpus is not here; run `make corpus`", file=sys.stderr)
        return 2
    stage = HighPass(given.cutoff_hz, given.order)
    filters = {"Butterworth": _butterworth(stage), "linear phase": _linear(stage)}
    _print_tracks(tracks, stage, filters)
    _print_before_a_sound(stage)
    _print_cost(stage)
    return 0


def _sections(stage: HighPass, rate_hz: int) -> NDArray[np.float64]:
    return np.asarray(signal.butter(stage.order, stage.cutoff_hz, "high", fs=rate_hz, output="sos"))


def _butterworth(stage: HighPass) -> Filter:
    def run(audio: Block, rate_hz: int) -> Block:
        found = signal.sosfilt(_sections(stage, rate_hz), audio.astype(np.float64), axis=0)
        return np.asarray(found, dtype=np.float32)

    return run


def _linear(stage: HighPass) -> Filter:
    def run(audio: Block, rate_hz: int) -> Block:
        return np.concatenate(list(stage(iter([audio]), rate_hz)))

    return run


def _crest_db(audio: Block) -> float:
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return _decibels(float(np.abs(audio).max()) / math.sqrt(power))


def _residual_db(audio: Block, source: Block) -> float:
    left = float(np.sum(np.square(audio.astype(np.float64) - source)))
    return 0.5 * _decibels(left / float(np.sum(np.square(source, dtype=np.float64))))


def _decibels(ratio: float) -> float:
    return 20.0 * math.log10(max(ratio, 1e-15))


def _print_tracks(tracks: Sequence[Path], stage: HighPass, filters: dict[str, Filter]) -> None:
    table = Table(title=f"20 s of each track through a high-pass of {stage.cutoff_hz:g} Hz, dB")
    table.add_column("track")
    for heading in ("crest of the source", *(f"crest, {name}" for name in filters)):
        table.add_column(heading, justify="right")
    for name in filters:
        table.add_column(f"residual, {name}", justify="right")
    rows: list[list[float]] = []
    for track in tracks:
        with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
            programme = excerpt(track, Path(folder))
        source, rate_hz = programme.audio, programme.sample_rate_hz
        found = [run(source, rate_hz) for run in filters.values()]
        crests = [_crest_db(audio) for audio in (source, *found)]
        rows.append(crests + [_residual_db(audio, source) for audio in found])
        table.add_row(track.name, *(f"{value:.2f}" for value in rows[-1]))
    table.add_section()
    table.add_row("mean", *(f"{mean(column):.2f}" for column in zip(*rows, strict=True)))
    Console(width=110).print(table)
    for index, name in enumerate(filters, start=1):
        added = [row[index] - row[0] for row in rows]
        print(f"{name}: adds {min(added):+.2f} … {max(added):+.2f} dB of crest factor")


def _print_before_a_sound(stage: HighPass) -> None:
    """Print the answer to an impulse, and to full-scale tones that begin at a zero crossing."""
    run, frames = _linear(stage), RATE_HZ
    average = averaged_frames(RATE_HZ, stage.cutoff_hz, stage.order)
    reach = 2 * (average - 1) * (stage.order // 2)
    mono = np.zeros(2 * frames)
    mono[frames] = 1.0
    answer = _before(run, mono, frames)
    print(
        f"before an impulse: {_decibels(float(np.abs(answer).max())):.1f} dB of it at most, over "
        f"{1e3 * reach / RATE_HZ:.0f} ms; its energy {_energy_db(answer):.1f} dB"
    )
    for hz in ONSETS_HZ:
        mono[frames:] = np.sin(2.0 * np.pi * hz * np.arange(frames) / RATE_HZ)
        answer = _before(run, mono, frames)
        levels = (
            f"{_decibels(float(np.abs(answer[: frames - round(ms * RATE_HZ / 1e3)]).max())):.0f}"
            for ms in HEARD_MS
        )
        ahead = ", ".join(
            f"{level} dB {ms:g} ms" for level, ms in zip(levels, HEARD_MS, strict=True)
        )
        peak_db = _decibels(float(np.abs(answer).max()))
        print(f"before a tone of {hz:g} Hz begins: {peak_db:.1f} dB at most; {ahead} or more ahead")


def _before(run: Filter, mono: NDArray[np.float64], onset: int) -> NDArray[np.float64]:
    """Return what comes out before the onset; a whisper ahead keeps the opening from being cut."""
    audio = np.repeat(mono[:, np.newaxis], 2, axis=1).astype(np.float32)
    audio[0] = 1e-30
    return run(audio, RATE_HZ)[:onset, 0].astype(np.float64)


def _energy_db(answer: NDArray[np.float64]) -> float:
    return 0.5 * _decibels(float(np.sum(answer**2)))


def _print_cost(stage: HighPass) -> None:
    rng = np.random.default_rng(1)
    block = (0.2 * rng.standard_normal((BLOCK_FRAMES, 2))).astype(np.float32)
    count = COST_S * RATE_HZ // BLOCK_FRAMES
    cascade = Cascade([Biquad(*row[:3], *row[4:]) for row in _sections(stage, RATE_HZ)])

    def butterworth() -> None:
        for _ in range(count):
            cascade.process(block)

    def linear() -> None:
        for _ in stage(iter([block] * count), RATE_HZ):
            pass

    for name, work in (("Butterworth", butterworth), ("linear phase", linear)):
        work()
        start_s = time.process_time()
        work()
        print(f"{name}: {time.process_time() - start_s:.2f} CPU s for {COST_S} s of stereo")


if __name__ == "__main__":
    sys.exit(main())
