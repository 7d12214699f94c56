"""What a file says of itself, learnt from FFmpeg alone (there may be no ffprobe).

FFmpeg's description mixes its own words with the file's: a tag's name may hold a newline and
what looks like a stream. So a stream's line counts only where it carries a separator that no
file can know, and a line that should be there once and comes twice says nothing.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from audio_processor.errors import (
    AudioProcessorError,
    CorruptMedia,
    LimitExceeded,
    UnsupportedMedia,
)
from audio_processor.media import argv
from audio_processor.media.declared import declared_duration_s
from audio_processor.media.diagnosis import explain
from audio_processor.media.downmix import channel_names
from audio_processor.media.ffmpeg import FFmpegFailed, OutputTooLarge, Supervisor
from audio_processor.media.tags import cover_of, parse_ffmetadata
from audio_processor.model import CoverArt, Probe

TIMEOUT_S = 60.0
_DESCRIPTION_BYTES = 2**20
_TAGS_BYTES = 4 * 2**20

_CONTAINER = re.compile(r"^Input #0, (\S+), from ", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+), ", re.MULTILINE)
_STREAM_INDEX = re.compile(r" *Stream #0:(\d+)")
_KIND = re.compile(r": (Audio|Video|Subtitle|Data|Attachment): ")
_RATE = re.compile(r"(\d+) Hz")
_SAMPLE_FORMAT = re.compile(r"(u8|s16|s32|s64|flt|dbl)p?(?: \((\d+) bit\))?")
_BIT_RATE = re.compile(r"(\d+) kb/s")
_CHANNEL_COUNT = re.compile(r"(\d+) channels")
_ESTIMATED = re.compile(r"Estimating duration from bitrate|using bitrate for duration")
_DEPTHS = {"u8": 8, "s16": 16, "s32": 32, "s64": 64, "flt": 32, "dbl": 64}
_WITH_BIT_DEPTH = ("pcm_", "flac", "alac", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp")
_DECLARING = frozenset({"mp3", "flac", "aiff", "wv", "tta", "ape", "mov", "matroska", "w64"})
"""Demuxers whose duration is the header's own word even where the file is shorter."""

_MAGIC: tuple[tuple[int, bytes], ...] = (
    *((0, magic) for magic in (b"RIFF", b"RF64", b"BW64", b"riff", b"fLaC", b"OggS", b"ID3")),
    *((0, magic) for magic in (b"FORM", b"caff", b"wvpk", b"TTA1", b"MAC ", b"\x0b\x77", b".snd")),
    *((0, magic) for magic in (b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    *((0, magic) for magic in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf1", b"\xff\xf9")),
    (4, b"ftyp"),
)
"""Beginnings of audio files: what fails to open and has one is damaged, not foreign."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a file may declare of itself; None is no limit."""

    max_duration_s: float | None = None
    max_channels: int = 8
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_cover_bytes: int = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Stream:
    """One line of FFmpeg's description."""

    index: int
    kind: str
    codec: str
    details: str
    """FFmpeg's own words: rate, layout, sample format, bit rate; a tag never gets in here."""


def probe(
    supervisor: Supervisor,
    source: Path,
    file_name: str,
    limits: MediaLimits = MediaLimits(),
) -> Probe:
    """Return what the file declares, having decoded its first frame.

    Raises ``UnsupportedMedia``, ``CorruptMedia``, ``LimitExceeded``, each with a sentence
    that names the file as the artist knows it; ``EncoderTimeout``, ``FFmpegFailed``.
    """
    if source.stat().st_size == 0:
        raise CorruptMedia(f"{file_name!r} is empty. Upload it again.")
    separator = f" <{secrets.token_hex(16)}> "
    try:
        finished = supervisor.run(
            argv.probe(source, separator),
            what=f"read {file_name!r}",
            timeout_s=TIMEOUT_S,
            stdout_bytes=_TAGS_BYTES,
            stderr_bytes=_DESCRIPTION_BYTES,
        )
    except FFmpegFailed as failure:
        raise _refusal(failure, source, file_name) from failure
    streams = parse_streams(finished.stderr, separator)
    declared = _described(source, finished.stderr, streams, file_name)
    _check(declared, limits, file_name)
    cover, warnings = _cover(supervisor, source, streams, limits.max_cover_bytes)
    return replace(declared, tags=parse_ffmetadata(finished.stdout), cover=cover, warnings=warnings)


def parse_streams(description: str, separator: str) -> list[Stream]:
    """Return the streams in FFmpeg's description of a file: the lines with the separator."""
    streams = []
    for line in description.splitlines():
        head, found, details = line.partition(separator)
        kinds = list(_KIND.finditer(head)) if found else []
        if not kinds:
            continue
        last = kinds[-1]  # a language tag may hold a forged one, but never comes last
        index = _STREAM_INDEX.match(head)
        codec = head[last.end() :].split(" ", 1)[0].rstrip(",")
        streams.append(Stream(int(index[1]) if index else -1, last[1], codec, details))
    return streams


def _refusal(failure: FFmpegFailed, source: Path, file_name: str) -> AudioProcessorError:
    """Return why the file could not be opened: foreign, damaged, or over a limit."""
    if isinstance(failure, OutputTooLarge):
        return LimitExceeded(f"{file_name!r} has tags of over {_TAGS_BYTES >> 20} MiB.")
    error = explain(failure, file_name)
    if isinstance(error, CorruptMedia) and not _begins_like_audio(source):
        return UnsupportedMedia(
            f"{file_name!r} is not an audio file that can be read. "
            "Upload WAV, FLAC, AIFF, MP3, M4A, Ogg or Opus."
        )
    return error


def _begins_like_audio(source: Path) -> bool:
    with source.open("rb") as file:
        beginning = file.read(16)
    return any(beginning[at:].startswith(magic) for at, magic in _MAGIC)


def _described(source: Path, description: str, streams: list[Stream], file_name: str) -> Probe:
    """Put together what FFmpeg's description says, without tags and cover."""
    containers = _CONTAINER.findall(description)
    audio = next((stream for stream in streams if stream.kind == "Audio"), None)
    if audio is None or len(containers) != 1:
        raise CorruptMedia(
            f"{file_name!r} describes itself in contradictions. "
            "Export it again without its tags and upload the new file."
        )
    rate, layout, sample_format, bit_rate = _format(audio.details)
    if rate == 0:
        raise CorruptMedia(f"{file_name!r} has audio without a sample rate. Export it again.")
    names = channel_names(layout)
    counted = _CHANNEL_COUNT.match(layout)
    return Probe(
        container=containers[0],
        codec=audio.codec,
        sample_rate_hz=rate,
        channels=len(names) if names else int(counted[1]) if counted else 0,
        channel_layout=layout,
        bit_depth=_bit_depth(audio.codec, sample_format),
        bit_rate=bit_rate,
        declared_duration_s=_declared_duration_s(source, description, streams, containers[0]),
        tags={},
        cover=None,
    )


def _format(details: str) -> tuple[int, str, str, int | None]:
    """Return rate in Hz (0 if there is none), layout, sample format, bit/s."""
    fields = details.strip().split(", ")
    rate = _RATE.fullmatch(fields[0])
    if rate is None:
        return 0, "", "", None
    bit_rate = next((m for field in fields[3:] if (m := _BIT_RATE.match(field))), None)
    return (
        int(rate[1]),
        fields[1] if len(fields) > 1 else "",
        fields[2] if len(fields) > 2 else "",
        int(bit_rate[1]) * 1000 if bit_rate else None,
    )


def _bit_depth(codec: str, sample_format: str) -> int | None:
    """Return the bits per sample of a lossless codec; a lossy one has none."""
    found = _SAMPLE_FORMAT.match(sample_format)
    if found is None or not codec.startswith(_WITH_BIT_DEPTH):
        return None
    return int(found[2]) if found[2] else _DEPTHS[found[1]]


def _declared_duration_s(
    source: Path, description: str, streams: list[Stream], container: str
) -> float | None:
    """Return what the container declares of the audio's length; an estimate is no declaration.

    A video may well be longer than its sound.
    """
    has_video = any(
        stream.kind == "Video" and "(attached pic)" not in stream.details for stream in streams
    )
    name = container.split(",", maxsplit=1)[0]
    if has_video:
        return None
    said = declared_duration_s(source, name)
    if said is not None:
        return said
    durations = _DURATION.findall(description)
    if name not in _DECLARING or len(durations) != 1 or _ESTIMATED.search(description):
        return None
    hours, minutes, seconds = durations[0]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _check(declared: Probe, limits: MediaLimits, file_name: str) -> None:
    """Raise ``LimitExceeded`` where the file declares more than it may."""
    rate, duration_s = declared.sample_rate_hz, declared.declared_duration_s
    if declared.channels > limits.max_channels:
        raise LimitExceeded(
            f"{file_name!r} has {declared.channels} channels, at most {limits.max_channels} "
            "are accepted. Export it in stereo."
        )
    if not limits.min_sample_rate_hz <= rate <= limits.max_sample_rate_hz:
        raise LimitExceeded(
            f"{file_name!r} has a sample rate of {rate} Hz, accepted are "
            f"{limits.min_sample_rate_hz} to {limits.max_sample_rate_hz} Hz."
        )
    most_s = limits.max_duration_s
    if duration_s is not None and most_s is not None and duration_s > most_s:
        raise LimitExceeded(
            f"{file_name!r} lasts {duration_s:.0f} s, at most {most_s:.0f} s are accepted."
        )


def _cover(
    supervisor: Supervisor, source: Path, streams: list[Stream], max_bytes: int
) -> tuple[CoverArt | None, tuple[str, ...]]:
    """Return the first attached JPEG or PNG. A cover is never a reason to refuse a track."""
    attached = [
        stream for stream in streams if "(attached pic)" in stream.details and stream.index >= 0
    ]
    if not attached or not max_bytes:
        return None, ()
    try:
        finished = supervisor.run(
            argv.cover(source, attached[0].index),
            what="read the cover art",
            timeout_s=TIMEOUT_S,
            stdout_bytes=max_bytes,
        )
    except OutputTooLarge:
        return None, (f"The cover art is over {max_bytes / 2**20:g} MiB and was left out.",)
    except FFmpegFailed:
        return None, ("The cover art could not be read and was left out.",)
    cover = cover_of(finished.stdout)
    return cover, () if cover else ("The cover art is neither JPEG nor PNG and was left out.",)
