"""FFmpeg's description of a file (what ``-i`` prints), read so that the file cannot forge it.

The description mixes FFmpeg's own words with the file's: a tag's name may hold a newline and
what looks like a stream. So a stream's line counts only where it carries a separator that no
file can know, and a line that should be there once and comes twice says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTAINER = re.compile(r"^Input #0, (\S+), from ", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+), ", re.MULTILINE)
_ESTIMATED = re.compile(r"Estimating duration from bitrate|using bitrate for duration")
_INDEX = re.compile(r" *Stream #0:(\d+)")
_KIND = re.compile(r": (Audio|Video|Subtitle|Data|Attachment): ")
_RATE = re.compile(r"(\d+) Hz")
_SAMPLE_FORMAT = re.compile(r"(u8|s16|s32|s64|flt|dbl)p?(?: \((\d+) bit\))?")
_BIT_RATE = re.compile(r"(\d+) kb/s")
_DEPTHS = {"u8": 8, "s16": 16, "s32": 32, "s64": 64, "flt": 32, "dbl": 64}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """``44100 Hz, stereo, s32 (24 bit), 2116 kb/s``."""

    sample_rate_hz: int
    layout: str
    sample_bits: int | None
    bit_rate: int | None


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream's line."""

    index: int | None
    kind: str
    """Audio, Video, Subtitle, Data or Attachment."""
    codec: str
    details: str
    """What follows the codec, in FFmpeg's own words."""

    @property
    def is_cover(self) -> bool:
        """Whether this "video" is a picture attached to the audio."""
        return self.kind == "Video" and "(attached pic)" in self.details

    @property
    def audio_format(self) -> AudioFormat | None:
        """The format of an audio stream, or None where the decoder could not tell."""
        rate, layout, sample, *rest = (*self.details.strip().split(", "), "", "")
        hertz, bits = _RATE.fullmatch(rate), _SAMPLE_FORMAT.match(sample)
        if hertz is None or int(hertz[1]) == 0:
            return None
        bit_rate = next((found for field in rest if (found := _BIT_RATE.match(field))), None)
        return AudioFormat(
            sample_rate_hz=int(hertz[1]),
            layout=layout,
            sample_bits=None if bits is None else int(bits[2] or _DEPTHS[bits[1]]),
            bit_rate=int(bit_rate[1]) * 1000 if bit_rate else None,
        )


@dataclass(frozen=True, slots=True)
class Description:
    """What FFmpeg made of a file."""

    container: str | None
    """The demuxer's names; None where the file has tampered with the line."""
    duration_s: float | None
    """None where there is none, where it is an estimate, and where it was tampered with."""
    streams: tuple[Stream, ...]

    @property
    def first_audio(self) -> Stream | None:
        """The stream that ``0:a:0`` maps."""
        return next((stream for stream in self.streams if stream.kind == "Audio"), None)


def read_description(text: str, separator: str) -> Description:
    """Read what FFmpeg printed with ``-dump_separator <separator>`` at level info."""
    containers, durations = _CONTAINER.findall(text), _DURATION.findall(text)
    duration_s = None
    if len(durations) == 1 and not _ESTIMATED.search(text):
        hours, minutes, seconds = durations[0]
        duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    streams = (_stream(line, separator) for line in text.split("\n"))
    return Description(
        container=containers[0] if len(containers) == 1 else None,
        duration_s=duration_s,
        streams=tuple(stream for stream in streams if stream is not None),
    )


def _stream(line: str, separator: str) -> Stream | None:
    head, found, details = line.partition(separator)
    kinds = list(_KIND.finditer(head))
    if not found or not kinds:
        return None
    kind = kinds[-1]  # a language tag may hold another one, but never after FFmpeg's own
    index = _INDEX.match(head)
    codec = head[kind.end() :].split(" ", 1)[0].rstrip(",")
    return Stream(int(index[1]) if index else None, kind[1], codec, details)
