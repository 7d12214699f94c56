"""WAV and FLAC: the samples that went in are the samples in the file, and its tags are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.lossless import PcmForm, write_pcm
from audio_processor.media.probe import probe
from audio_processor.model import Block, Probe

TAGS = {"title": "Abantu; # = \\ 'x'", "artist": "-y Ålpha & Ω\U0001f3b5", "track": "3/12"}


def on_the_grid(bits: int, frames: int = 10_000) -> Block:
    """Every sample a multiple of the depth's step, both ends of the range among them."""
    top = 2 ** (bits - 1)
    samples = np.random.default_rng(1).integers(-top, top, (frames, 2))
    samples[0], samples[1] = -top, top - 1
    return np.asarray(samples / top, np.float32)


def cut(audio: Block, frames: int) -> Iterator[Block]:
    for start in range(0, len(audio), frames):
        yield audio[start : start + frames]


def read(supervisor: Supervisor, file: Path) -> tuple[Probe, Block]:
    probed = probe(supervisor, file, file.name)
    with decode(supervisor, file, probed, file_name=file.name) as decoder:
        return probed, np.concatenate(list(decoder))


@pytest.mark.parametrize("container", ["wav", "flac"])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_integers_come_back_bit_for_bit(
    supervisor: Supervisor,
    tmp_path: Path,
    container: Literal["wav", "flac"],
    bits: Literal[16, 24],
    rate_hz: int,
) -> None:
    file, audio = tmp_path / f"out.{container}", on_the_grid(bits)
    form = PcmForm(container, bits, rate_hz)
    assert write_pcm(supervisor, cut(audio, 777), file, form, tags=TAGS) == len(audio)
    probed, back = read(supervisor, file)
    np.testing.assert_array_equal(back, audio)
    assert (probed.sample_rate_hz, probed.channels, probed.bit_depth) == (rate_hz, 2, bits)


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_tags_are_carried(
    supervisor: Supervisor, tmp_path: Path, container: Literal["wav", "flac"]
) -> None:
    file = tmp_path / f"out.{container}"
    write_pcm(
        supervisor, cut(on_the_grid(16), 500), file, PcmForm(container, 16, 44_100), tags=TAGS
    )
    tags = probe(supervisor, file, file.name).tags
    assert {name: tags.get(name) for name in ("title", "artist")} == {
        name: TAGS[name] for name in ("title", "artist")
    }


def test_floats_keep_what_is_over_full_scale(supervisor: Supervisor, tmp_path: Path) -> None:
    file, audio = tmp_path / "out.wav", on_the_grid(24) * np.float32(3.7)
    write_pcm(supervisor, cut(audio, 4096), file, PcmForm("wav", 32, 48_000), tags={})
    np.testing.assert_array_equal(read(supervisor, file)[1], audio)


def test_flac_holds_no_floats() -> None:
    with pytest.raises(ValueError, match="16 or 24"):
        PcmForm("flac", 32, 44_100)
