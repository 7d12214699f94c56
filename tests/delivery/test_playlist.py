"""Playlists as text."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.playlist import (
    Variant,
    average_bandwidth,
    master_playlist,
    media_playlist,
    peak_bandwidth,
    target_duration_s,
    uri,
)
from audio_processor.delivery.playlist_reader import read_master, read_media
from audio_processor.delivery.validate_sources import resolve
from audio_processor.model import Segment
from tests.delivery.golden_files import assert_golden

NAMES = st.text(min_size=1, max_size=20).filter(lambda name: bool(name.strip(".")))
SIZES_AND_DURATIONS = st.lists(
    st.tuples(st.integers(1, 10**7), st.floats(0.5, 60)), min_size=1, max_size=40
)


def segments(*durations_s: float) -> list[Segment]:
    return [
        Segment(Path("x"), f"segment_{number:03d}.ts", duration_s, 65_000)
        for number, duration_s in enumerate(durations_s)
    ]


def test_media_playlist_golden() -> None:
    playlist = media_playlist(segments(10.24, 10.24, 2816 * 1024 / 44100 / 10))
    assert_golden("media.m3u8", playlist)


def test_master_playlist_golden() -> None:
    playlist = master_playlist(
        [
            Variant("high", 137_035, 135_862),
            Variant("low", 52_582, 52_381),
            Variant("med", 70_941, 69_140),
            Variant('a "tier", with\nall #1?', 200_000, 190_000),
        ]
    )
    assert_golden("master.m3u8", playlist)


@given(NAMES)
def test_any_name_is_one_line_that_leads_back_to_it(name: str) -> None:
    try:
        escaped = uri(name)
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    assert escaped.isascii()
    assert not set(escaped) & set('/\\?#:" \r\n')
    if "/" not in name and "\\" not in name and "\0" not in name:
        assert resolve("playlist.m3u8", f"{escaped}/playlist.m3u8") == f"{name}/playlist.m3u8"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_of_dots_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        uri(name)


@given(st.lists(st.floats(0.02, 70), min_size=1, max_size=50))
def test_media_playlist_reads_back(durations_s: list[float]) -> None:
    media = read_media(media_playlist(segments(*durations_s)))
    assert [duration for _, duration in media.entries] == pytest.approx(durations_s, abs=5e-7)
    assert (media.playlist_type, media.ended, media.not_judged) == ("VOD", True, ())
    assert media.target_duration_s == target_duration_s(durations_s)
    # RFC 8216 §4.3.3.1: no EXTINF, rounded to the nearest, is above it
    assert all(int(d + 0.5) <= media.target_duration_s for d in durations_s)


def test_master_playlist_reads_back_lowest_first() -> None:
    master = read_master(
        master_playlist([Variant("high", 137_035, 135_862), Variant("low", 52_582, 52_381)])
    )
    assert [v.uri for v in master.variants] == ["low/playlist.m3u8", "high/playlist.m3u8"]
    assert [v.bandwidth for v in master.variants] == [52_582, 137_035]
    assert [v.average_bandwidth for v in master.variants] == [52_381, 135_862]
    assert {v.codecs for v in master.variants} == {"mp4a.40.2"}
    assert master.independent_segments


def test_peak_is_the_largest_segments_rate() -> None:
    assert peak_bandwidth([1000, 3000, 2000], [10, 10, 10]) == 2400
    assert average_bandwidth([1000, 3000, 2000], [10, 10, 10]) == 1600


def test_a_short_last_segment_does_not_make_the_peak_alone() -> None:
    # 0.5 to 1.5 target durations: the last counts together with the one before
    assert peak_bandwidth([1000, 1000, 400], [10, 10, 1]) == round(1400 * 8 / 11 + 0.5)


@given(SIZES_AND_DURATIONS)
def test_peak_is_never_below_the_average(both: list[tuple[int, float]]) -> None:
    sizes, durations_s = zip(*both, strict=True)
    average = average_bandwidth(sizes, durations_s)
    peak = peak_bandwidth(sizes, durations_s)
    fastest = max(size * 8 / duration for size, duration in both)
    assert 0 < average <= peak <= fastest + 1


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "#EXTM3U",
                '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="a,b"',
                "#EXT-X-TARGETDURATION:10",
                "#EXTINF:10.0,",
                "#EXTINF:nan,",
                "segment_000.ts",
                "../x.ts",
            ]
        ),
        st.text(max_size=30),
    ),
    max_size=12,
).map(lambda lines: "\n".join(["#EXTM3U", *lines]))


@given(LINES)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_master, read_media):
        with contextlib.suppress(ValueError):
            read(text)


@given(st.text(max_size=40))
def test_no_uri_leads_out_of_the_ladder(reference: str) -> None:
    with contextlib.suppress(ValueError):
        names = resolve("low/playlist.m3u8", reference).split("/")
        assert not {"", ".", ".."} & set(names)


@pytest.mark.parametrize(
    "reference",
    [
        *("/etc/passwd", "//host/x.ts", "http://host/x.ts", "file:///etc/passwd"),
        *("../../x.ts", "x/../../../x.ts", "..", "a/"),
        *("..%2fx.ts", "%2e%2e/%2e%2e/x.ts", "a%00.ts", "", "#x"),
    ],
)
def test_a_uri_that_leads_out_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match=r"leads out|names no file"):
        resolve("low/playlist.m3u8", reference)


def test_another_folder_of_the_ladder_is_within_it() -> None:
    assert resolve("low/playlist.m3u8", "../high/./x%20y.ts?token=1") == "high/x y.ts"


def test_a_strangers_playlist_is_read() -> None:
    master = read_master(
        "\ufeff#EXTM3U\r\n#EXT-X-VERSION:3\r\n"
        '#EXT-X-STREAM-INF:CODECS="mp4a.40.2, avc1.4d401e",BANDWIDTH=52800,AUDIO="a,b"\r\n'
        "a/b.m3u8?token=1\r\n"
    )
    (variant,) = master.variants
    assert (variant.bandwidth, variant.average_bandwidth) == (52_800, None)
    assert variant.codecs == "mp4a.40.2, avc1.4d401e"
    media = read_media(
        '#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:6,title\nx\n'
    )
    assert media.entries == (("x", 6.0),)
    assert (media.ended, media.playlist_type, media.not_judged) == (False, None, ("EXT-X-KEY",))
