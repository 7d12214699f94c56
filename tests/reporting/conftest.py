"""Reports of a few tracks, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audio_processor.reporting.data import ReportData
from audio_processor.reporting.gather import Gathered
from tests.reporting.material import (
    HOSTILE_NAME,
    HOSTILE_TITLE,
    RATE_HZ,
    band,
    reported,
    tagged,
    write_wav,
)

SONG_S = 24.0


@pytest.fixture(scope="session")
def song_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s at 48 kHz: after is at another rate than before."""
    folder = tmp_path_factory.mktemp("song")
    wav = write_wav(folder / "raw.wav", band(SONG_S, rate_hz=48_000), 48_000)
    return tagged(wav, folder / "song.flac", {"title": "Abantu", "artist": "Ålpha & Ω"})


@pytest.fixture(scope="session")
def song(song_file: Path) -> Iterator[Gathered]:
    with reported(song_file) as gathered:
        yield gathered


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """A clipped track whose texts would like to be markup."""
    folder = tmp_path_factory.mktemp("hostile")
    wav = write_wav(folder / "raw.wav", 4.0 * band(4.0))
    tags = {"title": HOSTILE_TITLE, "artist": HOSTILE_TITLE, "comment": "<!--" + HOSTILE_TITLE}
    with reported(tagged(wav, folder / HOSTILE_NAME, tags)) as gathered:
        return gathered.data


@pytest.fixture(scope="session")
def odd_tracks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ReportData]:
    """Silence, 0.2 s, mono at a rate whose 100 ms are no whole frames, one side only."""
    folder = tmp_path_factory.mktemp("odd")
    mono = band(9.0, rate_hz=11_025)[:, :1]
    one_side = band(5.0) * np.array([1.0, 0.0], np.float32)
    tracks = {
        "silent": (np.zeros((5 * RATE_HZ, 2), np.float32), RATE_HZ),
        "tiny": (band(0.2), RATE_HZ),
        "mono": (mono, 11_025),
        "one_side": (one_side, RATE_HZ),
    }
    made: dict[str, ReportData] = {}
    for name, (audio, rate_hz) in tracks.items():
        with reported(write_wav(folder / f"{name}.wav", audio, rate_hz)) as gathered:
            made[name] = gathered.data
    return made
