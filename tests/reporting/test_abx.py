"""Excerpts: equally loud by two meters, equally long, in place, unclipped, and a true key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyebur128
import pytest
import soxr

from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.errors import ConfigError, RequestRefused
from audio_processor.media.binary import find_ffmpeg
from audio_processor.model import Block
from audio_processor.reporting.abx import (
    KEY_NAME,
    Order,
    choose_starts,
    levelled,
    write_excerpts,
)
from audio_processor.reporting.gather import Gathered
from tests.reporting.material import RATE_HZ, band, read_wav, reported, write_wav
from tests.reporting.test_series import programme


def project_lufs(audio: Block, rate_hz: int) -> float:
    meter = LoudnessMeter(rate_hz, 2)
    meter.push(audio)
    found = meter.result().integrated_lufs
    assert found is not None
    return found


def libebur128_lufs(audio: Block, rate_hz: int) -> float:
    state = pyebur128.R128State(2, rate_hz, pyebur128.MeasurementMode.MODE_I)
    state.add_frames(np.ascontiguousarray(audio).reshape(-1), len(audio))
    return float(pyebur128.get_loudness_global(state))


def soundfile_of(path: Path) -> tuple[Block, int]:
    """The file's samples, decoded apart from the report."""
    done = subprocess.run(
        [str(find_ffmpeg().path), "-loglevel", "error", "-i", str(path), "-f", "f32le", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 2), 48_000


@pytest.fixture(scope="module")
def folder(song: Gathered, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("abx") / "new"
    write_excerpts(song, Order(target, seed=4))
    return target


@pytest.fixture(scope="module")
def key(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / KEY_NAME).read_text())
    return found


def pairs(folder: Path, key: dict[str, Any]) -> list[dict[str, tuple[Block, int]]]:
    """For each excerpt, before and after as the key names them."""
    return [
        {entry[letter]["is"]: read_wav(folder / entry[letter]["file"]) for letter in "AB"}
        for entry in key["excerpts"]
    ]


def test_every_file_is_in_the_key_and_nothing_else_is_there(
    folder: Path, key: dict[str, Any]
) -> None:
    named = {entry[letter]["file"] for entry in key["excerpts"] for letter in "AB"}
    assert {path.name for path in folder.iterdir()} == named | {KEY_NAME}
    for entry in key["excerpts"]:
        assert {entry[letter]["is"] for letter in "AB"} == {"before", "after"}


def test_a_pair_is_equally_loud_by_two_meters(folder: Path, key: dict[str, Any]) -> None:
    for pair, entry in zip(pairs(folder, key), key["excerpts"], strict=True):
        for meter in (project_lufs, libebur128_lufs):
            before, after = (meter(*pair[side]) for side in ("before", "after"))
            assert abs(before - after) <= 0.1, meter.__name__
        assert project_lufs(*pair["before"]) == pytest.approx(entry["loudness_lufs"], abs=0.03)


def test_a_pair_is_equally_long_and_neither_clips(folder: Path, key: dict[str, Any]) -> None:
    for pair in pairs(folder, key):
        (before, rate), (after, other_rate) = pair["before"], pair["after"]
        assert len(before) == len(after) == round(15.0 * rate)
        assert rate == other_rate == RATE_HZ
        assert max(np.abs(before).max(), np.abs(after).max()) < 1.0
    sizes = {path.stat().st_size for path in folder.glob("*.wav")}
    assert len(sizes) == 1  # a file's size tells nothing


def test_a_pair_is_in_place_to_the_sample(folder: Path, key: dict[str, Any]) -> None:
    """By their phases alone: a high-pass turns the bass, which has most of the energy."""
    for pair in pairs(folder, key):
        before, after = (pair[side][0].sum(axis=1) for side in ("before", "after"))
        size = 2 * len(before)
        cross = np.fft.rfft(before, size) * np.conj(np.fft.rfft(after, size))
        resemblance = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12), size)
        assert int(np.argmax(resemblance)) == 0
        assert resemblance[0] > 3 * np.abs(resemblance[1:]).max()


def test_the_key_tells_the_truth(song_file: Path, folder: Path, key: dict[str, Any]) -> None:
    """What is called before is the upload to the last bit but its gain; after is not."""
    source, rate_hz = soundfile_of(song_file)
    whole = soxr.resample(source, rate_hz, RATE_HZ)
    inner = slice(RATE_HZ, -RATE_HZ)  # without the fades
    for entry in key["excerpts"]:
        start = round(entry["start_s"] * RATE_HZ)
        for letter in "AB":
            told = entry[letter]
            heard, _ = read_wav(folder / told["file"])
            true = whole[start : start + len(heard)] * 10 ** (told["gain_db"] / 20)
            residual = float(np.square(heard - true)[inner].mean() / np.square(true)[inner].mean())
            assert (10 * np.log10(residual) < -70.0) == (told["is"] == "before")


def test_a_seed_draws_the_same_and_seeds_draw_both(song: Gathered, tmp_path: Path) -> None:
    drawn = []
    for number, seed in enumerate((1, 1, 2, 3, 4)):
        target = tmp_path / str(number)
        write_excerpts(song, Order(target, seed=seed))
        told = json.loads((target / KEY_NAME).read_text())["excerpts"]
        drawn.append(tuple(entry["A"]["is"] for entry in told))
    assert drawn[0] == drawn[1]
    assert len({first for first, *_ in drawn}) == 2


def test_a_folder_with_something_in_it_is_left_alone(song: Gathered, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        write_excerpts(song, Order(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ConfigError, match="not a folder"):
        write_excerpts(song, Order(tmp_path / "mine.txt"))
    assert write_excerpts(song, Order(tmp_path, replace=True))
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_there_is_nothing_to_compare_without_an_after(song: Gathered, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="missing"):
        write_excerpts(Gathered(song.data, song.before, None), Order(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_a_short_track_is_one_whole_excerpt(seconds: float, tmp_path: Path) -> None:
    file = write_wav(tmp_path / "short.wav", band(seconds))
    with reported(file) as gathered:
        write_excerpts(gathered, Order(tmp_path / "abx"))
    [first, second] = sorted((tmp_path / "abx").glob("*.wav"))
    assert len(read_wav(first)[0]) == len(read_wav(second)[0]) == round(seconds * RATE_HZ)


def test_silence_is_written_as_it_is(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "silent.wav", np.zeros((2 * RATE_HZ, 2), np.float32))
    with reported(file) as gathered:
        write_excerpts(gathered, Order(tmp_path / "abx"))
    told = json.loads((tmp_path / "abx" / KEY_NAME).read_text())
    assert told["excerpts"][0]["loudness_lufs"] is None


def test_the_loudest_and_the_most_changed_passages_are_taken() -> None:
    rate_hz = 16_000
    quiet = band(110.0, rate_hz=rate_hz) * np.float32(0.05)
    before, after = quiet.copy(), quiet * np.float32(1.5)
    loud, changed = slice(30 * rate_hz, 45 * rate_hz), slice(80 * rate_hz, 95 * rate_hz)
    before[loud] *= 4.0
    after[loud] *= 4.0
    after[changed] *= 0.6
    starts = choose_starts(programme(before, rate_hz), programme(after, rate_hz))
    assert len(starts) == 3 and starts == sorted(starts)
    assert min(abs(start - 30.0) for start in starts) < 0.5
    assert min(abs(start - 80.0) for start in starts) < 0.5
    assert min(np.diff(starts)) >= 14.9


@pytest.mark.parametrize("gain", [0.05, 0.5, 1.0, 3.0])
def test_levelling_attenuates_and_never_clips(gain: float) -> None:
    one = band(6.0)
    other = np.tanh(one * np.float32(gain) * 3).astype(np.float32)
    made = levelled(one, other, RATE_HZ)
    assert made.before_gain_db <= 0.0 and made.after_gain_db <= 0.0
    difference = project_lufs(made.before, RATE_HZ) - project_lufs(made.after, RATE_HZ)
    assert abs(difference) <= 0.03
    for block in (made.before, made.after):
        assert np.abs(block).max() <= 10 ** (-1.0 / 20) + 1e-4
