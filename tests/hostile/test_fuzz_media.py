"""What is read of an artist's file by our own eyes: whatever it holds, an answer and no error."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audio_processor.errors import AudioProcessorError
from audio_processor.media.declared import read_declared
from audio_processor.media.description import read_description
from audio_processor.media.diagnosis import damage, explain
from audio_processor.media.downmix import channel_names
from audio_processor.media.ending import find_cut
from audio_processor.media.ffmpeg import FFmpegFailed
from audio_processor.media.frames import (
    FRAME_BYTES,
    ends_inside_a_frame,
    without_trailing_tags,
)
from audio_processor.media.locked import is_locked
from audio_processor.media.surplus import find_surplus
from audio_processor.media.tags import MAX_TAG_CHARACTERS, clean, cover_of, parse_ffmetadata
from tests.hostile import writers
from tests.hostile.encodings import ENCODINGS
from tests.hostile.mutants import BOUNDED, mutants
from tests.hostile.sentences import complaints
from tests.hostile.yard import Yard

CONTAINERS = {
    "wav": "wav", "rf64": "wav", "w64": "w64", "au": "au", "aiff": "aiff", "caf": "caf",
    "wma": "asf", "avi": "avi", "m4a": "mov", "m4a fragmented": "mov", "ogg opus": "ogg",
    "mpg": "mpeg", "flv": "flv", "mp3": "mp3", "mp2": "mp3", "adts": "aac", "ac3": "ac3",
    "eac3": "eac3", "mka": "matroska",
}  # fmt: skip
"""An encoding, and FFmpeg's name for its demuxer."""
ONE_FOLDER = settings(BOUNDED, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_container_breaks_its_reader(name: str, yard: Yard, tmp_path: Path) -> None:
    data = ENCODINGS[name].data(yard.workshop)
    good = data[:6000] + data[-3000:]  # where headers and last pages are
    path = tmp_path / "source"

    @given(mutants(good))
    @settings(BOUNDED, max_examples=60)
    def holds(content: bytes) -> None:
        path.write_bytes(content)
        declared = read_declared(path, CONTAINERS[name])
        assert declared.duration_s is None or declared.duration_s >= 0
        cut = find_cut(path, CONTAINERS[name])
        assert cut is None or cut.present_bytes == len(content)
        assert cut is None or cut.missing_bytes is None or cut.missing_bytes > 0
        surplus = find_surplus(path, CONTAINERS[name])
        assert surplus is None or 0 < surplus <= len(content)
        is_locked(path)

    holds()


def test_a_length_below_nothing_is_none(tmp_path: Path) -> None:
    path = tmp_path / "source"
    desc = struct.pack(">4sqd4sIIIII", b"desc", 32, -44_100.0, b"lpcm", 2, 4, 1, 2, 16)
    path.write_bytes(b"caff\0\1\0\0" + desc + struct.pack(">4sqI", b"data", 400, 0))
    assert read_declared(path, "caf").duration_s is None


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_size_that_no_file_has_is_not_gone_to(size: int, tmp_path: Path) -> None:
    path = tmp_path / "source"
    sizes = writers.chunk(b"ds64", struct.pack("<QQQI", size, size, size, 0))
    data = b"data\xff\xff\xff\xff"
    path.write_bytes(writers.riff(sizes, writers.fmt(), data, bytes(99), form=b"RF64"))
    assert find_cut(path, "wav") is not None
    assert find_surplus(path, "wav") is None


@given(content=st.binary(max_size=300), container=st.sampled_from(sorted(set(CONTAINERS.values()))))
@ONE_FOLDER
def test_nothing_at_all_is_read_too(content: bytes, container: str, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    read_declared(path, container)
    find_cut(path, container)
    find_surplus(path, container)
    is_locked(path)


def ape_part(flags: int) -> bytes:
    """An APEv2 tag's header or footer, around one item of 32 bytes."""
    return b"APETAGEX" + struct.pack("<III", 2000, 64, 1) + bytes([0, 0, 0, flags]) + bytes(8)


@given(st.integers(1, 40), st.integers(0, 416), st.sampled_from(["", "id3", "ape", "lyrics"]))
@BOUNDED
def test_only_a_last_frame_that_is_short_is_a_cut(frames: int, kept: int, tag: str) -> None:
    tags = {
        "": b"",
        "id3": b"TAG" + bytes(125),
        "ape": ape_part(0xA0) + bytes(32) + ape_part(0x80),
        "lyrics": b"LYRICSBEGIN" + b"x" * 20 + b"000031" + b"LYRICS200",
    }  # fmt: skip
    whole = writers.SILENT_MP3_FRAME * frames
    data = whole + writers.SILENT_MP3_FRAME[:kept]
    tail = without_trailing_tags(data + tags[tag])
    assert tail == data
    cut = ends_inside_a_frame(tail, FRAME_BYTES["mp3"])
    if frames >= 2:
        assert cut == (kept > 0)
    elif not kept:
        assert not cut


@given(st.binary(max_size=3000), st.sampled_from(sorted(FRAME_BYTES)))
@BOUNDED
def test_frames_of_noise(data: bytes, container: str) -> None:
    assert ends_inside_a_frame(without_trailing_tags(data), FRAME_BYTES[container]) in {True, False}


LINES = st.sampled_from(
    [
        "Input #0, mp3, from 'x':",
        "Input #0, hls, from 'http://x':",
        "  Duration: 00:00:03.00, start: 0.000000, bitrate: 128 kb/s",
        "  Duration: 99999999999999:00:03.00, start",
        "  Stream #0:0: Audio: mp3 <forged> 44100 Hz, stereo, fltp, 128 kb/s",
        "  Stream #0:1: Video: png (attached pic)",
        "[… 5 bytes left out …]",
        "Stream #0:99999999999999999999: Audio: ",
    ]
)


@given(st.lists(st.one_of(LINES, st.text(max_size=80)), max_size=20))
@BOUNDED
def test_a_description_is_forged_by_none_without_the_secret(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert read_description(text, " <the secret> ").streams == ()


@given(st.lists(st.one_of(LINES, st.text(max_size=80)), max_size=20))
@BOUNDED
def test_a_description_is_read_whatever_it_says(lines: list[str]) -> None:
    description = read_description("\n".join(lines), " <forged> ")
    for stream in description.streams:
        if stream.audio_format is not None:
            assert stream.audio_format.sample_rate_hz > 0
            channel_names(stream.audio_format.layout)


@given(st.text(max_size=200))
@BOUNDED
def test_layouts(layout: str) -> None:
    names = channel_names(layout)
    assert names is None or names


@given(st.binary(max_size=2000))
@BOUNDED
@example(b"title=a\\\nb\nartist=\\")
@example(b"=\n;=\n#=\ntitle")
def test_tags_are_clean_whatever_was_in_them(data: bytes) -> None:
    for name, value in parse_ffmetadata(data).items():
        assert name.islower() and value == clean(value)
        assert 0 < len(value) <= MAX_TAG_CHARACTERS
        assert value.isprintable() or any(not c.isprintable() for c in clean(value))
    assert cover_of(data) is None or data[:3] in (b"\xff\xd8\xff", b"\x89PN")


@given(st.text(max_size=5000))
@BOUNDED
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not set(once) & set("\n\r\t\0\x1b\u202e\u2028")


@given(
    st.one_of(st.text(max_size=300), st.lists(LINES, max_size=9).map("\n".join)),
    st.integers(-20, 255),
    st.sampled_from(["a.mp3", "it's.wav", "$(id).flac", "ünï 🎵.ogg"]),
)
@BOUNDED
def test_whatever_ffmpeg_says_becomes_a_sentence(stderr: str, code: int, file_name: str) -> None:
    damage(stderr)
    error = explain(FFmpegFailed(f"read {file_name!r}", code, stderr), file_name)
    assert isinstance(error, AudioProcessorError)
    assert complaints(str(error), file_name) == []


@pytest.mark.parametrize(
    ("container", "head", "part"),
    [
        ("caf", b"caff\0\1\0\0", b"free" + bytes(8)),
        ("mov", b"", b"\0\0\0\x08free"),
        ("wav", writers.riff(writers.fmt(), b"data\4\0\0\0abcd"), b"JUNK" + bytes(4)),
        ("avi", b"RIFF\0\0\0\0AVI ", b"JUNK" + bytes(4)),
        ("aiff", b"FORM\0\0\0\0AIFF", b"JUNK" + bytes(4)),
        ("ogg", b"", b"OggS\xff"),
        ("mpeg", b"", b"\0\0\1\xba"),
        ("mp3", b"", b"\xff\xfb\x10\x64"),
    ],
)
def test_a_million_parts_of_nothing_are_not_walked(
    container: str, head: bytes, part: bytes, tmp_path: Path
) -> None:
    """CPU time of ours, which no limit of a child's covers."""
    path = tmp_path / "source"
    path.write_bytes(head + part * 1_000_000)
    started = time.process_time()
    read_declared(path, container)
    find_cut(path, container)
    find_surplus(path, container)
    is_locked(path)
    assert time.process_time() - started < 5
