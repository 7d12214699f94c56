"""What an encoder left behind: whole AAC-LC frames in ADTS (ISO/IEC 14496-3 §1.A.2), counted.

Strict on purpose: this reads our own encodes only, and anything but what was asked for is an
error.
"""

from __future__ import annotations

import mmap
from pathlib import Path

FRAME_SAMPLES = 1024
"""Samples in an AAC-LC frame."""
DECODER_DELAY_FRAMES = 1024
"""Samples that the decoder yields before the first one that went into the encoder."""

_HEADER_BYTES = 7
_RATES_HZ = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000),
    *(22050, 16000, 12000, 11025, 8000, 7350),
)
_STEREO = 2


def count_frames(path: Path, sample_rate_hz: int) -> int:
    """Return the number of AAC frames in the file.

    Raises ``ValueError`` unless every frame is whole, AAC-LC, stereo, of this rate, without
    a checksum, and alone in its ADTS frame: what FFmpeg's muxer writes.
    """
    if path.stat().st_size == 0:
        raise ValueError("no AAC frame was written")
    fixed = _fixed_header(sample_rate_hz)
    frames = at = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data)
        while at < end:
            header = data[at : at + _HEADER_BYTES]
            if len(header) < _HEADER_BYTES:
                raise ValueError(f"an ADTS header is cut short at byte {at}")
            if header[:3] != fixed[:3] or header[3] & 0xFC != fixed[3]:
                raise ValueError(f"an unexpected ADTS header {header.hex()} at byte {at}")
            if header[6] & 3:
                raise ValueError(f"more than one AAC frame in the ADTS frame at byte {at}")
            length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
            if length <= _HEADER_BYTES or at + length > end:
                raise ValueError(f"an ADTS frame of {length} bytes at byte {at} of {end}")
            at += length
            frames += 1
    return frames


def _fixed_header(sample_rate_hz: int) -> bytes:
    """Return the 30 bits that are the same in every frame, as four bytes."""
    profile = 1  # AAC-LC: object type 2, written less one
    rate = _RATES_HZ.index(sample_rate_hz)
    return bytes(
        (0xFF, 0xF1, profile << 6 | rate << 2 | _STEREO >> 2, (_STEREO & 3) << 6),
    )
