"""FFmpeg's command lines, as pure functions of what is to be done.

An artist's file is opened on the narrowest terms FFmpeg offers: by demuxers and decoders of
audio alone, from a ``file:`` address of our own making, its first audio stream and nothing
else. The protocol list does not suffice: a playlist named ``.mp3`` reads other local files
through it, which the format list prevents. The decoder list keeps ``-i`` from handing an
upload's video to a video decoder just to learn its picture size.

FFmpeg 5.1 and later understand all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ffmpeg

from audio_processor.media.bandwidth import aac_cutoff_hz
from audio_processor.model import Candidate, Tier

GLOBAL = (
    *("-hide_banner", "-nostdin", "-nostats", "-y"),
    *("-max_alloc", str(128 * 2**20), "-filter_threads", "1"),
)
"""No single allocation is larger than the index of a day of AAC, however large a picture or a
table claims to be. Threads by the core would take stacks by the core."""
QUIET = ("-v", "repeat+level+warning")
"""``repeat``: every damaged packet is a line of its own, to be counted."""
TALKATIVE = ("-v", "repeat+info")

DEMUXERS = (
    *("mp3", "aac", "wav", "w64", "flac", "aiff", "mov", "mp4", "m4a", "3gp", "3g2", "mj2"),
    *("ogg", "asf", "wv", "ac3", "eac3", "matroska", "webm", "caf", "ape", "tta", "au"),
    *("avi", "mpegts", "mpeg", "flv"),
)
"""Containers that hold their audio in themselves: no playlist, no reference to another file."""

DECODERS = (
    *("mp3float", "mp3", "mp2float", "mp2", "mp1float", "mp1", "aac", "aac_latm", "alac"),
    *("flac", "vorbis", "opus", "wmav1", "wmav2", "wmapro", "wmalossless", "wavpack"),
    *("ac3", "eac3", "dca", "truehd", "mlp", "ape", "tta", "amrnb", "amrwb"),
    *("pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le"),
    *("pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le"),
    *("pcm_f64be", "pcm_bluray", "pcm_dvd", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"),
)

_MAX_STREAMS = 64
_PCM = {"format": "f32le", "acodec": "pcm_f32le"}
_BITEXACT = {"fflags": "+bitexact", "flags:a": "+bitexact"}
_FIRST_AUDIO = {"map": "0:a:0", "vn": None, "sn": None, "dn": None, "map_metadata": "-1"}


def probe(source: Path, separator: str) -> list[str]:
    """Describe the file on stderr, its tags as FFMETADATA on stdout, and decode one frame.

    ``separator`` comes between a stream's codec and its format: where it is a secret, a line
    with it in was written by FFmpeg and not by a tag.
    """
    opened = _source(source, dump_separator=separator)
    first_frame = ffmpeg.output(opened, "-", format="null", **{**_FIRST_AUDIO, "frames:a": 1})
    tags = ffmpeg.output(
        opened,
        "pipe:1",
        format="ffmetadata",
        # two spellings of one option, for both apply: Ogg keeps a track's tags in the stream
        **{"map_metadata": "0:g", "map_metadata:g": "0:s:a:0", "map_chapters": "-1"},
        fflags="+bitexact",
    )
    return [*GLOBAL, *TALKATIVE, *ffmpeg.merge_outputs(first_frame, tags).get_args()]


def cover(source: Path, stream_index: int) -> list[str]:
    """Write the attached picture as it is to stdout."""
    opened = _source(source)
    picture = ffmpeg.output(
        opened,
        "pipe:1",
        format="image2pipe",  # which needs no picture size: nobody has decoded one
        **{"map": f"0:{stream_index}", "c": "copy", "frames:v": 1, "map_metadata": "-1"},
    )
    return [*GLOBAL, *QUIET, *picture.get_args()]


def decode(source: Path, sample_rate_hz: int, channels: tuple[str, ...]) -> list[str]:
    """Write the first audio stream to stdout as f32le in these channels' order.

    Rate and channels are stated even where they are the file's own: a stream that changes
    them midway is converted instead of garbled.
    """
    form = (
        f"aformat=sample_fmts=flt:sample_rates={sample_rate_hz}"
        f":channel_layouts={'+'.join(channels)}"
    )
    pcm = ffmpeg.output(_source(source), "pipe:1", **_PCM, **_FIRST_AUDIO, **{"filter:a": form})
    return [*GLOBAL, *QUIET, *pcm.get_args()]


def decode_adts(source: Path) -> list[str]:
    """Write our own encode to stdout as f32le, all that the decoder yields."""
    # one thread: a frame is too little work to be worth handing from core to core
    opened = ffmpeg.input(_file(source), format="aac", protocol_whitelist="file", threads=1)
    return [*GLOBAL, *QUIET, *ffmpeg.output(opened, "pipe:1", **_PCM, map="0:a:0").get_args()]


def encode_aac(target: Path, tier: Tier, candidate: Candidate) -> list[str]:
    """Encode stereo f32le from stdin into an ADTS file, the same bytes for the same input."""
    pcm = ffmpeg.input(
        "pipe:0",
        format="f32le",
        protocol_whitelist="pipe",
        ar=tier.sample_rate_hz,
        ch_layout="stereo",
    )
    encoded = ffmpeg.output(
        pcm,
        _file(target),
        format="adts",
        acodec="aac",
        audio_bitrate=tier.bit_rate,
        aac_coder=candidate.coder,
        aac_tns=int(candidate.tns),
        cutoff=aac_cutoff_hz(tier),
        **_BITEXACT,
    )
    return [*GLOBAL, *QUIET, *encoded.get_args()]


def encode_pcm(
    target: Path,
    container: str,
    codec: str,
    bit_depth: int,
    sample_rate_hz: int,
    tags: Mapping[str, str],
) -> list[str]:
    """Write stereo f32le from stdin into a WAV or FLAC with these tags."""
    pcm = ffmpeg.input(
        "pipe:0", format="f32le", protocol_whitelist="pipe", ar=sample_rate_hz, ch_layout="stereo"
    )
    form = {"rf64": "auto"} if container == "wav" else {}
    if codec == "flac":
        form = {"sample_fmt": "s16" if bit_depth == 16 else "s32"}
        form |= {} if bit_depth == 16 else {"bits_per_raw_sample": str(bit_depth)}
    written = ffmpeg.output(pcm, _file(target), format=container, acodec=codec, **form, **_BITEXACT)
    told = [
        part for name, value in sorted(tags.items()) for part in ("-metadata", f"{name}={value}")
    ]
    *arguments, target_url = written.get_args()
    return [*GLOBAL, *QUIET, *arguments, *told, target_url]


def _source(source: Path, **options: str) -> Any:
    """Open an artist's file, on the terms above."""
    return ffmpeg.input(
        _file(source),
        threads=1,  # as below; and a frame thread each would hold a frame of its own
        protocol_whitelist="file,pipe",
        format_whitelist=",".join(DEMUXERS),
        codec_whitelist=",".join(DECODERS),
        max_streams=_MAX_STREAMS,
        **options,
    )


def _file(path: Path) -> str:
    """Return the path so that FFmpeg can take it for nothing else: ``a:b`` is a protocol."""
    return f"file:{path.absolute()}"
