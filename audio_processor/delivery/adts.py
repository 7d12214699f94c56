"""AAC frames in an ADTS stream (ISO/IEC 13818-7 §6.2, 14496-3 §1.A.2): where each begins.

Pure but for ``payloads``, which reads a file in bounded pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRAME_SAMPLES = 1024
_HEADER_BYTES = 7
_MAX_FRAME_BYTES = (1 << 13) - 1
_READ_BYTES = 1 << 20
_RATES_HZ = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000),
    *(22050, 16000, 12000, 11025, 8000, 7350),
)


@dataclass(frozen=True, slots=True)
class AdtsFormat:
    """What a frame's header says of the stream."""

    object_type: int
    """2 = AAC-LC, as in ``mp4a.40.2``."""
    sample_rate_hz: int
    channels: int
    """0 = said inside the frame, not in the header."""


def frame_offsets(data: bytes) -> list[int]:
    """Return where each frame starts, and last where the final whole frame ends.

    Bytes after that end are a frame cut short. Raises ``ValueError`` where a frame should
    begin and no sync word stands.
    """
    offsets = [0]
    at, end = 0, len(data)
    while at + _HEADER_BYTES <= end:
        if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            raise ValueError(f"no ADTS sync word at byte {at}")
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if length < _HEADER_BYTES:
            raise ValueError(f"an ADTS frame of {length} bytes at byte {at}")
        at += length
        if at > end:
            break
        offsets.append(at)
    return offsets


def frame_count(data: bytes) -> int:
    """Return the number of frames, all whole. Raises ``ValueError`` where the data is not that."""
    offsets = frame_offsets(data)
    if offsets[-1] != len(data):
        raise ValueError(f"an ADTS frame is cut short after byte {offsets[-1]}")
    return len(offsets) - 1


def read_format(data: bytes) -> AdtsFormat:
    """Return what the first frame's header says. Raises ``ValueError`` where there is none."""
    if len(data) < _HEADER_BYTES or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        raise ValueError("the data does not begin with an ADTS frame")
    rate_index = data[2] >> 2 & 15
    if rate_index >= len(_RATES_HZ):
        raise ValueError(f"ADTS sampling frequency index {rate_index} is reserved")
    return AdtsFormat(
        object_type=(data[2] >> 6) + 1,
        sample_rate_hz=_RATES_HZ[rate_index],
        channels=(data[2] & 1) << 2 | data[3] >> 6,
    )


def payloads(path: Path) -> Iterator[bytes]:
    """Yield the raw AAC frames without their headers, many frames a piece.

    Raises ``ValueError`` where the file is not whole ADTS frames.
    """
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            data = rest + chunk
            offsets = frame_offsets(data)
            yield b"".join(
                data[start + _header_bytes(data, start) : end]
                for start, end in itertools.pairwise(offsets)
            )
            rest = data[offsets[-1] :]
            if len(rest) > _MAX_FRAME_BYTES:
                raise ValueError("an ADTS frame longer than its length field can say")
    if rest:
        raise ValueError(f"an ADTS frame is cut short: {len(rest)} bytes are left over")


def _header_bytes(data: bytes, at: int) -> int:
    """Return 7, or 9 where a checksum follows (protection_absent = 0)."""
    return 7 if data[at + 1] & 1 else 9
