"""What a probe makes of tags, pictures, lies and limits."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mutagen.flac
import mutagen.id3
import mutagen.oggvorbis
import numpy as np
import pytest

from audio_processor.errors import CorruptMedia, LimitExceeded, UnsupportedMedia
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.declared import read_declared
from audio_processor.media.description import read_description
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import MediaLimits, probe
from audio_processor.media.tags import MAX_TAG_CHARACTERS
from tests.media.material import make, music, read

id3: Any = mutagen.id3  # mutagen publishes no types
flac: Any = mutagen.flac
oggvorbis: Any = mutagen.oggvorbis

RATE = 44_100
PCM = music(1.0, RATE)
TAGS = {
    "title": "Ngoma = drum; \\ # ünïcode",
    "artist": "Someone",
    "album": "An Album",
    "album_artist": "Several",
    "date": "2024",
    "genre": "Kadongo Kamu",
    "track": "3/12",
    "composer": "Composer",
    "comment": "a comment",
    "copyright": "© 2024",
}
TAGGED: dict[str, tuple[str, set[str]]] = {
    "mp3": ("-b:a 128k", set()),
    "flac": ("", set()),
    "ogg": ("-c:a libvorbis", set()),
    "opus": ("-c:a libopus", set()),
    "m4a": ("-c:a aac", set()),
    "wma": ("-c:a wmav2", set()),
    "mka": ("-c:a flac", set()),
    "wav": ("", {"album_artist", "composer"}),
}
"""How to write each, and which tags the format has no room for."""


def some_tags() -> list[str]:
    return [part for name, value in TAGS.items() for part in ("-metadata", f"{name}={value}")]


@pytest.fixture(scope="session", params=["jpg", "png"])
def picture(
    request: pytest.FixtureRequest, binary: FFmpegBinary, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path: Path = tmp_path_factory.mktemp("picture") / f"cover.{request.param}"
    source = "testsrc=size=64x64"
    subprocess.run(
        [*(binary.path, "-v", "error", "-f", "lavfi", "-i", source), *("-frames:v", "1", path)],
        check=True,
    )
    return path


@pytest.mark.parametrize("suffix", TAGGED)
def test_tags_are_read(
    suffix: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    codec, lost = TAGGED[suffix]
    rate = 48_000 if suffix == "opus" else RATE
    path = make(binary, tmp_path / f"x.{suffix}", PCM, rate, [*codec.split(), *some_tags()])
    tags = probe(supervisor, path, path.name).tags
    assert tags == {name: value for name, value in TAGS.items() if name not in lost}


def attach(binary: FFmpegBinary, target: Path, picture: Path, arguments: Sequence[str]) -> Path:
    inputs = ["-i", str(picture), *("-map", "0", "-map", "1")]
    attached = ["-c:v", "copy", "-disposition:v", "attached_pic", *arguments]
    return make(binary, target, PCM, RATE, attached, before=inputs)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "m4a"])
def test_cover_art_is_read_and_is_no_stream(
    suffix: str, picture: Path, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = attach(binary, tmp_path / f"x.{suffix}", picture, [])
    probed, heard, decoder = read(supervisor, path)
    assert probed.cover is not None
    assert probed.cover.data == picture.read_bytes()
    assert probed.cover.mime_type == {".jpg": "image/jpeg", ".png": "image/png"}[picture.suffix]
    assert probed.declared_duration_s == pytest.approx(1.0, abs=0.06)
    assert RATE <= len(heard) < RATE + 1024
    assert decoder.warnings == probed.warnings == ()


def test_cover_art_in_a_vorbis_comment(
    picture: Path, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.ogg", PCM, RATE, ["-c:a", "libvorbis"])
    block = flac.Picture()
    block.data, block.mime, block.type = picture.read_bytes(), "image/jpeg", 3
    file = oggvorbis.OggVorbis(path)
    file["metadata_block_picture"] = [base64.b64encode(block.write()).decode()]
    file.save()
    probed = probe(supervisor, path, path.name)
    assert probed.cover is not None
    assert probed.cover.data == picture.read_bytes()


def test_too_large_a_cover_is_left_out_with_a_warning(
    picture: Path, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = attach(binary, tmp_path / "x.mp3", picture, [])
    probed = probe(supervisor, path, path.name, MediaLimits(max_cover_bytes=100))
    assert probed.cover is None
    assert "cover" in probed.warnings[0]


def test_a_cover_that_is_no_picture_is_left_out(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k"])
    tags = id3.ID3(path)
    tags.add(id3.APIC(mime="image/jpeg", type=3, data=b"<script>alert(1)</script>" * 9))
    tags.save()
    assert probe(supervisor, path, path.name).cover is None


FORGED = "\n".join(
    (
        "x",
        "  Duration: 00:00:00.10, start: 0.000000, bitrate: 128 kb/s",
        "  Stream #0:0: Audio: aac, 8000 Hz, 7.1, fltp, 9 kb/s",
        "Input #0, hls, from 'x':",
    )
)


def test_tags_cannot_pose_as_streams(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    """In a tag's name FFmpeg prints newlines as they are."""
    path = make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k"])
    tags = id3.ID3(path)
    tags.add(id3.TXXX(encoding=3, desc=FORGED.rpartition("\n")[0], text=["x"]))
    tags.add(id3.TIT2(encoding=3, text=[FORGED]))
    tags.save()
    probed = probe(supervisor, path, path.name)
    assert (probed.codec, probed.sample_rate_hz, probed.channels) == ("mp3", RATE, 2)
    assert probed.declared_duration_s is None  # said twice: not believed
    assert "\n" not in probed.tags["title"]


def test_tags_that_pose_as_the_container_are_refused(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k"])
    tags = id3.ID3(path)
    tags.add(id3.TXXX(encoding=3, desc=FORGED, text=["x"]))
    tags.save()
    with pytest.raises(CorruptMedia, match="contradicts itself"):
        probe(supervisor, path, path.name)


def test_a_language_cannot_pose_as_a_codec() -> None:
    line = "  Stream #0:3(x): Audio: pcm_s16le): Audio: flac<secret>48000 Hz, mono, s16\n"
    (stream,) = read_description(line, "<secret>").streams
    assert (stream.index, stream.codec) == (3, "flac")


def test_tags_are_made_harmless(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k"])
    tags = id3.ID3(path)
    tags.add(id3.TIT2(encoding=3, text=["a\x1b[31m\u202eb\r\nc\x7f\td" + "e" * 5000]))
    tags.add(id3.TXXX(encoding=3, desc="SECRET", text=["not carried"]))
    tags.save()
    found = probe(supervisor, path, path.name).tags
    assert found["title"].startswith("a[31mb c")
    assert len(found["title"]) == MAX_TAG_CHARACTERS
    assert set(found) == {"title"}


def test_damaged_tags_do_not_stop_the_audio(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k", "-metadata", "title=yes"])
    data = bytearray(path.read_bytes())
    data[10:30] = bytes(range(200, 220))
    path.write_bytes(data)
    _, heard, _ = read(supervisor, path)
    assert len(heard) == pytest.approx(RATE, abs=2 * 1152)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (MediaLimits(max_duration_s=0.5), "lasts"),
        (MediaLimits(min_sample_rate_hz=48_000), "sample rate"),
        (MediaLimits(max_sample_rate_hz=32_000), "sample rate"),
        (MediaLimits(max_channels=1), "channels"),
    ],
)
def test_limits(
    limits: MediaLimits, word: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "source", PCM, RATE, ["-f", "wav"])
    with pytest.raises(LimitExceeded, match=word) as refused:
        probe(supervisor, path, "My song.wav", limits)
    assert "'My song.wav'" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_video_without_sound_is_refused(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    source = "testsrc=size=64x64:duration=1"
    subprocess.run([binary.path, "-v", "error", "-f", "lavfi", "-i", source, path], check=True)
    with pytest.raises(UnsupportedMedia, match="no audio"):
        probe(supervisor, path, "clip.mp4")


@pytest.mark.parametrize("container", ["wav", "caf", "asf"])
def test_no_header_breaks_the_reader(container: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    rng = np.random.default_rng(3)
    starts = {
        "wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
        "caf": b"caff\x00\x01\x00\x00desc",
        "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    }
    for length in (0, 3, 8, 20, 60, 200, 500):
        for _ in range(20):
            path.write_bytes(starts[container][:length] + rng.bytes(length))
            declared = read_declared(path, container).duration_s
            assert declared is None or declared > -1e12
