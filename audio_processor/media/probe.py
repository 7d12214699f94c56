"""What a file says of itself, learnt from FFmpeg alone: there may be no ffprobe."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from audio_processor.errors import (
    AudioProcessorError,
    CorruptMedia,
    LimitExceeded,
    UnsupportedMedia,
)
from audio_processor.media import argv
from audio_processor.media.declared import read_declared
from audio_processor.media.description import Description, Stream, read_description
from audio_processor.media.diagnosis import LOSSLESS, damaged, explain, over_a_limit, too_long
from audio_processor.media.downmix import channel_names
from audio_processor.media.ffmpeg import (
    CpuTimeSpent,
    FFmpegFailed,
    OutputTooLarge,
    Supervisor,
)
from audio_processor.media.locked import is_locked
from audio_processor.media.pipes import LEFT_OUT
from audio_processor.media.tags import cover_of, parse_ffmetadata
from audio_processor.model import CoverArt, Probe

TIMEOUT_S = 60.0
CPU_S = 8
"""CPU time that opening a file may take; a minute-long track needs 0.05 s, and tags by the
tens of thousands take FFmpeg a time that grows with their square."""
_DESCRIPTION_BYTES = 2**20
_TAGS_BYTES = 4 * 2**20
_DECLARING = frozenset({"mp3", "flac", "aiff", "wv", "tta", "ape", "mov", "matroska", "flv", "ogg"})
"""Demuxers whose duration is the file's own word even where less of it can be decoded: a
header's, or the last page's for Ogg."""

_MAGIC: tuple[tuple[int, bytes], ...] = (
    *((0, magic) for magic in (b"RF64", b"BW64", b"riff", b"fLaC", b"OggS", b"ID3")),
    *((0, magic) for magic in (b"FORM", b"caff", b"wvpk", b"TTA1", b"MAC ", b"\x0b\x77", b".snd")),
    *((0, magic) for magic in (b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    *((0, magic) for magic in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf1", b"\xff\xf9")),
    *((0, magic) for magic in (b"\xff\xfc", b"\xff\xfd", b"FLV\x01", b"\0\0\x01\xba", b"\x47\x40")),
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat")),
    *((8, form) for form in (b"WAVE", b"AVI ")),
)
"""Beginnings of audio files: what fails to open and has one is damaged, not foreign."""
_COUNTED = re.compile(r"\d+(?:\.\d+)*")
"""How a layout's name begins: ``9.1.6``, ``32 channels``."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a file may declare of itself; None is no limit."""

    max_duration_s: float | None = None
    max_channels: int = 8
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_cover_bytes: int = 10 * 2**20


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
    if is_locked(source):
        raise UnsupportedMedia(
            f"{file_name!r} is encrypted (DRM) and cannot be read. "
            "Upload it without copy protection."
        )
    separator = f" <{secrets.token_hex(16)}> "
    try:
        finished = supervisor.run(
            argv.probe(source, separator),
            what=f"read {file_name!r}",
            timeout_s=TIMEOUT_S,
            stdout_bytes=_TAGS_BYTES,
            stderr_bytes=_DESCRIPTION_BYTES,
            limits=supervisor.limits.reading(CPU_S),
        )
    except (FFmpegFailed, CpuTimeSpent) as failure:
        raise _refusal(failure, source, file_name, separator) from failure
    description = read_description(finished.stderr, separator)
    container, audio = description.container, description.first_audio
    form = None if audio is None else audio.audio_format
    if form is None and LEFT_OUT in finished.stderr:
        raise _too_many_tags(file_name)
    if complaint := over_a_limit(finished.stderr, file_name):
        raise complaint
    if container is None or audio is None or form is None:
        raise CorruptMedia(
            f"{file_name!r} contradicts itself about what it holds. "
            "Export it again, without its tags, and upload the new file."
        )
    channels = _channel_count(file_name, form.layout, limits.max_channels)
    declared_s = _declared_duration_s(source, description, container)
    _check(file_name, form.sample_rate_hz, declared_s, limits)
    cover, warnings = _cover(supervisor, source, description.streams, limits.max_cover_bytes)
    return Probe(
        container=container,
        codec=audio.codec,
        sample_rate_hz=form.sample_rate_hz,
        channels=channels,
        channel_layout=form.layout,
        bit_depth=form.sample_bits if audio.codec.startswith(LOSSLESS) else None,
        bit_rate=form.bit_rate,
        declared_duration_s=declared_s,
        tags=parse_ffmetadata(finished.stdout),
        cover=cover,
        warnings=warnings,
    )


def _refusal(
    failure: FFmpegFailed | CpuTimeSpent, source: Path, file_name: str, separator: str
) -> AudioProcessorError:
    """Return why the file could not be opened: foreign, damaged, or over a limit."""
    if isinstance(failure, OutputTooLarge):
        return _too_many_tags(file_name)
    error = explain(failure, file_name)
    if not isinstance(failure, FFmpegFailed) or not isinstance(
        error, (CorruptMedia, UnsupportedMedia)
    ):
        return error
    begins_like_audio = _begins_like_audio(source)
    if begins_like_audio and separator not in failure.stderr:  # not one stream was found
        return damaged(file_name)
    if isinstance(error, CorruptMedia) and not begins_like_audio:
        return UnsupportedMedia(
            f"{file_name!r} is not an audio file that can be read. "
            "Upload WAV, FLAC, AIFF, MP3, M4A, Ogg or Opus."
        )
    return error


def _too_many_tags(file_name: str) -> LimitExceeded:
    return LimitExceeded(
        f"{file_name!r} has tags of over {_TAGS_BYTES >> 20} MiB, or far too many. Remove them."
    )


def _begins_like_audio(source: Path) -> bool:
    with source.open("rb") as file:
        beginning = file.read(16)
    return any(beginning[at:].startswith(magic) for at, magic in _MAGIC)


def _channel_count(file_name: str, layout: str, most: int) -> int:
    """Return how many channels the layout has.

    Raises ``LimitExceeded`` where they are too many, ``UnsupportedMedia`` where it is not known
    what they are: they cannot be mixed down.
    """
    names = channel_names(layout)
    counted = _COUNTED.match(layout)
    speakers = sum(map(int, counted[0].split("."))) if counted else 0
    channels = speakers if names is None else len(names)
    if channels > most:
        raise LimitExceeded(
            f"{file_name!r} has {channels} channels, at most {most} are accepted. "
            "Export it in stereo."
        )
    if names is None:
        raise UnsupportedMedia(
            f"{file_name!r} has a channel layout that cannot be mixed down to stereo "
            f"({layout}). Export it in stereo."
        )
    return channels


def _declared_duration_s(source: Path, description: Description, container: str) -> float | None:
    """Return what the container declares of the audio's length; an estimate is no declaration.

    A video may well be longer than its sound, so it declares nothing of it.
    """
    if any(stream.kind == "Video" and not stream.is_cover for stream in description.streams):
        return None
    name = container.split(",", maxsplit=1)[0]
    if name in _DECLARING:
        return description.duration_s
    return read_declared(source, name).duration_s


def _check(file_name: str, rate_hz: int, declared_s: float | None, limits: MediaLimits) -> None:
    """Raise ``LimitExceeded`` where the file declares more than it may."""
    if not limits.min_sample_rate_hz <= rate_hz <= limits.max_sample_rate_hz:
        raise LimitExceeded(
            f"{file_name!r} has a sample rate of {rate_hz} Hz; {limits.min_sample_rate_hz} to "
            f"{limits.max_sample_rate_hz} Hz are accepted. Export it at 44100 or 48000 Hz."
        )
    most_s = limits.max_duration_s
    if declared_s is not None and most_s is not None and declared_s > most_s:
        raise too_long(file_name, most_s, declared_s)


def _cover(
    supervisor: Supervisor, source: Path, streams: tuple[Stream, ...], max_bytes: int
) -> tuple[CoverArt | None, tuple[str, ...]]:
    """Return the first attached JPEG or PNG. A cover is never a reason to refuse a track."""
    index = next((stream.index for stream in streams if stream.is_cover), None)
    if index is None or not max_bytes:
        return None, ()
    try:
        finished = supervisor.run(
            argv.cover(source, index),
            what="read the cover art",
            timeout_s=TIMEOUT_S,
            stdout_bytes=max_bytes,
            limits=supervisor.limits.reading(CPU_S),
        )
    except OutputTooLarge:
        return None, (f"The cover art is over {max_bytes / 2**20:g} MiB and was left out.",)
    except (FFmpegFailed, CpuTimeSpent):
        return None, ("The cover art could not be read and was left out.",)
    cover = cover_of(finished.stdout)
    return cover, () if cover else ("The cover art is neither JPEG nor PNG and was left out.",)
