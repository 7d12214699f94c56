"""What an encoder left behind: whole AAC-LC frames in ADTS (ISO/IEC 14496-3 §1.A.2), counted.

Strict on purpose: this reads our own encodes only, and anything but what was asked for is an
error.
"""

from __future__ import annotations

from collections.abc import Iterator
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
_PIECE_BYTES = 1 << 20


def count_frames(path: Path, sample_rate_hz: int) -> int:
    """Return the number of AAC frames in the file.

    Raises ``ValueError`` unless every frame is whole, AAC-LC, stereo, of this rate, without
    a checksum, and alone in its ADTS frame: what FFmpeg's muxer writes.
    """
    frames = sum(len(offsets) - 1 for _, offsets in _pieces(path, sample_rate_hz))
    if not frames:
        raise ValueError("no AAC frame was written")
    return frames


def copy_frames(path: Path, target: Path, sample_rate_hz: int, *, first: int, count: int) -> None:
    """Write ``count`` of the file's frames to ``target``, from the one with number ``first`` on.

    Raises ``ValueError`` where there are fewer, and as ``count_frames`` does.
    """
    passed, last = 0, first + count
    with target.open("wb") as out:
        for data, offsets in _pieces(path, sample_rate_hz):
            here = len(offsets) - 1
            start, end = (min(max(at - passed, 0), here) for at in (first, last))
            out.write(data[offsets[start] : offsets[end]])
            passed += here
    if passed < last:
        raise ValueError(f"it holds {passed} AAC frames where {last} are needed")


def _pieces(path: Path, sample_rate_hz: int) -> Iterator[tuple[bytes, list[int]]]:
    """Yield the file in pieces of whole frames, and where in it each begins and the last ends."""
    fixed = _fixed_header(sample_rate_hz)
    passed = 0
    rest = b""
    # in pieces: the pages of a mapped file count as memory of ours, hundreds of MB for hours
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            data = rest + piece
            offsets = _frame_offsets(data, fixed, passed)
            yield data, offsets
            passed += offsets[-1]
            rest = data[offsets[-1] :]
    if rest:
        raise ValueError(f"the ADTS frame at byte {passed} is cut short")


def _frame_offsets(data: bytes, fixed: bytes, passed: int) -> list[int]:
    """Return where each whole frame that ``data`` begins with starts, and where the last ends."""
    offsets = [0]
    at = 0
    while at + _HEADER_BYTES <= len(data):
        header = data[at : at + _HEADER_BYTES]
        if header[:3] != fixed[:3] or header[3] & 0xFC != fixed[3]:
            raise ValueError(f"an unexpected ADTS header {header.hex()} at byte {passed + at}")
        if header[6] & 3:
            raise ValueError(f"more than one AAC frame in the ADTS frame at byte {passed + at}")
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        if length <= _HEADER_BYTES:
            raise ValueError(f"an ADTS frame of {length} bytes at byte {passed + at}")
        if at + length > len(data):
            break
        at += length
        offsets.append(at)
    return offsets


def _fixed_header(sample_rate_hz: int) -> bytes:
    """Return the 30 bits that are the same in every frame, as four bytes."""
    profile = 1  # AAC-LC: object type 2, written less one
    rate = _RATES_HZ.index(sample_rate_hz)
    return bytes(
        (0xFF, 0xF1, profile << 6 | rate << 2 | _STEREO >> 2, (_STEREO & 3) << 6),
    )
