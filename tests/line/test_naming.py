"""Which file names are accepted, and what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.errors import NameRejected
from audio_processor.naming import MAX_NAME_BYTES, track_id_of


@pytest.mark.parametrize(
    ("file_name", "track_id"),
    [
        ("song.mp3", "song"),
        ("song.remix.wav", "song.remix"),
        ("no extension", "no extension"),
        ("-leading dash.mp3", "-leading dash"),
        ("%0d%0a.mp3", "%0d%0a"),
        ('it\'s "quoted".flac', 'it\'s "quoted"'),
        ("🎵 ünï.ogg", "🎵 ünï"),
        ("👩\u200d🎤 live.wav", "👩\u200d🎤 live"),
    ],
)
def test_the_stem_is_the_track_id(file_name: str, track_id: str) -> None:
    assert track_id_of(file_name) == track_id


@pytest.mark.parametrize(
    "file_name",
    ["", ".", "..", "...mp3", ".mp3", " .mp3", "../x.mp3", "/etc/passwd", "a/b.mp3", "a\\b.mp3",
     "a\0.mp3", "a\n.mp3", "a\r.mp3", "a\x7f.mp3", "a\u2028.mp3", "a\u202e3pm.wav",
     "a\u2066b.mp3", "\ud800.mp3", "x" * 256],
)  # fmt: skip
def test_names_that_could_do_harm_are_rejected(file_name: str) -> None:
    with pytest.raises(NameRejected):
        track_id_of(file_name)


@given(st.text(max_size=300))
def test_an_accepted_name_is_one_safe_path_segment(file_name: str) -> None:
    try:
        track_id = track_id_of(file_name)
    except NameRejected as error:
        message = str(error)
        assert "\n" not in message and len(message) < 300
        return
    assert track_id not in {"", ".", ".."}
    assert "/" not in track_id and "\n" not in track_id and "\0" not in track_id
    assert len(track_id.encode()) <= MAX_NAME_BYTES
    assert file_name.startswith(track_id)
