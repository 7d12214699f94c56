"""The command lines, to the letter. ``UPDATE_GOLDENS=1`` writes them anew; read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audio_processor.media import argv, fdkaac
from audio_processor.model import Candidate, Tier

GOLDEN = Path(__file__).parent / "golden"
SOURCE = Path("/job/source")

LINES = {
    "probe": argv.probe(SOURCE, " <secret> "),
    "cover": argv.cover(SOURCE, 1),
    "decode_stereo": argv.decode(SOURCE, 44_100, ("FL", "FR")),
    "decode_surround": argv.decode(SOURCE, 48_000, ("FL", "FR", "FC", "LFE", "SL", "SR")),
    "decode_adts": argv.decode_adts(Path("/job/high.aac")),
    "encode_high": argv.encode_aac(
        Path("/job/high.aac"), Tier("high", 128_000, 44_100), Candidate(-2.0)
    ),
    "encode_low_fast_no_tns": argv.encode_aac(
        Path("/job/low.aac"), Tier("low", 48_000, 24_000), Candidate(-3.5, "fast", tns=False)
    ),
    "fdkaac_high": fdkaac.arguments(Tier("high", 128_000, 44_100), Path("/job/high.aac")),
    "fdkaac_low": fdkaac.arguments(Tier("low", 48_000, 24_000), Path("/job/low.aac")),
    "encode_wav": argv.encode_pcm(Path("/job/x.wav"), "wav", "pcm_s24le", 24, 44_100, {}),
    "encode_flac": argv.encode_pcm(
        Path("/job/x.flac"), "flac", "flac", 24, 96_000, {"title": "-i a=b", "artist": "Ω"}
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_command_line(name: str) -> None:
    path = GOLDEN / f"{name}.txt"
    line = "".join(f"{argument}\n" for argument in LINES[name])
    if os.environ.get("UPDATE_GOLDENS") == "1":
        path.write_text(line, "utf-8")
    assert line == path.read_text("utf-8")


def test_a_file_name_can_only_be_a_file() -> None:
    arguments = argv.decode(Path("/job/http:--x"), 44_100, ("FL", "FR"))
    assert arguments[arguments.index("-i") + 1] == "file:/job/http:--x"


@pytest.mark.parametrize("demuxer", ["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi"])
def test_nothing_that_refers_to_other_files_is_a_container(demuxer: str) -> None:
    assert demuxer not in argv.DEMUXERS
