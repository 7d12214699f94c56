"""What FFmpeg's words mean for the track: one table, pure.

Its exit code does not say: half a file exits 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from audio_processor.errors import (
    AudioProcessorError,
    CorruptMedia,
    LimitExceeded,
    TransientError,
    UnsupportedMedia,
)
from audio_processor.media.ffmpeg import CpuTimeSpent, FFmpegFailed

LOSSLESS = ("pcm_", "flac", "alac", "wavpack", "tta", "ape", "wmalossless", "mlp", "truehd")
"""How the names of FFmpeg's lossless codecs begin."""

_DAMAGED_PACKET = re.compile(
    # FFmpeg 7 and later (two of them), FFmpeg 5 and 6; one line a packet each
    r"Error submitting packet to decoder: |Decoding error: |Error while decoding stream #"
)
_CUT_SHORT = re.compile(
    r"partial file|File ended prematurely|Error during demuxing|Truncat", re.IGNORECASE
)
_TORN = re.compile(r"corrupt input packet in stream|PES packet size mismatch")
"""What the demuxer says of a packet that is less than it should be."""
_ALLOWED_DAMAGED_SHARE = 0.005
_ALLOWED_DAMAGED_PACKETS = 10
_PACKET_FRAMES = 1152
"""A packet's usual length (MPEG audio; AAC has 1024), to turn a length into a count."""

_TOO_MANY = re.compile(r"^\[[^]]*\] Number of (?:tracks|streams) exceeds", re.MULTILINE)
_NOT_ACCEPTED = "its format is not accepted. Export it as WAV, FLAC, MP3 or M4A"
_TABLE: tuple[tuple[str, type[AudioProcessorError], str], ...] = (
    (
        r"Cannot allocate memory",
        LimitExceeded,
        "it takes more memory to read than a track may. Export it again without its tags "
        "and pictures",
    ),
    (
        r"matches no streams",
        UnsupportedMedia,
        "it has no audio in it. Upload a file with sound",
    ),
    (
        r"Decoder \(codec [^)]*\) not found for input|Decoding requested, but no decoder",
        UnsupportedMedia,
        _NOT_ACCEPTED,
    ),
)
_REFUSED_CODEC = re.compile(r"Codec \((\w+)\) not on whitelist")
_AUDIO_LINE = re.compile(r"Stream #0:\d.*: Audio: (.*)")
_NO_THREADS = re.compile(r"pthread_create\(\) failed|Resource temporarily unavailable")
"""Beyond RLIMIT_NPROC, or of RLIMIT_DATA: a stack finds no room."""


class ReaderCrashed(FFmpegFailed):
    """FFmpeg was killed, or broke down, while it read an artist's file."""

    def __init__(self, failure: FFmpegFailed, file_name: str) -> None:
        super().__init__(failure.what, failure.returncode, failure.stderr)
        self.args = (
            f"{file_name!r} could not be read: the decoder broke down on it. "
            "Export it again and upload the new file.",
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """What a decode that went to its end complained of."""

    packets: int
    """Packets that could not be decoded."""
    cut_short: bool
    """The demuxer met the end of the file where it expected more."""
    torn: bool = False
    """A packet came out of the demuxer shorter than it should be."""

    def is_serious(self, decoded_frames: int) -> bool:
        """Whether more packets are damaged than a whole file may have."""
        share = _ALLOWED_DAMAGED_SHARE * decoded_frames / _PACKET_FRAMES
        return self.packets > _ALLOWED_DAMAGED_PACKETS + share


def damage(stderr: str) -> Damage:
    """Count the damaged packets in a decode's stderr, of which every line stands by itself."""
    return Damage(
        packets=len(_DAMAGED_PACKET.findall(stderr)),
        cut_short=bool(_CUT_SHORT.search(stderr)),
        torn=bool(_TORN.search(stderr)),
    )


def explain(failure: FFmpegFailed | CpuTimeSpent, file_name: str) -> AudioProcessorError:
    """Return the error that a failed read of the artist's file amounts to.

    A killed process stays ``FFmpegFailed``: that is not the file's fault for sure.
    """
    if isinstance(failure, CpuTimeSpent):
        return LimitExceeded(
            f"{file_name!r} takes more work to read than a track may. "
            "Export it again without its tags and pictures."
        )
    if failure.returncode <= 0:
        return ReaderCrashed(failure, file_name)
    said = failure.stderr
    return over_a_limit(said, file_name) or _by_its_words(said, file_name) or damaged(file_name)


def _by_its_words(stderr: str, file_name: str) -> AudioProcessorError | None:
    for pattern, error, reason in _TABLE:
        if re.search(pattern, stderr):
            return error(f"{file_name!r} cannot be used: {reason}.")
    if _NO_THREADS.search(stderr):
        return TransientError(
            f"{file_name!r} could not be read: there was no room for the decoder, in the "
            "machine or within its limits. Upload it again later."
        )
    if _is_refused_codec(stderr):
        return UnsupportedMedia(f"{file_name!r} cannot be used: {_NOT_ACCEPTED}.")
    return None


def _is_refused_codec(stderr: str) -> bool:
    """Whether it is the sound's codec that is not accepted: a cover's never is."""
    refused = set(_REFUSED_CODEC.findall(stderr))
    audio = _AUDIO_LINE.findall(stderr)
    return any(name in re.findall(r"\w+", line) for line in audio for name in refused)


def over_a_limit(stderr: str, file_name: str) -> LimitExceeded | None:
    """Return the error of a file with more streams than FFmpeg may open: it may well go on."""
    if not _TOO_MANY.search(stderr):
        return None
    return LimitExceeded(
        f"{file_name!r} has far too many streams or pictures in it. "
        "Export it again with its sound alone."
    )


def damaged(file_name: str) -> CorruptMedia:
    """Return what is said of a file that cannot be opened though it should be audio."""
    return CorruptMedia(
        f"{file_name!r} is damaged and cannot be read. Export it again and upload the new file."
    )


def too_long(file_name: str, most_s: float, declared_s: float | None = None) -> LimitExceeded:
    """Return what is said of a file that is longer than a track may be."""
    lasts = "is too long" if declared_s is None else f"lasts {declared_s:.0f} s"
    return LimitExceeded(
        f"{file_name!r} {lasts}; at most {most_s:g} s are accepted. Cut it into several tracks."
    )
