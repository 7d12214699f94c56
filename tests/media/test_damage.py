"""Files that are not what they seem: cut short, damaged, empty, foreign, or out for others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from audio_processor.errors import CorruptMedia, LimitExceeded, UnsupportedMedia
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import decode
from audio_processor.media.diagnosis import Damage, damage
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from tests.media.material import make, music, read, tones

RATE = 44_100
PCM = music(4.0, RATE)

DECLARING = {
    "wav": "-c:a pcm_s16le",
    "RF64 wav": "-c:a pcm_s24le -rf64 always",
    "flac": "-c:a flac",
    "aiff": "-c:a pcm_s16be",
    "caf": "-c:a pcm_s16le",
    "faststart m4a": "-c:a aac -movflags +faststart",
    "alac m4a": "-c:a alac -movflags +faststart",
    "mp3": "-b:a 128k",
    "vbr mp3": "-q:a 2",
    "wma": "-c:a wmav2",
    "wv": "-c:a wavpack",
    "tta": "-c:a tta",
    "mka": "-c:a flac",
}
"""Containers that say how long they are; the last word is the suffix."""


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


@pytest.mark.parametrize("kind", DECLARING)
def test_half_a_file_is_refused(
    kind: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    target = tmp_path / f"x.{kind.rpartition(' ')[2]}"
    path = cut(make(binary, target, PCM, RATE, DECLARING[kind].split()), 0.5)
    with pytest.raises(CorruptMedia, match=r"of the 4\.0 s it declares [123]\.\d s are missing"):
        read(supervisor, path)


@pytest.mark.parametrize("kind", DECLARING)
def test_a_whole_file_passes_without_a_word(
    kind: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    target = tmp_path / f"x.{kind.rpartition(' ')[2]}"
    path = make(binary, target, PCM, RATE, DECLARING[kind].split())
    assert read(supervisor, path)[2].warnings == ()


def test_half_a_file_can_be_accepted(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = cut(make(binary, tmp_path / "x.flac", PCM, RATE, []), 0.5)
    probed = probe(supervisor, path, "x.flac")
    with decode(supervisor, path, probed, file_name="x.flac", accept_truncated=True) as decoder:
        frames = sum(len(block) for block in decoder)
    assert 0 < frames < len(PCM)
    assert "missing" in decoder.warnings[0]


@pytest.mark.parametrize("arguments", ["-q:a 2 -write_xing 0", "-b:a 128k -write_xing 0"])
def test_an_estimated_length_is_not_held_against_the_file(
    arguments: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    quiet_then_loud = np.concatenate([np.zeros_like(PCM), PCM])
    path = make(binary, tmp_path / "x.mp3", quiet_then_loud, RATE, arguments.split())
    _, heard, decoder = read(supervisor, path)
    assert len(heard) == pytest.approx(len(quiet_then_loud), abs=3 * 1152)
    assert decoder.warnings == ()


@pytest.mark.parametrize(("suffix", "codec"), [("ogg", "libvorbis"), ("opus", "libopus")])
@pytest.mark.parametrize("at_a_page", [False, True])
def test_half_an_ogg_lacks_its_last_page(
    at_a_page: bool,
    suffix: str,
    codec: str,
    supervisor: Supervisor,
    binary: FFmpegBinary,
    tmp_path: Path,
) -> None:
    """Also where it was cut between two pages: only the last one is marked as that."""
    path = make(binary, tmp_path / f"x.{suffix}", music(4.0, 48_000), 48_000, ["-c:a", codec])
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"OggS") - (0 if at_a_page else 9)])
    with pytest.raises(CorruptMedia, match=r"ends after [234]\.\d s in the middle"):
        read(supervisor, path)


LONG_S = 1200.0
LONG_RATE = 8_000
LONG_FRAME_BYTES = 72


@pytest.fixture(scope="module")
def long_mp3(binary: FFmpegBinary, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twenty minutes in frames of 72 ms; the first says how many there are, in how many bytes."""
    hum = tones(LONG_S, LONG_RATE, [220])
    target = tmp_path_factory.mktemp("long") / "x.mp3"
    return make(binary, target, hum, LONG_RATE, ["-b:a", "8k"]).read_bytes()


def without_its_bytes(data: bytes) -> bytes:
    """Leave the Xing header nothing but its count of frames."""
    at = data.index(b"Info") + 12
    return data[:at] + bytes(4) + data[at + 4 :]


def test_a_long_lossy_file_that_is_whole_passes(
    long_mp3: bytes, supervisor: Supervisor, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(long_mp3)
    _, heard, decoder = read(supervisor, path)
    assert len(heard) == LONG_S * LONG_RATE
    assert decoder.warnings == ()


@pytest.mark.parametrize(("frames", "states_bytes"), [(3, True), (20, True), (20, False)])
def test_a_long_lossy_file_may_lose_no_more_than_a_short_one(
    frames: int, states_bytes: bool, long_mp3: bytes, supervisor: Supervisor, tmp_path: Path
) -> None:
    """Whole frames from its end: by the count of bytes not one, by that of frames 0.25 s."""
    whole = long_mp3 if states_bytes else without_its_bytes(long_mp3)
    path = tmp_path / "x.mp3"
    path.write_bytes(whole[: -frames * LONG_FRAME_BYTES])
    with pytest.raises(CorruptMedia, match=r"of the 1200\.0 s it declares \S+ m?s are missing"):
        read(supervisor, path)


@pytest.mark.parametrize("counts", ["nothing", "its tag"])
def test_a_count_of_bytes_that_cannot_be_meant_is_let_be(
    counts: str, long_mp3: bytes, supervisor: Supervisor, tmp_path: Path
) -> None:
    at = long_mp3.index(b"Info") + 12
    stated = {"nothing": 0, "its tag": len(long_mp3)}[counts]
    path = tmp_path / "x.mp3"
    path.write_bytes(long_mp3[:at] + struct.pack(">I", stated) + long_mp3[at + 4 :])
    assert read(supervisor, path)[2].warnings == ()


def test_an_m4a_without_its_index_is_refused(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = cut(make(binary, tmp_path / "x.m4a", PCM, RATE, ["-c:a", "aac"]), 0.5)
    with pytest.raises(CorruptMedia, match="damaged"):
        probe(supervisor, path, "x.m4a")


def test_a_wav_that_was_streamed_is_whole(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    """A header written into a pipe says 0xFFFFFFFF, or 0: not said."""
    path = make(binary, tmp_path / "x.wav", PCM, RATE, ["-bitexact"])
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    for size in (b"\xff\xff\xff\xff", b"\0\0\0\0"):
        data[at : at + 4] = size
        path.write_bytes(data)
        probed, heard, _ = read(supervisor, path)
        assert probed.declared_duration_s is None
        assert len(heard) == len(PCM)


def scratched(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    return path


def test_a_scratch_in_a_lossy_file_is_a_warning(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = scratched(make(binary, tmp_path / "x.mp3", PCM, RATE, ["-b:a", "128k"]))
    _, heard, decoder = read(supervisor, path)
    assert len(heard) >= len(PCM) - 3 * 1152
    assert "damaged" in decoder.warnings[0]


def test_a_scratch_in_a_lossless_file_is_missed(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    """Nine hundredths of a second of a master are audio that its artist would miss."""
    path = scratched(make(binary, tmp_path / "x.flac", PCM, RATE, []))
    with pytest.raises(CorruptMedia, match=r"of the 4\.0 s it declares \S+ m?s are missing"):
        read(supervisor, path)


def test_a_ruin_is_refused(supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path) -> None:
    path = make(binary, tmp_path / "x.aac", music(10.0, RATE), RATE, ["-c:a", "aac"])
    data = np.frombuffer(bytearray(path.read_bytes()), np.uint8).copy()
    rng = np.random.default_rng(1)
    hit = rng.choice(np.arange(4000, len(data)), len(data) // 150, replace=False)
    data[hit] ^= rng.integers(1, 256, len(hit)).astype(np.uint8)
    path.write_bytes(data.tobytes())
    with pytest.raises(CorruptMedia):
        read(supervisor, path)


def test_damage_is_counted_by_the_packet() -> None:
    said = "\n".join(
        [
            "[aac @ 0x1] [error] Input buffer exhausted before END element found",
            "[a/aac @ 0x2] [error] Error submitting packet to decoder: Invalid data found",
            "[a/pcm @ 0x2] [error] Decoding error: Invalid data found",
            "[error] Error while decoding stream #0:0: Invalid data found",
            "[mov @ 0x3] [error] stream 0, offset 0x9fe6: partial file",
        ]
    )
    assert damage(said) == Damage(packets=3, cut_short=True, torn=False)
    assert damage("") == Damage(packets=0, cut_short=False, torn=False)
    assert damage("[in#0/flv @ 0x1] [warning] corrupt input packet in stream 0").torn


def test_how_much_damage_is_too_much_depends_on_the_length() -> None:
    hour = 3600 * RATE
    assert not Damage(10, False).is_serious(0)
    assert Damage(11, False).is_serious(0)
    assert not Damage(600, False).is_serious(hour)
    assert Damage(800, False).is_serious(hour)


def test_more_than_the_longest_track_is_refused_while_decoding(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    path = make(binary, tmp_path / "x.ogg", PCM, RATE, ["-c:a", "libvorbis"])
    probed = probe(supervisor, path, "x.ogg")
    with (
        decode(supervisor, path, probed, file_name="x.ogg", max_duration_s=2.0) as decoder,
        pytest.raises(LimitExceeded, match=r"'x\.ogg' is too long; at most 2 s"),
    ):
        for _ in decoder:
            pass
    assert decoder.frames <= 2 * RATE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e11])
def test_what_is_no_sample_is_refused_with_its_time(
    value: float, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    pcm = PCM.copy()
    pcm[2 * RATE, 0] = value
    path = make(binary, tmp_path / "x.wav", pcm, RATE, ["-c:a", "pcm_f32le"])
    with pytest.raises(CorruptMedia, match=r"'x\.wav' has a sample .* 2\.000 s into"):
        read(supervisor, path)


def test_integers_in_a_float_file_are_samples(
    supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    pcm = np.asarray(PCM * 2.0**31, np.float32)
    path = make(binary, tmp_path / "x.wav", pcm, RATE, ["-c:a", "pcm_f32le"])
    assert np.array_equal(read(supervisor, path)[1], pcm)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", CorruptMedia),
        (b"x", UnsupportedMedia),
        (b"This is a letter to the editor.\n" * 200, UnsupportedMedia),
        (bytes(100_000), UnsupportedMedia),
        (np.random.default_rng(9).bytes(100_000), UnsupportedMedia),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", CorruptMedia),
        (b"fLaC\x00\x00\x00\x22", CorruptMedia),
        (b"ID3\x04\x00\x00\x00\x00\x0f\x76" + bytes(2000), CorruptMedia),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(500), UnsupportedMedia),
    ],
    ids=["empty", "a byte", "text", "zeros", "noise", "wav", "flac", "mp3", "png"],
)
def test_what_is_no_audio(
    content: bytes, error: type[Exception], supervisor: Supervisor, tmp_path: Path
) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    with pytest.raises(error, match=r"'song\.mp3'") as refused:
        probe(supervisor, path, "song.mp3")
    assert str(tmp_path) not in str(refused.value)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{canary}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{canary}'\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet>'
        "<Representation><BaseURL>{canary}</BaseURL></Representation></AdaptationSet>"
        "</Period></MPD>"
    ),
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
}


@pytest.mark.parametrize("suffix", ["", ".mp3", ".m3u8", ".ffconcat", ".mpd", ".sdp"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_reads_no_other_file(
    kind: str, suffix: str, supervisor: Supervisor, binary: FFmpegBinary, tmp_path: Path
) -> None:
    canary = make(binary, supervisor.job_dir / "canary.wav", PCM, RATE, [])
    path = supervisor.job_dir / f"source{suffix}"
    path.write_text(PLAYLISTS[kind].format(canary=canary.name))
    with pytest.raises(UnsupportedMedia):
        probe(supervisor, path, "song.mp3")
