"""Validation: our ladder passes, each fault is found by its rule, strangers' ladders are judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audio_processor.delivery.package import package
from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.delivery.report import Report
from audio_processor.delivery.validate import Expectations, ValidationLimits, validate
from audio_processor.delivery.validate_m4a import Gapless, played_frames
from audio_processor.delivery.validate_media import offset_ms
from audio_processor.delivery.validate_sources import FolderSource, HttpSource, StoreSource
from audio_processor.errors import LimitExceeded, SourceMissing, StoreUnavailable
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Package
from tests.delivery.conftest import Encoded
from tests.delivery.material import MED, RATE_HZ, TIERS, Pcm, encode, inputs, song
from tests.delivery.memory_store import MemoryStore
from tests.player.browser import serving

NAME = "A song, 100% #1?"


@pytest.fixture(scope="module")
def store(packaged: Package) -> MemoryStore:
    store = MemoryStore()
    publish(
        packaged,
        store,
        output_prefix=f"{NAME}/",
        cache_control=CacheControl(),
        generation="g1",
        renew=lambda: None,
    )
    return store


@pytest.fixture
def ladder(store: MemoryStore, tmp_path: Path) -> Path:
    """The published ladder as a folder of the test's own, to be spoilt."""
    folder = tmp_path / NAME
    for key, stored in store.objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.data)
    return folder


@pytest.fixture
def judge(supervisor: Supervisor, tmp_path: Path) -> Callable[[Path], Report]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return lambda folder: validate(FolderSource(folder), supervisor, scratch)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def rules(report: Report) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in report.findings}


def test_our_own_ladder_is_without_a_finding(ladder: Path, judge: Callable[[Path], Report]) -> None:
    report = judge(ladder)
    assert report.findings == ()
    assert report.ok
    assert [r.name for r in report.renditions] == ["low", "med", "high"]
    for rendition in report.renditions:
        assert rendition.segments == 3
        assert rendition.loudness is not None
        assert rendition.loudness.integrated_lufs == pytest.approx(
            rendition.second_opinion_lufs, abs=0.05
        )
        assert rendition.offset_ms is not None
        assert abs(rendition.offset_ms) < 0.1
        assert rendition.bandwidth == rendition.stated_bandwidth
    assert report.m4a is not None
    assert report.m4a.decoded_frames == round(25.3 * 44_100)
    assert report.m4a.title == "Abantu"


def test_a_report_is_plain_values_for_json(ladder: Path, judge: Callable[[Path], Report]) -> None:
    from dataclasses import asdict

    assert json.loads(json.dumps(asdict(judge(ladder)), allow_nan=False))["findings"] == []


def spoil_codecs(ladder: Path) -> None:
    edit(ladder / "playlist.m3u8", ',CODECS="mp4a.40.2"', "")


def spoil_codecs_kind(ladder: Path) -> None:
    edit(ladder / "playlist.m3u8", "mp4a.40.2", "mp4a.40.34")


def spoil_bandwidth(ladder: Path) -> None:
    edit(ladder / "playlist.m3u8", "BANDWIDTH=1", "BANDWIDTH=9")


def spoil_average(ladder: Path) -> None:
    edit(ladder / "playlist.m3u8", "AVERAGE-BANDWIDTH=5", "AVERAGE-BANDWIDTH=3")


def spoil_endlist(ladder: Path) -> None:
    edit(ladder / "med" / "playlist_g1.m3u8", "#EXT-X-ENDLIST\n", "")


def spoil_extinf(ladder: Path) -> None:
    edit(ladder / "low" / "playlist_g1.m3u8", "#EXTINF:4.", "#EXTINF:5.")


def spoil_target(ladder: Path) -> None:
    edit(ladder / "high" / "playlist_g1.m3u8", "TARGETDURATION:10", "TARGETDURATION:9")


def spoil_segment(ladder: Path) -> None:
    (ladder / "med" / "segment_g1_001.ts").unlink()


def spoil_segment_bytes(ladder: Path) -> None:
    path = ladder / "med" / "segment_g1_001.ts"
    path.write_bytes(path.read_bytes()[: 188 * 20 + 7])


def spoil_packet(ladder: Path) -> None:
    path = ladder / "low" / "segment_g1_001.ts"
    data = path.read_bytes()
    path.write_bytes(data[: 188 * 40] + data[188 * 41 :])


def spoil_order(ladder: Path) -> None:
    low, high = ladder / "low" / "segment_g1_000.ts", ladder / "low" / "segment_g1_001.ts"
    data = low.read_bytes()
    low.write_bytes(high.read_bytes())
    high.write_bytes(data)


def spoil_variant(ladder: Path) -> None:
    shutil.rmtree(ladder / "med")


def spoil_way_out(ladder: Path) -> None:
    edit(ladder / "playlist.m3u8", "low/playlist_g1.m3u8", "../../etc/passwd")


def spoil_names(ladder: Path) -> None:
    edit(ladder / "low" / "playlist_g1.m3u8", "segment_g1_001", "x" * 5000)


def spoil_master(ladder: Path) -> None:
    (ladder / "playlist.m3u8").write_text("<html>not found</html>")


def spoil_metadata(ladder: Path) -> None:
    edit(ladder / "metadata.json", '"schema_version"', '"schema_versions"')


def spoil_metadata_count(ladder: Path) -> None:
    edit(ladder / "metadata.json", '"segments": 3', '"segments": 4')


def spoil_m4a(ladder: Path) -> None:
    (ladder / f"{NAME}.m4a").unlink()


def spoil_m4a_bytes(ladder: Path) -> None:
    path = ladder / f"{NAME}.m4a"
    path.write_bytes(path.read_bytes()[:3000])


def spoil_edit_list(ladder: Path) -> None:
    path = ladder / f"{NAME}.m4a"
    data = path.read_bytes()
    assert data.count(b"elst") == 1
    path.write_bytes(data.replace(b"elst", b"free"))


def spoil_itunsmpb(ladder: Path) -> None:
    path = ladder / f"{NAME}.m4a"
    data = path.read_bytes()
    assert data.count(b"0000075A") == 1
    path.write_bytes(data.replace(b"0000075A", b"00000840"))


@pytest.mark.parametrize(
    ("spoil", "rule", "severity"),
    [
        (spoil_codecs, "master.codecs", "error"),
        (spoil_codecs_kind, "master.codecs", "error"),
        (spoil_bandwidth, "master.bandwidth", "warning"),
        (spoil_average, "master.average_bandwidth", "error"),
        (spoil_endlist, "media.vod", "error"),
        (spoil_extinf, "media.extinf", "error"),
        (spoil_target, "media.target_duration", "error"),
        (spoil_segment, "segment.exists", "error"),
        (spoil_segment_bytes, "segment.exists", "error"),
        (spoil_packet, "segment.exists", "error"),
        (spoil_variant, "media.parses", "error"),
        (spoil_way_out, "media.parses", "error"),
        (spoil_names, "segment.exists", "error"),
        (spoil_master, "master.parses", "error"),
        (spoil_metadata, "metadata.schema", "error"),
        (spoil_metadata_count, "metadata.agrees", "warning"),
        (spoil_m4a, "m4a.exists", "warning"),
        (spoil_m4a_bytes, "m4a.decodes", "error"),
        (spoil_edit_list, "m4a.gapless", "warning"),
        (spoil_itunsmpb, "m4a.gapless", "error"),
        (spoil_order, "segment.order", "error"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_each_fault_is_found_by_its_rule(
    ladder: Path,
    judge: Callable[[Path], Report],
    spoil: Callable[[Path], None],
    rule: str,
    severity: str,
) -> None:
    spoil(ladder)
    report = judge(ladder)
    assert (rule, severity) in rules(report)
    assert report.ok == (severity != "error")


def test_loudness_is_judged_against_what_is_asked(
    ladder: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    report = validate(
        FolderSource(ladder), supervisor, tmp_path, expected=Expectations(-16.0, 0.3, -6.0)
    )
    assert rules(report) == {("loudness.integrated", "error"), ("loudness.true_peak", "error")}


def test_what_the_ladder_itself_says_limits_it_is_an_excuse(
    ladder: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    edit(ladder / "metadata.json", '"limited_by": null', '"limited_by": "max_gain"')
    report = validate(FolderSource(ladder), supervisor, tmp_path, expected=Expectations(-16.0))
    assert rules(report) == {("loudness.integrated", "warning")}
    assert report.ok


def test_a_large_ladder_goes_without_the_second_opinion(
    ladder: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    limits = ValidationLimits(second_opinion_s=10)
    report = validate(FolderSource(ladder), supervisor, tmp_path, limits=limits)
    assert {r.second_opinion_lufs for r in report.renditions} == {None}
    assert report.ok


def ffmpegs_own(supervisor: Supervisor, encoded: Encoded, folder: Path, *options: str) -> Path:
    """A ladder as FFmpeg's HLS muxer writes it."""
    folder.mkdir()
    source = folder / "song.f32"
    source.write_bytes(encoded.pcm.tobytes())
    supervisor.run(
        [
            *("-hide_banner", "-loglevel", "error", "-f", "f32le", "-ar", "44100", "-ac", "2"),
            *("-i", str(source), "-map", "0:a", "-map", "0:a", "-c:a", "aac"),
            *("-b:a:0", "48k", "-ar:a:0", "24000", "-b:a:1", "128k", "-f", "hls"),
            *("-hls_time", "10", "-hls_playlist_type", "vod", *options),
            *("-var_stream_map", "a:0,name:low a:1,name:high"),
            *("-master_pl_name", "master.m3u8"),
            *("-hls_segment_filename", f"{folder}/%v/part%d.ts", f"{folder}/%v/list.m3u8"),
        ],
        what="make a ladder of its own",
        timeout_s=120,
    )
    source.unlink()
    return folder


def test_ffmpegs_own_ladder_is_judged(
    supervisor: Supervisor, encoded: Encoded, judge: Callable[[Path], Report], tmp_path: Path
) -> None:
    report = judge(ffmpegs_own(supervisor, encoded, tmp_path / "theirs"))
    assert ("master.independent_segments", "warning") in rules(report)
    assert ("ladder.cuts", "warning") in rules(report)
    assert [r.loudness is not None for r in report.renditions] == [True, True]
    offset = report.renditions[1].offset_ms
    assert offset is not None
    assert abs(offset) < 0.1, "its time stamps make up for the encoders' different delays"


def test_fragmented_mp4_is_said_not_to_be_judged(
    supervisor: Supervisor, encoded: Encoded, judge: Callable[[Path], Report], tmp_path: Path
) -> None:
    report = judge(
        ffmpegs_own(supervisor, encoded, tmp_path / "theirs", "-hls_segment_type", "fmp4")
    )
    assert ("segment.kind", "note") in rules(report)
    assert all(r.loudness is None for r in report.renditions)
    assert report.ok


def test_a_lone_media_playlist_has_no_master(ladder: Path, judge: Callable[[Path], Report]) -> None:
    report = judge(ladder / "high")
    assert ("master.parses", "error") in rules(report)
    assert report.renditions[0].loudness is not None


def test_an_empty_folder(judge: Callable[[Path], Report], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = judge(tmp_path / "empty")
    assert not report.ok
    assert report.renditions == ()


def test_http_and_a_store_give_the_same_verdict_as_the_folder(
    ladder: Path,
    store: MemoryStore,
    judge: Callable[[Path], Report],
    supervisor: Supervisor,
    tmp_path: Path,
) -> None:
    expected = judge(ladder)
    from_store = validate(StoreSource(store, NAME), supervisor, tmp_path)
    named = FolderSource(ladder / "playlist.m3u8"), StoreSource(store, f"{NAME}/playlist.m3u8")
    assert [list(source.playlist_names()) for source in named] == [["playlist.m3u8"]] * 2
    with serving(ladder) as server:
        by_folder = validate(HttpSource(f"{server.url}ladder"), supervisor, tmp_path)
        by_playlist = validate(
            HttpSource(f"{server.url}ladder/playlist.m3u8"), supervisor, tmp_path
        )
    for report in (from_store, by_folder, by_playlist):
        assert report.findings == expected.findings
        assert report.renditions == expected.renditions
        assert report.m4a == expected.m4a


def test_http_source_is_bounded_and_stays_in_its_folder(ladder: Path, tmp_path: Path) -> None:
    with serving(ladder) as server:
        source = HttpSource(f"{server.url}ladder/")
        with pytest.raises(LimitExceeded):
            source.fetch("low/segment_g1_000.ts", tmp_path / "a", max_bytes=1000)
        with pytest.raises(SourceMissing):
            source.fetch("nothing.ts", tmp_path / "a", max_bytes=1000)
        with pytest.raises(SourceMissing, match="403"):
            HttpSource(f"{server.url}elsewhere/").fetch("x", tmp_path / "a", max_bytes=1000)
    with pytest.raises(StoreUnavailable):
        source.fetch("playlist.m3u8", tmp_path / "a", max_bytes=1000)


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "http://user:secret@host/x"])
def test_an_address_that_is_not_taken(url: str) -> None:
    with pytest.raises(SourceMissing) as error:
        HttpSource(url)
    assert "secret" not in str(error.value)


def test_folder_source_does_not_follow_a_link_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "ladder").mkdir()
    (tmp_path / "ladder" / "playlist.m3u8").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceMissing):
        FolderSource(tmp_path / "ladder").fetch("playlist.m3u8", tmp_path / "a", max_bytes=10)


T_S = np.arange(9 * RATE_HZ) / RATE_HZ
DRONE = sum(0.15 * np.sin(2 * np.pi * k * 220 * T_S) / k for k in range(1, 12))
SWELL = 0.6 + 0.4 * np.sin(3 * T_S)


def steady_drone() -> Pcm:
    return np.stack([DRONE, DRONE], 1).astype(np.float32)


def side_only() -> Pcm:
    return np.stack([DRONE * SWELL, -DRONE * SWELL], 1).astype(np.float32)


def square_5_khz() -> Pcm:
    square = 0.3 * np.sign(np.sin(2 * np.pi * 5000.3 * T_S))
    return np.stack([square, square], 1).astype(np.float32)


def antiphase_noise() -> Pcm:
    noise = 0.2 * np.random.default_rng(1).standard_normal(len(T_S))
    return np.stack([noise, -noise], 1).astype(np.float32)


def in_side_only() -> Pcm:
    left = song(9)[:, 0]
    return np.stack([left, -left], 1)


def published(
    supervisor: Supervisor, pcm: Pcm, folder: Path, *, med_late_ms: float = 0.0
) -> StoreSource:
    """A ladder of the sound, one of its tiers late against its time stamps."""
    folder.mkdir()
    shift = np.zeros((round(med_late_ms * RATE_HZ / 1000), 2), np.float32)
    late = np.concatenate([shift, pcm])[: len(pcm)]
    encodes = [encode(supervisor, late if t is MED else pcm, t, folder) for t in TIERS]
    store = MemoryStore()
    publish(
        package(supervisor, inputs(encodes, folder / "package")),
        store,
        output_prefix=f"{NAME}/",
        cache_control=CacheControl(),
        generation="g1",
        renew=lambda: None,
    )
    return StoreSource(store, NAME)


@pytest.mark.parametrize(
    "sound", [steady_drone, side_only, square_5_khz, antiphase_noise, in_side_only]
)
def test_an_aligned_ladder_of_any_sound_is_not_called_misaligned(
    supervisor: Supervisor, tmp_path: Path, sound: Callable[[], Pcm]
) -> None:
    report = validate(published(supervisor, sound(), tmp_path / "ladder"), supervisor, tmp_path)
    assert "ladder.alignment" not in {finding.rule for finding in report.findings}
    offsets = [rendition.offset_ms for rendition in report.renditions]
    if sound is in_side_only:
        assert offsets == pytest.approx([0, 0, 0], abs=0.1)
    else:
        assert all(offset is None or abs(offset) < 0.1 for offset in offsets)


@pytest.mark.parametrize("late_ms", [5.0, 150.0])
def test_a_late_tier_is_found(supervisor: Supervisor, tmp_path: Path, late_ms: float) -> None:
    source = published(supervisor, song(9), tmp_path / "ladder", med_late_ms=late_ms)
    report = validate(source, supervisor, tmp_path)
    (finding,) = [f for f in report.findings if f.rule == "ladder.alignment"]
    assert (finding.severity, finding.where) == ("error", "med")
    assert report.renditions[1].offset_ms == pytest.approx(late_ms, abs=0.1)


def delayed(sound: Pcm, late_ms: float) -> Pcm:
    size = 2 * len(sound)
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / RATE_HZ) * late_ms / 1000)
    late = np.fft.irfft(np.fft.rfft(sound, size, axis=0) * turns[:, None], axis=0)
    return late[: len(sound)].astype(np.float32)


@pytest.mark.parametrize("late_ms", [-20.0, -0.05, 0.0, 0.08, 3.21])
def test_offset_is_measured_between_samples(late_ms: float) -> None:
    sound = song(6)
    measured = offset_ms(sound, RATE_HZ, delayed(sound, late_ms), RATE_HZ)
    assert measured == pytest.approx(late_ms, abs=0.005)


@pytest.mark.parametrize("expected_ms", [-900.0, 0.0, 495.0, 3000.0])
def test_time_stamps_that_tell_something_else_do_not_hide_an_offset(expected_ms: float) -> None:
    sound = song(6)
    measured = offset_ms(sound, RATE_HZ, delayed(sound, 7), RATE_HZ, expected_ms=expected_ms)
    assert measured == pytest.approx(7, abs=0.005)


def test_what_does_not_resemble_has_no_offset() -> None:
    noise = np.random.default_rng(5).standard_normal((2, RATE_HZ * 2, 2)).astype(np.float32)
    assert offset_ms(noise[0], RATE_HZ, noise[1], RATE_HZ) is None


@pytest.mark.parametrize("sound", [steady_drone, square_5_khz])
def test_a_steady_sound_has_no_offset_as_every_period_is_alike(sound: Callable[[], Pcm]) -> None:
    steady = sound()
    assert offset_ms(steady, RATE_HZ, delayed(steady, 1000 / 220), RATE_HZ) is None
    assert offset_ms(steady, RATE_HZ, steady, RATE_HZ) is None


@pytest.mark.parametrize("frames", [0, 100, RATE_HZ * 2])
def test_silence_has_no_offset(frames: int) -> None:
    silence = np.zeros((frames, 2), np.float32)
    assert offset_ms(silence, RATE_HZ, silence, RATE_HZ) is None
    assert offset_ms(silence, RATE_HZ, song(2), RATE_HZ) is None


@pytest.mark.parametrize(
    ("libavcodec", "gapless", "played"),
    [
        ("61.19.101", Gapless(1024, 300, 44_100), 44_100),  # FFmpeg 7.1
        ("59.37.100", Gapless(1024, 0, 44_400), 44_400),
        ("59.37.100", None, 44_400),
        ("62.11.100", Gapless(1024, 300, 44_100), 44_400),  # FFmpeg 8
    ],
)
def test_an_ffmpeg_that_plays_the_last_frame_out_is_no_fault_of_the_file(
    libavcodec: str, gapless: Gapless | None, played: int
) -> None:
    assert played_frames(44_400, gapless, libavcodec) == played
