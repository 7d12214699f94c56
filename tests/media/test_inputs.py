"""Every kind of upload: what its probe says and what comes out of its decode, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from tests.media.material import lag_frames, level_db, make, music, read

SECONDS = 3.0


@dataclass(frozen=True)
class Kind:
    """How to make a file, and what has to be found in it."""

    suffix: str
    arguments: str
    container: str
    codec: str
    bit_depth: int | None = None
    """Of a lossless kind; it comes out to within one step of it."""
    declares: bool = True
    sample_rate_hz: int = 44_100
    spare_frames: int = 0
    """Codec padding that the container does not tell the decoder to drop."""
    missing_frames: int = 0
    late_frames: int = 0
    level_db: float = 0.2


KINDS = {
    "wav 16": Kind("wav", "-c:a pcm_s16le", "wav", "pcm_s16le", 16),
    "wav 24": Kind("wav", "-c:a pcm_s24le", "wav", "pcm_s24le", 24),
    "wav 32": Kind("wav", "-c:a pcm_s32le", "wav", "pcm_s32le", 32),
    "wav float": Kind("wav", "-c:a pcm_f32le", "wav", "pcm_f32le", 32),
    "RF64": Kind("wav", "-c:a pcm_s24le -rf64 always", "wav", "pcm_s24le", 24),
    "w64": Kind("w64", "-c:a pcm_s16le", "w64", "pcm_s16le", 16),
    "flac 16": Kind("flac", "-c:a flac -sample_fmt s16", "flac", "flac", 16),
    "flac 24": Kind("flac", "-c:a flac -sample_fmt s32", "flac", "flac", 24),
    "aiff": Kind("aiff", "-c:a pcm_s16be", "aiff", "pcm_s16be", 16),
    "aiff 24": Kind("aiff", "-c:a pcm_s24be", "aiff", "pcm_s24be", 24),
    "caf": Kind("caf", "-c:a pcm_s24le", "caf", "pcm_s24le", 24),
    "alac": Kind("m4a", "-c:a alac -sample_fmt s32p", "mov", "alac", 24),
    "wavpack": Kind("wv", "-c:a wavpack -sample_fmt s32p", "wv", "wavpack", 32),
    "tta": Kind("tta", "-c:a tta -sample_fmt s32", "tta", "tta", 24),
    # LAME's constant bit rates turn the input down, by 0.26 dB at 192 kbit/s
    "mp3 cbr": Kind("mp3", "-c:a libmp3lame -b:a 192k", "mp3", "mp3", level_db=0.3),
    "mp3 vbr": Kind("mp3", "-c:a libmp3lame -q:a 2", "mp3", "mp3"),
    "mp3 without a Xing header": Kind(
        "mp3",
        "-c:a libmp3lame -q:a 2 -write_xing 0",
        "mp3",
        "mp3",
        declares=False,
        spare_frames=3 * 1152,
        late_frames=1105,
    ),
    # older FFmpegs do not drop the last frame's padding
    "m4a aac": Kind("m4a", "-c:a aac -b:a 192k", "mov", "aac", spare_frames=1023),
    "adts": Kind(
        *("aac", "-c:a aac -b:a 192k", "aac", "aac"),
        declares=False,
        spare_frames=3 * 1024,
        late_frames=1024,
    ),
    "ogg vorbis": Kind("ogg", "-c:a libvorbis -q:a 5", "ogg", "vorbis"),
    "opus": Kind("opus", "-c:a libopus -b:a 128k", "ogg", "opus", sample_rate_hz=48_000),
    # FFmpeg's decoder drops the two frames that real WMA encoders prepend; its own prepends one
    "wma": Kind(
        *("wma", "-c:a wmav2 -b:a 192k", "asf", "wmav2"), missing_frames=2048, late_frames=-2048
    ),
    "ac3": Kind(
        *("ac3", "-c:a ac3 -b:a 256k", "ac3", "ac3"),
        declares=False,
        spare_frames=1536 + 256,
        late_frames=256,
    ),
    "matroska": Kind("mka", "-c:a flac -sample_fmt s16", "matroska", "flac", 16),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_kind(kind: Kind, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path) -> None:
    rate = kind.sample_rate_hz
    pcm = music(SECONDS, rate)
    path = make(binary, tmp_path / f"x.{kind.suffix}", pcm, rate, kind.arguments.split())

    probed, heard, decoder = read(supervisor, path)

    assert probed.container.split(",")[0] == kind.container
    assert (probed.codec, probed.sample_rate_hz, probed.channels) == (kind.codec, rate, 2)
    assert (probed.channel_layout, probed.bit_depth) == ("stereo", kind.bit_depth)
    if kind.declares:
        assert probed.declared_duration_s == pytest.approx(SECONDS, abs=0.06)
    else:
        assert probed.declared_duration_s is None
    assert decoder.warnings == ()
    assert decoder.frames == len(heard)
    assert -kind.missing_frames <= len(heard) - len(pcm) <= kind.spare_frames
    if kind.bit_depth is not None:
        step = 2.0 ** (1 - min(kind.bit_depth, 24))
        assert np.abs(heard - pcm).max() <= step
    else:
        assert lag_frames(pcm, heard) == pytest.approx(kind.late_frames, abs=0.1)
        aligned = heard[max(0, kind.late_frames) :][: len(pcm)]
        sent = pcm[max(0, -kind.late_frames) :]
        assert level_db(aligned) == pytest.approx(level_db(sent), abs=kind.level_db)


@pytest.mark.parametrize(
    "sample_rate_hz",
    [8_000, 11_025, 16_000, 22_050, 32_000, 48_000, 88_200, 96_000, 176_400, 192_000],
)
def test_sample_rate(
    sample_rate_hz: int, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    pcm = music(1.0, sample_rate_hz)
    path = make(binary, tmp_path / "x.flac", pcm, sample_rate_hz, ["-c:a", "flac"])

    probed, heard, _ = read(supervisor, path)

    assert probed.sample_rate_hz == sample_rate_hz
    assert heard.shape == pcm.shape
    assert np.abs(heard - pcm).max() <= 2**-23


@pytest.mark.parametrize(
    ("suffix", "video"),
    [
        ("mov", "mpeg4"),
        ("mkv", "mpeg4"),
        ("avi", "mpeg4"),
        ("ts", "mpeg2video"),
        ("mpg", "mpeg1video"),
    ],
)
def test_first_audio_stream_of_a_video(
    suffix: str, video: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    first, second = music(2.0, 48_000), music(2.0, 48_000, seed=77)
    other = make(binary, tmp_path / "second.wav", second, 48_000, ["-c:a", "pcm_f32le"])
    path = make(
        *(binary, tmp_path / f"x.{suffix}", first, 48_000),
        f"-map 2:v -map 0:a -map 1:a -c:v {video} -c:a mp2 -b:a 256k -t 2".split(),
        before=[*("-i", str(other)), *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25")],
    )

    probed, heard, decoder = read(supervisor, path)

    assert (probed.codec, probed.declared_duration_s) == ("mp2", None)
    assert decoder.warnings == ()
    late = lag_frames(first, heard)
    assert abs(late) < 2 * 1152
    aligned = heard[max(0, round(late)) :][: len(first)]
    start = max(0, -round(late))
    reference = first[start : start + len(aligned)]
    left = np.corrcoef(aligned[: len(reference), 0], reference[: len(aligned), 0])[0, 1]
    assert left > 0.99


def test_decode_at_another_rate(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:

    path = make(binary, tmp_path / "x.wav", music(2.0, 96_000), 96_000, ["-c:a", "pcm_f32le"])
    probed = probe(supervisor, path, "x.wav")
    with decode(supervisor, path, probed, file_name="x.wav", sample_rate_hz=48_000) as decoder:
        heard = np.concatenate(list(decoder))
    assert abs(len(heard) - 96_000) <= 1
    assert level_db(heard) == pytest.approx(level_db(music(2.0, 96_000)), abs=0.05)


def test_blocks_do_not_depend_on_how_they_are_cut(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:

    path = make(binary, tmp_path / "x.mp3", music(2.0, 44_100), 44_100, ["-b:a", "128k"])
    probed = probe(supervisor, path, "x.mp3")
    heard = []
    for block_frames in (977, 16_384):
        with decode(
            supervisor, path, probed, file_name="x.mp3", block_frames=block_frames
        ) as decoder:
            blocks = list(decoder)
        assert {len(block) for block in blocks[:-1]} == {block_frames}
        assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
        heard.append(np.concatenate(blocks))
    assert np.array_equal(heard[0], heard[1])
