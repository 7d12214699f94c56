"""Every layout down to stereo, with the coefficients of BS.775-3 as they can be heard."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from audio_processor.errors import LimitExceeded, UnsupportedMedia
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.downmix import channel_names, stereo_matrix, to_stereo
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import MediaLimits, probe
from tests.media.material import make, read, tone_gains, tones

RATE = 48_000
TONES_HZ = (500.0, 700.0, 900.0, 60.0, 1300.0, 1700.0, 2100.0, 2500.0)
C = 10 ** (-3.01 / 20)
"""−3 dB as the standard has it: 0.7071."""

EXPECTED: dict[str, list[tuple[float, float]]] = {
    "mono": [(1, 1)],
    "stereo": [(1, 0), (0, 1)],
    "2.1": [(1, 0), (0, 1), (0, 0)],
    "3.0": [(1, 0), (0, 1), (C, C)],
    "quad": [(1, 0), (0, 1), (C, 0), (0, C)],
    "4.0": [(1, 0), (0, 1), (C, C), (0.5, 0.5)],
    "5.0": [(1, 0), (0, 1), (C, C), (C, 0), (0, C)],
    "5.1": [(1, 0), (0, 1), (C, C), (0, 0), (C, 0), (0, C)],
    "5.1(side)": [(1, 0), (0, 1), (C, C), (0, 0), (C, 0), (0, C)],
    "6.1": [(1, 0), (0, 1), (C, C), (0, 0), (0.5, 0.5), (C, 0), (0, C)],
    "7.1": [(1, 0), (0, 1), (C, C), (0, 0), (C, 0), (0, C), (C, 0), (0, C)],
}
CODED = {
    "aac 5.1": ("m4a", "-c:a aac -b:a 512k", "5.1"),
    "ac3 5.1": ("ac3", "-c:a ac3 -b:a 640k", "5.1(side)"),
    "opus 5.1": ("opus", "-c:a libopus -b:a 512k", "5.1"),
    "vorbis 7.1": ("ogg", "-c:a libvorbis -q:a 8", "7.1"),
}


@pytest.mark.parametrize("layout", EXPECTED)
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_layout(
    layout: str, suffix: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    expected = EXPECTED[layout]
    pcm = tones(1.0, RATE, TONES_HZ[: len(expected)])
    path = make(binary, tmp_path / f"x.{suffix}", pcm, RATE, [], layout=layout)

    probed, heard, _ = read(supervisor, path)

    assert probed.channels == len(expected)
    assert heard.shape == (len(pcm), 2)
    assert tone_gains(heard, RATE, TONES_HZ[: len(expected)]) == pytest.approx(
        np.array(expected, float), abs=0.002
    )


@pytest.mark.parametrize(("suffix", "arguments", "layout"), CODED.values(), ids=CODED.keys())
def test_coded_surround(
    suffix: str,
    arguments: str,
    layout: str,
    supervisor: Supervisor,
    binary: FFmpegBinary,
    tmp_path: Path,
) -> None:
    expected = EXPECTED[layout]
    pcm = tones(2.0, RATE, TONES_HZ[: len(expected)])
    path = make(binary, tmp_path / f"x.{suffix}", pcm, RATE, arguments.split(), layout=layout)

    _, heard, _ = read(supervisor, path)

    assert tone_gains(heard, RATE, TONES_HZ[: len(expected)]) == pytest.approx(
        np.array(expected, float), abs=0.02
    )


def test_nothing_is_turned_down_to_make_it_fit() -> None:
    names = channel_names("5.1")
    assert names is not None
    loud = np.ones((10, 6), np.float32)
    assert to_stereo(loud, stereo_matrix(names)) == pytest.approx(1 + 2 * C, abs=1e-3)


def test_a_layout_in_ffmpegs_long_hand_is_known() -> None:
    assert channel_names("3 channels (FL+FR+LFE)") == ("FL", "FR", "LFE")


@pytest.mark.parametrize("layout", ["", "9 channels", "ambisonic 1", "2 channels (FL+XX)"])
def test_a_layout_without_positions_is_not_known(layout: str) -> None:
    assert channel_names(layout) is None


def test_every_layout_of_this_ffmpeg_is_known_in_its_order(binary: FFmpegBinary) -> None:
    listed = subprocess.run(
        [binary.path, "-hide_banner", "-layouts"], capture_output=True, text=True, check=True
    ).stdout.partition("Standard channel layouts:")[2]
    for name, decomposition in re.findall(r"^(\S+) +(\S+\+\S+|FC)$", listed, re.MULTILINE):
        channels = tuple(decomposition.split("+"))
        if len(channels) <= 8 or channel_names(name):
            assert channel_names(name) == channels


def test_too_many_channels_are_refused(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    pcm = tones(0.2, RATE, TONES_HZ)
    path = make(binary, tmp_path / "x.wav", pcm, RATE, [], layout="7.1")
    with pytest.raises(LimitExceeded, match="8 channels"):
        probe(supervisor, path, "x.wav", MediaLimits(max_channels=6))


def test_channels_that_could_be_anywhere_are_refused(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    pcm = tones(0.2, RATE, [300.0] * 9)
    path = make(binary, tmp_path / "x.wav", pcm, RATE, [], layout="9C")
    with pytest.raises(UnsupportedMedia, match="9 channels"):
        probe(supervisor, path, "x.wav", MediaLimits(max_channels=9))
