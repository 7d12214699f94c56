"""What FFmpeg's words mean for the track: one table, pure.

Its exit code does not say: half a file exits 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from audio_processor.errors import AudioProcessorError, CorruptMedia, UnsupportedMedia
from audio_processor.media.ffmpeg import FFmpegFailed

LOSSLESS = ("pcm_", "flac", "alac", "wavpack", "tta", "ape", "wmalossless", "mlp", "truehd")
"""How the names of FFmpeg's lossless codecs begin."""

_DAMAGED_PACKET = re.compile(
    # FFmpeg 7 and later (two of them), FFmpeg 5 and 6; one line a packet each
    r"Error submitting packet to decoder: |Decoding error: |Error while decoding stream #"
)
_CUT_SHORT = re.compile(
    r"partial file|File ended prematurely|Error during demuxing|Truncat", re.IGNORECASE
)
_ALLOWED_DAMAGED_SHARE = 0.005
_ALLOWED_DAMAGED_PACKETS = 10
_PACKET_FRAMES = 1152
"""A packet's usual length (MPEG audio; AAC has 1024), to turn a length into a count."""

_TABLE: tuple[tuple[str, type[AudioProcessorError], str], ...] = (
    (
        r"matches no streams",
        UnsupportedMedia,
        "it has no audio in it. Upload a file with sound",
    ),
    (
        r"not on whitelist|Decoder not found|Decoding requested, but no decoder",
        UnsupportedMedia,
        "its format is not accepted. Export it as WAV, FLAC, MP3 or M4A",
    ),
)


@dataclass(frozen=True, slots=True)
class Damage:
    """What a decode that went to its end complained of."""

    packets: int
    """Packets that could not be decoded."""
    cut_short: bool
    """The demuxer met the end of the file where it expected more."""

    def is_serious(self, decoded_frames: int) -> bool:
        """Whether more packets are damaged than a whole file may have."""
        share = _ALLOWED_DAMAGED_SHARE * decoded_frames / _PACKET_FRAMES
        return self.packets > _ALLOWED_DAMAGED_PACKETS + share


def damage(stderr: str) -> Damage:
    """Count the damaged packets in a decode's stderr, of which every line stands by itself."""
    return Damage(len(_DAMAGED_PACKET.findall(stderr)), bool(_CUT_SHORT.search(stderr)))


def explain(failure: FFmpegFailed, file_name: str) -> AudioProcessorError:
    """Return the error that a failed read of the artist's file amounts to.

    A killed process, and one without memory, stay ``FFmpegFailed``: those are not the
    file's fault for sure.
    """
    if failure.returncode <= 0 or "Cannot allocate memory" in failure.stderr:
        return failure
    for pattern, error, reason in _TABLE:
        if re.search(pattern, failure.stderr):
            return error(f"{file_name!r} cannot be used: {reason}.")
    return CorruptMedia(
        f"{file_name!r} is damaged and cannot be read. Export it again and upload the new file."
    )
