"""Readers of what was delivered, by us or by others: ``ValueError``, or an answer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audio_processor.delivery import adts, mp4
from audio_processor.delivery.playlist_reader import is_master, read_master, read_media
from audio_processor.delivery.transport_stream import read_audio
from audio_processor.delivery.validate_document import excuse_of, schema_findings, told_m4a
from audio_processor.media.adts import count_frames
from tests.hostile import writers
from tests.hostile.encodings import ENCODINGS
from tests.hostile.mutants import BOUNDED, mutants
from tests.hostile.yard import Yard

ONE_FOLDER = settings(BOUNDED, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answers(read: Callable[[], object]) -> None:
    """The one error that a reader's docstring announces, or an answer."""
    try:
        read()
    except ValueError as error:
        assert str(error), "it says nothing"


# ── playlists ────────────────────────────────────────────────────────────────────────────

PLAYLIST_LINES = st.sampled_from(
    [
        "#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:10", "#EXT-X-TARGETDURATION:x",
        "#EXTINF:9.98,", "#EXTINF:", "#EXTINF:1e999,", "#EXTINF:-1,", "#EXTINF:nan,",
        "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"mp4a.40.2\"", "#EXT-X-STREAM-INF:",
        "#EXT-X-STREAM-INF:BANDWIDTH=99999999999999999999", "#EXT-X-STREAM-INF:A=\"", "segment.ts",
        "../../etc/passwd", "http://x/y", "#EXT-X-ENDLIST", "#EXT-X-KEY:METHOD=AES-128,URI=\"x\"",
        "#EXT-X-MAP:URI=\"x\"", "\ufeff", "",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(PLAYLIST_LINES, st.text(max_size=40)), max_size=30))
@BOUNDED
@example(["#EXTM3U", "#EXTINF:9.98,", "segment.ts"])
def test_playlists(lines: list[str]) -> None:
    for text in ("\n".join(lines), "#EXTM3U\n" + "\r\n".join(lines)):
        is_master(text)
        answers(lambda text=text: read_master(text))  # type: ignore[misc]  # bound now
        answers(lambda text=text: read_media(text))  # type: ignore[misc]  # bound now


@pytest.mark.parametrize("read", [read_master, read_media])
def test_a_playlist_without_end_is_refused_in_time(read: Callable[[str], object]) -> None:
    endless = "#EXTM3U\n" + "#EXTINF:1,\nx.ts\n#EXT-X-STREAM-INF:A=1\nx\n" * 100_000
    with pytest.raises(ValueError, match="more than"):
        read(endless)
    with pytest.raises(ValueError, match="EXTM3U"):
        read("#EXTM3U" + 'A="' * 300_000)


# ── streams ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["ts aac", "ts mp2"])
def test_transport_streams(name: str, yard: Yard) -> None:
    good = ENCODINGS[name].data(yard.workshop)[: 188 * 40]

    @given(mutants(good), st.booleans())
    @BOUNDED
    def holds(data: bytes, whole_packets: bool) -> None:
        if whole_packets:  # past the first check, into the tables and headers
            data = data[: len(data) // 188 * 188]
            data = b"".join(b"\x47" + data[at + 1 : at + 188] for at in range(0, len(data), 188))
        answers(lambda: read_audio(data))

    holds()


def test_adts(yard: Yard, tmp_path: Path) -> None:
    good = ENCODINGS["adts"].data(yard.workshop)[:6000]
    path = tmp_path / "x.aac"

    @given(st.one_of(mutants(good), st.binary(max_size=60)))
    @BOUNDED
    def holds(data: bytes) -> None:
        path.write_bytes(data)
        answers(lambda: adts.frame_offsets(data))
        answers(lambda: adts.frame_count(data))
        answers(lambda: adts.read_format(data))
        answers(lambda: b"".join(adts.payloads(path)))
        answers(lambda: count_frames(path, 44_100))

    holds()


@pytest.mark.parametrize("name", ["m4a", "m4a faststart", "m4a alac", "by hand"])
def test_mp4(name: str, yard: Yard) -> None:
    whole = (
        writers.m4a(edits=[(44_100, 0)])
        if name == "by hand"
        else ENCODINGS[name].data(yard.workshop)
    )
    index = whole.index(b"moov") - 4
    good = whole[: index + 2500][-4000:] if name == "m4a" else whole[:4000]

    @given(mutants(good))
    @BOUNDED
    def holds(data: bytes) -> None:
        answers(lambda: mp4.top_level(io.BytesIO(data)))
        answers(lambda: mp4.read_track(io.BytesIO(data)))
        answers(lambda: mp4.set_edit(io.BytesIO(data), mp4.Edit(1024, 44_100)))
        answers(lambda: mp4.put_index_first(io.BytesIO(data), io.BytesIO()))

    holds()


# ── metadata.json ────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["m4a", "file", "renditions", "name", "limited_by", "plan", "source", "version"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@given(JSON)
@BOUNDED
def test_any_document_is_held_against_the_schema(document: object) -> None:
    assert json.dumps(document)
    assert list(schema_findings(document)), "nothing of this is a metadata.json"


@given(st.dictionaries(st.sampled_from(["m4a", "renditions", "plan"]), JSON), st.none() | st.text())
@BOUNDED
def test_excuses_and_names_are_looked_for_in_any_document(
    document: dict[str, object], name: str | None
) -> None:
    excuse = excuse_of(document, name)
    assert excuse is None or isinstance(excuse, str)
    for told in told_m4a(document):
        assert told.strip(".") and not set(told) & set("/\\\0")
