"""Tags in FFmpeg's notation, and in our m4a."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutagen.mp4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.media.tags import (
    MAX_TAG_CHARACTERS,
    clean,
    cover_of,
    parse_ffmetadata,
    write_m4a_tags,
)
from audio_processor.model import CoverArt
from tests.media.material import make, music, read

mp4: Any = mutagen.mp4  # publishes no types
ITUNSMPB = " 00000000 00000400 000002F0 000000000002B110" + " 00000000" * 8
"""True of the m4a below: 4 s, one frame of lead, 174 frames of AAC. FFmpeg goes by it too."""
JPEG = CoverArt(b"\xff\xd8\xff\xe0" + bytes(70_000), "image/jpeg")
PNG = CoverArt(b"\x89PNG\r\n\x1a\n" + bytes(500), "image/png")
TAGS = {
    "title": "Ngoma ünïcode",
    "artist": "Someone",
    "album": "An Album",
    "album_artist": "Several",
    "date": "2024",
    "genre": "Kadongo Kamu",
    "track": "3/12",
    "disc": "1",
    "composer": "Composer",
    "comment": "a comment",
    "copyright": "© 2024",
    "isrc": "UGXXX2400001",
}


def escape(text: str) -> str:
    return "".join("\\" + c if c in "=;#\\\n" else c for c in text)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_no_value_can_pose_as_another_tag(title: str, unknown: str) -> None:
    written = f";FFMETADATA1\nother{escape(unknown)}={escape(unknown)}\ntitle={escape(title)}\n"
    expected = clean(title)
    assert parse_ffmetadata(written.encode()) == ({"title": expected} if expected else {})


@given(st.binary())
def test_no_bytes_break_the_parser(data: bytes) -> None:
    assert all(value == clean(value) for value in parse_ffmetadata(data).values())


@given(st.text())
def test_clean_text_is_one_line_of_bounded_length(text: str) -> None:
    shown = clean(text)
    assert len(shown) <= MAX_TAG_CHARACTERS
    assert not set(shown) & set("\n\r\t\x00\x1b\x7f\u202e\u2066")
    assert clean(shown) == shown


def test_the_first_spelling_wins_and_sections_are_left_out() -> None:
    written = b";FFMETADATA1\nTSRC=UG1\nISRC=UG2\n[CHAPTER]\ntitle=a chapter\n"
    assert parse_ffmetadata(written) == {"isrc": "UG1"}


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (JPEG.data, "image/jpeg"),
        (PNG.data, "image/png"),
        (b"<svg/>", None),
        (b"", None),
        (b"GIF89a", None),
    ],
)
def test_a_cover_is_what_it_begins_like(data: bytes, mime_type: str | None) -> None:
    cover = cover_of(data)
    assert (cover and cover.mime_type) == mime_type


@pytest.fixture
def m4a(binary: FFmpegBinary, tmp_path: Path) -> Path:
    arguments = ["-c:a", "aac", "-movflags", "+faststart", "-f", "ipod"]
    return make(binary, tmp_path / "x.m4a", music(4.0, 44_100), 44_100, arguments)


@pytest.mark.parametrize("cover", [None, JPEG, PNG], ids=["none", "jpeg", "png"])
def test_tags_are_written_and_the_audio_stays(
    cover: CoverArt | None, m4a: Path, supervisor: Supervisor
) -> None:
    before = read(supervisor, m4a)[1]
    write_m4a_tags(m4a, TAGS, cover, ITUNSMPB)

    data = m4a.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert np.array_equal(read(supervisor, m4a)[1], before)
    written = mp4.MP4(m4a).tags
    assert written["trkn"] == [(3, 12)]
    assert written["disk"] == [(1, 0)]
    assert bytes(written["----:com.apple.iTunes:iTunSMPB"][0]) == ITUNSMPB.encode()
    assert bytes(written["----:com.apple.iTunes:ISRC"][0]) == b"UGXXX2400001"
    probed = probe(supervisor, m4a, "x.m4a")
    assert probed.tags == TAGS
    if cover is None:
        assert "covr" not in written
    else:
        assert bytes(written["covr"][0]) == cover.data
        assert probed.cover == cover


def test_no_tags_leave_the_gapless_comment(m4a: Path, supervisor: Supervisor) -> None:
    write_m4a_tags(m4a, {"track": "side B", "unknown": "x"}, None, ITUNSMPB)
    assert set(mp4.MP4(m4a).tags) <= {"----:com.apple.iTunes:iTunSMPB", "\xa9too"}


def test_the_same_tags_are_the_same_bytes(m4a: Path) -> None:
    plain = m4a.read_bytes()
    write_m4a_tags(m4a, TAGS, JPEG, ITUNSMPB)
    first = m4a.read_bytes()
    m4a.write_bytes(plain)
    write_m4a_tags(m4a, TAGS, JPEG, ITUNSMPB)
    assert m4a.read_bytes() == first
